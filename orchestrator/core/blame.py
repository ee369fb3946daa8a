"""Since when a task could be worked on by its due time: what decides whose a lateness is.

Staff who had a task, due by then, are late; who heard of it, or got it back, only when its time
was over is not (`CORRECTION`).  Receipts, in microseconds since 1970.
"""

from collections.abc import Sequence

from orchestrator.core.policy import TaskRule
from orchestrator.core.slots import Slot
from orchestrator.core.transition import Transition, disposition_of


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


def restored(transition: Transition, rule: TaskRule, due: int) -> int:
    """When the task came back, where it was withdrawn by mistake while it fell due."""
    return max(
        (
            back
            for gone, back, only_calls in transition.interrupted
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
