"""Every input ends once: journalled, parked with its bytes, or counted and dropped."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from orchestrator.core.instants import HOUR, MINUTE, SECOND, written
from orchestrator.stream.embedded import Pace
from orchestrator.stream.intake import DEAD_LETTER_BYTES
from schemas.topics import BACKFILL
from tests.stream.fakes import (
    START,
    admitted,
    journal_of,
    new_log,
    send,
)
from tests.stream.running import assert_all_accounted, published, runtime_of, settle


def test_the_receipt_is_the_inputs_append_time_however_late_it_is_read(tmp_path: Path) -> None:
    """A worker that was down reads the same receipt as one that was not."""
    log, clock = new_log(tmp_path)
    send(log, admitted(1, receivedtime="2020-01-01T00:00:00Z"))
    clock.advance(6 * HOUR)
    settle(runtime_of(log))

    (event,) = [v["event"] for v in journal_of(log) if v["kind"] == "event"]
    assert event["receivedtime"] == written(START)
    assert event["sentreceivedtime"] == "2020-01-01T00:00:00Z"


def test_a_bad_record_is_parked_with_its_bytes_and_never_blocks(tmp_path: Path) -> None:
    """The dead letter says where it came from and why, and its headers name no patient."""
    log, _ = new_log(tmp_path)
    bad = orjson.dumps(admitted(2, data={"class": "INPATIENT"}))
    log.append("care.admission.v1", "their key", b"{not json")
    log.append("care.admission.v1", None, bad)
    send(log, admitted(3))
    settle(runtime_of(log))

    first, second = log.read("care.dead-letter.v1", 0, 0, 9)
    assert (first.key, first.value) == ("their key", b"{not json")
    assert first.headers["reason"] == "malformed"
    assert first.headers["stage"] == "intake"
    assert first.headers["topic"] == "care.admission.v1"
    assert (first.headers["partition"], first.headers["offset"]) == ("0", "0")
    assert (second.value, second.headers["reason"]) == (bad, "missing-visit")
    assert "MRN" not in " ".join(second.headers.values())
    (parked,) = [v for v in journal_of(log) if v["kind"] == "parked"]
    assert parked == {
        "kind": "parked",
        "subject": "GEN|MRN2",
        "reason": "missing-visit",
        "receipt": written(START),
        "event_id": "GEN-000002",
        "source": "hospital/GEN/adt",
        "facility": "GEN",
    }
    assert len(published(log)) == 1
    assert log.accounts()["care.admission.v1", 0, "parked"] == 2
    assert_all_accounted(log)


def test_a_bug_in_decoding_parks_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our fault: the bytes are kept, the next record is taken in, and the text names no value."""

    def broken(*_: object, **__: object) -> dict[str, Any]:
        raise KeyError("GEN|MRN1")

    log, _ = new_log(tmp_path)
    send(log, admitted(1))
    runtime = runtime_of(log)
    with monkeypatch.context() as patch:
        patch.setattr("orchestrator.stream.intake.decode_message", broken)
        settle(runtime)
    send(log, admitted(2))
    settle(runtime)

    (letter,) = log.read("care.dead-letter.v1", 0, 0, 9)
    assert letter.headers["reason"] == "handler-failed"
    assert "KeyError" in letter.headers["error"]
    assert "MRN1" not in letter.headers["error"]
    assert len(published(log)) == 1
    assert_all_accounted(log)


def test_a_too_large_record_is_kept_by_its_beginning(tmp_path: Path) -> None:
    """The first 64 KiB, the size and the hash: the dead letter must fit where the record did."""
    log, _ = new_log(tmp_path)
    log.append("care.admission.v1", None, b"[" + b"1," * 800_000)
    settle(runtime_of(log))

    (letter,) = log.read("care.dead-letter.v1", 0, 0, 9)
    assert letter.headers["reason"] == "too-large"
    assert letter.headers["size"] == "1600001"
    assert len(letter.headers["sha256"]) == 64
    assert letter.value is not None
    assert len(letter.value) == DEAD_LETTER_BYTES


def test_test_messages_are_counted_and_dropped(tmp_path: Path) -> None:
    """Lane test: no journal record, no dead letter, but one of what landed."""
    log, _ = new_log(tmp_path)
    send(log, admitted(1, lane="test"))
    settle(runtime_of(log))

    assert journal_of(log, clocks=False) == []
    assert log.end_offsets("care.dead-letter.v1") == [0]
    assert log.accounts() == {("care.admission.v1", 0, "ignored"): 1}


def test_what_lies_on_the_backfill_topic_is_history(tmp_path: Path) -> None:
    """A sender who forgot the lane must not have two years of tasks opened."""
    log, _ = new_log(tmp_path)
    send(log, admitted(1), topic=BACKFILL)
    settle(runtime_of(log))

    (event,) = [v["event"] for v in journal_of(log) if v["kind"] == "event"]
    assert event["lane"] == "backfill"
    assert [v for v in journal_of(log) if v["kind"] == "alive"] == []


def test_one_sign_of_life_per_facility_and_minute(tmp_path: Path) -> None:
    """Also over a restart in the middle of the minute; the next minute gives another."""
    log, clock = new_log(tmp_path)
    send(log, admitted(1), admitted(2), admitted(3, facility="MERCY"))
    settle(runtime_of(log))
    send(log, admitted(4))
    settle(runtime_of(log))
    clock.advance(MINUTE)
    send(log, admitted(5))
    settle(runtime_of(log))

    signs = [(v["facility"], v["receipt"]) for v in journal_of(log) if v["kind"] == "alive"]
    assert sorted(signs) == [
        ("GEN", written(START)),
        ("GEN", written(START + MINUTE)),
        ("MERCY", written(START)),
    ]


def test_inputs_of_all_topics_come_in_the_order_of_their_receipt(tmp_path: Path) -> None:
    """A backlog on one topic does not put yesterday's discharge behind today's admission."""
    log, clock = new_log(tmp_path)
    order = ["care.discharge.v1", "care.admission.v1", "care.patient.v1", "care.admission.v1"]
    for number, topic in enumerate(order):
        send(log, admitted(number, patient=7), topic=topic)
        clock.advance(SECOND)
    settle(runtime_of(log, Pace(intake_records=2)))

    events = [v["event"]["id"] for v in journal_of(log) if v["kind"] == "event"]
    assert events == [f"GEN-{n:06}" for n in range(4)]
