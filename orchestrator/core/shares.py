"""What changes in the ledgers of a joined patient: each identifier keeps the rows it came with.

All are planned together; what should stand is shared out among them, and each share is compared
with what was published of that identifier.
"""

from collections.abc import Iterator

from orchestrator.core.patient import Patient
from orchestrator.core.reconcile import Change, readdress, reconcile
from orchestrator.core.wanted import Plan


def changed(
    patient: Patient, wanted: Plan, at: int, *, regrouped: bool
) -> Iterator[tuple[Patient, list[Change]]]:
    """
    The changes by identifier; the ledgers are changed in place.

    Args:
        patient: The one whose name survives.
        wanted: Of all of them.
        at: When we knew.
        regrouped: The members are others than at the last step: addresses change.
    """
    shares = {
        one.subject: (one, Plan(visits=wanted.visits, doubled=wanted.doubled))
        for one in patient.members()
    }
    for kind in ("transitions", "tasks", "gaps"):
        for want in getattr(wanted, kind):
            _, share = shares.get(want.under) or shares[patient.subject]
            getattr(share, kind).append(want)
    for one, share in shares.values():
        changes = reconcile(one.ledger, share, at)
        if regrouped:
            changes += readdress(one.ledger, patient.subject, patient.key, changes)
        yield one, changes
