"""One patient's working state, and the step that every journal record takes.

``fact`` joins what was told and plans again; ``clock`` fires what falls due, instant by instant.
Both return the changes to publish.  The step runs per journal record, never per batch, so a redo
after a crash publishes exactly what was published before.

A feed (key ``facility|GEN``) is handled by the same step: its cells are of another kind.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from orchestrator.core import cells as cell_types
from orchestrator.core.cells import (
    AppointmentCell,
    Cell,
    FacilityCell,
    PersonCell,
    VisitCell,
    WorkCell,
)
from orchestrator.core.commands import judge
from orchestrator.core.facts import (
    Admitted,
    AppointmentSaid,
    Command,
    DischargeSaid,
    Fact,
    FacilityHeard,
    FieldUnmapped,
    Stamp,
    Told,
    VisitMark,
    VisitSaid,
)
from orchestrator.core.instants import DAY, written
from orchestrator.core.plan import plan
from orchestrator.core.policy import Rules
from orchestrator.core.reconcile import Change, Ledger, reconcile
from orchestrator.core.registers import MATERIAL, NOTHING, value_of
from orchestrator.core.transitions import disposition_of
from orchestrator.core.view import View, view

CellKey = tuple[str, str]
WITHDRAWN_STATUS = ("cancelled", "entered-in-error", "failed")


@dataclass(slots=True)
class Waiting:
    """A command for a task that may yet come, until its deadline."""

    until: int
    command: Command


@dataclass(slots=True)
class Patient:
    """Cells, ledger and the small head of one subject."""

    subject: str
    key: str = ""  # pseudonymous patient key, for addresses
    cells: dict[CellKey, Cell] = field(default_factory=dict)
    sealed: dict[CellKey, Cell] = field(default_factory=dict)  # put away; loaded only when told of
    ledger: Ledger = field(default_factory=Ledger)
    wake: int | None = None
    plan_wake: int | None = None
    seal_at: int | None = None
    seq: int = 0
    at: int = 0  # stamp of the last fact
    held: list[Told] = field(default_factory=list)  # said of a time that has not come yet
    waiting: list[Waiting] = field(default_factory=list)
    dirty: set[CellKey] = field(default_factory=set)  # cells to be written
    ledger_dirty: bool = False

    def view(self, rules: Rules, *, sealed: bool = False) -> View:
        """All that is known, put in order; sealed stays only where asked for."""
        newest = rules.newest
        return view(
            self.subject,
            {self.subject: {**self.cells, **self.sealed} if sealed else self.cells},
            lambda code: disposition_of(code, newest).status,
        )


def cell_key(fact: Fact) -> CellKey:
    """The cell that a fact belongs to."""
    if isinstance(fact, VisitSaid | Admitted | DischargeSaid | VisitMark):
        return ("visit", f"{fact.facility}|{fact.visit}")
    if isinstance(fact, AppointmentSaid):
        return ("appointment", fact.appointment)
    if isinstance(fact, FacilityHeard | FieldUnmapped):
        return ("facility", fact.facility)
    return ("person", "")


def fact(patient: Patient, told: Sequence[Told], now: int, stamp: int, rules: Rules) -> list[dict[str, Any]]:
    """
    Take in what one journal record tells (of files: all that one instant tells).

    Args:
        patient: Changed in place.
        told: Facts count together; commands follow, one by one, by time, source and id.
        now: The partition's clock; stays.
        stamp: The log's append time, monotone.
        rules: Policies and facilities.

    Returns:
        The change records to publish, in order.
    """
    patient.at = max(patient.at, stamp)
    step = _Step(patient, rules, now, patient.at)
    facts: list[Told] = []
    commands: list[Told] = []
    for one in told:
        step.recorded(one)
        if one.effective > max(one.receipt, now):
            patient.held.append(one)
            step.rewake = True
        elif one.command is not None:
            commands.append(one)
        else:
            facts.append(one)
    step.join(facts)
    commands.sort(key=lambda one: (one.time, one.source, one.event))
    for one in commands:
        if one.command is not None:
            step.command(one.command)
    step.close()
    return step.changes


def clock(patient: Patient, until: int, rules: Rules) -> list[dict[str, Any]]:
    """Fire what falls due up to *until*, inclusive, each thing exactly at its instant."""
    changes: list[dict[str, Any]] = []
    while patient.wake is not None and patient.wake <= until:
        now = patient.wake
        step = _Step(patient, rules, now, max(now, patient.at))
        step.due()
        step.close()
        changes += step.changes
    return changes


class _Step:
    """One step: joins, plans, reconciles, and collects the change records."""

    def __init__(self, patient: Patient, rules: Rules, now: int, at: int) -> None:
        self.patient = patient
        self.rules = rules
        self.now = now
        self.at = at
        self.changes: list[dict[str, Any]] = []
        self.causes: list[str] = []
        self.rewake = False

    def recorded(self, told: Told) -> None:
        """The hospital's event, for the timeline."""
        if not told.type:
            return
        self._record(
            "event.recorded",
            [told.event],
            told.title,
            event={
                "id": told.event,
                "type": told.type,
                "time": written(told.time),
                "receivedtime": written(told.receipt),
                "title": told.title,
            },
        )

    def join(self, told: Iterable[Told]) -> None:
        """Join facts into their cells and plan again if any rule may answer differently."""
        changed = NOTHING
        self.causes = []
        for one in told:
            self.causes.append(one.event)
            for said in one.facts:
                changed = max(changed, self._join(said))
        if changed == MATERIAL or (changed and self._has_stale()):
            self.plan()

    def _join(self, said: Fact) -> int:
        key = cell_key(said)
        patient = self.patient
        put_away = patient.sealed.get(key)
        if put_away is not None:
            # It still joins, and opens nothing any more.
            if put_away.join(said):  # type: ignore[union-attr, arg-type]
                patient.dirty.add(key)
            return NOTHING
        cell = patient.cells.get(key)
        if cell is None:
            cell = patient.cells[key] = _new_cell(said)
        changed: int = cell.join(said)  # type: ignore[union-attr, arg-type]
        if changed:
            patient.dirty.add(key)
            if patient.seal_at is None and key[0] in ("visit", "appointment"):
                patient.seal_at = max(self.at, self.now) + DAY
                self.rewake = True
        return changed

    def _has_stale(self) -> bool:
        return any(
            gap["code"] == "STALE_STAY" and gap["status"] == "open"
            for gap in self.patient.ledger.gaps.values()
        )

    def plan(self) -> None:
        """Plan at ``now`` and publish the difference; then let waiting commands try again."""
        wanted = plan(self.patient.view(self.rules), self.rules, self.now)
        self.patient.plan_wake = wanted.wake
        self.rewake = True
        changes = reconcile(self.patient.ledger, wanted, self.at)
        for change in changes:
            self._changed(change)
        if changes:
            self.patient.ledger_dirty = True
            self._retry()

    def _changed(self, change: Change) -> None:
        self._record(change.change, self.causes, change.why, **{change.kind: change.thing})
        before = change.before
        if change.kind == "task" and before is not None and before["owner"] is not None:
            status = change.thing["status"]
            if status in WITHDRAWN_STATUS and before["status"] not in WITHDRAWN_STATUS:
                self._notice(before["owner"], change.thing["task_id"], change.why)
            elif before["status"] in WITHDRAWN_STATUS and status not in WITHDRAWN_STATUS:
                self._notice(before["owner"], change.thing["task_id"], "Back: the original due time stands.")

    def _notice(self, to: str, task: str, text: str) -> None:
        notice = {"at": written(self.at), "to": to, "task_id": task, "text": text}
        self._record("notice", self.causes, text, notice=notice)

    def _record(self, change: str, causes: list[str], why: str, **thing: Any) -> None:
        patient = self.patient
        patient.seq += 1
        self.changes.append(
            {
                "seq": patient.seq,
                "at": written(self.at),
                "patient": patient.subject,
                "subject": patient.subject,
                "patient_key": patient.key,
                "change": change,
                **thing,
                "caused_by": list(causes),
                "why": why,
            }
        )

    def command(self, command: Command) -> None:
        """Judge one command and publish the verdict."""
        thing, refusal = judge(command, self.patient.ledger, self.rules)
        self.causes = [command.stamp.event]
        if refusal == "waits":
            until = command.stamp.receipt + self.rules.newest.command_wait
            if until > self.now:
                self.patient.waiting.append(Waiting(until, command))
                self.rewake = True
                return
            refusal = "unknown-task"
        if refusal is not None:
            self._refused(command, refusal)
            return
        assert thing is not None
        if "gap_id" in thing:
            self._acknowledge(thing, command)
        else:
            key = ("work", thing["task_id"])
            cell = self.patient.cells.get(key)
            if not isinstance(cell, WorkCell):
                cell = self.patient.cells[key] = WorkCell(thing["task_id"])
            cell.done.append(command)
            self.patient.dirty.add(key)
        before = len(self.changes)
        self.plan()
        if command.what == "rejected":
            self._notice(f"supervisor:{thing['team']}", thing["task_id"], "Given back by its team.")
        if len(self.changes) == before:
            # Nothing changed in the task (a note): the actor still gets an answer.
            self._record("command.accepted", self.causes, "Recorded.", command=_named(command))

    def _acknowledge(self, gap: dict[str, Any], command: Command) -> None:
        facility = self.patient.cells.get(("facility", gap["facility"]))
        if isinstance(facility, FacilityCell) and (gap["scope"] or "").startswith("facility:"):
            facility.acknowledged[gap["gap_id"]] = command.stamp.receipt
            self.patient.dirty.add(("facility", gap["facility"]))
            return
        key = ("person", "")
        cell = self.patient.cells.get(key)
        if not isinstance(cell, PersonCell):
            cell = self.patient.cells[key] = PersonCell()
        cell.acknowledged[gap["gap_id"]] = command.stamp.receipt
        self.patient.dirty.add(key)

    def _refused(self, command: Command, reason: str) -> None:
        self._record(
            "command.refused",
            [command.stamp.event],
            REFUSED[reason],
            command={**_named(command), "reason": reason},
        )

    def _retry(self) -> None:
        """Commands that wait for a task: some may have got it now."""
        if not self.patient.waiting:
            return
        waiting, self.patient.waiting = self.patient.waiting, []
        causes = self.causes
        for one in waiting:
            _, refusal = judge(one.command, self.patient.ledger, self.rules)
            if refusal == "waits":
                self.patient.waiting.append(one)
            else:
                self.command(one.command)
        self.causes = causes
        self.rewake = True

    def due(self) -> None:
        """What waited for this instant: held facts, expired commands, deadlines, seals."""
        patient = self.patient
        ready = [one for one in patient.held if one.effective <= self.now]
        if ready:
            patient.held = [one for one in patient.held if one.effective > self.now]
            self.rewake = True
            self.join([one for one in ready if one.command is None])
            for one in sorted(ready, key=lambda told: (told.time, told.source, told.event)):
                if one.command is not None:
                    self.command(one.command)
        for one in [w for w in patient.waiting if w.until <= self.now]:
            patient.waiting.remove(one)
            self._refused(one.command, "unknown-task")
            self.rewake = True
        if patient.plan_wake is not None and patient.plan_wake <= self.now:
            self.causes = []
            self.plan()
        if patient.seal_at is not None and patient.seal_at <= self.now:
            self._seal()
            self.rewake = True

    def _seal(self) -> None:
        """Put away what has been over for long: it still joins, and opens nothing any more."""
        patient, rules = self.patient, self.rules
        length = rules.newest.seal_after_days * DAY
        next_at: int | None = None
        for key, cell in list(patient.cells.items()):
            last = _last_news(cell)
            if last is None:
                continue
            if last + length <= self.now:
                patient.dirty.add(key)
                patient.sealed[key] = patient.cells.pop(key)
            else:
                next_at = min(next_at or last + length, last + length)
        patient.seal_at = next_at
        self._forget(written(self.now - length))

    def _forget(self, before: str) -> None:
        """Drop ledger rows of transitions whose discharge lies before *before*."""
        ledger = self.patient.ledger
        over = {
            one
            for one, row in ledger.transitions.items()
            if row["status"] == "closed" and row["index_discharge_at"] <= before
        }
        for one in over:
            del ledger.transitions[one]
        for task, row in list(ledger.tasks.items()):
            if row["transition_id"] in over:
                del ledger.tasks[task]
                key = ("work", task)
                if key in self.patient.cells:
                    self.patient.sealed[key] = self.patient.cells.pop(key)
                    self.patient.dirty.add(key)
        for gap, row in list(ledger.gaps.items()):
            settled = row["status"] == "closed" and (row["closed_at"] or "") <= before
            if row["transition_id"] in over or (row["transition_id"] is None and settled):
                del ledger.gaps[gap]
        self.patient.ledger_dirty = True

    def close(self) -> None:
        """Work out when the patient must be looked at next."""
        patient = self.patient
        if not self.rewake and patient.wake is not None and patient.wake > self.now:
            return
        candidates = [patient.plan_wake, patient.seal_at]
        candidates += [one.effective for one in patient.held]
        candidates += [one.until for one in patient.waiting]
        patient.wake = min((at for at in candidates if at is not None), default=None)


