"""What the command line promises its users: exit codes, words, and JSON that is only JSON."""

import os
import resource
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from tests.cli.conftest import Run, bare_environment

START = [sys.executable, "-c", "from orchestrator.cli import main; main()"]
HEAVY = ("pydantic", "structlog", "rich", "faust", "aiokafka", "orjson", "holidays", "sqlite3")
ESCAPE = "\x1b"

DISCHARGE = {
    "id": "GEN-1",
    "source": "hospital/GEN/adt",
    "type": "care.discharge.recorded.v1",
    "time": "2026-10-06T14:00:00-04:00",
    "subject": "GEN|MRN123",
    "facility": "GEN",
    "data": {"visit_number": "V1", "disposition": {"code": "01"}},
}


@pytest.fixture
def feed(tmp_path: Path) -> Path:
    """One discharge, and one line that is none."""
    path = tmp_path / "feed.ndjson"
    path.write_bytes(orjson.dumps(DISCHARGE) + b"\n{broken\n")
    return path


def test_help_costs_less_than_a_third_of_a_second() -> None:
    """Help answers at once: at most 0.3 s of processor time."""
    best = min(cpu_seconds("--help") for _ in range(3))

    assert best < 0.3


def cpu_seconds(*args: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*START, *args], check=True, capture_output=True, env=bare_environment({}))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)


def test_the_list_of_commands_imports_nothing_heavy() -> None:
    """Whoever adds a heavy import to the list of commands learns it here, not from its users."""
    code = f"import orchestrator.cli, sys; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)

    assert done.stdout.decode().strip() == "[]"


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["nonsense"], "No such command"),
        (["replay"], "name at least one"),
        (["replay", "not-there.ndjson"], "not-there.ndjson: No such file"),
        (["replay", "--as-of", "yesterday", "feed.ndjson"], "--as-of must be an instant"),
        (["replay", "--facilities", "not-there.yaml", "feed.ndjson"], "not-there.yaml"),
        (["replay", "--policy", "feed.ndjson", "feed.ndjson"], "feed.ndjson"),
        (["replay", "--unknown", "feed.ndjson"], "No such option"),
        (["replay", "--facilities", "feed.ndjson", "feed.ndjson"], "one mapping per facility"),
        (["key", "MRN123"], "authority|identifier"),
        (["simulate", "--start", "soon"], "--start must be a date"),
        (["simulate", "--format", "fhir"], "FHIR comes later"),
        (["simulate", "--format", "xml"], "--format must be canonical or hl7v2"),
        (["up", "--data-dir", "/proc/x"], "/proc/x: "),
        (["publish", "not-there.ndjson"], "not-there.ndjson"),
        (["policy", "check", "not-there.yaml"], "not-there.yaml"),
        (["simulate", "--rate", "5"], "--rate goes with --publish"),
        (["topics", "check"], "CARE_KAFKA_BOOTSTRAP_SERVERS is not set"),
    ],
)
def test_a_mistake_is_told_in_words_and_ends_with_2(
    run: Run, feed: Path, args: list[str], says: str
) -> None:
    """What is wrong and where, one line, no traceback."""
    assert feed.exists()
    ran = run(*args)

    assert ran.code == 2
    assert says in ran.err
    assert "Traceback" not in ran.err
    assert ran.out == ""


@pytest.mark.parametrize("command", ["replay", "publish", "up", "demo", "key"])
def test_an_unknown_setting_ends_every_command_with_2(run: Run, feed: Path, command: str) -> None:
    """A misspelled setting is not taken for its default."""
    more = {"replay": feed, "publish": feed, "key": "GEN|1"}
    ran = run(command, *([more[command]] if command in more else []), CARE_FACILITES="x.yaml")

    assert ran.code == 2
    assert "did you mean CARE_FACILITIES?" in ran.err


