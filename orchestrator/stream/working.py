"""One attempt at one round: what follows from a stretch of one journal partition."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import orjson
import structlog

import handlers
from orchestrator.core import step, stored
from orchestrator.core.facts import FacilityHeard, FieldUnmapped, Told
from orchestrator.core.instants import DAY, HOUR, MINUTE, read, written
from orchestrator.core.marks import Mark
from orchestrator.core.patient import CellKey, Patient
from orchestrator.core.showing import showings
from orchestrator.log import describe
from orchestrator.stream import letters, retries, telling
from orchestrator.stream.content import content_hash, event_hash
from orchestrator.stream.identity import IDENTITY, claims, links
from orchestrator.stream.identity.directory import Directory
from orchestrator.stream.identity.shell import AtDesk
from orchestrator.stream.identity.streams import Streams
from orchestrator.stream.identity.tally import Tally
from orchestrator.stream.outputs import outputs, shown
from orchestrator.stream.rounds import DEADLINE, JournalRecord, Made, Round
from schemas.topics import topic_of

if TYPE_CHECKING:
    from orchestrator.stream.processor import Processor

REMEMBERED: Final = 30 * DAY
POSTPONED: Final = HOUR
MESSAGES: Final = frozenset({"home", "group", "item", "state", "ask", "numbers"})
IDENTITY_RECORDS: Final = MESSAGES | {"marks", "claim"}

logger = structlog.get_logger()


class Unrecoverable(Exception):
    """Going on would harm; the process must end, visibly."""


class Poison(Exception):
    """A bug met one record, or one patient at a clock record."""

    def __init__(self, offset: int, key: str, kind: str) -> None:
        super().__init__(kind)
        self.offset = offset
        self.key = key
        self.kind = kind


class Working:
    """One attempt at one round."""

    def __init__(
        self, processor: "Processor", partition: int, poison: dict[tuple[int, str], list[str]]
    ) -> None:
        self.processor = processor
        self.store = processor.store
        self.partition = partition
        self.poison = poison
        meta = self.store.meta(partition)
        known: dict[str, Any] = orjson.loads(meta) if meta else {"now": 0}
        self.now: int = known["now"]
        self.tally = Tally(known)
        self.stamp = 0
        self.round = Round((partition, b""))
        self.touched: dict[str, Patient] = {}
        self.failed: str | None = None  # the record at hand met a bug of ours before

    def run(self, records: Sequence[JournalRecord]) -> Round:
        for record in records:
            self.stamp = record.stamp
            value = orjson.loads(record.value)
            if value["kind"] == "clock":
                self._clock(record, read(value["at"]))
            else:
                try:
                    self._record(record, value)
                except Unrecoverable:
                    raise
                except Exception as bug:
                    place = {"partition": record.partition, "offset": record.offset}
                    logger.exception("record.failed", stage="decide", **place)
                    raise Poison(record.offset, record.key, describe(bug)) from None
        self._write()
        return self.round

    def _record(self, record: JournalRecord, value: dict[str, Any]) -> None:
        kind = value["kind"]
        failures = self.poison.get((record.offset, record.key))
        if kind == "event" and not failures:
            self._event(record, value["event"])
        elif failures is not None and len(failures) > 1 and kind in IDENTITY_RECORDS:
            # Without this record a patient would be lost or be in two places: no way around it.
            raise Unrecoverable(f"the identity protocol failed: {failures[0]}")
        elif kind in MESSAGES:
            self._message(record, value, failures)
        elif kind == "marks":
            self._directory().take([Mark(*mark) for mark in value["marks"]], self.send)
        elif kind == "claim":
            claims.take(self, record.key, value)
        elif failures:
            self._parked_as_failed(record, value, failures)
        elif kind == "parked":
            name = value["event_id"] or f"{record.partition}-{record.offset}"
            names = (value.get("source") or "", name)
            self._parked(record, value["subject"], value["reason"], names, read(value["receipt"]))
        elif kind in ("contested", retries.MENDED):
            self._take(record.key, value["subject"], value, self.told(value)[0])
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
                if held == content and (names := event.get(retries.HEADER)):
                    settled = {"kind": retries.MENDED, "names": names}
                    settled |= {"receipt": event["receivedtime"]}
                    self._take(record.key, event["subject"], settled, self.told(settled)[0])
                return
        self.round.seen[record.key, name] = (
            orjson.dumps([content, receipt]),
            receipt + REMEMBERED,
        )
        told = handlers.told(event, self.processor.facilities)
        if told.marks and not told.effective:  # else it counts when its time comes
            patient = self.processor.patient(record.key, event["subject"])
            if (message := links.fresh(patient, told)) is not None:
                self.send(IDENTITY, message)
        body = {"kind": "event", "event": event}
        self._take(record.key, event["subject"], body, told, told.lane)
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
        self._parked(record, event["subject"], reason, (event["source"], event["id"]), receipt)
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
            names = event["source"], event["id"]
            self._parked(record, event["subject"], "handler-failed", names, receipt)

    def _dead_letter(
        self, record: JournalRecord, event: dict[str, Any], reason: str, error: str
    ) -> None:
        letter = letters.dead_letter(record, event, reason, error, self.partition)
        self.round.outputs.append(letter)

    def _parked(
        self, record: JournalRecord, subject: str, reason: str, names: tuple[str, str], receipt: int
    ) -> None:
        body = {"kind": "parked", "reason": reason, "names": names, "receipt": receipt}
        self._take(record.key, subject, body, self.told(body)[0])

    def _silent(self, record: JournalRecord, subject: str, fact: Any, receipt: int) -> None:
        told = Told("", "", "", "", receipt, receipt, (fact,))
        self._tell(record.key, self.processor.patient(record.key, subject), told)

    def told(self, body: dict[str, Any]) -> tuple[Told, str]:
        """What a record tells, and its lane."""
        return telling.told(
            body, self.processor.facilities, self.stamp, failed=self.failed is not None
        )

    def _take(
        self, key: str, subject: str, body: dict[str, Any], told: Told, lane: str = ""
    ) -> None:
        """Tell the patient of a key, or whoever has the chart."""
        patient = self.processor.patient(key, subject)
        desk = self.processor.desk(key)
        if desk is None:
            self._tell(key, patient, told, lane)
        else:
            self.touched[key] = patient
            Streams(AtDesk(self), desk).tell(body, told)

    def _tell(self, key: str, patient: Patient, told: Told, lane: str = "") -> None:
        self.touched[key] = patient
        fresh = self.unsealed(patient, key, told)
        if told.effective:
            self.say(told, self.now)
        teams = {task: row["team"] for task, row in patient.ledger.tasks.items()}
        changes = step.fact(patient, [told], self.now, self.stamp, self.processor.rules)
        self.publish(changes, teams, lane, told.receipt)
        self.show(patient)
        if fresh:
            self.claim(fresh, patient)

    def unsealed(
        self, patient: Patient, key: str, told: Told, *, named: bool = False
    ) -> list[CellKey]:
        """
        Load what was put away and is told of again; the visits that nobody has told of.

        Args:
            named: The identifier was named in a merge or the like: of a visit it may be known that
                it was moved away, and nothing else.
        """
        fresh = []
        for fact in told.facts:
            cell = step.cell_key(fact)
            held = patient.cells.get(cell)
            if held is not None and not (named and claims.is_bare(held)):
                continue  # as nearly always: known and open
            held = held or patient.sealed.get(cell)
            if held is None and (put_away := self.store.cell(key, *cell)) is not None:
                held = patient.sealed[cell] = stored.load_cell(cell[0], orjson.loads(put_away))
            if claims.is_news(fact, held):
                fresh.append(cell)
        return fresh

    def claim(self, fresh: list[CellKey], patient: Patient) -> None:
        """Ask whether somebody else has the same visit number."""
        for _, name in dict.fromkeys(fresh):
            message = {"kind": "claim", "visit": name, "subject": patient.subject}
            self.send(self.processor.key_of(f"visit|{name}"), message | {"key": patient.key})

    def send(self, key: str, message: dict[str, Any]) -> None:
        """Append to the journal, under *key*."""
        self.round.journal.append((key, orjson.dumps(message)))

    def _message(
        self, record: JournalRecord, value: dict[str, Any], failures: list[str] | None
    ) -> None:
        """One record of the identity protocol."""
        self.failed = None if failures is None else failures[0]
        subject = value.get("home") or value["name"].partition("\x1e")[0]
        patient = self.processor.patient(record.key, subject)
        desk = self.processor.desk(record.key)
        if desk is None:
            desk = self.processor.new_desk(record.key, subject, self.partition, self.now)
        self.touched[record.key] = patient
        Streams(AtDesk(self), desk).receive(value)
        self.failed = None

    def _directory(self) -> Directory:
        zone = self.processor.rules.facility("", self.stamp).zone
        return Directory(self, self.processor.key_of, zone)

    def read(self, kind: str, name: str, key: str = IDENTITY) -> bytes | None:
        """A row that belongs to no patient."""
        held = self.round.cells.get((key, kind, name))
        return self.store.cell(key, kind, name) if held is None else held[0]

    def write(self, kind: str, name: str, value: bytes, key: str = IDENTITY) -> None:
        """Write such a row."""
        self.round.cells[key, kind, name] = (value, False)

    def _clock(self, record: JournalRecord, until: int) -> None:
        due = set(self.store.due(self.partition, until))
        due -= self.touched.keys()
        due |= {
            key for key in self.touched if (wake := self._wake(key)) is not None and wake <= until
        }
        self.now = max(self.now, until)
        for key in sorted(due):
            patient = self.processor.patient(key, "")
            self.touched[key] = patient
            if (record.offset, key) in self.poison:
                # Nobody else waits for this patient; the alarm goes on, and it is tried again.
                patient.wake = patient.plan_wake = until + POSTPONED
                continue
            try:
                self._fire(key, patient, until)
            except Exception as bug:
                place = {"partition": record.partition, "offset": record.offset}
                logger.exception("record.failed", stage="deadline", **place)
                raise Poison(record.offset, key, describe(bug)) from None
        self.round.forget_seen_before = self.now

    def _fire(self, key: str, patient: Patient, until: int) -> None:
        desk = self.processor.desk(key)
        if desk is not None:
            Streams(AtDesk(self), desk).clock()
            return
        self.recall(patient, key, until)
        teams = {task: row["team"] for task, row in patient.ledger.tasks.items()}
        self.publish(step.clock(patient, until, self.processor.rules), teams, DEADLINE)
        self.show(patient)

    def recall(self, patient: Patient, key: str, until: int) -> None:
        """Load what was put away and is told of by what was said of a time that comes now."""
        for told in patient.held:
            if told.effective <= until:
                self.unsealed(patient, key, told)
                self.say(told, until)

    def say(self, told: Told, now: int) -> None:
        """Tell the directory what was said of who is whom ahead of its time, which has come."""
        if told.marks and told.effective and told.effective <= max(told.receipt, now):
            self.send(IDENTITY, links.said(told))

    def _wake(self, key: str) -> int | None:
        desk = self.processor.desk(key)
        return self.touched[key].wake if desk is None else desk.due

    def publish(
        self,
        changes: list[dict[str, Any]],
        teams: dict[str, str],
        lane: str,
        receipt: int = 0,
        partition: int | None = None,
    ) -> None:
        """Publish changes where their immutable subject lies: here, if not elsewhere."""
        lies = self.partition if partition is None else partition
        for change in changes:
            self.round.outputs += outputs(change, lies, teams)
            self.round.made.append(Made(change, lane, receipt))
            if "gap" in change:
                self.tally.count(change)

    def show(self, patient: Patient, partitions: dict[str, int] | None = None) -> None:
        """Publish whom to call, if a plan was made and it differs from what was shown."""
        for one in showings(patient, self.processor.rules, self.now):
            lies = partitions[one.whose.subject] if partitions else self.partition
            self.round.outputs.append(shown(one, lies))

    def _write(self) -> None:
        for key, patient in self.touched.items():
            desk = self.processor.desk(key)
            if desk is None:
                self._rows(key, patient, patient.wake)
                continue
            if desk.subject not in desk.charts:
                self._rows(key, patient, desk.due)
            for name, chart in desk.charts.items():
                own = name == desk.subject
                lies = self.processor.lies(key, name, desk.subject)
                self._rows(lies, chart.patient, desk.due if own else None)
            self.round.cells[key, "desk", ""] = (orjson.dumps(desk.dump()), False)
        meta = {"now": self.now, "at": self.stamp, "clock": written(self.now)}
        meta |= self.tally.dump()
        self.round.meta = (self.partition, orjson.dumps(meta))
        self.processor.trim()

    def _rows(self, key: str, patient: Patient, wake: int | None) -> None:
        """The rows of one patient under *key*."""
        cells = self.round.cells
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
        self.round.heads[key] = (orjson.dumps(stored.dump_head(patient)), wake)
