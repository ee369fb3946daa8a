"""The step of a patient with several identifiers: planned together, each with rows of its own.

What differs from the step of one (`step`): a command may name the task of any member, whatever
waits under any of them is looked after, and what should stand is shared out among their ledgers.
Who was never joined takes none of this.
"""

from collections.abc import Sequence
from typing import Any

from orchestrator.core import shares
from orchestrator.core.announce import Joined
from orchestrator.core.commands import judge
from orchestrator.core.facts import Command, Told
from orchestrator.core.patient import Patient
from orchestrator.core.policy import Rules
from orchestrator.core.registers import MATERIAL, NOTHING
from orchestrator.core.step import Step, Verdict, fire, is_stale
from orchestrator.core.wanted import Plan


def fact(
    patient: Patient,
    told: Sequence[Told],
    now: int,
    stamp: int,
    rules: Rules,
    joined: Joined | None = None,
) -> list[dict[str, Any]]:
    """
    Take in what the members of *patient* are told, as `step.fact` does of one identifier.

    Args:
        joined: That the members are others than at the last step, and why.

    Returns:
        The change records to publish, in order.
    """
    members = patient.members()
    patient.at = max(stamp, *(one.at for one in members))
    step = _Together(patient, rules, now, patient.at)
    if joined is not None:
        step.joined = joined
        # It is why all is planned anew, and no hospital's event.
        told = [Told(joined.event, "", "", "", stamp, stamp, ()), *told]
    step.take(told, [waits for one in members for waits in one.waiting])
    return step.changes


def clock(patient: Patient, until: int, rules: Rules) -> list[dict[str, Any]]:
    """Fire what falls due up to *until*, inclusive, each thing exactly at its instant."""
    return fire(_Together, patient, until, rules)


class _Together(Step):
    """One step of all members."""

    def members(self) -> Sequence[Patient]:
        return self.patient.members()

    def join(self, told: Sequence[Told], changed: int = NOTHING) -> None:
        super().join(told, changed if self.joined is None else MATERIAL)

    def has_stale(self) -> bool:
        return any(is_stale(one.ledger) for one in self.members())

    def stand(self, wanted: Plan) -> bool:
        changed, regrouped = False, self.joined is not None
        for one, made in shares.changed(self.patient, wanted, self.at, regrouped=regrouped):
            changed |= self.publish(one, made)
        return changed

    def judged(self, command: Command, told: Patient) -> Verdict:
        """A team may name the task of any member."""
        under, thing, refusal = super().judged(command, told)
        if thing is None:
            for one in self.members():
                found, why_not = judge(command, one.ledger, self.rules)
                if found is not None:
                    return one, found, why_not
        return under, thing, refusal

    def retry(self) -> None:
        if waiting := [one for one in self.members() if one.waiting]:
            self.retry_of(waiting)

    def close(self) -> None:
        super().close()
        patient = self.patient
        candidates = [patient.wake, *(at for one in patient.others.values() for at in one.wakes())]
        patient.wake = min((at for at in candidates if at is not None), default=None)