REFUSED = {
    "terminal": "Refused: the task is no longer open.",
    "unknown-task": "Refused: no such task.",
    "version": "Refused: the task has changed since it was read.",
    "role": "Refused: this role may not do it.",
    "owner": "Refused: somebody else has accepted it.",
}


def _named(command: Command) -> dict[str, Any]:
    return {
        "event": command.stamp.event,
        "source": command.stamp.source,
        "what": command.what,
        "task_id": command.task_id,
        "gap_id": command.gap_id,
    }


def _new_cell(said: Fact) -> Cell:
    if isinstance(said, VisitSaid | Admitted | DischargeSaid | VisitMark):
        return VisitCell(said.facility, said.visit)
    if isinstance(said, AppointmentSaid):
        return AppointmentCell(said.appointment)
    if isinstance(said, FacilityHeard | FieldUnmapped):
        return FacilityCell(said.facility)
    return PersonCell()


def _last_news(cell: Cell) -> int | None:
    """The last instant that matters of what can be put away; None: stays for ever."""
    if isinstance(cell, VisitCell):
        stated = [key[0] for key in cell.discharges if key[0] is not None]
        return max([cell.last_update, *stated])
    if isinstance(cell, AppointmentCell):
        starts: int | None = value_of(cell.said, "starts_at")
        return max(starts or 0, cell.said["status"].stamp.time)
    return None


