"""Dead letters are found, understood, sent again or put away at a terminal, on the embedded log."""

import pwd
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import orjson
import pytest

from orchestrator.cli import dlq as command
from orchestrator.cli.dlq_desk import somebody
from orchestrator.cli.faults import Mistake
from orchestrator.stream.sqlite_log import Log
from orchestrator.worklist.log.embedded import EmbeddedFeed
from tests.cli import dlq
from tests.cli.conftest import Run, bare_environment
from tests.cli.dlq import NAME, NUMBER, discharge, file_of, without_visit

LETTERS = "care.dead-letter.v1"
PURPOSE = "looking what the sender mangled"
BY = ("--by", "anna")  # whoever runs the tests may be no person of the machine
UNKNOWN = {**discharge(2), "type": "care.nonsense.recorded.v1"}


@pytest.fixture
def data(run: Run, tmp_path: Path) -> Path:
    """The folder of a log with two dead letters, 0 and 1."""
    dlq.facilities(tmp_path)
    feed = file_of(tmp_path, "feed.ndjson", without_visit(1), UNKNOWN)
    sent = run("publish", feed, CARE_PARTITIONS=dlq.PARTITIONS)
    assert sent.code == 1, sent.err
    return tmp_path / "care-data"


def letter(number: int) -> str:
    return f"{LETTERS}-0-{number}"


