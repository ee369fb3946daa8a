"""A light processor: validate, join one fact, three tasks per discharge, the patient's state.

Light enough that the shape around it shows: the product's own costs twenty times as much per
event.  Patients come unevenly, and one record in a hundred is a repeat.
"""

import hashlib
import random
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
from pydantic import BaseModel, ConfigDict

from bench.kafka.stage import SITE_KEY
from orchestrator.stream.keys import patient_key
from orchestrator.stream.rounds import JournalRecord, Out, Round, Store

PATIENTS: Final = 20_000
KEPT_FACTS: Final = 64
REPEATED: Final = 0.01
KINDS: Final = ("admission.opened", "discharge.recorded", "medication.ordered", "visit.booked")
SHARES: Final = (30, 17, 28, 25)
DISCHARGE: Final = "care.discharge.recorded.v1"
DUE: Final = (
    ("CALL_48H", timedelta(hours=48)),
    ("PCP_VISIT", timedelta(days=7)),
    ("MED_REC", timedelta(days=30)),
)
_NAMESPACE: Final = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8").bytes


class Event(BaseModel):
    """What is checked of a record."""

    model_config = ConfigDict(extra="allow")

    id: str
    source: str
    type: str
    time: datetime
    subject: str
    facility: str
    lane: str = "live"
    data: dict[str, Any]


def rows(count: int) -> Iterator[tuple[str, bytes]]:
    """Journal keys and values: about 400 bytes of CloudEvents each."""
    rng = random.Random(7)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    last: tuple[str, bytes] | None = None
    for number in range(count):
        if last is not None and rng.random() < REPEATED:
            yield last
            continue
        subject = f"GEN|MRN{int(PATIENTS * rng.random() ** 2):06}"
        at = (start + timedelta(seconds=7 * number)).isoformat()
        event = {
            "specversion": "1.0",
            "id": f"GEN-{number:09}",
            "source": "hospital/GEN/adt",
            "type": f"care.{rng.choices(KINDS, SHARES)[0]}.v1",
            "time": at,
            "subject": subject,
            "facility": "GEN",
            "recordedtime": at,
            "lane": "live",
            "data": {
                "visit_number": f"V{number % 977}",
                "disposition": {"code": "01", "text": "Home"},
                "attending": {"npi": "1999999984", "name": "A. Doctor"},
                "service": "MED",
            },
        }
        last = patient_key(SITE_KEY, subject), orjson.dumps(event)
        yield last


class LightProcessor:
    """Works on a patient's facts, which it keeps in memory and writes as one row of state."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._live: dict[str, dict[str, Any]] = {}

    def process(self, partition: int, records: Sequence[JournalRecord]) -> Round:
        """The Round that follows from *records*."""
        rnd = Round((partition, b"{}"))
        touched = {}
        for record in records:
            facts = self._live.get(record.key)
            if facts is None:
                kept = self._store.head(record.key)
                facts = self._live[record.key] = {} if kept is None else orjson.loads(kept)
            rnd.outputs += self._fact(facts, record)
            touched[record.key] = facts
        rnd.heads = {key: (orjson.dumps(facts), None) for key, facts in touched.items()}
        return rnd

    def _fact(self, facts: dict[str, Any], record: JournalRecord) -> list[Out]:
        event = Event.model_validate_json(record.value)
        if event.id in facts:
            return []
        visit = event.data.get("visit_number", "")
        facts[event.id] = [event.type, event.time.isoformat(), visit]
        if len(facts) > KEPT_FACTS:
            del facts[next(iter(facts))]
        if event.type != DISCHARGE:
            return []
        return [self._task(record, event, visit, kind, after) for kind, after in DUE]

    def _task(
        self, record: JournalRecord, event: Event, visit: str, kind: str, after: timedelta
    ) -> Out:
        name = f"{record.key}|{visit}|{event.id}|{kind}"
        digest = hashlib.sha1(_NAMESPACE + name.encode(), usedforsecurity=False).digest()
        task = str(uuid.UUID(bytes=digest[:16], version=5))
        content = {
            "task_id": task,
            "version": 1,
            "patient": event.subject,
            "kind": kind,
            "status": "requested",
            "due_at": (event.time + after).isoformat(),
            "team": "nurse-outreach",
            "priority": "routine",
            "caused_by": [event.id],
        }
        return Out("care.task.v1", task, record.partition, orjson.dumps(content))
