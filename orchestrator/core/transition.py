"""One transition: a patient's way from one discharge to the end of its obligations.

What it is; how transitions come to be and end is derived in ``transitions``.
"""

from dataclasses import dataclass, field

from orchestrator.core import ids
from orchestrator.core.calendar import Facility
from orchestrator.core.horizon import Horizon
from orchestrator.core.policy import Disposition, Policy
from orchestrator.core.stays import Discharge, Stay


@dataclass(slots=True)
class Transition:
    """One patient's way from one discharge to the end of its obligations."""

    id: str
    stay: Stay
    discharge: Discharge
    policy: Policy
    facility: Facility
    disposition: Disposition
    at: int  # index discharge
    day30_end: int
    window_end: int  # when it closes by itself
    status: str = "active"
    close_reason: str | None = None
    ended_at: int | None = None
    stopped_at: int | None = None  # its first end; a readmission may follow and rename it
    stop_reason: str | None = None  # of that first end, where it was renamed
    ended_by: str = ""  # facility that told us what ended it
    elsewhere: list[Stay] = field(default_factory=list)  # open at another facility at the discharge
    returns: list[tuple[str, Stay, int]] = field(default_factory=list)  # code, stay, instant
    in_ed: bool = False
    readmission: tuple[Stay, int, bool] | None = None  # stay, instant, planned
    transferred_to: Stay | None = None
    arrival: Stay | None = None
    turned_away: Stay | None = None  # an ED visit on the way, from which the patient was let go
    restricted: bool = False  # late beyond the lane, or backfill: only what is still ahead
    stillborn: bool = False  # heard of after its window had ended

    @property
    def zone(self) -> str:
        return self.facility.zone

    @property
    def subject(self) -> str:
        """The identifier under which the discharge came."""
        return self.discharge.subject

    def doubles(self) -> list[str]:
        """The ids that this same discharge had under other numbers, before they were joined."""
        return [
            ids.transition_id(subject, self.stay.facility, visit, source, event)
            for subject, visit, source, event in self.discharge.others
        ]

    @property
    def receipt(self) -> int:
        """When we first heard of this discharge."""
        return self.discharge.anchor.receipt

    @property
    def visit_days(self) -> int:
        """The last local day on which a primary-care visit is in time; 0: none is owed."""
        for rule in self.policy.protocols.get(self.disposition.protocol, ()):
            if rule.kind == "PCP_VISIT_7D":
                return rule.due.length if rule.due.clock == "calendar" else 7
        return 0

    def is_ahead(self, instant: int) -> bool:
        """Very late or backfilled: only what was still to come when we heard (ruling 20)."""
        return not self.restricted or instant > self.receipt

    def ended_before(self, instant: int) -> bool:
        return self.stopped_at is not None and self.stopped_at <= instant


def open_until(stay: Stay, policy: Policy, horizon: Horizon) -> int | None:
    """When the stay stopped being open: its discharge, or the instant it went stale; None: open."""
    if stay.discharge is not None:
        return stay.discharge.at
    limit = policy.stale.get(stay.cls)
    if limit is not None and horizon.reached(stay.last_update + limit):
        return stay.last_update + limit
    return None


def disposition_of(code: str | None, policy: Policy) -> Disposition:
    """The row of the disposition table; blank and unmapped codes fail safe (ruling 10)."""
    return policy.dispositions.get(code or "", policy.unknown_disposition)