# Stored form -------------------------------------------------------------------------------------

Stored = Literal["visit", "appointment", "person", "work", "facility"]
_LOADERS = {
    "visit": VisitCell.load,
    "appointment": AppointmentCell.load,
    "person": PersonCell.load,
    "work": WorkCell.load,
    "facility": FacilityCell.load,
}


def load_cell(kind: str, plain: list[Any]) -> Cell:
    """A cell from its stored form."""
    return _LOADERS[kind](plain)  # type: ignore[operator, no-any-return]


def dump_head(patient: Patient) -> list[Any]:
    """The head as plain data: what changes at nearly every step."""
    return [
        cell_types.FORMAT,
        patient.subject,
        patient.wake,
        patient.plan_wake,
        patient.seal_at,
        patient.seq,
        patient.at,
        [_dump_told(one) for one in patient.held],
        [[one.until, cell_types.command_dump(one.command)] for one in patient.waiting],
    ]


def load_head(patient: Patient, plain: list[Any]) -> None:
    """The inverse of `dump_head`, into *patient*."""
    (_, _, patient.wake, patient.plan_wake, patient.seal_at, patient.seq, patient.at, held, waiting) = plain
    patient.held = [_load_told(one) for one in held]
    patient.waiting = [Waiting(until, cell_types.command_load(one)) for until, one in waiting]


