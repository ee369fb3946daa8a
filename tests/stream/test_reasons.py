"""Every reason of the contract for refusing a record, through the whole path.

Contract, section 2, *Bad input*: original bytes and a reason in the dead letters, the patient's
gap EVENT_PARKED where the patient can be told, and nobody else is held up.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

import handlers
from events.files import Kind, Record
from events.reject import REASONS
from orchestrator.core import step
from orchestrator.core.instants import DAY, HOUR, read, written
from orchestrator.core.plan import plan
from orchestrator.stream import replay as replaying
from orchestrator.stream.embedded import Pace, Runtime
from orchestrator.stream.publish import publish
from orchestrator.stream.sqlite_log import Log
from schemas.topics import DEAD_LETTER
from tests.stream.fakes import (
    FACILITIES,
    SITE_KEY,
    START,
    admitted,
    journal_of,
    new_log,
    product,
    send,
)

PACE = Pace(retry_s=0.01, poll_s=0.01)
SUBJECT = "GEN|MRN1"
WHOLE = orjson.dumps(admitted(1))


def spoiled(**said: Any) -> bytes:
    """The event of patient 1 with these fields."""
    return orjson.dumps(admitted(1, **said))


def merged(**data: Any) -> bytes:
    return spoiled(type="care.patient.merged.v1", data=data)


# A file's record without a receipt is received at its time, so this one says when.
AHEAD = spoiled(time=written(START + DAY + HOUR), receivedtime=written(START))

# Reason, what is wrong, the bytes as sent, whether the patient can be told.
BAD: list[tuple[str, str, bytes, bool]] = [
    ("malformed", "not JSON", b"{not json", False),
    ("malformed", "binary", b"\x00\xff\x00", False),
    ("malformed", "empty", b"", False),
    ("malformed", "a key twice", WHOLE[:-1] + b',"id":"other"}', False),
    ("malformed", "bytes behind it", WHOLE + b"{}", False),
    ("malformed", "data of the wrong form", spoiled(data=[]), True),
    ("malformed", "id of the wrong form", spoiled(id=1), True),
    ("unsupported-version", "of the type", spoiled(type="care.admission.opened.v2"), True),
    ("unsupported-version", "of the envelope", spoiled(specversion="0.3"), True),
    ("unknown-type", "misspelt", spoiled(type="care.admission.opend.v1"), True),
    ("missing-patient", "none", spoiled(subject=None), False),
    ("missing-patient", "no authority", spoiled(subject="MRN1"), False),
    ("missing-visit", "none", spoiled(data={"class": "INPATIENT"}), True),
    ("missing-field", "no facility", spoiled(facility=None), True),
    ("missing-field", "no appointment", spoiled(type="care.appointment.booked.v1"), True),
    ("bad-time", "none", spoiled(time=None), True),
    ("bad-time", "not a date", spoiled(time="2026-02-30T00:00:00Z"), True),
    ("bad-time", "too far ahead", AHEAD, True),
    ("too-large", "a mebibyte and more", spoiled(data={"pad": "x" * 1024 * 1024}), False),
    ("identity-conflict", "two authorities", merged(retired="MID|MRN2"), True),
    ("self-merge", "itself", merged(retired=SUBJECT), True),
]
IDS = [f"{reason}: {what}" for reason, what, _, _ in BAD]
cases = pytest.mark.parametrize(
    ("reason", "raw", "known"), [(r, raw, known) for r, _, raw, known in BAD], ids=IDS
)


def settled(log: Log) -> Runtime:
    runtime = Runtime(log, product, FACILITIES, SITE_KEY, PACE)
    while runtime.turn():
        pass
    return runtime


def newest(log: Log, topic: str) -> list[dict[str, Any]]:
    """Of a compacted topic the newest record of each key."""
    found: dict[str, dict[str, Any]] = {}
    for partition in range(log.partitions):
        for record in log.read(topic, partition, 0, 100_000):
            found[record.key or ""] = orjson.loads(record.value or b"")
    return list(found.values())


def parked_gaps(log: Log) -> list[dict[str, Any]]:
    return [gap for gap in newest(log, "care.gap.v1") if gap["code"] == "EVENT_PARKED"]


def letters(log: Log) -> list[Any]:
    return log.read(DEAD_LETTER, 0, 0, 1000)


def tasks_of(log: Log, subject: str) -> set[str]:
    return {task["kind"] for task in newest(log, "care.task.v1") if task["patient"] == subject}


def discharge(number: int, **said: Any) -> dict[str, Any]:
    data = {"visit_number": f"V{number}", "disposition": {"code": "01"}}
    return admitted(number, type="care.discharge.recorded.v1", **{"data": data, **said})


def test_every_reason_that_can_occur_is_here() -> None:
    """Two need more than one bad record: a clash of ids, and a defect of ours."""
    assert {row[0] for row in BAD} | {"duplicate-id-different-content", "handler-failed"} == REASONS


@cases
def test_replay_lists_what_it_refused(reason: str, raw: bytes, known: bool) -> None:
    """With its place; the patient who can be told gets the gap, the other goes on as ever."""
    good = orjson.dumps(discharge(2))
    records = [Record("f:1", "canonical", raw), Record("f:2", "canonical", good)]
    answer = replaying.replay(records, as_of=written(START), facilities=FACILITIES)
    (rejected,) = answer["rejected"]
    assert (rejected["where"], rejected["reason"]) == ("f:1", reason)
    gaps = {p["patient"]: {g["code"] for g in p["gaps"]} for p in answer["patients"]}
    assert ("EVENT_PARKED" in gaps.get(SUBJECT, set())) is known
    (other,) = [p for p in answer["patients"] if p["patient"] == "GEN|MRN2"]
    assert len(other["tasks"]) == 3


@cases
def test_the_dead_letter_keeps_the_original_bytes(
    tmp_path: Path, reason: str, raw: bytes, known: bool
) -> None:
    """Nothing is lost, and the neighbours in the same batch are decided on."""
    log, _ = new_log(tmp_path)
    send(log, discharge(2), topic="care.discharge.v1")
    log.append("care.discharge.v1", "their key", raw)
    send(log, discharge(3), topic="care.discharge.v1")
    settled(log)

    (letter,) = letters(log)
    assert letter.headers["reason"] == reason
    assert (letter.headers["stage"], letter.headers["topic"]) == ("intake", "care.discharge.v1")
    assert (letter.headers["partition"], letter.headers["offset"]) == ("0", "1")
    assert letter.key == "their key"
    if reason == "too-large":
        assert raw.startswith(letter.value)
        assert letter.headers["size"] == str(len(raw))
    else:
        assert letter.value == raw
    found = parked_gaps(log)
    assert [gap["patient"] for gap in found] == ([SUBJECT] if known else [])
    assert [gap["evidence"]["reason"] for gap in found] == ([reason] if known else [])
    for subject in ("GEN|MRN2", "GEN|MRN3"):
        assert tasks_of(log, subject) == {"CALL_48H", "PCP_VISIT_7D", "MED_REC"}


def test_a_record_that_was_refused_last_is_listed_all_the_same() -> None:
    """The clock ends at the latest receipt, a refused one's too: nothing disappears."""
    late = spoiled(data={}, receivedtime=written(START + HOUR))
    good = orjson.dumps(discharge(2, receivedtime=written(START)))
    records = [Record("f:1", "canonical", late), Record("f:2", "canonical", good)]
    answer = replaying.replay(records, facilities=FACILITIES)
    assert answer["as_of"] == written(START + HOUR)
    assert [r["reason"] for r in answer["rejected"]] == ["missing-visit"]


