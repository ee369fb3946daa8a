"""One patient's tale being written down: events with their times, before anybody received them."""

import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, TypeVar

from tests.simulation.model.calendar import text

T = TypeVar("T")
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

# As a site would write it; MID has no staff at weekends.
FACILITIES: dict[str, dict[str, object]] = {
    "default": {"zone": "America/New_York", "type": "acute", "holidays": "us-federal"},
    "GEN": {"zone": "America/New_York", "type": "acute"},
    "MID": {"zone": "America/Chicago", "type": "acute", "weekend_staffing": False},
    "SNF1": {"zone": "America/New_York", "type": "snf"},
}
HOSPITALS = ("GEN", "MID")
# Near a change of the clocks, a long weekend, the end of a year: where days are easily miscounted.
TURNING_DAYS = (
    datetime(2026, 3, 6, tzinfo=UTC),
    datetime(2026, 7, 1, tzinfo=UTC),
    datetime(2026, 9, 3, tzinfo=UTC),
    datetime(2026, 10, 6, tzinfo=UTC),
    datetime(2026, 10, 29, tzinfo=UTC),
    datetime(2026, 11, 24, tzinfo=UTC),
    datetime(2026, 12, 22, tzinfo=UTC),
)


@dataclass(frozen=True)
class Options:
    """What a history may contain; everything, unless a property asks for less."""

    commands: bool = True
    skewed: bool = True  # times ahead of their receipt
    backfill: bool = True
    explicit_recorded: bool = False  # every event states `recordedtime`
    calm: bool = False  # receipts soon after the event: no rule that reads receipts applies


@dataclass
class Line:
    """One event of the tale, and what must have been received before it."""

    event: dict[str, Any]
    at: datetime
    after: list[str] = field(default_factory=list)


@dataclass
class Left:
    """How a stay ended, for whoever tells what came next."""

    facility: str
    visit: str
    admitted: datetime
    at: datetime | None = None  # the discharge that stands
    event: str | None = None  # its event
    disposition: str | None = None


@dataclass
class Tale:
    """The events of one patient, in the order in which they are thought of."""

    rng: Random
    options: Options
    subject: str
    lines: list[Line] = field(default_factory=list)
    traits: set[str] = field(default_factory=set)
    marks: list[datetime] = field(default_factory=list)  # instants at which something may turn
    visits: int = 0
    pcp: dict[str, Any] | None = None
    pcp_said_in: str = ""

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def pick(self, weights: dict[T, float]) -> T:
        names = list(weights)
        return self.rng.choices(names, [weights[n] for n in names])[0]

    def between(self, least: timedelta, most: timedelta) -> timedelta:
        """A span in whole minutes."""
        return self.rng.randint(int(least / MINUTE), int(most / MINUTE)) * MINUTE

    def new_visit(self) -> str:
        self.visits += 1
        return f"V{self.visits}"

    def say(
        self,
        kind: str,
        at: datetime,
        data: dict[str, Any],
        *,
        facility: str,
        recorded: datetime | None = None,
        after: str | None = None,
    ) -> str:
        """Add an event; returns its id."""
        name = f"{facility}-{len(self.lines) + 1:03d}"
        event: dict[str, Any] = {
            "specversion": "1.0",
            "id": name,
            "source": f"hospital/{facility}/adt",
            "type": f"care.{kind}.v1",
            "time": text(at),
            "subject": self.subject,
            "facility": facility,
            "data": data,
        }
        if recorded is None and self.options.explicit_recorded:
            recorded = at
        if recorded is not None:
            event["recordedtime"] = text(recorded)
        self.lines.append(Line(event, at, [after] if after else []))
        return name

    def repeat(self, name: str, *, later: timedelta, same_id: bool) -> None:
        """Send an event once more: the same record, or its content under a new id."""
        line = next(x for x in self.lines if x.event["id"] == name)
        event = copy.deepcopy(line.event)
        if not same_id:
            event["id"] = f"{event['id']}-again-{len(self.lines)}"
        self.lines.append(Line(event, line.at + later, [name]))
        self.traits.add("repeat")