def dump_ledger(ledger: Ledger) -> list[Any]:
    """The ledger as plain data."""
    return [
        cell_types.FORMAT,
        list(ledger.transitions.values()),
        list(ledger.tasks.values()),
        list(ledger.gaps.values()),
    ]


def load_ledger(plain: list[Any]) -> Ledger:
    """The inverse of `dump_ledger`; keeps the order of first publication."""
    _, transitions, tasks, gaps = plain
    return Ledger(
        {row["transition_id"]: row for row in transitions},
        {row["task_id"]: row for row in tasks},
        {row["gap_id"]: row for row in gaps},
    )


_FACTS = {one.__name__: one for one in (VisitSaid, Admitted, DischargeSaid, VisitMark, AppointmentSaid, cell_types.PersonSaid)}


def _dump_told(told: Told) -> list[Any]:
    facts = []
    for one in told.facts:
        fields = {name: getattr(one, name) for name in type(one).__slots__}  # type: ignore[attr-defined]
        facts.append([type(one).__name__, fields])
    command = None if told.command is None else cell_types.command_dump(told.command)
    return [told.event, told.source, told.type, told.title, told.time, told.receipt, facts, command, told.effective]


def _load_told(plain: list[Any]) -> Told:
    event, source, type_, title, time, receipt, facts, command, effective = plain
    loaded = []
    for name, fields in facts:
        fields = {**fields, "stamp": Stamp(*fields["stamp"])}
        if "flags" in fields:
            fields["flags"] = tuple(fields["flags"])
        loaded.append(_FACTS[name](**fields))
    return Told(
        event,
        source,
        type_,
        title,
        time,
        receipt,
        tuple(loaded),
        None if command is None else cell_types.command_load(command),
        effective,
    )
