"""The processor: journal records in, one Round out.  A pure function of the journal's prefix.

Both runtimes and ``replay --journal`` use it.  State comes from the store, working patients are
kept in a bounded memory, and nothing becomes true before the runtime commits the Round.  A batch
that the processor has seen is either committed or the process ends, so its memory may be ahead of
the store only for as long as the commit takes.

A record that a bug of ours cannot take is parked in the dead letters and never blocks another
patient: the round is worked out again without it.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final

import orjson
import structlog

import handlers
from orchestrator.core import step, stored
from orchestrator.core.facts import FacilityHeard, FieldUnmapped, Parked, Stamp, Told
from orchestrator.core.instants import DAY, HOUR, MINUTE, read, written
from orchestrator.core.patient import Patient
from orchestrator.core.policy import Rules
from orchestrator.log import describe
from orchestrator.stream.content import content_hash, event_hash
from orchestrator.stream.outputs import outputs
from orchestrator.stream.rounds import DEADLINE, JournalRecord, Made, Out, Round, Store
from schemas.facilities import Facilities
from schemas.topics import topic_of

REMEMBERED: Final = 30 * DAY
PATIENTS_IN_MEMORY: Final = 20_000
DEAD_LETTER: Final = "care.dead-letter.v1"
POSTPONED: Final = HOUR

logger = structlog.get_logger()


class _Poison(Exception):
    """A bug met one record, or one patient at a clock record."""

    def __init__(self, offset: int, key: str, kind: str) -> None:
        super().__init__(kind)
        self.offset = offset
        self.key = key
        self.kind = kind


class Processor:
    """Decides for every partition that it is given; one per process."""

    def __init__(
        self,
        store: Store,
        rules: Rules,
        facilities: Facilities,
        *,
        patients_in_memory: int = PATIENTS_IN_MEMORY,
    ) -> None:
        self.store = store
        self.rules = rules
        self.facilities = facilities
        self._limit = patients_in_memory
        self._patients: OrderedDict[str, Patient] = OrderedDict()

    def process(self, partition: int, records: Sequence[JournalRecord]) -> Round:
        """
        Work out what follows from *records*, which come next in *partition*.

        The same journal gives the same bytes whatever the batching: the step runs per record.
        """
        poison: dict[tuple[int, str], list[str]] = {}
        while True:
            try:
                return _Working(self, partition, poison).run(records)
            except _Poison as found:
                # Patients of this round may be half changed; the store has them as they were.
                self._patients.clear()
                poison.setdefault((found.offset, found.key), []).append(found.kind)

    def forget(self) -> None:
        """Drop working patients: partitions were revoked, or a round was not committed."""
        self._patients.clear()

    def patient(self, key: str, subject: str) -> Patient:
        patient = self._patients.get(key)
        if patient is None:
            patient = self._load(key, subject)
            self._patients[key] = patient
        else:
            self._patients.move_to_end(key)
        return patient

    def _load(self, key: str, subject: str) -> Patient:
        head = self.store.head(key)
        if head is None:
            return Patient(subject, key)
        plain = orjson.loads(head)
        patient = Patient(plain[1], key)
        stored.load_head(patient, plain)
        for kind, name, value in self.store.cells(key):
            if kind == "ledger":
                patient.ledger = stored.load_ledger(orjson.loads(value))
            else:
                patient.cells[kind, name] = stored.load_cell(kind, orjson.loads(value))
        return patient

    def trim(self) -> None:
        while len(self._patients) > self._limit:
            self._patients.popitem(last=False)


class _Working:
    """One attempt at one round."""

    def __init__(
        self, processor: Processor, partition: int, poison: dict[tuple[int, str], list[str]]
    ) -> None:
        self.processor = processor
        self.store = processor.store
        self.rules = processor.rules
        self.partition = partition
        self.poison = poison
        meta = self.store.meta(partition)
        self.now: int = orjson.loads(meta)["now"] if meta else 0
        self.stamp = 0
        self.round = Round((partition, b""))
        self.touched: dict[str, Patient] = {}

    def run(self, records: Sequence[JournalRecord]) -> Round:
        for record in records:
            self.stamp = record.stamp
            value = orjson.loads(record.value)
            if value["kind"] == "clock":
                self._clock(record, read(value["at"]))
            else:
                try:
                    self._record(record, value)
                except Exception as bug:
                    place = {"partition": record.partition, "offset": record.offset}
                    logger.exception("record.failed", stage="decide", **place)
                    raise _Poison(record.offset, record.key, describe(bug)) from None
        self._write()
        return self.round

    def _record(self, record: JournalRecord, value: dict[str, Any]) -> None:
        kind = value["kind"]
        failures = self.poison.get((record.offset, record.key))
        if failures:
            self._parked_as_failed(record, value, failures)
        elif kind == "event":
            self._event(record, value["event"])
        elif kind == "parked":
            receipt = read(value["receipt"])
            event = value["event_id"] or f"{record.partition}-{record.offset}"
            self._parked(record, value["subject"], value["reason"], event, receipt)
        elif kind == "alive":
            # One sign a minute stands for all of that minute: silence is told late, never early.
            minute = (read(value["receipt"]) // MINUTE + 1) * MINUTE
            heard = FacilityHeard(value["facility"], minute)
            self._silent(record, f"facility|{value['facility']}", heard, heard.at)
        elif kind == "unmapped":
            at = read(value["receipt"])
            field = FieldUnmapped(value["facility"], value["field"], at)
            self._silent(record, f"facility|{value['facility']}", field, at)

    def _event(self, record: JournalRecord, event: dict[str, Any]) -> None:
        name = event_hash(event["source"], event["id"])
        content = content_hash(event)
        receipt = read(event["receivedtime"])
        seen = self.round.seen.get((record.key, name))
        known = seen[0] if seen is not None else self.store.seen(record.key, name)
        if known is not None:
            held, first = orjson.loads(known)
            if receipt - first <= REMEMBERED:
                clash = held != content and self._clash(record, event, receipt, content)
                self._count(event, "parked" if clash else "duplicate")
                return
        self.round.seen[record.key, name] = (
            orjson.dumps([content, receipt]),
            receipt + REMEMBERED,
        )
        told = handlers.told(event, self.processor.facilities)
        self._tell(record.key, event["subject"], told, event.get("lane", "live"))
        self._count(event, "applied", late=told.receipt - told.time > HOUR)

    def _count(self, event: dict[str, Any], result: str, *, late: bool = False) -> None:
        lane = event.get("lane", "live")
        topic = topic_of(event["type"], lane) or ""
        self.round.results[topic, lane, result] += 1
        if late:
            self.round.late[topic] += 1

    def _clash(
        self, record: JournalRecord, event: dict[str, Any], receipt: int, content: str
    ) -> bool:
        """
        The same (source, id) with other content: the first received holds, somebody looks.

        Returns whether it was parked now; a repeat of it was before.
        """
        reason = "duplicate-id-different-content"
        name = event_hash(event["source"], f"{event['id']}\0{content}")
        if self.round.seen.get((record.key, name)) or self.store.seen(record.key, name):
            return False
        self.round.seen[record.key, name] = (
            orjson.dumps([content, receipt]),
            receipt + REMEMBERED,
        )
        self._dead_letter(record, event, reason, "the same source and id came with other content")
        self._parked(record, event["subject"], reason, event["id"], receipt)
        return True

    def _parked_as_failed(
        self, record: JournalRecord, value: dict[str, Any], failures: list[str]
    ) -> None:
        event = value.get("event") or value
        self._dead_letter(record, event, "handler-failed", failures[0])
        # A bug that strikes at everything of this patient strikes at the gap too; then the bytes
        # are kept, and the log has the alarm.
        if "event" in value:
            self._count(event, "parked")
        if "event" in value and len(failures) == 1:
            receipt = read(event["receivedtime"])
            self._parked(record, event["subject"], "handler-failed", event["id"], receipt)

    def _dead_letter(
        self, record: JournalRecord, event: dict[str, Any], reason: str, error: str
    ) -> None:
        headers = {
            "reason": reason,
            "stage": "decide",
            "topic": "care.journal.v1",
            "partition": str(record.partition),
            "offset": str(record.offset),
            "error": error,
        }
        place = {"partition": record.partition, "offset": record.offset}
        logger.warning("record.parked", reason=reason, stage="decide", **place)
        raw = orjson.loads(record.value).get("raw")
        value = raw.encode() if raw is not None else orjson.dumps(event)
        self.round.outputs.append(Out(DEAD_LETTER, record.key, self.partition, value, headers))

    def _parked(
        self, record: JournalRecord, subject: str, reason: str, event: str, receipt: int
    ) -> None:
        fact = Parked(reason, Stamp(receipt, -1, "", event, receipt, receipt))
        self._silent(record, subject, fact, receipt)

    def _silent(self, record: JournalRecord, subject: str, fact: Any, receipt: int) -> None:
        event = fact.stamp.event if isinstance(fact, Parked) else ""
        self._tell(record.key, subject, Told(event, "", "", "", receipt, receipt, (fact,)))

    def _tell(self, key: str, subject: str, told: Told, lane: str = "") -> None:
        patient = self.processor.patient(key, subject)
        self.touched[key] = patient
        for fact in told.facts:
            cell = step.cell_key(fact)
            if cell not in patient.cells and cell not in patient.sealed:
                put_away = self.store.cell(key, *cell)
                if put_away is not None:
                    patient.sealed[cell] = stored.load_cell(cell[0], orjson.loads(put_away))
        teams = {task: row["team"] for task, row in patient.ledger.tasks.items()}
        changes = step.fact(patient, [told], self.now, self.stamp, self.rules)
        self._publish(changes, teams, lane, told.receipt)

    def _clock(self, record: JournalRecord, until: int) -> None:
        due = set(self.store.due(self.partition, until))
        due -= self.touched.keys()
        due |= {
            key
            for key, patient in self.touched.items()
            if patient.wake is not None and patient.wake <= until
        }
        for key in sorted(due):
            patient = self.processor.patient(key, "")
            self.touched[key] = patient
            if (record.offset, key) in self.poison:
                # Nobody else waits for this patient; the alarm goes on, and it is tried again.
                patient.wake = patient.plan_wake = until + POSTPONED
                continue
            teams = {task: row["team"] for task, row in patient.ledger.tasks.items()}
            try:
                changes = step.clock(patient, until, self.rules)
            except Exception as bug:
                place = {"partition": record.partition, "offset": record.offset}
                logger.exception("record.failed", stage="deadline", **place)
                raise _Poison(record.offset, key, describe(bug)) from None
            self._publish(changes, teams, DEADLINE)
        self.now = max(self.now, until)
        self.round.forget_seen_before = self.now

    def _publish(
        self, changes: list[dict[str, Any]], teams: dict[str, str], lane: str, receipt: int = 0
    ) -> None:
        for change in changes:
            self.round.outputs += outputs(change, self.partition, teams)
            self.round.made.append(Made(change, lane, receipt))

    def _write(self) -> None:
        cells = self.round.cells
        for key, patient in self.touched.items():
            for kind, name in patient.dirty:
                put_away = patient.sealed.get((kind, name))
                cell = put_away or patient.cells[kind, name]
                cells[key, kind, name] = (orjson.dumps(cell.dump()), put_away is not None)
            patient.dirty.clear()
            # Put away is put away: what was loaded for one late fact is not kept.
            patient.sealed.clear()
            if patient.ledger_dirty:
                cells[key, "ledger", ""] = (orjson.dumps(stored.dump_ledger(patient.ledger)), False)
                patient.ledger_dirty = False
            self.round.heads[key] = (orjson.dumps(stored.dump_head(patient)), patient.wake)
        meta = {"now": self.now, "at": self.stamp, "clock": written(self.now)}
        self.round.meta = (self.partition, orjson.dumps(meta))
        self.processor.trim()
