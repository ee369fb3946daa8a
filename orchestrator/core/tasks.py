"""The tasks of one transition: what each protocol row is worth at an instant.

A task's state is derived, never stepped: from the discharge (due times), the slots (PCP visit,
reconciliation), the accepted commands (status, owner, attempts), the preference (declined) and the
transition's end.  Rulings 7, 18 to 23 and 27 to 29.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from orchestrator.core import blame, ids
from orchestrator.core.calendar import end_of_day
from orchestrator.core.facts import Command
from orchestrator.core.horizon import Horizon
from orchestrator.core.policy import TaskRule
from orchestrator.core.slots import Slot, primary_care_slots
from orchestrator.core.transition import Transition
from orchestrator.core.view import View
from orchestrator.core.wanted import TERMINAL
from orchestrator.core.wishes import DECLINES, unconsented
from orchestrator.core.work import Work, attempts_met, counted, done, heard, is_unfinished


@dataclass(slots=True)
class Duty:
    """One task as it should stand, before it is written down."""

    rule: TaskRule
    cause: str
    id: str
    due_at: int
    anchor_receipt: int  # when we heard of what asks for it
    moved_receipt: int  # when we heard what set this due time
    status: str
    caused_by: tuple[str, ...]
    due_at_birth: int  # the due time that the first news gave
    due_at_discharge: int = 0  # by the rule alone, before a visit pulled it
    reason: str | None = None
    owner: str | None = None
    team: str = ""
    urgent: bool = False
    overdue: bool = False
    flags: list[str] = field(default_factory=list)
    appointment: str | None = None
    ended_at: int | None = None
    evidence: str | None = None
    outcome: str | None = None
    attempts: int = 0
    tcm_contact_by: int | None = None
    tcm_contact_status: str | None = None

    @property
    def kind(self) -> str:
        return self.rule.kind

    @property
    def terminal(self) -> bool:
        return self.status in TERMINAL

    @property
    def born_overdue(self) -> bool:
        """We heard too late: compares receipt and due time, never ``now``."""
        return self.anchor_receipt >= max(self.due_at, self.due_at_birth)

    @property
    def attribution(self) -> str | None:
        """Whose lateness it is; null while not overdue."""
        if not self.overdue:
            return None
        if self.born_overdue:
            return "FEED"
        return "CORRECTION" if self.moved_receipt >= self.due_at else "STAFF"


@dataclass(slots=True)
class Duties:
    """All tasks of a transition, and what the gaps beside them need to know."""

    tasks: list[Duty]
    slots: list[Slot]
    call: Duty | None = None
    work: Work | None = None  # of the call
    contact_at: int | None = None
    attempts: Sequence[Command] = ()
    tcm_contact_by: int | None = None
    reconciled_at: int | None = None
    declined_at: int | None = None


def duties(transition: Transition, view: View, horizon: Horizon) -> Duties:
    """Derive the tasks of *transition*; a stillborn one has none."""
    slots = primary_care_slots(view, transition)
    found = Duties([], slots)
    elsewhere = bool(transition.elsewhere)
    if (
        not transition.disposition.protocol
        or transition.stillborn
        or (elsewhere and transition.disposition.status == "active")
    ):
        return found
    rows = transition.policy.protocols[transition.disposition.protocol]
    found.declined_at = _declined_at(transition, view, rows)
    for rule in rows:
        found.tasks.append(_duty(rule, transition, view, found, horizon))
    _reschedules(transition, view, found)
    _escalation(transition, view, found)
    if (
        transition.close_reason == "WINDOW_ENDED"
        and transition.disposition.status == "active"
        and all(duty.status == "completed" for duty in found.tasks[: len(rows)])
    ):
        transition.close_reason = "COMPLETED"
    for duty in found.tasks:
        _close_with(transition, duty, horizon)
        if not duty.terminal:
            duty.overdue = horizon.reached(duty.due_at)
            if duty.overdue:
                back = blame.restored(transition, view, duty.rule, found.slots, duty.due_at)
                duty.moved_receipt = max(duty.moved_receipt, back)
    if transition.restricted:
        # Ruling 20: very late or backfilled, only what is still ahead when we hear of it.
        found.tasks = [duty for duty in found.tasks if duty.due_at > transition.receipt]
    return found


def _commands(transition: Transition, view: View, kind: str, cause: str = "") -> Sequence[Command]:
    """What was done for a task, under whichever number of the patient it was issued."""
    task = ids.task_id(transition.id, kind, cause)
    if not transition.discharge.others:
        return view.work.get(task, ())
    tasks = [task, *(ids.task_id(double, kind, cause) for double in transition.doubles())]
    done_for = [command for one in tasks for command in view.work.get(one, ())]
    return sorted(done_for, key=lambda c: (c.stamp.receipt, c.stamp.source, c.stamp.event))


def _declined_at(transition: Transition, view: View, rows: Sequence[TaskRule]) -> int | None:
    """
    Since when the patient wants no calls; an ``accept`` said later brings them back.

    What is said after the transition's end ends nothing of it any more.
    """
    stopped = transition.stopped_at
    until = transition.window_end if stopped is None else min(stopped, transition.window_end)
    revoked = unconsented(view.wishes, until) if view.wishes else None
    if revoked is not None:
        return max(revoked, transition.at)
    wish = view.wish(transition.at, until)
    if wish is not None and wish[0] in DECLINES:
        return wish[1]
    for rule in rows:
        if rule.kind != "CALL_48H":
            continue
        for command in _commands(transition, view, rule.kind):
            answered = command.stamp.time
            if command.what != "completed" or command.outcome != "declined_followup":
                continue
            # Said before the discharge it is not of it: a new one asks again.
            overruled = wish is not None and wish[0] == "accept" and wish[1] >= answered
            if answered >= transition.at and not overruled:
                return answered
    return None


def _duty(
    rule: TaskRule, transition: Transition, view: View, found: Duties, horizon: Horizon
) -> Duty:
    at = transition.at
    task = ids.task_id(transition.id, rule.kind)
    due = rule.due.after(at, transition.facility)
    first_at = transition.discharge.anchor_at
    duty = Duty(
        rule,
        "",
        task,
        due,
        transition.receipt,
        max(blame.due_known(transition, rule, due), transition.stay.given),
        "requested",
        (transition.discharge.anchor.event,),
        due if first_at == at else rule.due.after(first_at, transition.facility),
        team=rule.team,
    )
    duty.due_at_discharge = due
    if "AMA" in transition.disposition.flags:
        duty.flags.append("AMA")
    if transition.discharge.anchor.backfill:
        duty.flags.append("FROM_BACKFILL")
    call = rule.kind == "CALL_48H"
    work = Work()
    commands = _commands(transition, view, rule.kind)
    if commands:
        work = done(commands, call=call, since=at, policy=transition.policy, joined=view.is_joined)
        _worked(duty, work)
        duty.attempts = len(counted(work.attempts, at, transition.policy))
    if call:
        _call(duty, work, transition, found, horizon)
    elif rule.kind == "PCP_VISIT_7D":
        _visit(duty, work, transition, found.slots, horizon)
    elif rule.kind == "MED_REC":
        _reconciliation(duty, work, transition, found)
    elif rule.kind == "SNF_HANDOFF" and not duty.terminal and transition.arrival is not None:
        arrived = max(transition.arrival.start, at)
        if not transition.ended_before(arrived):
            duty.status, duty.evidence, duty.ended_at = "completed", "arrival", arrived
    if rule.outreach and found.declined_at is not None and not duty.terminal:
        duty.status, duty.reason, duty.ended_at = "cancelled", "DECLINED", found.declined_at
    return duty


def _worked(duty: Duty, work: Work) -> None:
    duty.owner = work.owner
    duty.team = work.team or duty.team
    if work.status is not None:
        duty.status = work.status
    if work.completed is not None:
        duty.ended_at = work.completed.stamp.time
        duty.outcome = work.completed.outcome
        duty.evidence = "reported"
        duty.appointment = work.completed.appointment


def _call(duty: Duty, work: Work, transition: Transition, found: Duties, horizon: Horizon) -> None:
    """Two clocks side by side: our 48 hours, and CMS's two business days (rulings 21 to 23)."""
    policy, at = transition.policy, transition.at
    contact_by = policy.tcm_contact.after(at, transition.facility)
    attempts = counted(work.attempts, at, policy)
    found.call, found.work, found.attempts, found.tcm_contact_by = duty, work, attempts, contact_by
    duty.tcm_contact_by = contact_by
    duty.urgent = bool(transition.returns)
    if duty.status == "in-progress" and is_unfinished(work.attempts[-1], policy):
        duty.reason = "incomplete"
    if work.completed is not None:
        found.contact_at = work.completed.stamp.time
        if found.contact_at >= contact_by:
            duty.flags.append("REACHED_LATE")
    if found.contact_at is not None and found.contact_at < contact_by:
        duty.tcm_contact_status = "MET"
    elif attempts_met(attempts, contact_by, transition.zone, policy):
        duty.tcm_contact_status = "ATTEMPTS_MET"
    elif not transition.ended_before(contact_by - 1) and horizon.reached(contact_by):
        duty.tcm_contact_status = "MISSED"


