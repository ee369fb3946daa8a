"""What every event's envelope means to the core: its stamp, its flags, when it takes effect."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.core.facts import Command, Fact, Stamp, Told, VisitSaid
from orchestrator.core.instants import read
from schemas.facilities import Facilities, Facility

Event = Mapping[str, Any]

# Their statements are corrections: without a recorded time they count from when we heard them.
RECORDED_AT_RECEIPT = frozenset(
    {"care.admission.updated.v1", "care.discharge.corrected.v1", "care.patient.updated.v1"}
)


@dataclass(frozen=True, slots=True)
class Said:
    """One accepted event, its envelope read."""

    event: Event
    data: Mapping[str, Any]
    stamp: Stamp
    facilities: Facilities

    @property
    def facility(self) -> str:
        facility: str = self.event.get("facility") or self.data.get("facility") or ""
        return facility

    @property
    def settings(self) -> Facility:
        """The facility's entry, for its code maps."""
        return self.facilities.get(self.facility)

    @property
    def visit(self) -> str:
        visit: str = self.data["visit_number"]
        return visit

    def instant(self, field: str) -> int | None:
        """A time field of ``data``; None where it was not said, or deleted."""
        text = self.data.get(field)
        return None if text is None else read(text)

    def flags(self, field: str) -> tuple[str, ...]:
        """What had to be assumed of a time."""
        return tuple(sorted((self.event.get("timeflags") or {}).get(field, ())))

    def told(
        self,
        title: str,
        facts: list[Fact],
        *,
        command: Command | None = None,
        stated: int | None = None,
        stop: bool = False,
    ) -> Told:
        """
        What the core receives.

        Args:
            title: A line for the timeline, without patient data.
            facts: May be empty.
            command: Instead of facts.
            stated: The instant at which the happening says it stands.
            stop: A death, a cancel, a decline: takes effect at the receipt though said ahead.
        """
        stamp = self.stamp
        effective = max(stamp.time, stated or 0)
        facts = list(facts)
        at_once: list[Fact] = []
        ahead = effective > stamp.receipt
        if stop or not ahead:
            effective = 0
        if ahead and facts and isinstance(self.data.get("visit_number"), str):
            known = stamp._replace(time=stamp.receipt)
            skewed = VisitSaid(self.facility, self.visit, {"clock_skew": True}, known)
            (facts if stop else at_once).append(skewed)
        return Told(
            stamp.event,
            stamp.source,
            self.event["type"],
            title,
            stamp.time,
            stamp.receipt,
            tuple(facts),
            command,
            tuple(at_once),
            effective,
            self.event.get("lane") or "live",
        )


def said(event: Event, facilities: Facilities) -> Said:
    """Read the envelope of an accepted event."""
    data = event["data"]
    time, receipt = read(event["time"]), read(event["receivedtime"])
    backfill = event.get("lane") == "backfill"
    recorded = event.get("recordedtime")
    if recorded is not None:
        recorded_at = read(recorded)
    elif event["type"] in RECORDED_AT_RECEIPT and not backfill:
        recorded_at = receipt
    else:
        recorded_at = time
    sequence = data.get("sequence")
    stamp = Stamp(
        recorded_at,
        sequence if isinstance(sequence, int) else -1,
        event["source"],
        event["id"],
        time,
        receipt,
        backfill,
    )
    return Said(event, data, stamp, facilities)
