"""Facts and a patient to tell them to: defaults for all but what a test is about.

`D` is a Tuesday afternoon in New York, so the two business days end on the Thursday.
"""

from collections.abc import Callable
from typing import Any, Final

from handlers.appointments import CORRECTING, COUNTING
from orchestrator.core import step
from orchestrator.core.cells import VisitCell
from orchestrator.core.facts import (
    Admitted,
    AppointmentSaid,
    Command,
    DischargeSaid,
    Fact,
    Parked,
    PersonSaid,
    Stamp,
    Told,
    VisitMark,
    VisitSaid,
)
from orchestrator.core.instants import HOUR, read
from orchestrator.core.patient import Patient
from orchestrator.core.policy import Rules
from orchestrator.stream.rules import rules
from schemas.facilities import Facilities
from schemas.policy import load_policies

FACILITIES: Final = Facilities.parse(
    """
default: {zone: America/New_York, type: acute, holidays: us-federal, weekend_staffing: true}
GEN: {zone: America/New_York, type: acute, holidays: us-federal}
MID: {zone: America/New_York, type: acute, holidays: us-federal}
ELM: {zone: America/New_York, type: snf, holidays: us-federal}
QUIET: {zone: America/New_York, type: acute, holidays: us-federal, weekend_staffing: false}
FEED: {zone: America/New_York, type: acute, expected_interval: PT20M}
"""
)
RULES: Final = rules(load_policies(None), FACILITIES)
P0: Final = RULES.newest
SUBJECT: Final = "GEN|MRN123"
D: Final = read("2026-10-06T14:00:00-04:00")
ANSWERS: Final = {
    "understanding": "yes",
    "medicines": "yes",
    "symptoms": "none",
    "appointment": "yes",
    "help_at_home": "yes",
    "education_given": "yes",
}


def stamp(
    time: int,
    event: str = "E1",
    *,
    receipt: int | None = None,
    recorded: int | None = None,
    sequence: int = -1,
    source: str = "hospital/GEN/adt",
    backfill: bool = False,
) -> Stamp:
    """A stamp of something heard and recorded when it happened, unless said otherwise."""
    return Stamp(
        time if recorded is None else recorded,
        sequence,
        source,
        event,
        time,
        time if receipt is None else receipt,
        backfill,
    )


def told(made: Stamp, *facts: Fact, type_: str = "care.admission.updated.v1") -> Told:
    """One event as a handler makes it of *facts*."""
    return Told(made.event, made.source, type_, "Something", made.time, made.receipt, facts)


def admitted(
    at: int,
    visit: str = "V1",
    *,
    cls: str | None = "INPATIENT",
    facility: str = "GEN",
    event: str | None = None,
    fields: dict[str, Any] | None = None,
    **when: Any,
) -> Told:
    """A01."""
    made = stamp(at, event or f"A01 {visit} {at}", **when)
    said = dict(fields or {}) | ({} if cls is None else {"class": cls})
    return told(
        made, Admitted(facility, visit, at, made), VisitSaid(facility, visit, said, made, at)
    )


def classed(at: int, cls: str, visit: str = "V1", *, facility: str = "GEN", **when: Any) -> Told:
    """A06: the class changes at *at*."""
    made = stamp(at, f"A06 {visit} {at}", **when)
    return told(made, VisitSaid(facility, visit, {"class": cls}, made))


def updated(at: int, visit: str = "V1", *, facility: str = "GEN", **fields: Any) -> Told:
    """A08 with these fields."""
    made = stamp(at, f"A08 {visit} {at}")
    return told(made, VisitSaid(facility, visit, fields, made))


def discharged(
    at: int,
    visit: str = "V1",
    *,
    disposition: str | None = "01",
    cls: str | None = "INPATIENT",
    facility: str = "GEN",
    event: str | None = None,
    opens: bool = True,
    flags: tuple[str, ...] = (),
    **when: Any,
) -> Told:
    """A03."""
    made = stamp(at, event or f"A03 {visit} {at}", **when)
    facts: list[Fact] = []
    if cls is not None:
        facts.append(VisitSaid(facility, visit, {"class": cls}, made, at))
    facts.append(
        DischargeSaid(facility, visit, at, made, opens, {"disposition": disposition}, flags)
    )
    return told(made, *facts)


def marked(
    what: Any,
    at: int,
    visit: str = "V1",
    *,
    cancels_at: int | None = None,
    facility: str = "GEN",
    **when: Any,
) -> Told:
    """A leave, a return, a plan or a cancellation."""
    made = stamp(at, f"{what} {visit} {at}", **when)
    return told(made, VisitMark(facility, visit, what, at, made, cancels_at))


def slot(
    starts_at: int,
    status: str = "booked",
    *,
    appointment: str = "A1",
    at: int = D + HOUR,
    **fields: Any,
) -> Told:
    """A primary-care appointment, said at *at*."""
    made = stamp(at, f"SIU {appointment} {status} {at}")
    said = {
        "starts_at": starts_at,
        "provider": {"is_pcp": True},
        "counts": status in COUNTING,
        **({"missed": status == "no_show"} if status in CORRECTING else {}),
        **fields,
    }
    return told(made, AppointmentSaid(appointment, status, said, made))