@pytest.mark.parametrize(
    "args",
    [["publish", "feed.ndjson"], ["simulate", "--publish"], ["topics", "read", "care.task.v1"]],
)
def test_brokers_without_a_runtime_are_a_question_not_a_guess(
    run: Run, feed: Path, args: list[str]
) -> None:
    """Events in the log of a folder that nobody reads would look sent, and be lost."""
    assert feed.exists()
    ran = run(*args, CARE_KAFKA_BOOTSTRAP_SERVERS="kafka:9092")

    assert ran.code == 2
    assert "say CARE_RUNTIME=kafka" in ran.err
    assert not (feed.parent / "care-data").exists()


def test_each_command_knows_its_runtime(run: Run) -> None:
    """`up` is embedded, `worker` is on Kafka; the other word is not overlooked."""
    up = run("up", CARE_RUNTIME="kafka")
    worker = run("worker", CARE_RUNTIME="embedded")
    created = run("topics", "create", CARE_RUNTIME="embedded")

    assert [ran.code for ran in (up, worker, created)] == [2, 2, 2]
    assert "`worker`" in up.err
    assert "CARE_RUNTIME=kafka" in worker.err


def test_with_kafka_the_key_needs_the_sites_secret(run: Run) -> None:
    """A key made on the spot would be another one on each machine."""
    ran = run("key", "GEN|1", CARE_RUNTIME="kafka")

    assert ran.code == 2
    assert "CARE_SITE_KEY" in ran.err


def test_a_simulated_hospital_can_be_sent(run: Run) -> None:
    """`simulate --publish` sends what it would write, none of it from the future."""
    sent = run("simulate", "--publish", "--patients", "10", "--days", "6", "--json")

    assert sent.code == 0
    assert sent.json["refused"] == []
    listed = run("topics", "list", "--json").json["topics"]
    held = {row["topic"]: sum(row["next"]) for row in listed}
    assert held == sent.json["sent"]
    assert sum(held.values()) > 20


def test_a_log_that_is_not_there_ends_with_3(run: Run) -> None:
    """Nothing was asked wrongly; what it needs is away."""
    ran = run("topics", "read", "care.task.v1")

    assert ran.code == 3
    assert "publish" in ran.err
    assert "Traceback" not in ran.err


def test_replay_prints_one_json_object_and_nothing_else(run: Run, feed: Path) -> None:
    """``--json`` is the contract's object; warnings go to standard error."""
    ran = run("replay", "--json", feed)

    assert ran.code == 0
    assert set(ran.json) == {"as_of", "patients", "operations", "changes", "rejected"}
    assert ran.json["changes"] == []
    (patient,) = ran.json["patients"]
    assert [task["kind"] for task in patient["tasks"]] == ["CALL_48H", "PCP_VISIT_7D", "MED_REC"]
    assert [row["reason"] for row in ran.json["rejected"]] == ["malformed"]
    assert "no facilities file: GEN taken as America/New_York" in ran.err


def test_an_unlisted_facility_is_told_apart_from_a_missing_file(
    run: Run, feed: Path, tmp_path: Path
) -> None:
    """Who gave a file learns whom it leaves out, and that an empty one leaves out everybody."""
    (tmp_path / "mid.yaml").write_text("MID: {zone: America/Chicago}\ndefault: {}\n")
    listed = run("replay", "--facilities", "mid.yaml", feed)
    assert "not in the facilities file, so taken as America/New_York: GEN" in listed.err

    (tmp_path / "empty.yaml").write_text("# nothing yet\n")
    empty = run("replay", "--facilities", "empty.yaml", feed)
    assert empty.code == 0
    assert "empty.yaml lists no facility" in empty.err


@pytest.mark.parametrize(
    "content", [b"", b"\x7fELF\x02\x01\x01\x00", b'{"resourceType": "Patient"}']
)
def test_nothing_usable_is_said_plainly(run: Run, content: bytes) -> None:
    """Without a patient there is no instant to speak of; programs get a valid one all the same."""
    ran = run("replay", "-", stdin=content)
    assert ran.code == 0
    assert ran.out.startswith("Nothing usable was found.")
    assert "As of" not in ran.out

    whole = run("replay", "--json", "-", stdin=content).json
    assert whole["as_of"] == "1970-01-01T00:00:00Z"
    asked = run("replay", "--json", "--as-of", "2026-10-09T12:00:00Z", "-", stdin=content).json
    assert asked["as_of"] == "2026-10-09T12:00:00Z"


