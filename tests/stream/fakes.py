"""A processor small enough to be obviously right, and the little that stream tests share.

It keeps what the real one keeps (a head with a wake, cells, what was seen, meta) and publishes
what the real one publishes (compacted tasks with versions, changes, journal records for other
keys), so that the runtime below cannot tell the two apart.
"""

from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import orjson

from orchestrator.core.instants import HOUR, read, written
from orchestrator.stream.clock import ManualClock
from orchestrator.stream.keys import facility_key, partition_of, patient_key
from orchestrator.stream.log_errors import LogFull
from orchestrator.stream.processor import Processor
from orchestrator.stream.rounds import JournalRecord, Out, Round, Store
from orchestrator.stream.rules import rules
from orchestrator.stream.sqlite_log import Log
from schemas.facilities import Facilities
from schemas.policy import load_policies

SITE_KEY = b"0123456789abcdef0123456789abcdef"
PARTITIONS = 4
START = read("2026-10-06T18:00:00Z")
DUE_AFTER = HOUR
FACILITIES = Facilities.parse("default: {zone: America/New_York}\n")


opened: list[Log] = []  # closed after each test, by conftest


class FakeProcessor:
    """One task per patient: requested by the first event, overdue an hour after the last."""

    def __init__(self, store: Store, partitions: int = PARTITIONS) -> None:
        self._store = store
        self._partitions = partitions
        # As the real one, it trusts its memory, so a Round that is not committed must end it.
        self._memory: dict[str, dict[str, Any]] = {}

    def process(self, partition: int, records: Sequence[JournalRecord]) -> Round:
        meta = orjson.loads(self._store.meta(partition) or b'{"now": 0, "count": 0, "next": 0}')
        rnd = Round((partition, b""))
        for record in records:
            assert record.offset == meta["next"], "each journal record once, in order"
            meta["next"] += 1
            meta["count"] += 1
            value = orjson.loads(record.value)
            if value["kind"] == "clock":
                self._clock(rnd, partition, read(value["at"]))
                meta["now"] = read(value["at"])
            elif value["kind"] == "event":
                self._event(rnd, partition, record, value["event"])
            else:
                key, content = record.key, orjson.dumps(value)
                rnd.outputs.append(Out("care.gap.v1", key, partition, content))
        rnd.meta = (partition, orjson.dumps(meta))
        return rnd

    def _event(
        self, rnd: Round, partition: int, record: JournalRecord, event: dict[str, Any]
    ) -> None:
        key, name = record.key, f"{event['source']} {event['id']}"
        if (key, name) in rnd.seen or self._store.seen(key, name):
            return
        rnd.seen[key, name] = (b"seen", record.stamp + 30 * 24 * HOUR)
        head = self._head(key)
        head["version"] += 1
        head["wake"] = record.stamp + DUE_AFTER
        head["overdue"] = False
        cell = orjson.dumps({"at": event["time"], "events": head["version"]})
        rnd.cells[key, "visit", event["id"][-1]] = (cell, head["version"] % 5 == 0)
        if head["version"] == 1:
            claim = {"kind": "claim", "of": key}
            rnd.journal.append((facility_key(SITE_KEY, key[:2]), orjson.dumps(claim)))
        self._publish(rnd, partition, key, head, record.stamp, event["id"])

    def _clock(self, rnd: Round, partition: int, now: int) -> None:
        due = set(self._store.due(partition, now))
        # Wakes of this Round are in memory alone so far.
        due |= {k for k, (_, wake) in rnd.heads.items() if wake is not None and wake <= now}
        for key in sorted(due):
            head = self._head(key)
            if head["wake"] is None or head["wake"] > now:
                continue
            at, head["wake"] = head["wake"], None
            head["version"] += 1
            head["overdue"] = True
            self._publish(rnd, partition, key, head, at, "clock")

    def _publish(
        self, rnd: Round, partition: int, key: str, head: dict[str, Any], at: int, cause: str
    ) -> None:
        content = {**head, "at": written(at), "cause": cause}
        value = orjson.dumps(content)
        rnd.outputs.append(Out("care.task.v1", key, partition, value))
        rnd.outputs.append(Out("care.change.v1", key, partition, value))
        rnd.heads[key] = (orjson.dumps(head), head["wake"])

    def _head(self, key: str) -> dict[str, Any]:
        if key not in self._memory:
            stored = self._store.head(key)
            self._memory[key] = (
                orjson.loads(stored)
                if stored
                else {"task": key, "version": 0, "wake": None, "overdue": False}
            )
        return self._memory[key]


def product(store: Store) -> Processor:
    """The product's own processor, under the built-in policy."""
    return Processor(store, rules(load_policies(None), FACILITIES), FACILITIES, SITE_KEY)


def new_log(folder: Path, start: int = START) -> tuple[Log, ManualClock]:
    """A new log in *folder* on a clock that the test moves."""
    clock = ManualClock(start)
    log = Log.open(folder, owner=True, create=True, partitions=PARTITIONS, clock=clock)
    opened.append(log)
    return log, clock


def admitted(number: int, patient: int | None = None, **more: Any) -> dict[str, Any]:
    """One admission as a hospital would write it."""
    event = {
        "specversion": "1.0",
        "id": f"GEN-{number:06}",
        "source": "hospital/GEN/adt",
        "type": "care.admission.opened.v1",
        "time": "2026-10-06T12:00:00-04:00",
        "subject": f"GEN|MRN{number if patient is None else patient}",
        "facility": "GEN",
        "data": {"visit_number": f"V{number}", "class": "INPATIENT"},
    }
    return event | more


def fill(append: Callable[[], object]) -> tuple[int, LogFull]:
    """Append until the disk is full: how many were acknowledged, and the refusal."""
    for acknowledged in count():
        try:
            append()
        except LogFull as refusal:
            return acknowledged, refusal
    raise AssertionError("never full")


def send(log: Log, *events: dict[str, Any], topic: str = "care.admission.v1") -> None:
    """Append events to a public topic in one transaction."""
    with log.transaction() as transaction:
        for event in events:
            transaction.append(topic, None, orjson.dumps(event))


def journal_of(log: Log, *, clocks: bool = True) -> list[dict[str, Any]]:
    """All journal values, partition by partition."""
    values = [
        orjson.loads(record.value or b"")
        for partition in range(log.partitions)
        for record in log.read("care.journal.v1", partition, 0, 1_000_000)
    ]
    return [value for value in values if clocks or value["kind"] != "clock"]


def partition_of_patient(subject: str) -> int:
    """Where the journal keeps the patient."""
    return partition_of(patient_key(SITE_KEY, subject), PARTITIONS)
