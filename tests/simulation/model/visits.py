"""Which appointments count as the PCP visit, and what they settle.

Source: rulings 25-29, scenarios 7-9 and 28.
"""

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
    timed_by: Event  # who stated when it starts
    counts_since: datetime  # when we heard that it stands, or does not any more

    @property
    def qualifies(self) -> bool:
        return 1 <= self.day <= LAST_DAY

    @property
    def is_pending(self) -> bool:
        return self.status in PENDING

    @property
    def may_count(self) -> bool:
        """Neither missed nor called off."""
        return self.is_pending or self.status == "kept"


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


def slot(name: str, events: list[Event], world: World, transition: Transition) -> Slot | None:
    """One appointment, if it can count for *transition*: primary care, face to face, from day 1."""
    starts, timed_by = statement(events, "starts_at")
    if starts in (ABSENT, None) or timed_by is None:
        return None
    if not is_primary_care(value(events, "provider") or {}, world.pcp):
        return None
    if (value(events, "modality") or "in-person") not in FACE_TO_FACE:
        return None
    latest = max(events, key=lambda e: e.order)
    starts_at = instant(str(starts))
    ends_at = value(events, "ends_at")
    if transition.day_of(starts_at) < 1:
        return None
    return Slot(
        id=name,
        status=STATUS[latest.type.split(".")[1]],
        starts_at=starts_at,
        ends_at=instant(ends_at) if ends_at else starts_at,
        day=transition.day_of(starts_at),
        said_by=latest,
        timed_by=timed_by,
        counts_since=_counts_since(events),
    )


def _counts_since(events: list[Event]) -> datetime:
    """When we heard of what holds now: whether it counts; what came late to no effect is none."""
    held: tuple[Event, bool] | None = None
    since = events[0].received
    for event in sorted(events, key=lambda e: e.arrival):
        counts = STATUS[event.type.split(".")[1]] in (*PENDING, "kept")
        if held is not None and event.order < held[0].order:
            continue
        if held is None or counts != held[1]:
            since = event.received
        held = (event, counts)
    return since


def slots(world: World, transition: Transition) -> list[Slot]:
    """The appointments that can count for *transition*, in the order in which they start."""
    read = (slot(name, said, world, transition) for name, said in world.appointments.items())
    return sorted((s for s in read if s is not None), key=lambda s: (s.starts_at, s.id))


def booked(found: list[Slot]) -> list[Slot]:
    """The qualifying slots that still hold."""
    return [s for s in found if s.is_pending and s.qualifies]


def first_kept(found: list[Slot], until: datetime) -> Slot | None:
    return next((s for s in found if s.status == "kept" and s.starts_at < until), None)


def missed(found: list[Slot]) -> list[Slot]:
    """No-shows without a later slot; one missed as well has a gap of its own."""
    return [
        s
        for s in found
        if s.status == "no-show"
        and not any(
            (other.may_count or other.status == "no-show") and other.starts_at > s.starts_at
            for other in found
        )
    ]


def without_outcome(found: list[Slot], now: datetime) -> list[Slot]:
    """A check-in is a word about it, if not the last one."""
    return [s for s in found if s.status == "booked" and now >= s.ends_at + OUTCOME_AFTER]