def _visit(
    duty: Duty, work: Work, transition: Transition, slots: Sequence[Slot], horizon: Horizon
) -> None:
    """Ruling 27: confirmed by a slot, completed by a visit kept."""
    if work.status == "completed":
        return
    last_day = transition.visit_days
    kept = next((slot for slot in slots if slot.kept), None)
    if kept is not None and kept.starts_at < transition.window_end:
        duty.status, duty.evidence, duty.appointment = "completed", "visit", kept.id
        duty.ended_at = kept.starts_at
        return
    slot = next((slot for slot in slots if slot.alive and slot.day <= last_day), None)
    if slot is not None:
        duty.appointment = slot.id
        if work.owner is None:
            duty.status = "accepted"
    elif (
        not transition.ended_before(duty.due_at)
        and transition.status != "closed"
        and horizon.reached(end_of_day(transition.at, last_day - 1, transition.zone))
        and not horizon.reached(duty.due_at)
    ):
        duty.flags.append("SAME_DAY")


def _reconciliation(duty: Duty, work: Work, transition: Transition, found: Duties) -> None:
    """Ruling 28: no later than the date of the visit (CMS TCM)."""
    if work.completed is not None:
        found.reconciled_at = work.completed.stamp.time
    last_day = duty.rule.due.length if duty.rule.due.clock == "calendar" else transition.visit_days
    slot = next((s for s in found.slots if (s.alive or s.kept) and s.day <= last_day), None)
    if slot is None:
        return
    visit_day_end = end_of_day(slot.starts_at, 0, transition.zone)
    if visit_day_end < duty.due_at:
        duty.due_at = visit_day_end
        known = blame.due_known(transition, duty.rule, visit_day_end, slot.starts_at)
        duty.moved_receipt = max(slot.receipt, known, transition.stay.given)
        if slot.receipt <= transition.receipt:
            duty.due_at_birth = min(duty.due_at_birth, visit_day_end)


