"""``doctor`` finds what stands in the way, says what to do, and prints no secret."""

import subprocess
from pathlib import Path

import orjson
import pytest

from orchestrator.core.instants import HOUR, MINUTE
from orchestrator.ops import doctor
from orchestrator.ops.lag import Bounds, Judge, Reading
from orchestrator.stream.embedded import Runtime
from orchestrator.stream.sqlite_log import Log
from schemas.topics import DEAD_LETTER
from tests.ops.processes import START, environment, run
from tests.stream.fakes import FACILITIES, SITE_KEY, admitted, new_log, product, send
from tests.stream.running import settle


def test_another_distribution_with_our_names_fails() -> None:
    """It would be imported in our place, or we in its."""
    ours = {name: ["care-orchestrator"] for name in doctor.PACKAGES}
    assert doctor.of_packages(ours).level == "ok"
    found = doctor.of_packages({**ours, "events": ["care-orchestrator", "calendar-kit"]})
    assert (found.level, found.text) == ("FAIL", "events of calendar-kit")
    assert found.cure


def test_clocks_that_stand_and_handovers_that_last_are_warned_of(tmp_path: Path) -> None:
    """Without clocks no deadline fires; a patient on the way is planned by nobody."""
    log, clock = new_log(tmp_path)
    assert doctor.of_clock(log).level == "warn"
    settle(Runtime(log, product, FACILITIES, SITE_KEY))
    assert doctor.of_clock(log).level == "ok"
    assert {one.level for one in doctor.of_identity(log)} == {"ok"}

    clock.advance(HOUR)
    moving = orjson.dumps({"moving": {"a" * 32: clock.now() - 6 * MINUTE}, "conflicts": 2})
    log.connection.execute("UPDATE meta SET value = ? WHERE partition = 1", (moving,))
    late, conflicts = doctor.of_identity(log)

    assert doctor.of_clock(log).level == "warn"
    assert (late.level, late.text) == ("warn", "1 under way, the oldest for 6 min")
    assert "a" * 32 not in late.text
    assert (conflicts.level, conflicts.text) == ("warn", "2 about who is whom")


def test_a_worker_tells_what_only_it_knows() -> None:
    """On Kafka clocks, hand-overs and conflicts are in a worker's metrics; unreachable is said."""
    text = (
        "# TYPE care_stream_clock_age_seconds gauge\n"
        'care_stream_clock_age_seconds{partition="0"} 4\n'
        'care_stream_clock_age_seconds{partition="1"} 190\n'
        "# TYPE care_identity_handovers gauge\n"
        "care_identity_handovers 2\n"
        "# TYPE care_identity_handover_age_seconds gauge\n"
        "care_identity_handover_age_seconds 301\n"
        "# TYPE care_identity_conflicts gauge\n"
        "care_identity_conflicts 0\n"
    )
    found = {one.name: one for one in doctor.of_worker("host:8012", text)}
    assert found["worker"].level == "ok"
    assert (found["clock"].level, found["clock"].text) == ("warn", "3 min since the oldest of 2")
    assert found["hand-overs"].level == "warn"
    assert found["conflicts"].level == "ok"
    (nobody,) = doctor.of_worker("host:8012", None)
    assert nobody.level == "warn"
    assert "--worker" in nobody.cure


def test_unknown_readers_and_dead_letters_are_warned_of() -> None:
    """Counts, and which command shows more."""
    never = Reading("care-decide", "care.journal.v1", 0, 0, 5, None)
    letters = Bounds(DEAD_LETTER, 0, 2, 5)
    sample = Judge(MINUTE, MINUTE).judge([never], 0, "test", [letters])
    standing = sample.__class__(5 * MINUTE, "test", (), clock=MINUTE)
    assert doctor.of_lag(standing).text == "no deadline fires: the last clock is 4 min old"
    lag, dead = doctor.of_lag(sample), doctor.of_dead_letters(sample)
    assert (lag.level, lag.text) == ("warn", "of 1 partitions 1 UNKNOWN")
    assert (dead.level, dead.text) == ("warn", "3 are kept")


@pytest.mark.parametrize("as_json", [True, False])
def test_the_command_prints_every_setting_and_no_secret(tmp_path: Path, as_json: bool) -> None:
    """Exit 0 with a log, 1 without; secrets are three stars in both forms."""
    with Log.open(tmp_path / "data", create=True, partitions=4) as log:
        send(log, admitted(1))
    options = ["--json"] if as_json else []
    good = run(tmp_path, "doctor", "--data-dir", "data", *options)
    bad = run(tmp_path, "doctor", "--data-dir", "nowhere", *options)

    assert (good.returncode, bad.returncode) == (0, 1)
    for done in (good, bad):
        assert SITE_KEY not in done.stdout
        assert b"CARE_SITE_KEY" in done.stdout
        assert b"***" in done.stdout
    if as_json:
        levels = {one["name"]: one["level"] for one in orjson.loads(bad.stdout)["findings"]}
        assert levels["log"] == "FAIL"
        assert orjson.loads(good.stdout)["failed"] == 0
    else:
        assert b"FAIL  log" in bad.stdout
        assert bad.stdout.splitlines()[-1].startswith(b"1 failed")


@pytest.mark.parametrize(
    ("words", "settings", "says"),
    [
        (["doctor", "--worker", "h:1"], {}, "--worker is for CARE_RUNTIME=kafka"),
        (["doctor", "--worker", "host"], {"CARE_RUNTIME": "kafka"}, "must be HOST:PORT"),
        (["doctor"], {"CARE_SITE_KEY": "abc"}, "CARE_SITE_KEY: must have at least 16 characters"),
        (["lag", "--watch", "--serve"], {}, "--serve prints nothing"),
        (["worker"], {}, "is for Kafka alone"),
        (["topics", "create"], {}, "is for Kafka alone"),
        (["simulate", "--publish", "--out", "x"], {}, "--out goes without --publish"),
    ],
)
def test_what_would_be_ignored_is_refused(
    tmp_path: Path, words: list[str], settings: dict[str, str], says: str
) -> None:
    """Exit 2 and one line that says what to change, instead of an answer to something else."""
    done = run(tmp_path, *words, settings=settings)
    assert (done.returncode, says in done.stderr.decode()) == (2, True), done.stderr
    assert not (tmp_path / "x").exists()


def test_a_key_on_kafka_needs_the_setting(tmp_path: Path) -> None:
    """No `up` makes one there."""
    kept = environment()
    del kept["CARE_SITE_KEY"]
    words = [*START, "key", "GEN|MRN1"]
    done = subprocess.run(
        words, env=kept | {"CARE_RUNTIME": "kafka"}, capture_output=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 2
    assert b"CARE_SITE_KEY is not set" in done.stderr
    assert b"first `up`" not in done.stderr
