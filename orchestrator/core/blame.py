"""Since when a task could be worked on by its due time: what decides whose a lateness is.

Staff who had a task, due by then, are late; who heard of it, or got it back, only when its time
was over is not (`CORRECTION`).  Receipts, in microseconds since 1970.
"""

from collections.abc import Sequence

from orchestrator.core import wishes
from orchestrator.core.calendar import day_number, end_of_day
from orchestrator.core.policy import TaskRule
from orchestrator.core.slots import Slot
from orchestrator.core.stays import Stay
from orchestrator.core.transition import Transition, disposition_of
from orchestrator.core.view import View


def due_known(transition: Transition, rule: TaskRule, due: int, visit_at: int | None = None) -> int:
    """
    When we heard that the task is due by *due*: of the instant, or that it is owed at all.

    Args:
        transition: Whose task it is.
        rule: What asks for it.
        due: When it is due.
        visit_at: When the visit begins whose day it must be done by (ruling 28).
    """
    discharge, zone = transition.discharge, transition.zone

    def by(row: TaskRule, at: int) -> int:
        ends = row.due.after(at, transition.facility)
        last_day = row.due.length if row.due.clock == "calendar" else transition.visit_days
        if visit_at is None or not 1 <= day_number(visit_at, at, zone) <= last_day:
            return ends
        return min(ends, end_of_day(visit_at, 0, zone))

    firsts = [row for row in first_rows(transition) if row.kind == rule.kind]
    known = []
    for at, receipt in discharge.heard:
        heard = max(receipt, discharge.apart)
        if any(by(row, at) <= due for row in firsts):
            known.append(heard)
        if at == discharge.at or by(rule, at) <= due:
            known.append(max(heard, discharge.disposition_receipt))
    return min(known)


def in_window_since(transition: Transition, slot: Slot) -> int:
    """When we heard that a slot lies after the discharge's day."""
    discharge, zone = transition.discharge, transition.zone
    heard = [
        receipt
        for at, receipt in discharge.heard
        if at == discharge.at or day_number(slot.starts_at, at, zone) >= 1
    ]
    return max(min(heard), discharge.apart)


def first_rows(transition: Transition) -> Sequence[TaskRule]:
    """What the first word of the discharge asked for."""
    first = disposition_of(transition.discharge.first_disposition, transition.policy)
    return transition.policy.protocols.get(first.protocol, ())


def restored(
    transition: Transition, view: View, rule: TaskRule, slots: Sequence[Slot], due: int
) -> int:
    """When the task came back, where it was gone by mistake while it fell due; 0: it was not."""
    spells = _interruptions(transition, view)
    if rule.outreach:
        spells += _unwanted_calls(transition, view)
    if rule.kind == "PCP_VISIT_7D":
        spells += [slot.unkept for slot in slots if slot.unkept is not None]
    return max((back for gone, back in spells if gone < due <= back), default=0)


def lost(missed: Slot, slots: Sequence[Slot], due: int) -> int:
    """When we heard that a slot is gone which stood in the missed one's place at *due*; 0: none."""
    return max(
        (
            slot.receipt
            for slot in slots
            if slot.starts_at > missed.starts_at and slot.told < due <= slot.receipt
        ),
        default=0,
    )


def _interruptions(transition: Transition, view: View) -> list[tuple[int, int]]:
    """From when to when nobody could work on anything of it, by what was taken back since."""
    found = wishes.spells(view.wishes, transition.at, ("decline-all",), ("accept", None))
    death, told = view.register("died_at"), view.register("death_told")
    if death is not None and death.value is None and told is not None:
        found.append((told.since, death.since))
    for stay in view.stays:
        found += [
            (discharge.anchor.receipt, discharge.cancelled.receipt)
            for discharge in stay.taken_back
            if discharge.cancelled is not None
            and discharge.at > transition.at
            and stay.cls in transition.policy.transition_classes
            and disposition_of(discharge.disposition, transition.policy).status
            not in ("none", "interim")
        ]
        found += _mistaken_death(transition, stay)
        found += _mistaken_class(transition, stay)
        back = _no_hindrance_since(transition, stay)
        if back is None or stay.admit is None:
            continue
        if stay.start >= transition.at:
            mistaken = stay.cls == "INPATIENT" or (
                stay.cls == "SNF" and transition.disposition.arrival == "facility"
            )
        else:
            mistaken = (
                stay.facility != transition.stay.facility
                and stay.cls in transition.policy.stay_elsewhere_classes
                and transition.disposition.status == "active"
            )
        if mistaken:
            found.append((stay.admit.receipt, back))
    return found


def _mistaken_death(transition: Transition, stay: Stay) -> list[tuple[int, int]]:
    """A discharge that said the patient had died, and was corrected."""
    left = stay.discharge
    if left is None:
        return []
    first, now = (
        disposition_of(code, transition.policy)
        for code in (left.first_disposition, left.disposition)
    )
    if first.close_reason != "EXPIRED" or now.close_reason == "EXPIRED":
        return []
    return [(left.anchor.receipt, left.disposition_receipt)]


def _mistaken_class(transition: Transition, stay: Stay) -> list[tuple[int, int]]:
    """From when to when a visit was taken for one of another class, which stood in the way."""
    opening = transition.policy.transition_classes
    if stay is transition.stay:
        begun, hinders = 0, stay.classes.keys() - opening
    elif stay.cls == "INPATIENT" or stay.start < transition.at:
        return []
    else:
        # Nobody said of which class the visit was: taken for an inpatient's (ruling 11).
        ends = [*stay.taken_back, *([stay.discharge] if stay.discharge is not None else [])]
        begun = min((one.anchor.receipt for one in ends), default=0)
        hinders = stay.classes.keys() & ({"INPATIENT"} if stay.cls in opening else opening)
    gone = min((stay.classes[name].heard for name in hinders), default=begun)
    known = [held.heard for name, held in stay.classes.items() if name not in hinders]
    back = min(known, default=0)
    return [(gone, back)] if 0 < gone < back else []


def _unwanted_calls(transition: Transition, view: View) -> list[tuple[int, int]]:
    """From when to when the patient declined calls alone, or consent to them was revoked."""
    declined = wishes.spells(view.wishes, transition.at, wishes.DECLINES, ("accept", None))
    return declined + wishes.spells(view.wishes, 0, ("revoked",), ("granted",))


def _no_hindrance_since(transition: Transition, stay: Stay) -> int | None:
    """When we heard that a stay had never been, or was over at the discharge; None: neither."""
    if stay.cancelled is not None:
        return stay.cancelled.receipt
    if stay.discharge is None:
        limit = transition.policy.stale.get(stay.cls)
        # A stay elsewhere that went stale holds nothing back any more.
        return None if limit is None or stay.start >= transition.at else stay.last_update + limit
    if stay.discharge.at > transition.at:
        return None
    return min(heard for at, heard in stay.discharge.heard if at <= transition.at)