def _reschedules(transition: Transition, view: View, found: Duties) -> None:
    """Ruling 29: a visit not kept must be booked anew; a later slot settles it."""
    rule = transition.policy.tasks.get("RESCHEDULE")
    missed = [
        slot
        for slot in found.slots
        if slot.missed is not None and slot.starts_at < transition.window_end
    ]
    if rule is None or not missed or not any(duty.kind == "PCP_VISIT_7D" for duty in found.tasks):
        return
    owed_at_first = any(row.kind == "PCP_VISIT_7D" for row in blame.first_rows(transition))
    for slot in missed:
        assert slot.missed is not None
        stamp, heard = slot.missed.stamp, max(slot.missed.since, transition.receipt)
        moved = max(heard, blame.in_window_since(transition, slot))
        if not owed_at_first:
            moved = max(moved, transition.discharge.disposition_receipt)
        due = rule.due.after(stamp.time, transition.facility)
        duty, _ = _caused(rule, slot.id, stamp.event, due, (heard, moved), transition, view)
        later = replacement(slot, found.slots)
        if later is not None and not duty.terminal:
            duty.status, duty.evidence = "completed", "slot"
            duty.ended_at, duty.appointment = later.said.stamp.time, later.id
        elif later is None:
            duty.moved_receipt = max(moved, blame.lost(slot, found.slots, due))
        found.tasks.append(duty)