def stopped(data: Path, *words: str) -> tuple[int, bytes, bytes]:
    """Run a command and press Ctrl-C once something is on record."""
    with subprocess.Popen(
        [*dlq.START, *words],
        cwd=data.parent,
        env=bare_environment({}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as running:
        try:
            dlq.until(lambda: running.poll() is not None or dlq.deeds(data))
            running.send_signal(signal.SIGINT)
            out, err = running.communicate(timeout=dlq.WAIT_S)
        finally:
            running.kill()
    return running.returncode, out, err


def statuses(run: Run) -> dict[str, list[str]]:
    return {
        status: [
            one["id"] for one in run("dlq", "list", "--status", status, "--json").json["items"]
        ]
        for status in ("open", "retried", "discarded")
    }


def test_the_list_says_what_waits_why_and_what_can_be_done(run: Run, data: Path) -> None:
    """A line each, the oldest first; the last line says how many, how old, and what to type."""
    ran = run("dlq", "list", CARE_FACILITIES="facilities.yaml")
    head, first, second, last = ran.out.splitlines()

    assert ran.code == 0
    assert head.split() == ["id", "age", "reason", "feed", "where", "tries"]
    assert first.split()[0] == letter(0)
    assert first.split()[-5:] == ["missing-visit", "GEN", "publish", "visit_number", "0"]
    assert second.split()[0] == letter(1)
    assert "unknown-type" in second
    assert last.startswith("2 waiting, oldest ")
    assert last.endswith(". Show: dlq show ID    Retry: dlq retry ID | --reason R [--dry-run]")
    assert data.is_dir()


def test_filters_choose_and_nothing_to_do_is_said(run: Run, data: Path) -> None:
    """By reason and feed; a list without rows is a sentence, not an empty screen."""
    assert data.is_dir()
    by_reason = run("dlq", "list", "--reason", "unknown-type", "--json").json
    elsewhere = run("dlq", "list", "--facility", "MID")
    done = run("dlq", "list", "--status", "discarded")

    assert [one["id"] for one in by_reason["items"]] == [letter(1)]
    assert (elsewhere.code, elsewhere.out) == (0, "No dead letter waits.\n")
    assert (done.code, done.out) == (0, "0 letters discarded. Show: dlq show ID\n")


def test_one_is_told_in_full_without_a_value(run: Run, tmp_path: Path) -> None:
    """Reason and cure in words, headers, names of segments; nothing of the patient."""
    message = (
        f"MSH|^~\\&|EPIC|GEN|||20261120140000||ADT^A03|1|P|2.5\rPID|1||{NUMBER}^^^GEN||{NAME}\r"
    )
    (tmp_path / "one.hl7").write_bytes(message.encode())
    run("publish", "one.hl7")
    ran = run("dlq", "show", letter(0))
    told = run("dlq", "show", letter(0), "--json").json

    assert ran.code == 0
    assert "segments  MSH PID" in ran.out
    assert f"reason    {told['reason']}: {told['words']}" in ran.out
    assert f"cure      {told['cure']}" in ran.out
    assert told["segments"] == ["MSH", "PID"]
    assert told["headers"]["reason"] == told["reason"]
    for text in (ran.out, ran.err, orjson.dumps(told).decode()):
        assert NAME not in text
        assert NUMBER not in text


def test_what_the_sender_put_into_headers_is_not_told(run: Run, data: Path) -> None:
    """A dead letter keeps them, and they may name the patient: only ours are shown."""
    with Log.open(data) as log:
        headers = {"reason": "malformed", "stage": "intake", "ce_subject": NUMBER, "name": NAME}
        log.append(LETTERS, None, b"{}", headers)
    ran = run("dlq", "show", letter(2))
    told = run("dlq", "show", letter(2), "--json")
    listed = run("dlq", "list")

    assert told.json["headers"] == {"reason": "malformed", "stage": "intake"}
    for text in (ran.out, told.out, listed.out):
        assert NAME not in text
        assert NUMBER not in text


def test_a_service_s_user_has_to_say_who_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container everybody is the same user: nothing is done in that name alone."""
    service = pwd.struct_passwd(("care", "x", 10_001, 10_001, "", "/", "/usr/sbin/nologin"))
    monkeypatch.setattr(pwd, "getpwuid", lambda _: service)

    with pytest.raises(Mistake, match="--by NAME"):
        command.discard(letter(0), None, reason="not needed", by=None, as_json=False)
    assert somebody("anna").actor == "terminal:care/anna"
    assert somebody("anna").facilities is None


def test_bytes_are_written_exactly_and_on_record_first(run: Run, data: Path) -> None:
    """Who looked, and what for; without a purpose nobody does."""
    unsaid = run("dlq", "show", letter(0), "--raw", *BY)
    short = run("dlq", "show", letter(0), "--raw", "--purpose", " too  few", *BY)
    before = dlq.deeds(data)
    ran = run("dlq", "show", letter(0), "--raw", "--purpose", PURPOSE, *BY)
    (record,) = dlq.deeds(data)

    assert (unsaid.code, short.code, before) == (2, 2, [])
    assert (unsaid.out, short.out) == ("", "")
    assert ran.out.encode() == dlq.lying(data, LETTERS)[0]
    assert NUMBER in ran.out
    assert (record["action"], record["outcome"], record["purpose"]) == ("raw", "success", PURPOSE)
    assert record["objects"] == [f"dead-letter/{letter(0)}"]
    assert re.fullmatch("terminal:.+/anna", record["actor"])


def test_a_terminal_is_shown_nothing_that_it_would_obey(run: Run, data: Path) -> None:
    """Messages may hold escape sequences: on a terminal segments are lines, and escapes none."""
    with Log.open(data) as log:
        headers = {"reason": "malformed", "stage": "publish", "error": "is \x1b[31mred"}
        log.append(LETTERS, None, b"MSH|^~\\&|\x1b[2J\rPID|1\r", headers)
    place = letter(2)
    words = ("dlq", "show", place, "--raw", "--purpose", PURPOSE, *BY)
    code, seen = dlq.on_terminal(data.parent, *words)
    piped = run(*words)
    shown = run("dlq", "show", place)

    assert (code, piped.code) == (0, 0)
    assert "MSH|^~\\&|?[2J\r\nPID|1\r\n" in seen
    assert piped.out == "MSH|^~\\&|\x1b[2J\rPID|1\r"
    assert "\x1b" not in shown.out
    assert "is ?[31mred" in shown.out


def test_results_go_where_they_are_sent(data: Path, tmp_path: Path) -> None:
    """With results in a file and a terminal for the rest, the file has all, the terminal none."""
    out = tmp_path / "list.txt"
    code, seen = dlq.on_terminal(data.parent, "dlq", "list", out=out)

    assert code == 0
    assert letter(0) in out.read_text()
    assert "2 waiting" in out.read_text()
    assert letter(0) not in seen


def test_a_narrow_terminal_keeps_what_is_typed_next(data: Path) -> None:
    """At 80 columns no line is broken, and the id is whole."""
    with Log.open(data) as log:
        reason = "duplicate-id-different-content"
        log.append(LETTERS, None, b"{}", {"reason": reason, "stage": "decide", "error": "/id"})
    code, seen = dlq.on_terminal(data.parent, "dlq", "list")
    rows = [line for line in seen.splitlines() if LETTERS in line]

    assert code == 0
    assert len(rows) == 3
    assert all(len(line) <= 80 for line in rows)
    assert letter(2) in rows[2]


def test_what_is_wrong_still_is_refused_and_waits_on(run: Run, data: Path) -> None:
    """Exit 1, nothing is appended, the try is on record."""
    ran = run("dlq", "retry", letter(0), *BY)
    listed = run("dlq", "list", "--reason", "missing-visit", "--json").json
    (record,) = dlq.deeds(data)

    assert (ran.code, ran.out) == (1, "refused: missing-visit: /data/visit_number is missing\n")
    assert [(one["status"], one["tries"]) for one in listed["items"]] == [("open", 1)]
    assert (record["action"], record["outcome"]) == ("retry", "refused")
    assert dlq.lying(data, "care.discharge.v1") == []


def test_a_dry_run_changes_nothing(run: Run, data: Path) -> None:
    """What would become of each is told; the log holds what it held."""
    mended = file_of(data.parent, "mended.json", discharge(1))
    before = dlq.lying(data, LETTERS)
    every = run("dlq", "retry", "--all", "--dry-run")
    one = run("dlq", "retry", letter(0), "--replacement", mended, "--dry-run")
    piped = run(
        "dlq", "retry", letter(0), "--replacement", "-", "--dry-run", stdin=mended.read_bytes()
    )

    assert every.code == 1
    assert f"  {letter(1)}  would be refused: unknown-type: /type is not known" in every.out
    assert every.out.splitlines()[-1] == "Would be: 2 refused. Nothing was sent."
    assert (one.code, one.out) == (0, "would be accepted\n")
    assert (piped.code, piped.out) == (0, "would be accepted\n")
    assert dlq.deeds(data) == []
    assert dlq.lying(data, LETTERS) == before
    assert dlq.lying(data, "care.discharge.v1") == []


def test_beside_up_a_mended_message_is_taken_once(run: Run, data: Path) -> None:
    """Its tasks are told; original, edit and who are kept; a second time there is nothing to do."""
    mended = file_of(data.parent, "mended.json", discharge(1))
    with dlq.up(data):
        ran = run("dlq", "retry", letter(0), "--replacement", mended, "--json", *BY)
        again = run("dlq", "retry", letter(0), *BY)
    shown = run("dlq", "show", letter(0), "--json").json
    (record,) = dlq.deeds(data)

    assert ran.code == 0, ran.err
    assert ran.json["result"] == "accepted"
    assert ran.json["tasks_changed"] >= 3
    assert again.code == 1
    assert f"{letter(0)}: it was sent again at" in again.err
    assert "by terminal:" in again.err
    assert (shown["status"], shown["decided_by"]) == ("retried", record["actor"])
    assert [one["by"] for one in shown["edits"]] == [record["actor"]]
    assert [one["outcome"] for one in shown["done"]] == ["success"]
    assert (len(record["patient_keys"]), record["roles"]) == (1, ["data-steward", "operator"])
    assert NUMBER not in orjson.dumps(record).decode()


def test_many_of_one_reason_are_sent_together(run: Run, data: Path) -> None:
    """What a new version takes is taken, the rest is told; each has its own record."""
    with Log.open(data) as log:
        for number in (11, 12):
            headers = {"reason": "unknown-type", "stage": "publish", "error": "/type is not known"}
            log.append(LETTERS, None, orjson.dumps(discharge(number)), headers)
    with dlq.up(data):
        ran = run("dlq", "retry", "--reason", "unknown-type", *BY)
    found = statuses(run)

    assert ran.code == 1, ran.err
    lines = ran.out.splitlines()
    assert lines[0] == f"  {letter(1)}  refused: unknown-type: /type is not known"
    assert [line.split()[:2] for line in lines[1:3]] == [
        [letter(2), "accepted:"],
        [letter(3), "accepted:"],
    ]
    assert lines[-1] == "2 accepted, 1 refused."
    assert found["retried"] == [letter(2), letter(3)]
    assert letter(1) in found["open"]
    outcomes = sorted(one["outcome"] for one in dlq.deeds(data))
    assert outcomes == ["refused", "success", "success"]


def test_what_is_stored_and_not_decided_on_is_said(run: Run, data: Path) -> None:
    """Without `up` it is taken later; the letter waits no more."""
    with Log.open(data) as log:
        log.append(LETTERS, None, orjson.dumps(discharge(3)), {"reason": "malformed"})
    code, out, err = stopped(data, "dlq", "retry", letter(2), *BY)  # nobody has to wait for it

    assert out.decode().startswith("stored: not decided on yet"), err.decode()
    assert (code, b"Traceback" in err) == (0, False)
    assert statuses(run)["retried"] == [letter(2)]
    assert len(dlq.lying(data, "care.discharge.v1")) == 1


def test_ctrl_c_ends_many_after_the_one_at_hand(data: Path) -> None:
    """What was sent is told and on record; the rest waits as before, and is counted."""
    number = 1_000
    with Log.open(data) as log, log.transaction() as transaction:
        for one in range(number):
            headers = {"reason": "bad-time", "stage": "publish"}
            transaction.append(LETTERS, None, orjson.dumps(discharge(100 + one)), headers)
    code, out, err = stopped(data, "dlq", "retry", "--reason", "bad-time", "--json", *BY)
    told = orjson.loads(out)

    assert code == 1
    assert 0 < told["left"] < number
    assert told["letters"] == number - told["left"] == told["pending"]
    assert f"stopped: {told['left']:,} not looked at" in err.decode()
    assert len(dlq.deeds(data)) == told["letters"]
    assert len(dlq.lying(data, "care.discharge.v1")) == told["letters"]


def test_what_is_put_away_is_kept_with_the_reason(run: Run, data: Path) -> None:
    """It waits for nobody any more; who did it and why is told; a second time is refused."""
    unsaid = run("dlq", "discard", letter(1), *BY)
    ran = run("dlq", "discard", letter(1), "--reason", "a test of the sender's", *BY)
    again = run("dlq", "discard", letter(1), "--reason", "a test of the sender's", *BY)
    shown = run("dlq", "show", letter(1), "--json").json
    (record,) = dlq.deeds(data)

    assert (unsaid.code, ran.code, again.code) == (2, 0, 1)
    assert "dropped" in ran.out
    assert (shown["status"], shown["purpose"]) == ("discarded", "a test of the sender's")
    assert (record["action"], record["purpose"]) == ("discard", "a test of the sender's")
    assert statuses(run) == {"open": [letter(0)], "retried": [], "discarded": [letter(1)]}


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["list", "--status", "lost"], 2, "lost"),
        (["show", "17"], 2, "as `dlq list` prints it"),
        (["show", "care.dead-letter.v1-0-99"], 1, "no such dead letter is kept"),
        (["show", "care.dead-letter.v1-0-99", "--raw", "--purpose", PURPOSE, *BY], 1, "no such"),
        (["show", "care.dead-letter.v1-0-0", "--purpose", PURPOSE], 2, "--purpose goes with"),
        (["show", "care.dead-letter.v1-0-0", "--raw", "--json"], 2, "without --json"),
        (["retry"], 2, "say which"),
        (["discard", "care.dead-letter.v1-0-0", "--reason", "no", *BY], 2, "3 to 1,000"),
        (["retry", "--all", "--by", "a b"], 2, "--by must be a name"),
        (["retry", "care.dead-letter.v1-0-0", "--all"], 2, "say which"),
        (["retry", "--all", "--replacement", "feed.ndjson"], 2, "goes with one ID"),
        (
            ["retry", "care.dead-letter.v1-0-0", "--replacement", "nowhere", *BY],
            2,
            "nowhere: No such",
        ),
        (["retry", "--reason", "mising-visit", *BY], 2, "waiting: missing-visit 1, unknown-type 1"),
        (["retry", "care.dead-letter.v1-0-99", *BY], 1, "no such dead letter is kept"),
        (
            ["discard", "care.dead-letter.v1-0-99", "--reason", "why not", *BY],
            1,
            "no such dead letter",
        ),
        (["list", "--data-dir", "nowhere"], 2, "there is no log here"),
    ],
)
def test_a_mistake_is_told_in_words(
    run: Run, data: Path, words: list[str], code: int, says: str
) -> None:
    """What is wrong and what to do; no traceback, no patient, nothing on record."""
    ran = run("dlq", *words)

    assert (ran.code, ran.out) == (code, "")
    assert says in ran.err
    assert "Traceback" not in ran.err
    assert NUMBER not in ran.err
    assert dlq.deeds(data) == []


def test_a_log_that_is_away_is_3(run: Run) -> None:
    """No broker answers: it is said where, and that is not a mistake of who asks."""
    ran = run(
        "dlq",
        "list",
        CARE_RUNTIME="kafka",
        CARE_KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1",
        CARE_KAFKA_SECURITY_PROTOCOL="PLAINTEXT",
    )

    assert (ran.code, ran.out) == (3, "")
    assert "127.0.0.1:1" in ran.err
    assert "Traceback" not in ran.err


def test_the_audit_log_is_read_from_the_oldest_letter_on(data: Path) -> None:
    """Six years of it are not: reading begins at the first record of that time."""
    with Log.open(data) as log:
        for number in range(9):
            log.append("care.audit.v1", "somebody", b'{"number": %d}' % number)
        (partition,) = [p for p, end in enumerate(log.end_offsets("care.audit.v1")) if end]
        stamps = [row.stamp for row in log.read("care.audit.v1", partition, 0, 99)]
    feed = EmbeddedFeed(data, topics=("care.audit.v1",))

    def begins(at: int) -> Any:
        return feed.since("care.audit.v1", at)["care.audit.v1", partition]

    assert [begins(stamp) for stamp in stamps] == list(range(9))
    assert (begins(0), begins(stamps[-1] + 1)) == (0, 9)
    feed.close()
