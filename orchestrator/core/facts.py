"""What events say, in the words of the core.  Handlers make facts; cells join them.

A fact is a statement about one thing (a visit, an appointment, a person, a task) under one
subject.  It carries its *stamp*: who said it, when it was recorded, when it reached us.  Facts are
never edited or withdrawn; a cancellation is one more fact.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from orchestrator.core.marks import Mark


class Stamp(NamedTuple):
    """Of two statements about one field the greater stamp holds; the first four fields decide."""

    recorded: int
    sequence: int
    source: str
    event: str
    time: int  # when it happened
    receipt: int  # when it reached us
    backfill: bool = False


@dataclass(frozen=True, slots=True)
class VisitSaid:
    """Registers of a visit (admission.updated and whatever others carry beside their mark)."""

    facility: str
    visit: str
    fields: Mapping[str, Any]
    stamp: Stamp
    class_from: int | None = None  # the instant from which the stated class held


@dataclass(frozen=True, slots=True)
class Admitted:
    """A patient came in; *opened* false: said only in passing, by an update or a discharge."""

    facility: str
    visit: str
    at: int
    stamp: Stamp
    opened: bool = True
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DischargeSaid:
    """A statement about a discharge; *opens* false: it can only amend one that is known."""

    facility: str
    visit: str
    at: int | None
    stamp: Stamp
    opens: bool
    fields: Mapping[str, Any]  # disposition
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VisitMark:
    """Other happenings of a visit: leave, return, plans, and what takes something back."""

    facility: str
    visit: str
    what: Literal[
        "left",
        "returned",
        "planned",
        "pending",
        "cancel-admit",
        "cancel-planned",
        "cancel-discharge",
    ]
    at: int
    stamp: Stamp
    cancels_at: int | None = None


@dataclass(frozen=True, slots=True)
class AppointmentSaid:
    """Status and registers of an appointment."""

    appointment: str
    status: str
    fields: Mapping[str, Any]
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class PersonSaid:
    """Registers of the person: name, phones, PCP, death, preference, test patient."""

    fields: Mapping[str, Any]
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class Parked:
    """An event of this patient went to the dead letters."""

    reason: str
    stamp: Stamp


def parked_name(source: str, event: str) -> str:
    """What a parked event is called: ids are the sender's own, and two may give the same."""
    return f"{source}\0{event}" if source else event


@dataclass(frozen=True, slots=True)
class Mended:
    """
    Events that were parked, and one that counts stands for now: they were sent again.

    Attributes:
        events: By `parked_name`.
    """

    events: tuple[str, ...]
    receipt: int


@dataclass(frozen=True, slots=True)
class FacilityHeard:
    """A sign of life of a facility's feed."""

    facility: str
    at: int


@dataclass(frozen=True, slots=True)
class FieldUnmapped:
    """A parallel code or field of a facility could not be mapped."""

    facility: str
    field: str
    at: int


@dataclass(frozen=True, slots=True)
class Contested:
    """The same facility and visit number came under several identifiers."""

    facility: str
    visit: str
    claimants: frozenset[str]


@dataclass(frozen=True, slots=True)
class Command:
    """What somebody did about a task; accepted or refused once, in journal order."""

    what: str  # accepted, released, attempted, completed, rejected, reassigned, noted
    stamp: Stamp
    task_id: str | None
    facility: str | None
    visit: str | None
    kind: str | None
    gap_id: str | None
    if_version: int | None
    actor: str | None
    role: str | None
    to: str | None
    reason: str | None
    outcome: str | None
    reached: str | None
    appointment: str | None
    answers: Mapping[str, Any]

    def dump(self) -> list[Any]:
        """Plain data for storage, field by field in the order of the class."""
        plain = [getattr(self, name) for name in Command.__slots__]
        plain[1] = list(self.stamp)
        return plain

    @classmethod
    def load(cls, plain: list[Any]) -> "Command":
        """The inverse of `dump`."""
        return cls(plain[0], Stamp(*plain[1]), *plain[2:])


Fact = (
    VisitSaid
    | Admitted
    | DischargeSaid
    | VisitMark
    | AppointmentSaid
    | PersonSaid
    | Parked
    | Mended
    | FacilityHeard
    | FieldUnmapped
    | Contested
)


@dataclass(frozen=True, slots=True)
class Told:
    """One event as the core receives it: its facts or its command, and a line for the timeline."""

    event: str
    source: str
    type: str
    title: str
    time: int
    receipt: int
    facts: tuple[Fact, ...]
    command: Command | None = None
    at_once: tuple[Fact, ...] = ()  # of a held event, what is known now: that it was ahead
    effective: int = 0  # held until the clock reaches this, where it lies after the receipt
    lane: str = "live"
    under: str = ""  # the member of a patient that it was told of; empty: the patient's own
    marks: tuple[Mark, ...] = ()  # what it says of who is whom
    retries: tuple[str, ...] = ()  # parked events (`parked_name`) for which it was sent again


OF_VISIT = (VisitSaid, Admitted, DischargeSaid, VisitMark, Contested)
