"""What a patient could be recognised by goes to the topics that are for it, and nowhere else."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from events.files import Record
from orchestrator import log as logs
from orchestrator.core.instants import DAY
from orchestrator.stream.embedded import Runtime
from orchestrator.stream.publish import publish
from orchestrator.stream.sqlite_log import Log
from schemas.topics import DEAD_LETTER
from tests.stream.fakes import FACILITIES, SITE_KEY, admitted, new_log, product, send

CANARY = "Canarina"
SUBJECT = f"GEN|MRN-{CANARY}"
PERSON = {"name": {"family": CANARY}, "phones": [f"555-{CANARY}"], "address": CANARY}


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """All log lines, of every level, through the real processors."""
    lines = io.StringIO()
    logs.configure("debug", "json", lines)
    yield lines
    logs.configure()


def stories() -> list[dict[str, Any]]:
    """A stay with its discharge, a clash of ids, records that break each kind of rule."""
    stay = {"visit_number": f"V-{CANARY}", "class": "INPATIENT", "reason": CANARY}
    return [
        admitted(1, subject=SUBJECT, data=stay),
        admitted(2, subject=SUBJECT, type="care.patient.updated.v1", data=PERSON),
        admitted(
            3,
            subject=SUBJECT,
            type="care.discharge.recorded.v1",
            data={"visit_number": f"V-{CANARY}", "disposition": {"code": CANARY}},
        ),
        admitted(1, subject=SUBJECT, data={**stay, "service": CANARY}),
        admitted(4, subject=SUBJECT, data={"class": CANARY}),
        admitted(5, subject=SUBJECT, time=CANARY),
        admitted(6, subject=SUBJECT, type=f"care.admission.{CANARY.lower()}.v1"),
        admitted(7, subject=CANARY),
        admitted(8, subject=SUBJECT, data=[CANARY]),
        admitted(9, subject={CANARY: CANARY}),
    ]


def assert_no_canary(log: Log, lines: io.StringIO) -> None:
    """Not in a log line, a key, or a header, of any topic."""
    assert CANARY.lower() not in lines.getvalue().lower()
    for topic in log.topics():
        for partition in range(log.partitions_of(topic)):
            for record in log.read(topic, partition, 0, 10_000):
                seen = f"{record.key} {record.headers}".lower()
                assert CANARY.lower() not in seen, topic


def test_no_path_through_the_runtime_lets_a_patient_out(
    tmp_path: Path, written: io.StringIO
) -> None:
    """Accepted, parked by intake, parked by decide, published, overdue."""
    log, clock = new_log(tmp_path)
    runtime = Runtime(log, product, FACILITIES, SITE_KEY)
    send(log, *stories())
    log.append("care.admission.v1", None, f"{{{CANARY}".encode())
    while runtime.turn():
        pass
    for _ in range(10):
        clock.advance(DAY)
        while runtime.turn():
            pass

    stages = {r.headers["stage"] for r in log.read(DEAD_LETTER, 0, 0, 99)}
    assert stages == {"intake", "decide"}
    assert "record.parked" in written.getvalue()
    assert sum(log.end_offsets("care.task.v1")) > 3
    assert_no_canary(log, written)


def test_no_bug_of_ours_lets_a_patient_out(
    tmp_path: Path, written: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text of an exception repeats what it stumbled over: it is not logged, nor a header."""

    def stumbles(*_: object, **__: object) -> Any:
        raise KeyError(SUBJECT)

    log, _ = new_log(tmp_path)
    runtime = Runtime(log, product, FACILITIES, SITE_KEY)
    send(log, admitted(1, subject=SUBJECT))
    with monkeypatch.context() as patch:
        patch.setattr("orchestrator.stream.intake.decode_message", stumbles)
        runtime.turn()
    send(log, admitted(2, subject=SUBJECT))
    with monkeypatch.context() as patch:
        patch.setattr("handlers.told", stumbles)
        while runtime.turn():
            pass

    reasons = [r.headers["reason"] for r in log.read(DEAD_LETTER, 0, 0, 99)]
    assert reasons == ["handler-failed", "handler-failed"]
    assert written.getvalue().count("record.failed") >= 2
    assert_no_canary(log, written)


def test_no_file_that_is_sent_lets_a_patient_out(tmp_path: Path, written: io.StringIO) -> None:
    """What the door refuses is reported by field and place, never by value."""
    log, _ = new_log(tmp_path)
    files = [
        Record(
            "f:1", "hl7v2", f"MSH|^~\\&|A|B|||||ADT^A01|{CANARY}|P|2.5.1\rPID|{CANARY}".encode()
        ),
        Record("f:2", "hl7v2", f"MSH|{CANARY}".encode()),
        Record("f:3", "unknown", CANARY.encode()),
        Record("f:4", "fhir", orjson.dumps({"resourceType": CANARY})),
        Record("f:5", "canonical", orjson.dumps({"type": CANARY, "subject": CANARY})),
    ]
    report = publish(files, log, FACILITIES)
    assert len(report.refused) == 5
    assert CANARY not in " ".join(str(reject) for _, reject in report.refused)
    assert_no_canary(log, written)