MSH = "MSH|^~\\&|ADT1|GEN|CARE|HUB|20261006140300-0400||ADT^A01|M1|P|2.5.1"
PID = "PID|||MRN1^^^GEN^MR"
HL7: list[tuple[str, str, Kind, bytes, bool]] = [
    ("malformed", "not HL7 at all", "hl7v2", b"MSH|", False),
    ("malformed", "unknown bytes", "unknown", b"\x7fELF", False),
    ("unknown-type", "FHIR", "fhir", b'{"resourceType":"Patient"}', False),
    ("missing-patient", "no PID-3", "hl7v2", f"{MSH}\rPID|\rPV1||I".encode(), False),
    ("missing-visit", "no PV1-19", "hl7v2", f"{MSH}\r{PID}\rPV1||I".encode(), True),
]


@pytest.mark.parametrize(
    ("reason", "kind", "raw"),
    [(reason, kind, raw) for reason, _, kind, raw, _ in HL7],
    ids=[f"{reason}: {what}" for reason, what, *_ in HL7],
)
def test_what_is_refused_at_the_door_keeps_its_bytes(
    tmp_path: Path, reason: str, kind: Kind, raw: bytes
) -> None:
    """`publish` decodes messages itself; what it cannot send is not lost."""
    log, _ = new_log(tmp_path)
    report = publish([Record("f:1", kind, raw)], log, FACILITIES)
    assert [reject.reason for _, reject in report.refused] == [reason]
    (letter,) = letters(log)
    assert (letter.value, letter.headers["reason"], letter.headers["stage"]) == (
        raw,
        reason,
        "publish",
    )


