"""Since when a task could be worked on by its due time: what decides whose a lateness is.

Staff who had a task, due by then, are late; who heard of it, or got it back, only when its time
was over is not (`CORRECTION`).  Receipts, in microseconds since 1970.
"""

from collections.abc import Sequence
from operator import itemgetter

from orchestrator.core.policy import TaskRule
from orchestrator.core.slots import Slot
from orchestrator.core.stays import Stay
from orchestrator.core.transition import Transition, disposition_of
from orchestrator.core.view import View


def due_known(transition: Transition, rule: TaskRule, due: int) -> int:
    """When we heard that the task is due by *due*: of the instant, or that it is owed at all."""
    discharge = transition.discharge
    said = min(
        receipt
        for at, receipt in discharge.heard
        if at == discharge.at or rule.due.after(at, transition.facility) <= due
    )
    for row in first_rows(transition):
        if row.kind == rule.kind and (
            row.due == rule.due or row.due.after(discharge.at, transition.facility) <= due
        ):
            return said
    return max(said, discharge.disposition_receipt)


def first_rows(transition: Transition) -> Sequence[TaskRule]:
    """What the first word of the discharge asked for."""
    first = disposition_of(transition.discharge.first_disposition, transition.policy)
    return transition.policy.protocols.get(first.protocol, ())


def restored(transition: Transition, view: View, rule: TaskRule, due: int) -> int:
    """When the task came back, where it was withdrawn by mistake while it fell due."""
    return max(
        (
            back
            for gone, back, only_calls in _interruptions(transition, view)
            if gone < due <= back and (rule.outreach or not only_calls)
        ),
        default=0,
    )


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


def _interruptions(transition: Transition, view: View) -> list[tuple[int, int, bool]]:
    """From when to when nobody could work on it, by what was taken back since; only calls?"""
    found: list[tuple[int, int, bool]] = []
    for stay in view.stays:
        found += [
            (discharge.anchor.receipt, discharge.cancelled.receipt, False)
            for discharge in stay.taken_back
            if discharge.cancelled is not None
            and discharge.at > transition.at
            and stay.cls in transition.policy.transition_classes
        ]
        back = _no_hindrance_since(transition, stay)
        if back is None or stay.admit is None:
            continue
        if stay.start >= transition.at:
            mistaken = stay.cls == "INPATIENT" or (
                stay.cls == "SNF" and transition.disposition.arrival == "facility"
            )
        else:
            elsewhere = stay.facility != transition.stay.facility
            mistaken = elsewhere and stay.cls in transition.policy.stay_elsewhere_classes
        if mistaken:
            found.append((stay.admit.receipt, back, False))
    declined: tuple[int, bool] | None = None
    for wish, stamp in sorted(view.wishes, key=itemgetter(1)):
        if stamp.time < transition.at:
            continue  # a new discharge asks again
        if wish in ("decline-calls", "decline-all"):
            declined = declined or (stamp.receipt, wish == "decline-calls")
        elif wish == "accept" and declined is not None:
            found.append((declined[0], stamp.receipt, declined[1]))
            declined = None
    return found


def _no_hindrance_since(transition: Transition, stay: Stay) -> int | None:
    """When we heard that a stay had never been, or was over at the discharge; None: neither."""
    if stay.cancelled is not None:
        return stay.cancelled.receipt
    if stay.discharge is None or stay.discharge.at > transition.at:
        return None
    return min(heard for at, heard in stay.discharge.heard if at <= transition.at)
