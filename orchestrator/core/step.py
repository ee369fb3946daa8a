"""The step that every journal record takes.

`fact` joins what was told and plans again; `clock` fires what falls due, instant by instant.
Both return the changes to publish.  The step runs per journal record, never per batch, so a redo
after a crash publishes exactly what was published before.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from orchestrator.core.announce import Announcer
from orchestrator.core.cells import (
    AppointmentCell,
    Cell,
    FacilityCell,
    PersonCell,
    VisitCell,
    WorkCell,
)
from orchestrator.core.commands import Refusal, judge
from orchestrator.core.facts import (
    OF_VISIT,
    AppointmentSaid,
    Command,
    FacilityHeard,
    Fact,
    FieldUnmapped,
    Mended,
    Told,
    parked_name,
)
from orchestrator.core.instants import DAY
from orchestrator.core.patient import CellKey, Patient, Waiting
from orchestrator.core.plan import plan
from orchestrator.core.policy import Rules
from orchestrator.core.reconcile import Change, Ledger, reconcile
from orchestrator.core.registers import MATERIAL, NOTHING
from orchestrator.core.sealing import seal
from orchestrator.core.wanted import Plan

OF_FACILITY = (FacilityHeard, FieldUnmapped)
# Whose ledger has the task or the gap, what it is, and why not.
Verdict = tuple[Patient, dict[str, Any] | None, Refusal | Literal["waits"] | None]


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
        patient: Changed in place; joined with nobody (else: `together`).
        told: Facts count together; commands follow, one by one, by time, source and id.  What
            stands after all of them is published once: no alarm for what the same instant settled.
        now: The partition's clock; stays.
        stamp: The log's append time, monotone.
        rules: Policies and facilities.

    Returns:
        The change records to publish, in order.
    """
    patient.at = max(patient.at, stamp)
    step = Step(patient, rules, now, patient.at)
    step.take(told, patient.waiting)
    return step.changes


def clock(patient: Patient, until: int, rules: Rules) -> list[dict[str, Any]]:
    """Fire what falls due up to *until*, inclusive, each thing exactly at its instant."""
    return fire(Step, patient, until, rules)


def fire(of: "type[Step]", patient: Patient, until: int, rules: Rules) -> list[dict[str, Any]]:
    """The same by steps *of* one identifier, or of several (`together`)."""
    changes: list[dict[str, Any]] = []
    while patient.wake is not None and patient.wake <= until:
        now = patient.wake
        step = of(patient, rules, now, max(now, patient.at))
        step.due()
        step.close()
        changes += step.changes
    return changes


