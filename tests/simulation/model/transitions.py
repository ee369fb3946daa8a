"""Which transitions stand at an instant, and what has ended them.

Each transition is judged alone: gather everything that would end it, each with its instant in the
world; the earliest has ended it.  Source: rulings 7-16, 19, 40.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tests.simulation.model.calendar import day_number, end_of_day_number, instant
from tests.simulation.model.dispositions import Kind, expects_readmission, kind
from tests.simulation.model.stays import Discharge, Stay
from tests.simulation.model.world import World

NS = uuid.uuid5(uuid.NAMESPACE_URL, "urn:care-orchestrator")
OPENING = ("INPATIENT", "OBSERVATION", "SNF")
OCCUPYING = ("INPATIENT", "OBSERVATION", "SNF")  # a stay that keeps the patient from going home
HOMEWARD: tuple[Kind, ...] = ("home", "unknown", "ama", "law")
POST_ACUTE = ("snf", "irf", "ltch", "psych")
WINDOW_DAYS = 30
FACILITY_WINDOW_DAYS = 90
PLANNED_WITHIN = timedelta(days=2)
# Two ends at one instant: the one that says more about the patient names the reason.
RANK = (
    "EXPIRED",
    "DECLINED",
    "TRANSFERRED",
    "PLANNED_READMISSION",
    "READMITTED",
    "SUPERSEDED",
    "COMPLETED",
    "WINDOW_ENDED",
)


@dataclass(frozen=True)
class End:
    at: datetime
    reason: str
    by: Stay | None = None


@dataclass(frozen=True)
class Transition:
    """One discharge's transition before anything is said about its tasks."""

    stay: Stay
    discharge: Discharge
    kind: Kind
    id: str
    elsewhere: tuple[Stay, ...] = ()  # stays open at other facilities when this one was left
    end: End | None = None
    over_since: datetime | None = None  # since when nothing is owed; a readmission may come later

    @property
    def at(self) -> datetime:
        return self.discharge.at

    @property
    def zone(self) -> str:
        return self.stay.at_facility.zone

    @property
    def backfilled(self) -> bool:
        return self.discharge.known_by.lane == "backfill"

    @property
    def window_ends(self) -> datetime:
        return self.end_of_day(WINDOW_DAYS)

    @property
    def closes(self) -> datetime:
        return self.end_of_day(FACILITY_WINDOW_DAYS if self.kind == "facility" else WINDOW_DAYS)

    @property
    def has_core_tasks(self) -> bool:
        return self.kind in HOMEWARD

    @property
    def status(self) -> str:
        if self.end is not None:
            return "closed"
        return "deferred" if self.waits_for_arrival or self.elsewhere else "active"

    @property
    def waits_for_arrival(self) -> bool:
        return self.kind in ("transfer", "facility")

    @property
    def is_active(self) -> bool:
        return self.status == "active"

    def end_of_day(self, number: int) -> datetime:
        return end_of_day_number(self.at, number, self.zone)

    def day_of(self, at: datetime) -> int:
        return day_number(at, self.at, self.zone)


def transition_id(subject: str, facility: str, visit: str, known_by: str) -> str:
    return str(uuid.uuid5(NS, f"transition|{subject}|{facility}|{visit}|{known_by}"))


def drafts(world: World) -> list[Transition]:
    """A transition for each discharge that the disposition table gives one."""
    out = []
    for stay in world.told_stays:
        for discharge in stay.discharges:
            leads_to = kind(discharge.disposition)
            if stay.klass not in OPENING or leads_to == "none":
                continue
            first = discharge.known_by
            name = transition_id(
                first.subject, first.facility, first.visit, f"{first.source} {first.id}"
            )
            elsewhere = tuple(
                s
                for s in world.stays
                if s.facility != stay.facility
                and s.klass in OCCUPYING
                and s.is_open_at(discharge.at)
                and not s.is_stale(world.now)
            )
            out.append(Transition(stay, discharge, leads_to, name, elsewhere))
    return out


def is_post_acute(stay: Stay) -> bool:
    return stay.at_facility.type in POST_ACUTE or stay.klass == "SNF"


def _takes_in(transition: Transition, stay: Stay) -> bool:
    """A place to be sent on to: of the same facility only its nursing unit."""
    elsewhere = stay.facility != transition.stay.facility
    return is_post_acute(stay) and (elsewhere or stay.klass == "SNF")


def arrival(transition: Transition, world: World) -> Stay | None:
    """The stay at the facility to which the patient was discharged."""
    stays = [
        s
        for s in world.stays
        if s is not transition.stay
        and _takes_in(transition, s)
        and not s.synthetic
        # A bed that was kept through the hospital stay is no arrival.
        and s.admitted >= transition.stay.admitted
        and (s.is_open_at(transition.at) or transition.at <= s.admitted < transition.closes)
    ]
    return min(stays, key=lambda s: s.admitted) if stays else None


def _is_transfer(transition: Transition, stay: Stay) -> bool:
    """Another acute hospital, on the same or the next local day: nothing else matters (CMS).

    Where a transfer was announced, the patient may take longer to arrive (rulings 10).
    """
    return (
        stay.facility != transition.stay.facility
        and stay.at_facility.type == "acute"
        and (transition.day_of(stay.admitted) <= 1 or transition.kind == "transfer")
    )