def person(at: int, **fields: Any) -> Told:
    """What is said of the person at *at*."""
    made = stamp(at, f"A31 {at} {sorted(fields)}")
    return told(made, PersonSaid(fields, made))


def parked(at: int, reason: str = "malformed", event: str = "E9") -> Told:
    """An event of the patient that went to the dead letters."""
    fact = Parked(reason, Stamp(at, -1, "", event, at, at))
    return Told(event, "", "", "", at, at, (fact,))


def command(what: str, at: int, *, event: str | None = None, **said: Any) -> Command:
    """What a care team did, as `Command`; by a nurse unless said otherwise."""
    fields: dict[str, Any] = {
        "task_id": None,
        "facility": None,
        "visit": None,
        "kind": None,
        "gap_id": None,
        "if_version": None,
        "actor": "nurse1",
        "role": "rn",
        "to": None,
        "reason": None,
        "outcome": None,
        "reached": None,
        "appointment": None,
        "answers": {},
    }
    times = {name: said.pop(name) for name in ("receipt", "recorded") if name in said}
    made = stamp(at, event or f"{what} {at}", source="worklist", **times)
    return Command(what, made, **{**fields, **said})


def ordered(given: Command) -> Told:
    """A command as the core receives it."""
    made = given.stamp
    return Told(
        made.event,
        made.source,
        f"care.task.{given.what}.v1",
        "Something",
        made.time,
        made.receipt,
        (),
        given,
    )


def reached(at: int, **said: Any) -> Command:
    """A call completed with everything gone through."""
    given = {"outcome": "ok", "reached": "patient", "answers": ANSWERS, **said}
    return command("completed", at, **given)


class Chart:
    """One patient, told things in the order of their receipt, with the clock in between."""

    def __init__(self, rules_: Rules = RULES, subject: str = SUBJECT) -> None:
        self.patient = Patient(subject, "0" * 32)
        self.rules = rules_
        self.changes: list[dict[str, Any]] = []

    def tell(self, *said: Told | Command) -> list[dict[str, Any]]:
        """Tell what was received at one instant; the changes that follow from it."""
        every = [ordered(one) if isinstance(one, Command) else one for one in said]
        (receipt,) = {one.receipt for one in every}
        self.clock(receipt - 1)
        made = step.fact(self.patient, every, receipt - 1, receipt, self.rules)
        made += step.clock(self.patient, receipt, self.rules)
        self.changes += made
        return made

    def clock(self, until: int) -> list[dict[str, Any]]:
        """Let the clock reach *until*."""
        made = step.clock(self.patient, until, self.rules)
        self.changes += made
        return made

    @property
    def tasks(self) -> dict[str, dict[str, Any]]:
        """By kind, what is published; the newest of a kind."""
        return {task["kind"]: task for task in self.patient.ledger.tasks.values()}

    @property
    def gaps(self) -> dict[str, dict[str, Any]]:
        """By code, what is published; the newest of a code."""
        return {gap["code"]: gap for gap in self.patient.ledger.gaps.values()}

    @property
    def live(self) -> set[str]:
        """The codes of the gaps that are not closed."""
        return {code for code, gap in self.gaps.items() if gap["status"] != "closed"}

    @property
    def transitions(self) -> list[dict[str, Any]]:
        """In order of first publication."""
        return list(self.patient.ledger.transitions.values())

    @property
    def transition(self) -> dict[str, Any]:
        """The only one."""
        (only,) = self.transitions
        return only


def chart(*said: Told | Command, until: int | None = None, rules_: Rules = RULES) -> Chart:
    """A patient who was told *said*, one receipt after the other, then the clock at *until*."""
    made = Chart(rules_)
    for one in sorted(said, key=lambda o: o.receipt if isinstance(o, Told) else o.stamp.receipt):
        made.tell(one)
    if until is not None:
        made.clock(until)
    return made


def visit_cells(*said: Told) -> list[VisitCell]:
    """The visit cells that the facts of *said* fill, by visit number."""
    cells: dict[str, VisitCell] = {}
    for one in said:
        for fact in one.facts:
            assert isinstance(fact, VisitSaid | Admitted | DischargeSaid | VisitMark)
            cells.setdefault(fact.visit, VisitCell(fact.facility, fact.visit)).join(fact)
    return list(cells.values())


Closing = Callable[[str | None], str]


def closing(code: str | None) -> str:
    """What a disposition does to a stay, as the policy's table says."""
    return P0.dispositions.get(code or "", P0.unknown_disposition).status


def names(changes: list[dict[str, Any]]) -> list[str]:
    """What kind of changes, leaving out the timeline."""
    return [one["change"] for one in changes if one["change"] != "event.recorded"]