def test_before_the_first_receipt_nobody_had_been_heard_of(run: Run, feed: Path) -> None:
    """An early ``--as-of`` is no fault of the files."""
    ran = run("replay", "--as-of", "2025-01-01T12:00:00Z", feed)

    assert ran.out.startswith("As of Wed 1 Jan 2025 07:00 EST: nothing usable had been received.")


def test_rejected_lines_are_listed_in_the_order_of_the_files(run: Run, tmp_path: Path) -> None:
    """By file and line as a reader counts, and a place inside the line does not contradict it."""
    lines = [orjson.dumps(DISCHARGE | {"id": f"GEN-{n}"}) for n in range(1, 12)]
    lines[1] = b"{broken"
    lines[2] = b'{"id": "GEN-2"}'
    lines[9] = b"{broken too"
    (tmp_path / "many.ndjson").write_bytes(b"\n".join(lines))
    told = [row.split()[0] for row in run("replay", "many.ndjson").out.splitlines() if ":" in row]
    shown = [where for where in told if where.startswith("many")]

    assert shown == ["many.ndjson:2", "many.ndjson:3", "many.ndjson:10"]
    assert "is not JSON (column 2)" in run("replay", "many.ndjson").out


def test_replay_reads_standard_input(run: Run) -> None:
    """``-`` is standard input."""
    ran = run("replay", "--json", "--changes", "-", stdin=orjson.dumps(DISCHARGE))

    assert ran.code == 0
    assert len(ran.json["patients"]) == 1
    assert "task.requested" in {change["change"] for change in ran.json["changes"]}


def test_replay_answers_about_a_binary_file(run: Run, tmp_path: Path) -> None:
    """A file of no known kind is one rejected line, and an answer all the same."""
    (tmp_path / "photo.ndjson").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    ran = run("replay", "--json", "photo.ndjson")

    assert ran.code == 0
    assert [row["reason"] for row in ran.json["rejected"]] == ["malformed"]


def test_replay_shows_patients_with_what_is_owed_and_why(run: Run, feed: Path) -> None:
    """Without ``--json``: totals, rejects, then each patient's tasks with their reasons."""
    ran = run("replay", "--as-of", "2026-10-09T12:00:00Z", feed)

    assert ran.code == 0
    assert ESCAPE not in ran.out + ran.err
    assert "As of Fri 9 Oct 2026 08:00 EDT: 1 patient, 1 transition (1 active)" in ran.out
    assert "▲ overdue 18 h, was due Thu 8 Oct 14:00 EDT" in ran.out
    assert "Discharged home from GEN on Tue 6 Oct 14:00" in ran.out
    assert "by end of Tue 13 Oct" in ran.out
    assert "feed.ndjson:2" in ran.out
    assert "00:00" not in ran.out, "an end of a day is named by its day"


def test_replay_tells_what_changed_over_time(run: Run, feed: Path) -> None:
    """``--changes`` is the story in order, each step with its reason."""
    ran = run("replay", "--changes", "--as-of", "2026-10-09T12:00:00Z", feed)

    assert ran.code == 0
    assert ran.out.index("task.requested") < ran.out.index("task.overdue")


def test_a_change_shows_the_fields_that_changed(run: Run, feed: Path) -> None:
    """A corrected discharge moves the due time: from when to when."""
    corrected = DISCHARGE | {
        "id": "GEN-2",
        "type": "care.discharge.corrected.v1",
        "receivedtime": "2026-10-06T16:00:00-04:00",
        "data": {"visit_number": "V1", "discharged_at": "2026-10-06T12:30:00-04:00"},
    }
    feed.write_bytes(orjson.dumps(DISCHARGE) + b"\n" + orjson.dumps(corrected) + b"\n")
    ran = run("replay", "--changes", feed)

    (moved,) = [row for row in ran.out.splitlines() if "task.updated  48-hour call" in row]
    differences = moved.partition("48-hour call: ")[2]
    assert differences.startswith("due Thu 8 Oct 14:00 EDT → Thu 8 Oct 12:30 EDT")
    assert differences.endswith("told late by none → 1 h 30 min")