def test_what_is_refused_at_the_door_is_told_to_its_patient(tmp_path: Path) -> None:
    """A message without a visit number names its patient: somebody must look (section 2)."""
    log, _ = new_log(tmp_path)
    (raw,) = [raw for _, _, _, raw, known in HL7 if known]
    publish([Record("f:1", "hl7v2", raw)], log, FACILITIES)
    settled(log)
    assert [gap["patient"] for gap in parked_gaps(log)] == [SUBJECT]


def test_a_message_that_names_its_patient_opens_the_gap_in_replay() -> None:
    """The same message, from a file."""
    (raw,) = [raw for _, _, _, raw, known in HL7 if known]
    answer = replaying.replay([Record("f:1", "hl7v2", raw)], facilities=FACILITIES)
    (patient,) = answer["patients"]
    assert [gap["code"] for gap in patient["gaps"]] == ["EVENT_PARKED"]


CLASH = [discharge(1), discharge(1, data={"visit_number": "V1", "disposition": {"code": "03"}})]


def test_other_content_under_a_known_id_is_parked_by_replay() -> None:
    """The first received holds; at one receipt the smaller hash."""
    first, second = CLASH[0], CLASH[1] | {"receivedtime": written(START + HOUR)}
    for events in ([first, second], [second, first]):
        answer = replaying.replay_events(events, facilities=FACILITIES)
        assert [r["reason"] for r in answer["rejected"]] == ["duplicate-id-different-content"]
        (patient,) = answer["patients"]
        assert {task["kind"] for task in patient["tasks"]} > {"CALL_48H"}
        assert "EVENT_PARKED" in {gap["code"] for gap in patient["gaps"]}


def test_other_content_under_a_known_id_is_parked_by_decide(tmp_path: Path) -> None:
    """Once, however often it comes."""
    log, clock = new_log(tmp_path)
    for event in (*CLASH, *CLASH):
        send(log, event, topic="care.discharge.v1")
        clock.advance(HOUR)
    settled(log)
    (letter,) = letters(log)
    assert letter.headers["reason"] == "duplicate-id-different-content"
    assert letter.headers["stage"] == "decide"
    kept = orjson.loads(letter.value)
    assert (kept["id"], kept["data"]) == (CLASH[1]["id"], CLASH[1]["data"])
    assert [gap["evidence"]["reason"] for gap in parked_gaps(log)] == [letter.headers["reason"]]
    assert "CALL_48H" in tasks_of(log, SUBJECT)


@pytest.mark.parametrize(
    ("days", "parked"), [(30 * DAY - HOUR, True), (30 * DAY, True), (30 * DAY + HOUR, False)]
)
def test_after_thirty_days_an_id_may_be_used_again(days: int, parked: bool) -> None:
    """Real feeds count from one again."""
    later = CLASH[1] | {"receivedtime": written(read("2026-10-06T16:00:00Z") + days)}
    answer = replaying.replay_events([CLASH[0], later], facilities=FACILITIES)
    assert bool(answer["rejected"]) is parked


def test_what_decide_parks_keeps_its_original_bytes_too(tmp_path: Path) -> None:
    """Contract, section 2: with its original bytes."""
    log, _ = new_log(tmp_path)
    for event in CLASH:
        send(log, event, topic="care.discharge.v1")
    settled(log)
    (letter,) = letters(log)
    assert letter.value == orjson.dumps(CLASH[1])


def stumbling(over: str, real: Callable[..., Any]) -> Callable[..., Any]:
    """*real* with a bug that the event named *over* brings to light."""

    def told(event: dict[str, Any], *rest: Any) -> Any:
        if event["id"] == over:
            raise KeyError(event["subject"])
        return real(event, *rest)

    return told