def replacement(missed: Slot, slots: Sequence[Slot]) -> Slot | None:
    """The slot that took the place of one that was not kept: itself moved, or a later one.

    What becomes of that one is its own matter: missed again, it has a task of its own.
    """
    if missed.alive or missed.kept:
        return missed
    return next(
        (
            slot
            for slot in slots
            if slot.starts_at > missed.starts_at and (slot.alive or slot.kept or slot.missed)
        ),
        None,
    )


def _caused(
    rule: TaskRule,
    cause: str,
    event: str,
    due: int,
    heard_of: tuple[int, int],
    transition: Transition,
    view: View,
) -> tuple[Duty, Work]:
    """A task that another thing than the discharge asks for; *heard_of* it, and of its due time."""
    task = ids.task_id(transition.id, rule.kind, cause)
    duty = Duty(rule, cause, task, due, *heard_of, "requested", (event,), due, team=rule.team)
    commands = _commands(transition, view, rule.kind, cause)
    work = done(commands, call=False, since=0, policy=transition.policy, joined=view.is_joined)
    _worked(duty, work)
    return duty, work


def _escalation(transition: Transition, view: View, found: Duties) -> None:
    """Ruling 23: a red flag asks for a clinician within the hour, anew once one has called."""
    rule = transition.policy.tasks.get("CLINICAL_ESCALATION")
    if rule is None or found.work is None:
        return
    called: Command | None = None  # by which the last escalation was completed
    waits = False
    for flag in found.work.red_flags:
        if waits or (called is not None and heard(flag) <= heard(called)):
            continue  # the clinician hears of both
        stamp = flag.stamp
        due = rule.due.after(stamp.time, transition.facility)
        heard_of = (stamp.receipt, stamp.receipt)
        duty, work = _caused(rule, stamp.event, stamp.event, due, heard_of, transition, view)
        called, waits = work.completed, work.completed is None
        found.tasks.append(duty)


def _close_with(transition: Transition, duty: Duty, horizon: Horizon) -> None:
    if transition.status != "closed":
        return
    reason = transition.stop_reason or transition.close_reason or ""
    if reason in ("DECLINED", "MERGED") and duty.kind == "CLINICAL_ESCALATION":
        # Outreach is declined, not safety: a clinician still hears of the red flag (scenario 21),
        # which the joining of two records does not answer either.
        if not horizon.reached(transition.window_end):
            return
        reason = "WINDOW_ENDED"
    if duty.terminal:
        if reason == "WRONG_PATIENT":
            duty.flags.append(reason)
        return
    if reason in ("WINDOW_ENDED", "COMPLETED"):
        duty.status, duty.reason = "failed", "WINDOW_ENDED"
    elif reason == "WRONG_PATIENT":
        duty.status, duty.reason = "entered-in-error", reason
    else:
        duty.status, duty.reason = "cancelled", reason
    duty.ended_at = transition.stopped_at
    if "SAME_DAY" in duty.flags:
        duty.flags.remove("SAME_DAY")
