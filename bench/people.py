"""Journal records about numbered patients, for the figures of growth."""

from collections.abc import Iterator
from itertools import count
from typing import Any, Final

import orjson

from orchestrator.core.instants import DAY, HOUR, MINUTE, read, written
from orchestrator.stream.keys import patient_key
from orchestrator.stream.rounds import JournalRecord

SITE_KEY: Final = b"bench bench bench bench bench 32"
START: Final = read("2026-09-01T12:00:00Z")
DOCTOR: Final = {"npi": "1003000126", "name": "Dr. Fern", "specialty": "family", "is_pcp": True}


class Journal:
    """Numbers the records of one partition, and the events in them."""

    def __init__(self, first: int = 0) -> None:
        self._offsets = count(first)
        self._events = count(first)

    def event(
        self, patient: int, type_: str, at: int, data: dict[str, Any], *, stamp: int | None = None
    ) -> JournalRecord:
        """One event of *patient* that happens at *at* and is heard of at once."""
        subject = f"GEN|{patient:09}"
        event = {
            "id": f"GEN-{next(self._events):09}",
            "source": "care-team" if type_.startswith("task.") else "hospital/GEN/adt",
            "type": f"care.{type_}.v1",
            "subject": subject,
            "facility": "GEN",
            "lane": "live",
            "time": written(at),
            "receivedtime": written(at),
            "data": data,
        }
        value = orjson.dumps({"kind": "event", "event": event})
        key = patient_key(SITE_KEY, subject)
        return JournalRecord(0, next(self._offsets), at if stamp is None else stamp, key, value)

    def clock(self, at: int) -> JournalRecord:
        """The clock at *at*."""
        value = orjson.dumps({"kind": "clock", "at": written(at)})
        return JournalRecord(0, next(self._offsets), at, "clock", value)


def discharge(journal: Journal, patient: int, at: int, visit: str) -> JournalRecord:
    """A03 of an inpatient who goes home after three days."""
    data = {
        "visit_number": visit,
        "class": "INPATIENT",
        "admitted_at": written(at - 3 * DAY),
        "discharged_at": written(at),
        "disposition": {"system": "NUBC", "code": "01"},
    }
    return journal.event(patient, "discharge.recorded", at, data)


def booking(journal: Journal, patient: int, at: int, number: int, starts: int) -> JournalRecord:
    """S12 with a primary-care provider."""
    data = {
        "appointment_id": f"{patient}-{number}",
        "starts_at": written(starts),
        "ends_at": written(starts + 30 * MINUTE),
        "provider": DOCTOR,
        "modality": "in-person",
    }
    return journal.event(patient, "appointment.booked", at, data)


def after_discharge(journal: Journal, patient: int, at: int, turn: int) -> JournalRecord:
    """One of what follows a discharge: an A08, a booking, a task taken over, a note."""
    visit = f"V{patient:09}"
    kind = turn % 4
    if kind == 0:
        data: dict[str, Any] = {"visit_number": visit, "class": "INPATIENT"}
        return journal.event(patient, "admission.updated", at, data)
    if kind == 1:
        return booking(journal, patient, at, turn, at + 30 * HOUR)
    what = {"visit_number": visit, "kind": "MED_REC", "actor": f"ph-{turn}", "role": "pharmacist"}
    if kind == 2:
        return journal.event(patient, "task.noted", at, what)
    return journal.event(patient, "task.attempted", at, what | {"reached": "voicemail"})


def chunks(records: Iterator[JournalRecord], size: int) -> Iterator[list[JournalRecord]]:
    """Lists of *size* records, the last one perhaps shorter."""
    chunk: list[JournalRecord] = []
    for record in records:
        chunk.append(record)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