def test_results_survive_a_reader_that_has_seen_enough(tmp_path: Path, feed: Path) -> None:
    """``replay … | head -0`` ends quietly."""
    assert feed.exists()
    shell = '"$@" replay feed.ndjson | head -0'
    done = subprocess.run(
        ["bash", "-c", shell, "bash", *START],
        cwd=tmp_path, env=bare_environment({}), capture_output=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0
    assert "Traceback" not in done.stderr.decode()
    assert "Exception ignored" not in done.stderr.decode()


def test_publish_up_and_read_walk_one_discharge_to_its_tasks(
    run: Run, feed: Path, tmp_path: Path
) -> None:
    """What is published is decided by ``up`` and can be read from the topics."""
    # `up` runs on the real clock, and a discharge of long ago is owed nothing any more.
    left = datetime.now(UTC) - timedelta(hours=2)
    feed.write_bytes(orjson.dumps(DISCHARGE | {"time": left.isoformat()}) + b"\n{broken\n")
    sent = run("publish", feed)
    assert sent.code == 0
    assert "care.discharge.v1" in sent.out
    assert "care.dead-letter.v1" in sent.out

    up = subprocess.Popen(
        [*START, "up", "--json"],
        cwd=tmp_path, env=bare_environment({}), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        read = run("topics", "read", "care.task.v1", "--json")
        while not read.out and time.monotonic() < deadline:
            assert up.poll() is None, up.communicate()
            time.sleep(0.3)
            read = run("topics", "read", "care.task.v1", "--json")
        up.send_signal(signal.SIGINT)
        out, err = up.communicate(timeout=60)
    finally:
        up.kill()
    assert up.returncode == 0
    assert b"MRN123" not in err
    done = orjson.loads(out)
    assert done["taken"] == 1
    assert done["published"] > 0
    events = [orjson.loads(line)["event"] for line in err.splitlines()]
    assert events[-1] == "process.stopped"

    records = [orjson.loads(line) for line in read.out.splitlines()]
    assert "CALL_48H" in {record["value"]["kind"] for record in records}
    assert all(record["topic"] == "care.task.v1" for record in records)
    key = run("key", "GEN|MRN123").out.strip()
    assert {record["value"]["patient_key"] for record in records} == {key}
    readable = run("topics", "read", "care.task.v1")
    assert readable.code == 0
    assert "CALL_48H" in readable.out


def test_publish_answers_no_when_all_was_refused(run: Run, tmp_path: Path) -> None:
    """Nothing was sent, so nothing waits for ``up``; the bytes are kept as dead letters."""
    (tmp_path / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    ran = run("publish", "photo.png")

    assert ran.code == 1
    assert "nothing was sent: 1 record refused" in ran.err
    assert "`up`" not in ran.err
    letter = run("topics", "read", "care.dead-letter.v1", "--json").json
    assert "topic" not in letter["headers"]
    whole = run("publish", "--json", "photo.png")
    assert whole.code == 1
    assert whole.json["sent"] == {}
    assert [row["reason"] for row in whole.json["refused"]] == ["malformed"]


def test_everything_printed_can_be_had_as_json(run: Run, feed: Path) -> None:
    """``--json`` prints one object and nothing else on standard output."""
    assert run("publish", "--json", feed).json["sent"] == {"care.discharge.v1": 1}
    made = run("simulate", "--json", "--patients", "2", "--out", "made").json
    assert made["patients"] == 2
    assert made["facilities"] == "made/facilities.yaml"
    stated = {"CARE_SITE_KEY": "a-key-for-this-test-only"}
    plain = run("key", "GEN|MRN123", **stated).out.strip()
    assert run("key", "--json", "GEN|MRN123", **stated).json == {"patient_key": plain}
    assert "care.task.v1.json" in run("schemas", "export", "--json", "--out", "s").json["files"]
    assert "care.discharge.recorded.v1" in run("schemas", "export", "--json").json


def test_the_version_is_told(run: Run) -> None:
    """``--version`` names the program and its version."""
    ran = run("--version")

    assert ran.code == 0
    assert ran.out.startswith("care-orchestrator 0.")


def test_simulate_offers_what_it_can_write(run: Run) -> None:
    """The help names no format that would be refused."""
    ran = run("simulate", "--help")

    assert "canonical|hl7v2" in ran.out
    assert "fhir" not in ran.out.lower()


def test_a_topic_that_is_none_is_a_mistake(run: Run, feed: Path) -> None:
    """A misspelled topic is answered with those that are there."""
    assert run("publish", feed).code == 0
    ran = run("topics", "read", "care.tasks.v1")

    assert ran.code == 2
    assert "care.discharge.v1" in ran.err
    empty = run("topics", "read", "care.task.v1")
    assert (empty.code, empty.out) == (0, "")


def test_key_needs_a_site(run: Run) -> None:
    """Without a site key there is no key to print, and none is invented."""
    ran = run("key", "GEN|MRN123")
    assert ran.code == 2
    assert "no site key yet" in ran.err

    stated = {"CARE_SITE_KEY": "a-key-for-this-test-only"}
    first, second = run("key", "GEN|MRN123", **stated), run("key", "GEN|MRN124", **stated)
    assert len(first.out.strip()) == 32
    assert first.out != second.out


def test_schemas_are_exported_whole(run: Run, tmp_path: Path) -> None:
    """Every document, as files or as one object."""
    whole = run("schemas", "export")
    assert whole.code == 0
    assert "care.discharge.recorded.v1" in whole.json

    assert run("schemas", "export", "--out", "out").code == 0
    names = {file.stem for file in (tmp_path / "out").iterdir()}
    assert names == set(whole.json)


def test_policy_is_shown_and_checked(run: Run, tmp_path: Path) -> None:
    """The rules can be read; a file that cannot be used is answered with no, and where."""
    shown = run("policy", "show")
    assert shown.code == 0
    assert "48-hour call" in shown.out
    assert shown.out.startswith("Policy P0, for every discharge\n")
    assert run("policy", "show", "--json").json[0]["version"] == "P0"

    (tmp_path / "bad.yaml").write_text("version: X\neffective_from: 2026-01-01T00:00:00Z\nodd: 1\n")
    checked = run("policy", "check", "bad.yaml")
    assert checked.code == 1
    assert "odd" in checked.err
    assert run("policy", "check", "bad.yaml", "--json").json["usable"] is False


def test_a_policy_for_days_that_are_over_says_what_it_does(run: Run, tmp_path: Path) -> None:
    """Open work would be decided anew, piece by piece; one for days to come is used in silence."""
    for year, told in (("2020", True), ("2100", False)):
        text = f"version: X\neffective_from: {year}-01-01T00:00:00Z\n"
        (tmp_path / "new.yaml").write_text(text)
        checked = run("policy", "check", "new.yaml")
        assert checked.code == 0
        assert ("decided anew" in checked.err) is told


def test_no_colour_without_a_terminal_or_when_declined(run: Run, feed: Path) -> None:
    """Piped output holds no escape codes, whatever the terminal's type claims."""
    for environment in ({"TERM": "xterm-256color"}, {"NO_COLOR": "1"}, {"TERM": "dumb"}):
        ran = run("replay", feed, **environment)
        assert ran.code == 0
        assert ESCAPE not in ran.out + ran.err


@pytest.mark.parametrize(("plain", "decorated"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colour_on_a_terminal(feed: Path, plain: dict[str, str], decorated: bool) -> None:
    """On a terminal what is overdue is red, unless colour was declined."""
    ours, theirs = os.openpty()
    try:
        done = subprocess.Popen(
            [*START, "replay", "--as-of", "2026-10-09T12:00:00Z", str(feed)],
            stdout=theirs,
            stderr=subprocess.DEVNULL,
            env=bare_environment({"TERM": "xterm-256color", **plain}),
        )
        os.close(theirs)
        seen = b""
        while chunk := _read(ours):
            seen += chunk
        assert done.wait(60) == 0
    finally:
        os.close(ours)

    assert "▲ overdue" in seen.decode()
    assert (ESCAPE in seen.decode()) is decorated


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # Linux's way of saying that the other side has gone
        return b""