def _has_arrived(transition: Transition, stay: Stay) -> bool:
    """Sent to another hospital, and in somebody else's bed: whatever kind of place it is."""
    if transition.kind != "transfer":
        return False
    return stay.klass == "SNF" or (
        stay.klass == "INPATIENT" and stay.facility != transition.stay.facility
    )


def _is_planned(transition: Transition, stay: Stay, world: World) -> bool:
    plans = [e for e in world.of_type("admission.planned") if e.facility == stay.facility]
    admit_types = [e for e in stay.events if e.data.get("admit_type")]
    names_visit = any(e.visit == stay.visit for e in plans)
    if admit_types:
        last = max(admit_types, key=lambda e: e.order).data["admit_type"]
        letter = last.get("code") if isinstance(last, dict) else last
        if letter in ("E", "U"):
            return False
    elif not names_visit:
        return False
    near = any(
        abs(instant(e.data["expected_at"]) - stay.admitted) <= PLANNED_WITHIN
        for e in plans
        if e.data.get("expected_at")
    )
    return near or expects_readmission(transition.discharge.disposition)


def is_arriving(transition: Transition, stay: Stay) -> bool:
    """A patient sent to another hospital who comes in by its ED or under observation."""
    return transition.kind == "transfer" and _is_transfer(transition, stay)


def readmissions(transition: Transition, world: World) -> Iterator[End]:
    """Inpatient admissions after the discharge, each with what it makes of the transition."""
    for stay in world.stays:
        arrived = _has_arrived(transition, stay)
        at = stay.since(stay.klass if arrived else "INPATIENT")
        if stay is transition.stay or at is None:
            continue
        if not transition.at < at < transition.window_ends:
            continue
        if is_post_acute(stay) and not arrived:
            continue
        if arrived or _is_transfer(transition, stay):
            yield End(at, "TRANSFERRED", stay)
        elif _is_planned(transition, stay, world):
            yield End(at, "PLANNED_READMISSION", stay)
        else:
            yield End(at, "READMITTED", stay)


def _ends_by_others(transition: Transition, all_of_them: list[Transition]) -> Iterator[End]:
    """A later discharge takes the obligations over, whether it leads home or on.

    Where the stay it ends is the one this transition waited for, that is its transfer completed.
    """
    for other in all_of_them:
        if other is transition or not other.discharge.stands or other.at <= transition.at:
            continue
        at_the_facility = transition.kind == "facility" and _takes_in(transition, other.stay)
        on_the_way = other.stay in transition.elsewhere or at_the_facility
        if on_the_way and other.waits_for_arrival and transition.kind != "transfer":
            continue  # sent on from there, not home: this one goes on
        waited_for = on_the_way or is_arriving(transition, other.stay)
        yield End(other.at, "TRANSFERRED" if waited_for else "SUPERSEDED")


def _deaths(world: World) -> Iterator[datetime]:
    if world.death is not None:
        yield world.death
    for stay in world.stays:
        left = stay.discharge
        if left and kind(left.disposition) == "expired":
            yield left.at


def _ends(transition: Transition, world: World, others: list[Transition]) -> Iterator[End]:
    for died_at in _deaths(world):
        yield End(max(died_at, transition.at), "EXPIRED")
    yield from readmissions(transition, world)
    yield from _ends_by_others(transition, others)
    wish, since = world.preference_since(transition.at, transition.closes)
    if wish == "decline-all" and since is not None:
        yield End(since, "DECLINED")
    yield End(transition.closes, "WINDOW_ENDED")


def ended(transition: Transition, world: World, others: list[Transition]) -> Transition:
    """The transition with its end, if it has ended by now."""
    discharge = transition.discharge
    if discharge.admission_cancelled:
        return replace(transition, end=End(transition.at, "ADMIT_CANCELLED"))
    if discharge.cancelled:
        return replace(transition, end=End(transition.at, "DISCHARGE_CANCELLED"))
    if transition.kind == "expired":
        return replace(transition, end=End(transition.at, "EXPIRED"))
    past = [end for end in _ends(transition, world, others) if end.at <= world.now]
    past.sort(key=lambda e: (e.at, RANK.index(e.reason)))
    died_before = bool(past) and past[0] == End(transition.at, "EXPIRED")
    if transition.kind == "hospice" and not died_before:
        past.insert(0, End(transition.at, "HOSPICE"))
    if not past:
        return transition
    first = past[0]
    if first.reason in ("DECLINED", "HOSPICE"):
        # Nothing is owed any more, yet a readmission is still one (rulings 12).
        after = next((e for e in past[1:] if e.reason not in ("DECLINED", "WINDOW_ENDED")), first)
        if after.reason == "READMITTED":
            return replace(transition, end=after, over_since=first.at)
    return replace(transition, end=first, over_since=first.at)


def transitions(world: World) -> list[Transition]:
    all_of_them = drafts(world)
    return [ended(t, world, all_of_them) for t in all_of_them]
