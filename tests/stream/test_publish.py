"""Files go to the public topics as a hospital and the gateway would send them."""

from pathlib import Path

import orjson
import pytest

from events.canonical import MAX_BYTES
from events.files import Record, read
from orchestrator.stream.embedded import Runtime
from orchestrator.stream.intake import DEAD_LETTER_BYTES
from orchestrator.stream.log_errors import LogFull
from orchestrator.stream.publish import BATCH, publish
from schemas.topics import BACKFILL, DEAD_LETTER
from tests.stream.fakes import (
    FACILITIES,
    SITE_KEY,
    FakeProcessor,
    admitted,
    journal_of,
    new_log,
)

# No MSH-7 offset, so the facility's zone is taken; 02:30 does not exist on that day there.
ADT_A01 = (
    "MSH|^~\\&|ADT1|GEN|CARE|CARE|20260308080000||ADT^A01|M1|P|2.5.1\r"
    "EVN|A01|20260308080000\r"
    "PID|1||MRN7^^^GEN^MR||Doe^Jane\r"
    "PV1|1|XX|4W^401^1^GEN||||||||||||||||V7|||||||||||||||||||||||||20260308023000\r"
)


def test_a_canonical_event_is_sent_as_the_bytes_it_is(tmp_path: Path) -> None:
    """To the topic of its type, with what we do not know and as the sender spelled it."""
    log, _ = new_log(tmp_path / "data")
    strange = orjson.dumps(admitted(1) | {"theirs": 1}).replace(b'"theirs":', b'"theirs" : ')
    (tmp_path / "a.ndjson").write_bytes(
        strange + b"\n" + orjson.dumps(admitted(2, lane="backfill")) + b"\n"
    )
    report = publish(read([tmp_path / "a.ndjson"]), log, FACILITIES)

    assert report.sent == {"care.admission.v1": 1, BACKFILL: 1}
    assert [r.value for r in log.read("care.admission.v1", 0, 0, 9)] == [strange]


def test_the_sender_of_a_bad_event_is_told_at_once(tmp_path: Path) -> None:
    """Not days later by whoever looks at dead letters; its patient gets told once, by its gap."""
    log, _ = new_log(tmp_path / "data")
    bad = orjson.dumps(admitted(1, data={"their": "own"}))
    (tmp_path / "a.ndjson").write_bytes(bad)
    report = publish(read([tmp_path / "a.ndjson"]), log, FACILITIES)
    Runtime(log, FakeProcessor, FACILITIES, SITE_KEY).turn()

    assert [reject.reason for _, reject in report.refused] == ["missing-visit"]
    (letter,) = log.read(DEAD_LETTER, 0, 0, 9)
    assert (letter.value, letter.headers["stage"]) == (bad, "publish")
    parked = [value["reason"] for value in journal_of(log) if value["kind"] == "parked"]
    assert parked == ["missing-visit"]


def test_an_hl7_message_is_decoded_at_the_door(tmp_path: Path) -> None:
    """It lands as a canonical event; what the adapter found out about it reaches the journal."""
    log, _ = new_log(tmp_path / "data")
    (tmp_path / "a.hl7").write_bytes(ADT_A01.encode())
    report = publish(read([tmp_path / "a.hl7"]), log, FACILITIES)
    (landed,) = log.read("care.admission.v1", 0, 0, 9)
    Runtime(log, FakeProcessor, FACILITIES, SITE_KEY).turn()

    assert report.sent == {"care.admission.v1": 1, "care.patient.v1": 1}
    assert report.refused == []
    assert "receivedtime" not in orjson.loads(landed.value or b"")
    events = [v["event"] for v in journal_of(log) if v["kind"] == "event"]
    (event,) = [e for e in events if e["type"] == "care.admission.opened.v1"]
    assert event["subject"] == "GEN|MRN7"
    assert event["timeflags"]["time"] == ["TIME_ADJUSTED"]
    assert event["unmapped"] == ["class"]
    assert "sentreceivedtime" not in event
    unmapped = [v["field"] for v in journal_of(log) if v["kind"] == "unmapped"]
    assert unmapped == ["class"]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (Record("f:1", "unknown", b"\x00\x01 binary"), "malformed"),
        (Record("f:1", "fhir", b'{"resourceType": "Patient"}'), "unknown-type"),
        (Record("f:1", "hl7v2", b"MSH|"), "malformed"),
        (Record("f:1", "canonical", b'{"no": "type"}'), "missing-field"),
        (Record("f:1", "canonical", b'{"type": "care.unheard.of.v1"}'), "unknown-type"),
        (Record("f:1", "canonical", b"[" + b" " * MAX_BYTES), "too-large"),
    ],
)
def test_what_cannot_be_sent_goes_to_the_dead_letters(
    tmp_path: Path, record: Record, reason: str
) -> None:
    """With its bytes, at once, and the sender is told which and why."""
    log, _ = new_log(tmp_path)
    report = publish([record], log, FACILITIES)

    assert [(where, reject.reason) for where, reject in report.refused] == [("f:1", reason)]
    (letter,) = log.read(DEAD_LETTER, 0, 0, 9)
    assert letter.headers["reason"] == reason
    assert letter.headers["stage"] == "publish"
    assert letter.value == record.raw[:DEAD_LETTER_BYTES]


def test_progress_is_reported_once_it_is_durable(tmp_path: Path) -> None:
    """After each batch; another process already sees what was reported."""
    log, _ = new_log(tmp_path)
    raw = orjson.dumps(admitted(1))
    seen = []

    def on_progress(report: object) -> None:
        seen.append((report.sent.total(), log.end_offsets("care.admission.v1")[0]))  # type: ignore[attr-defined]

    records = [Record("f", "canonical", raw) for _ in range(BATCH + 1)]
    publish(records, log, FACILITIES, on_progress)
    assert seen == [(BATCH, BATCH), (BATCH + 1, BATCH + 1)]


def test_what_the_log_refused_is_not_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk ends the sending with an error; the batch at hand is not counted."""
    log, _ = new_log(tmp_path)

    def full() -> object:
        raise LogFull("log.sqlite: the disk is full")

    monkeypatch.setattr(log, "transaction", full)
    with pytest.raises(LogFull):
        publish([Record("f", "canonical", orjson.dumps(admitted(1)))], log, FACILITIES)
    assert log.end_offsets("care.admission.v1") == [0]
