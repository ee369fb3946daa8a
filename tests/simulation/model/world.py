"""Everything known about one patient at an instant: stays, person, appointments, commands."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from tests.simulation.model.calendar import instant
from tests.simulation.model.facts import ABSENT, Event, statement, value
from tests.simulation.model.stays import Stay, Visit, read_visit

Facilities = dict[str, dict[str, object]]


def joined_visits(events: Iterable[Event]) -> dict[tuple[str, str], tuple[str, str]]:
    """Each visit's chosen name, after joining those that `previous_visit_number` connects."""
    events = list(events)
    chosen = {(e.facility, e.visit): (e.facility, e.visit) for e in events if e.visit}
    links = [
        ((e.facility, e.visit), (e.facility, str(e.data["previous_visit_number"])))
        for e in events
        if e.visit and e.data.get("previous_visit_number")
    ]
    for _ in links:  # the longest chain settles in as many rounds as there are links
        for one, other in links:
            least = min(chosen.setdefault(one, one), chosen.setdefault(other, other))
            chosen[one] = chosen[other] = least
    return chosen


@dataclass(frozen=True)
class World:
    """The facts of one patient that count at *now*."""

    now: datetime
    facts: tuple[Event, ...]
    facilities: Facilities
    commands: tuple[tuple[str, Event], ...] = ()  # task id and accepted command, in verdict order

    def before(self, at: datetime) -> "World":
        """What was known when *at* came: all that was received until then."""
        return World(
            at,
            tuple(e for e in self.facts if e.received < at),
            self.facilities,
            tuple((task, e) for task, e in self.commands if e.received < at),
        )

    @cached_property
    def counting(self) -> list[Event]:
        return [e for e in self.facts if e.counts_at(self.now)]

    @cached_property
    def visits(self) -> list[Visit]:
        chosen = joined_visits(
            e for e in self.counting if e.type.startswith(("admission.", "discharge."))
        )
        groups: dict[tuple[str, str], list[Event]] = {}
        for event in self.counting:
            if event.type.startswith(("admission.", "discharge.")):
                groups.setdefault(chosen[event.facility, event.visit], []).append(event)
        return [read_visit(name, of, self.facilities) for name, of in sorted(groups.items())]

    @cached_property
    def told_stays(self) -> list[Stay]:
        """All stays ever told of, those taken back included."""
        return [stay for visit in self.visits for stay in visit.stays]

    @cached_property
    def stays(self) -> list[Stay]:
        return [stay for stay in self.told_stays if not stay.cancelled]

    @cached_property
    def orphans(self) -> list[Event]:
        return [cancel for visit in self.visits for cancel in visit.orphans]

    def of_type(self, prefix: str) -> list[Event]:
        return [e for e in self.counting if e.type.startswith(prefix)]

    @cached_property
    def death(self) -> datetime | None:
        said, by = statement(self.of_type("patient.died"), "died_at")
        if by is None:
            deaths = self.of_type("patient.died")
            return min((e.time for e in deaths), default=None)
        return None if said is None else min(instant(str(said)), by.received)

    def preference_since(
        self, discharged_at: datetime, until: datetime
    ) -> tuple[str, datetime | None]:
        """What the patient said about outreach in the window, and when it took effect."""
        said = [
            e
            for e in self.of_type("patient.preference_changed")
            if discharged_at <= e.time and min(e.time, e.received) < until
        ]
        held: tuple[str, datetime | None] = ("accept", None)
        for event in sorted((e for e in said if "outreach" in e.data), key=lambda e: e.order):
            wish = event.data["outreach"]
            if wish is None:
                held = ("accept", None)
            elif held[0] == "decline-all" and wish == "decline-calls":
                continue  # only an accept brings back who declined everything (ruling 19)
            elif wish != held[0] or wish == "accept":
                held = (str(wish), min(event.time, event.received))
        return held

    @cached_property
    def pcp(self) -> dict[str, Any] | None:
        """The attributed PCP: the latest recorded word of anybody who names one."""
        said = value([e for e in self.counting if "pcp" in e.data], "pcp")
        return said if isinstance(said, dict) else None

    @cached_property
    def appointments(self) -> dict[str, list[Event]]:
        out: dict[str, list[Event]] = {}
        for event in self.of_type("appointment."):
            out.setdefault(str(event.data["appointment_id"]), []).append(event)
        return out

    def commands_on(self, task_id: str) -> list[Event]:
        return [e for on, e in self.commands if on == task_id]


__all__ = ["ABSENT", "Facilities", "World", "joined_visits"]
