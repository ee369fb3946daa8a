"""From events as sent to the facts that count at an instant, and which statement of a field holds.

Source: contract.md §2 (identity of an event, default stamps, which statement holds, CLOCK_SKEW).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.simulation.model.calendar import instant

TOO_FAR_AHEAD = timedelta(hours=24)
ABSENT = object()
# `recordedtime` defaults to the receipt where a statement is by nature later than what it is about.
RECORDED_AT_RECEIPT = (".corrected", ".updated")
STOPS = ("patient.died", "admission.cancelled", "discharge.cancelled")


@dataclass(frozen=True)
class Event:
    """One event at its earliest receipt."""

    id: str
    source: str
    type: str  # without `care.` and the version
    subject: str
    facility: str
    lane: str
    time: datetime
    recorded: datetime
    received: datetime
    data: dict[str, Any]

    @property
    def order(self) -> tuple[Any, ...]:
        """Of two statements about one field the one with the greater order holds."""
        return (self.recorded, self.data.get("sequence", -1), self.source, self.id)

    @property
    def arrival(self) -> tuple[datetime, str, str]:
        return (self.received, self.source, self.id)

    @property
    def is_stop(self) -> bool:
        return self.type in STOPS or str(self.data.get("outreach", "")).startswith("decline")

    @property
    def visit(self) -> str:
        return str(self.data.get("visit_number", ""))

    def counts_at(self, now: datetime) -> bool:
        """A time ahead of its receipt waits for the clock, unless it stops something."""
        return self.is_stop or self.time <= max(self.received, now)

    def __hash__(self) -> int:
        return hash((self.source, self.id))


def _backfill_receipt(events: Iterable[dict[str, Any]], as_of: datetime) -> datetime:
    live = [
        instant(e.get("receivedtime", e["time"]))
        for e in events
        if e.get("lane", "live") != "backfill"
    ]
    return min(live, default=as_of)


def accepted(raw: dict[str, Any], backfill_receipt: datetime) -> Event:
    """The event with its stamps filled in."""
    kind = raw["type"].removeprefix("care.").rsplit(".", 1)[0]
    lane = raw.get("lane", "live")
    at = instant(raw["time"])
    if "receivedtime" in raw:
        received = instant(raw["receivedtime"])
    else:
        received = backfill_receipt if lane == "backfill" else at
    late_by_nature = kind.endswith(RECORDED_AT_RECEIPT) and lane != "backfill"
    default = received if late_by_nature else at
    recorded = instant(raw["recordedtime"]) if "recordedtime" in raw else default
    return Event(
        id=raw["id"],
        source=raw["source"],
        type=kind,
        subject=raw["subject"],
        facility=raw.get("facility") or raw.get("data", {}).get("facility", ""),
        lane=lane,
        time=at,
        recorded=recorded,
        received=received,
        data=raw.get("data", {}),
    )


def earliest_copies(raws: list[dict[str, Any]], as_of: datetime) -> list[Event]:
    """Every event received by *as_of* once, at its earliest receipt; test traffic left out."""
    when_backfilled = _backfill_receipt(raws, as_of)
    known: dict[tuple[str, str], Event] = {}
    for raw in raws:
        event = accepted(raw, when_backfilled)
        stamped = (
            "receivedtime" in raw
        )  # of history without a receipt nobody can say that it is ahead
        if event.lane == "test" or (stamped and event.time > event.received + TOO_FAR_AHEAD):
            continue
        key = (event.source, event.id)
        if event.received <= as_of and (key not in known or event.received < known[key].received):
            known[key] = event
    return sorted(known.values(), key=lambda e: e.arrival)


def statement(events: Iterable[Event], field: str) -> tuple[Any, Event | None]:
    """What is said of *field*, and by whom; ``ABSENT`` where nobody said anything.

    JSON null is an answer ("delete what was said before"), not silence.
    """
    said = [e for e in events if field in e.data]
    if not said:
        return ABSENT, None
    holds = max(said, key=lambda e: e.order)
    return holds.data[field], holds


def value(events: Iterable[Event], field: str) -> Any:
    """What is said of *field*; ``None`` where nothing is said or it was deleted."""
    said, _ = statement(events, field)
    return None if said is ABSENT else said


def code(said: Any) -> str | None:
    """The code of a code field; a bare string is the code."""
    if isinstance(said, dict):
        said = said.get("code")
    return said if isinstance(said, str) and said.strip() else None
