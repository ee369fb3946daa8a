"""``doctor`` finds what stands in the way, says what to do, and prints no secret."""

from pathlib import Path

import orjson
import pytest

from orchestrator.core.instants import HOUR, MINUTE
from orchestrator.ops import doctor
from orchestrator.ops.lag import Bounds, Judge, Reading
from orchestrator.stream.embedded import Runtime
from orchestrator.stream.sqlite_log import Log
from schemas.topics import DEAD_LETTER
from tests.ops.processes import run
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
    assert (late.level, late.text) == ("warn", "1 under way, the oldest for 360 s")
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
    assert (found["clock"].level, found["clock"].text) == ("warn", "190 s since the oldest of 2")
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