class Step(Announcer):
    """One step: joins, plans, reconciles, and collects the change records."""

    def __init__(self, patient: Patient, rules: Rules, now: int, at: int) -> None:
        super().__init__(patient, now, at)
        self.rules = rules
        self.rewake = False
        # What was published before facts and commands together, by member.
        self.before: list[Ledger] | None = None
        # Accepted while nothing was published yet, and whose task it was.
        self.acted: list[tuple[Command, Patient]] = []
        self.facts: list[str] = []

    def members(self) -> Sequence[Patient]:
        """All that are planned together."""
        return (self.patient,)

    def take(self, told: Sequence[Told], waiting: Sequence[Waiting]) -> None:
        """What is told now counts now; *waiting* commands may have got their task by it."""
        patient = self.patient
        facts: list[Told] = []
        commands: list[Told] = []
        for one in told:
            under = patient.member(one.under) if one.under else patient
            self.recorded(one, under)
            if (mended := _mended(under, one)) is not None:
                facts.append(mended)
            if one.effective > max(one.receipt, self.now):
                under.held.append(one)
                self.rewake = True
                if one.at_once:
                    facts.append(replace(one, facts=one.at_once))
            elif one.command is not None:
                commands.append(one)
            else:
                facts.append(one)
        together = facts and (commands or waiting)
        if together:
            self.begin()
        self.join(facts)
        commands.sort(key=lambda one: (one.time, one.source, one.event))
        for one in commands:
            if one.command is not None:
                self.command(one.command, patient.member(one.under))
        if together:
            self.settle()
        self.close()

    def begin(self) -> None:
        """Facts and commands come together: nothing is published before all of them count."""
        self.before = []
        for one in self.members():
            published = one.ledger
            self.before.append(published)
            one.ledger = Ledger(
                dict(published.transitions), dict(published.tasks), dict(published.gaps)
            )

    def settle(self) -> None:
        """Publish the difference that facts and commands made together."""
        assert self.before is not None
        for one, published in zip(self.members(), self.before, strict=True):
            one.ledger = published
        self.before = None
        self.causes = [*self.facts, *(command.stamp.event for command, _ in self.acted)]
        already = len(self.changes)
        self.plan()
        if len(self.changes) == already:
            for command, under in self.acted:
                self.accepted(command, under)

    def join(self, told: Sequence[Told], changed: int = NOTHING) -> None:
        """Join facts into their cells and plan again if any rule may answer differently."""
        self.causes = self.facts = []
        for one in told:
            if one.event not in self.facts:
                self.facts.append(one.event)
            member = self.patient.member(one.under) if one.under else self.patient
            for said in one.facts:
                changed = max(changed, self.tell(said, member))
        if changed == MATERIAL or (changed and self.has_stale()):
            waited_for = self.before is not None
            if not waited_for and told[0].lane == "backfill" and all(map(_is_history, told)):
                # A long history comes fact by fact; one plan at the next clock does for all.
                self.patient.plan_wake = self.now
                self.rewake = True
            else:
                self.plan()

    def tell(self, said: Fact, patient: Patient) -> int:
        """Join one fact into its cell, under the member it was told of."""
        key = cell_key(said)
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

    def has_stale(self) -> bool:
        """Whether a stay of which nothing was heard for long was published."""
        return is_stale(self.patient.ledger)

    def plan(self) -> None:
        """Plan at ``now`` and publish the difference; then let waiting commands try again."""
        patient = self.patient
        patient.seen = patient.view(self.rules)
        wanted = plan(patient.seen, self.rules, self.now)
        patient.plan_wake = wanted.wake
        self.rewake = True
        if self.stand(wanted):
            self.retry()

    def stand(self, wanted: Plan) -> bool:
        """Bring what was published to what should stand; whether that changes anything."""
        return self.publish(self.patient, reconcile(self.patient.ledger, wanted, self.at))

    def publish(self, one: Patient, changes: list[Change]) -> bool:
        """What changes in the ledger of one identifier."""
        if self.before is None:
            for change in changes:
                self.changed(change, one)
        if changes:
            one.ledger_dirty = True
        return bool(changes)

    def command(self, command: Command, told: Patient) -> None:
        """Judge one command, said of the member *told*, and publish the verdict."""
        under, thing, refusal = self.judged(command, told)
        self.causes = [command.stamp.event]
        if refusal == "waits":
            until = command.stamp.receipt + self.rules.newest.command_wait
            if until > self.now:
                told.waiting.append(Waiting(until, command))
                self.rewake = True
                return
            refusal = "unknown-task"
        if refusal is not None:
            self.refused(command, refusal, told)
            return
        assert thing is not None
        if "gap_id" in thing:
            self._acknowledge(thing, command, under)
        else:
            key = ("work", thing["task_id"])
            cell = under.cells.get(key)
            if not isinstance(cell, WorkCell):
                cell = under.cells[key] = WorkCell(thing["task_id"])
            name = (command.stamp.source, command.stamp.event)
            if any((done.stamp.source, done.stamp.event) == name for done in cell.done):
                return  # a repeat of what was forgotten as seen; it has had its effect
            cell.done.append(command)
            under.dirty.add(key)
        before = len(self.changes)
        self.taking = command
        self.plan()
        self.taking = None
        changed = len(self.changes) > before
        if command.what == "rejected":
            supervisor = f"supervisor:{thing['team']}"
            self.notice(supervisor, thing["task_id"], "Given back by its team.", under)
        if self.before is not None:
            self.acted.append((command, under))
        elif not changed:
            self.accepted(command, under)

    def judged(self, command: Command, told: Patient) -> Verdict:
        """The verdict, and the member whose task it is."""
        return told, *judge(command, told.ledger, self.rules)

    def _acknowledge(self, gap: dict[str, Any], command: Command, under: Patient) -> None:
        facility = under.cells.get(("facility", gap["facility"]))
        if isinstance(facility, FacilityCell) and (gap["scope"] or "").startswith("facility:"):
            facility.acknowledged[gap["gap_id"]] = command.stamp.receipt
            under.dirty.add(("facility", gap["facility"]))
            return
        key = ("person", "")
        cell = under.cells.get(key)
        if not isinstance(cell, PersonCell):
            cell = under.cells[key] = PersonCell()
        cell.acknowledged[gap["gap_id"]] = command.stamp.receipt
        under.dirty.add(key)

    def retry(self) -> None:
        """Commands that wait for a task: some may have got it now."""
        if self.patient.waiting:
            self.retry_of([self.patient])

    def retry_of(self, members: Sequence[Patient]) -> None:
        """Try again what waits under *members*."""
        causes = self.causes
        for told in members:
            waiting, told.waiting = told.waiting, []
            for one in waiting:
                _, _, refusal = self.judged(one.command, told)
                if refusal == "waits":
                    told.waiting.append(one)
                else:
                    self.command(one.command, told)
        self.causes = causes
        self.rewake = True

    def due(self) -> None:
        """What waited for this instant: held facts, expired commands, deadlines, seals."""
        patient = self.patient
        ready: list[Told] = []
        for one in self.members():
            due = [told for told in one.held if told.effective <= self.now]
            if due:
                one.held = [told for told in one.held if told.effective > self.now]
                # Whose it is says where it lay: the member may have been joined since.
                ready += [replace(told, under=one.subject) for told in due]
        if ready:
            self.rewake = True
            self.join([told for told in ready if told.command is None])
            for told in sorted(ready, key=lambda told: (told.time, told.source, told.event)):
                if told.command is not None:
                    self.command(told.command, patient.member(told.under))
        for one in self.members():
            for late in [waits for waits in one.waiting if waits.until <= self.now]:
                one.waiting.remove(late)
                self.refused(late.command, "unknown-task", one)
                self.rewake = True
        if patient.plan_wake is not None and patient.plan_wake <= self.now:
            self.causes = []
            self.plan()
        for one in self.members():
            if one.seal_at is not None and one.seal_at <= self.now:
                seal(one, self.rules, self.now, self.members())
                self.rewake = True

    def close(self) -> None:
        """Work out when the patient must be looked at next."""
        patient = self.patient
        if not self.rewake and patient.wake is not None and patient.wake > self.now:
            return
        candidates = [patient.plan_wake, *patient.wakes()]
        patient.wake = min((at for at in candidates if at is not None), default=None)


def _mended(patient: Patient, told: Told) -> Told | None:
    """That an event counts which was parked before, or for which one it was sent again."""
    cell = patient.cells.get(("person", ""))
    events = told.retries
    if isinstance(cell, PersonCell) and cell.parked and told.source:
        own = (parked_name(told.source, told.event),)
        events += tuple(cell.mended(own, told.receipt))
    if not events:
        return None
    return replace(told, facts=(Mended(events, told.receipt),), command=None, effective=0)


def is_stale(ledger: Ledger) -> bool:
    """Whether a stay of which nothing was heard for long was published of one identifier."""
    gaps = ledger.gaps.values()
    return any(gap["code"] == "STALE_STAY" and gap["status"] == "open" for gap in gaps)


def _is_history(told: Told) -> bool:
    return told.lane == "backfill"


def _new_cell(said: Fact) -> Cell:
    if isinstance(said, OF_VISIT):
        return VisitCell(said.facility, said.visit)
    if isinstance(said, AppointmentSaid):
        return AppointmentCell(said.appointment)
    if isinstance(said, OF_FACILITY):
        return FacilityCell(said.facility)
    return PersonCell()
