"""The step that every journal record takes.

`fact` joins what was told and plans again; `clock` fires what falls due, instant by instant.
Both return the changes to publish.  The step runs per journal record, never per batch, so a redo
after a crash publishes exactly what was published before.
"""

from collections.abc import Iterable, Sequence
from typing import Any

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
    FacilityHeard,
    Fact,
    FieldUnmapped,
    Told,
    VisitMark,
    VisitSaid,
)
from orchestrator.core.instants import DAY, written
from orchestrator.core.patient import CellKey, Patient, Waiting
from orchestrator.core.plan import plan
from orchestrator.core.policy import Rules
from orchestrator.core.reconcile import Change, Ledger, reconcile
from orchestrator.core.registers import MATERIAL, NOTHING
from orchestrator.core.sealing import seal

OF_VISIT = (VisitSaid, Admitted, DischargeSaid, VisitMark)
OF_FACILITY = (FacilityHeard, FieldUnmapped)
WITHDRAWN_STATUS = ("cancelled", "entered-in-error", "failed")


def cell_key(fact: Fact) -> CellKey:
    """The cell that a fact belongs to."""
    if isinstance(fact, OF_VISIT):
        return ("visit", f"{fact.facility}|{fact.visit}")
    if isinstance(fact, AppointmentSaid):
        return ("appointment", fact.appointment)
    if isinstance(fact, OF_FACILITY):
        return ("facility", fact.facility)
    return ("person", "")


def fact(
    patient: Patient, told: Sequence[Told], now: int, stamp: int, rules: Rules
) -> list[dict[str, Any]]:
    """
    Take in what one journal record tells (of files: all that one instant tells).

    Args:
        patient: Changed in place.
        told: Facts count together; commands follow, one by one, by time, source and id.  What
            stands after all of them is published once: no alarm for what the same instant settled.
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
            for known in one.at_once:
                step.tell(known)
        elif one.command is not None:
            commands.append(one)
        else:
            facts.append(one)
    together = bool(facts) and bool(commands or patient.waiting)
    if together:
        step.begin()
    step.join(facts)
    commands.sort(key=lambda one: (one.time, one.source, one.event))
    for one in commands:
        if one.command is not None:
            step.command(one.command)
    if together:
        step.settle()
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
        self.taking: Command | None = None  # the command whose effect is being planned
        self.before: Ledger | None = None  # what was published before facts and commands together
        self.acted: list[Command] = []  # accepted while nothing was published yet
        self.facts: list[str] = []

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

    def begin(self) -> None:
        """Facts and commands come together: nothing is published before all of them count."""
        published = self.patient.ledger
        self.before = published
        self.patient.ledger = Ledger(
            dict(published.transitions), dict(published.tasks), dict(published.gaps)
        )

    def settle(self) -> None:
        """Publish the difference that facts and commands made together."""
        assert self.before is not None
        self.patient.ledger, self.before = self.before, None
        self.causes = [*self.facts, *(command.stamp.event for command in self.acted)]
        published = len(self.changes)
        self.plan()
        if len(self.changes) == published:
            for command in self.acted:
                self._accepted(command)

    def join(self, told: Iterable[Told]) -> None:
        """Join facts into their cells and plan again if any rule may answer differently."""
        changed = NOTHING
        self.causes = self.facts = []
        for one in told:
            self.facts.append(one.event)
            for said in one.facts:
                changed = max(changed, self.tell(said))
        if changed == MATERIAL or (changed and self._has_stale()):
            self.plan()

    def tell(self, said: Fact) -> int:
        """Join one fact into its cell."""
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
        if self.before is None:
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
            elif (
                self.taking is not None
                and change.thing["owner"] != before["owner"] != self.taking.actor
            ):
                self._notice(before["owner"], change.thing["task_id"], "Passed on by another.")

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
            name = (command.stamp.source, command.stamp.event)
            if any((done.stamp.source, done.stamp.event) == name for done in cell.done):
                return  # a repeat of what was forgotten as seen; it has had its effect
            cell.done.append(command)
            self.patient.dirty.add(key)
        before = len(self.changes)
        self.taking = command
        self.plan()
        self.taking = None
        if command.what == "rejected":
            self._notice(f"supervisor:{thing['team']}", thing["task_id"], "Given back by its team.")
        if self.before is not None:
            self.acted.append(command)
        elif len(self.changes) == before:
            self._accepted(command)

    def _accepted(self, command: Command) -> None:
        """Nothing changed in the task (a note): the actor still gets an answer."""
        causes = [command.stamp.event]
        self._record("command.accepted", causes, "Recorded.", command=_named(command))

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
        for late in [one for one in patient.waiting if one.until <= self.now]:
            patient.waiting.remove(late)
            self._refused(late.command, "unknown-task")
            self.rewake = True
        if patient.plan_wake is not None and patient.plan_wake <= self.now:
            self.causes = []
            self.plan()
        if patient.seal_at is not None and patient.seal_at <= self.now:
            seal(patient, self.rules, self.now)
            self.rewake = True

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
    if isinstance(said, OF_VISIT):
        return VisitCell(said.facility, said.visit)
    if isinstance(said, AppointmentSaid):
        return AppointmentCell(said.appointment)
    if isinstance(said, OF_FACILITY):
        return FacilityCell(said.facility)
    return PersonCell()