def test_a_bug_in_a_handler_parks_one_record_and_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others in the batch, and the patient's own other events, are decided on."""
    log, _ = new_log(tmp_path)
    bad = discharge(2, id="BAD", data={"visit_number": "V2b", "disposition": {"code": "07"}})
    send(log, discharge(1), discharge(2), bad, discharge(3), topic="care.discharge.v1")
    with monkeypatch.context() as patch:
        patch.setattr(handlers, "told", stumbling("BAD", handlers.told))
        settled(log)

    (letter,) = letters(log)
    assert (letter.headers["reason"], letter.headers["stage"]) == ("handler-failed", "decide")
    assert "KeyError" in letter.headers["error"]
    assert "MRN" not in " ".join([letter.key, *letter.headers.values()])
    assert orjson.loads(letter.value)["id"] == "BAD"
    for number in (1, 2, 3):
        assert "CALL_48H" in tasks_of(log, f"GEN|MRN{number}")
    (gap,) = parked_gaps(log)
    assert (gap["patient"], gap["caused_by"]) == ("GEN|MRN2", ["BAD"])
    assert len([v for v in journal_of(log) if v["kind"] == "event"]) == 4


def test_a_bug_in_a_handler_gives_the_same_bytes_in_any_batching(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A redo after a crash parks what was parked, and publishes what was published."""
    monkeypatch.setattr(handlers, "told", stumbling("BAD", handlers.told))
    published = []
    for batch in (1, 2, 500):
        log, _ = new_log(tmp_path / str(batch))
        send(log, discharge(1), discharge(2, id="BAD"), discharge(3), topic="care.discharge.v1")
        runtime = Runtime(log, product, FACILITIES, SITE_KEY, Pace(decide_records=batch))
        while runtime.turn():
            pass
        published.append(
            sorted(
                (topic, partition, record.key or "", record.value or b"")
                for topic in ("care.change.v1", "care.task.v1", "care.gap.v1")
                for partition in range(log.partitions)
                for record in log.read(topic, partition, 0, 1000)
            )
        )
        assert len(letters(log)) == 1
    assert published[0] == published[1] == published[2]


def test_a_bug_in_the_core_parks_the_record_that_it_met(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the patient was changed when it struck; the store has the whole."""

    def broken(view: Any, *rest: Any) -> Any:
        if view.patient == SUBJECT and any(stay.visit == "BAD" for stay in view.stays):
            raise ZeroDivisionError
        return plan(view, *rest)

    log, clock = new_log(tmp_path)
    bad = discharge(1, id="BAD", data={"visit_number": "BAD", "disposition": {"code": "01"}})
    with monkeypatch.context() as patch:
        patch.setattr(step, "plan", broken)
        send(log, discharge(1), bad, discharge(2), topic="care.discharge.v1")
        settled(log)
    (letter,) = letters(log)
    assert letter.headers["reason"] == "handler-failed"
    assert tasks_of(log, SUBJECT) == tasks_of(log, "GEN|MRN2") != set()
    clock.advance(HOUR)
    send(log, bad | {"id": "GOOD"}, topic="care.discharge.v1")
    settled(log)
    assert {t["visit_number"] for t in newest(log, "care.task.v1")} == {"V1", "V2", "BAD"}


def test_a_bug_that_strikes_at_everything_of_a_patient_holds_nobody_else_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even the gap can be planned then; the bytes are kept and the others go on."""

    def broken(view: Any, *rest: Any) -> Any:
        if view.patient == SUBJECT:
            raise ZeroDivisionError
        return plan(view, *rest)

    log, _ = new_log(tmp_path)
    send(log, discharge(1), discharge(2), topic="care.discharge.v1")
    monkeypatch.setattr(step, "plan", broken)
    settled(log)
    assert [letter.headers["reason"] for letter in letters(log)] == ["handler-failed"]
    assert "CALL_48H" in tasks_of(log, "GEN|MRN2")


def test_a_bug_at_a_deadline_holds_up_that_patient_alone_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others' calls turn overdue in time; this one's once the bug is gone."""

    def broken(view: Any, rules: Any, now: int) -> Any:
        if view.patient == SUBJECT and now > START + HOUR:
            raise ZeroDivisionError
        return plan(view, rules, now)

    def overdue() -> set[str]:
        rows = newest(log, "care.task.v1")
        return {row["patient"] for row in rows if row["kind"] == "CALL_48H" and row["overdue"]}

    log, clock = new_log(tmp_path)
    send(log, discharge(1), discharge(2), topic="care.discharge.v1")
    runtime = settled(log)
    clock.advance(49 * HOUR)
    with monkeypatch.context() as patch:
        patch.setattr(step, "plan", broken)
        for _ in range(20):
            runtime.turn()
        assert overdue() == {"GEN|MRN2"}
    clock.advance(3 * HOUR)
    while runtime.turn():
        pass
    assert overdue() == {SUBJECT, "GEN|MRN2"}
    assert letters(log) == []
