"""One thing that happens to a simulated patient, before anybody writes it down."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from orchestrator.simulate.people import Person
from orchestrator.simulate.places import Place


@dataclass(frozen=True, slots=True)
class Visit:
    """A stay as its registration desk keeps it; what later messages of the visit repeat."""

    number: str
    place: Place
    cls: str
    admitted_at: datetime
    ward: str
    service: str
    admit_type: str  # HL7 table 0007
    admit_source: str  # HL7 table 0023
    attending: int  # index into ATTENDINGS
    diagnosis: int  # index into DIAGNOSES
    previous_number: str | None = None


@dataclass(frozen=True, slots=True)
class Happening:
    """
    What happened, when, and when we hear of it.

    Args:
        type: Contract name without prefix and version: ``discharge.recorded``.
        trigger: The HL7 v2 message for it: ``ADT^A03``; empty where HL7 has none.
        at: Event time.
        recorded_at: Entered in the sending system; never before *at*, save for what is planned.
        received_at: Reached us; never before *recorded_at*.
        data: Fields of the contract's ``data`` beyond those that follow from *visit*; times in it
            are aware datetimes.
    """

    type: str
    trigger: str
    at: datetime
    recorded_at: datetime
    received_at: datetime
    person: Person
    place: Place
    id: str
    source: str
    visit: Visit | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    cut: bool = False  # the record broke off on its way

    @property
    def order(self) -> tuple[datetime, str]:
        """The order in which we hear of things."""
        return (self.received_at, self.id)

    def heard_at(self, received_at: datetime) -> "Happening":
        """The same, reaching us at another time."""
        return replace(self, received_at=received_at)
