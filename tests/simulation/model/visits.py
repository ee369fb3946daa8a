"""Which appointments count as the PCP visit, and what they settle.

Source: rulings 25-29, scenarios 7-9 and 28.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.simulation.model.calendar import instant
from tests.simulation.model.facts import ABSENT, Event, statement, value
from tests.simulation.model.transitions import Transition
from tests.simulation.model.world import World

PRIMARY_CARE = ("family medicine", "internal medicine", "general practice", "geriatrics")
FACE_TO_FACE = ("in-person", "video", "home")
OUTCOME_AFTER = timedelta(hours=24)
LAST_DAY = 7
STATUS = {
    "booked": "booked",
    "rescheduled": "booked",
    "checked_in": "checked-in",
    "fulfilled": "kept",
    "no_show": "no-show",
    "cancelled": "gone",
    "entered_in_error": "gone",
}
PENDING = ("booked", "checked-in")


@dataclass(frozen=True)
class Slot:
    """One appointment with primary care as it stands, and its local day after the discharge."""

    id: str
    status: str
    starts_at: datetime
    ends_at: datetime
    day: int
    said_by: Event  # who stated the status
    timed_by: Event  # who stated the start

    @property
    def qualifies(self) -> bool:
        return 1 <= self.day <= LAST_DAY

    @property
    def is_pending(self) -> bool:
        return self.status in PENDING


def is_primary_care(provider: dict[str, Any], pcp: dict[str, Any] | None) -> bool:
    if provider.get("is_pcp") is True:
        return True
    pcp = pcp or {}
    if provider.get("npi") and provider["npi"] == pcp.get("npi"):
        return True
    organization = str(provider.get("organization") or "").casefold()
    if organization and organization == str(pcp.get("organization") or "").casefold():
        return True
    unsaid = provider.get("is_pcp") is None
    return unsaid and str(provider.get("specialty") or "").casefold() in PRIMARY_CARE


def slots(world: World, transition: Transition) -> list[Slot]:
    """The appointments that can count for *transition*: primary care, face to face, from day 1."""
    out = []
    for name, events in world.appointments.items():
        latest = max(events, key=lambda e: e.order)
        starts, timed_by = statement(events, "starts_at")
        provider = value(events, "provider") or {}
        modality = value(events, "modality")
        if starts in (ABSENT, None) or timed_by is None:
            continue
        if (
            not is_primary_care(provider, world.pcp)
            or (modality or "in-person") not in FACE_TO_FACE
        ):
            continue
        starts_at = instant(str(starts))
        ends_at = value(events, "ends_at")
        slot = Slot(
            id=name,
            status=STATUS[latest.type.split(".")[1]],
            starts_at=starts_at,
            ends_at=instant(ends_at) if ends_at else starts_at,
            day=transition.day_of(starts_at),
            said_by=latest,
            timed_by=timed_by,
        )
        if slot.day >= 1:
            out.append(slot)
    return sorted(out, key=lambda s: (s.starts_at, s.id))


def booked(found: list[Slot]) -> list[Slot]:
    """The qualifying slots that still hold."""
    return [s for s in found if s.is_pending and s.qualifies]


def first_kept(found: list[Slot], until: datetime) -> Slot | None:
    return next((s for s in found if s.status == "kept" and s.starts_at < until), None)


def missed(found: list[Slot]) -> list[Slot]:
    """No-shows that nothing has made good: no slot to come, no visit kept."""
    settled: Callable[[Slot], bool] = lambda s: s.status == "kept" or s.is_pending  # noqa: E731
    if any(map(settled, found)):
        return []
    return [s for s in found if s.status == "no-show"]


def without_outcome(found: list[Slot], now: datetime) -> list[Slot]:
    return [s for s in found if s.is_pending and now >= s.ends_at + OUTCOME_AFTER]
