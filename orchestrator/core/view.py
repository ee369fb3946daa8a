"""What is known of one patient at an instant: the cells of all their identifiers, put in order.

A patient is a *set* of identifiers; facts stay with the identifier they came under, and the view
unites them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Protocol

from orchestrator.core import wishes
from orchestrator.core.cells import (
    AppointmentCell,
    Cell,
    FacilityCell,
    PersonCell,
    VisitCell,
    WorkCell,
)
from orchestrator.core.facts import Command, Stamp
from orchestrator.core.identity import GroupCell
from orchestrator.core.marks import moved_visit, origin_of
from orchestrator.core.registers import Register, Registers, value_of
from orchestrator.core.stays import Stay, connected, derive, first_seen, newest_of

Cells = Mapping[tuple[str, str], Cell]


@dataclass(slots=True)
class View:
    """The plan's input: stays in order of their beginning, appointments, the person, the work."""

    patient: str
    key: str = ""  # pseudonymous, for addresses
    stays: list[Stay] = field(default_factory=list)
    announced: list[Stay] = field(default_factory=list)  # those that an admission.planned names
    # Cancels that took nothing back: subject, facility, visit, stamp.
    orphans: list[tuple[str, str, str, Stamp]] = field(default_factory=list)
    appointments: list[AppointmentCell] = field(default_factory=list)  # by their start
    person: Registers = field(default_factory=dict)
    members: set[str] = field(default_factory=set)
    # Of joined records, every visit under every number: identifier, facility, number.
    numbers: set[tuple[str, str, str]] = field(default_factory=set)
    # Merges and un-merges that contradict what is known: source, event, instant, the two names.
    conflicts: list[tuple[str, str, int, str, str]] = field(default_factory=list)
    joins: list[tuple[int, str, str]] = field(default_factory=list)  # when we heard, of which two
    parked: dict[str, dict[str, tuple[int, str]]] = field(default_factory=dict)  # by identifier
    acknowledged: dict[str, int] = field(default_factory=dict)
    wishes: list[tuple[str | None, Stamp]] = field(default_factory=list)
    work: dict[str, list[Command]] = field(default_factory=dict)
    facilities: list[FacilityCell] = field(default_factory=list)

    @property
    def is_joined(self) -> bool:
        """Whether the patient has several numbers."""
        return len(self.members) > 1

    def said(self, field_name: str) -> Any:
        """What holds of the person; None where nothing was said."""
        held = self.person.get(field_name)
        return None if held is None else held.value

    def wish(self, since: int, until: int) -> tuple[str | None, int] | None:
        """The wish about outreach that holds of those said within [since, until), and when."""
        return wishes.wish(self.wishes, since, until) if self.wishes else None

    def joined_at(self, one: str, other: str) -> int:
        """When we heard that two identifiers of the patient are one; 0 where they always were."""
        at: dict[str, str] = {}
        for heard, *names in self.joins:
            new, old = (at.get(name, name) for name in names)
            at |= {name: new for name, root in at.items() if root == old} | {old: new}
            if at.get(one, one) == at.get(other, other):
                return heard
        return 0

    def register(self, field_name: str) -> Register | None:
        """The person's register, with its stamp."""
        return self.person.get(field_name)


def starts(cell: AppointmentCell) -> int:
    """When an appointment begins; 0 where nobody said."""
    held = cell.said.get("starts_at")
    return 0 if held is None else held.value or 0


class Member(Protocol):
    """One identifier of a patient, or a visit that was moved to it (`Patient`)."""

    subject: str
    key: str
    counts_as: str
    given: int
    cells: dict[tuple[str, str], Cell]
    sealed: dict[tuple[str, str], Cell]


def view(
    members: Sequence[Member], closing: Callable[[str | None], str], *, sealed: bool = False
) -> View:
    """
    Unite the cells of a patient's identifiers.

    Args:
        members: In a fixed order, the surviving identifier first.
        closing: See `derive`.
        sealed: What was put away, too.
    """
    patient = members[0].subject
    seen = View(patient, members[0].key)
    visits: list[VisitCell] = []
    alone = len(members) == 1
    names = seen.members = {patient} if alone else {one.subject for one in members}
    given: dict[tuple[str, str, str], int] = {}
    for one in members:
        origin = under = subject = one.subject
        cells = {**one.cells, **one.sealed} if sealed else one.cells
        if not alone:
            if subject != patient and _is_test(cells):
                continue  # a test record says nothing of whoever it was joined with
            # A visit that moved within one patient has not moved.
            origin = origin_of(subject)
            under = origin if origin in names else one.counts_as or subject
        for cell in cells.values():
            if not isinstance(cell, VisitCell):
                _add(seen, subject, cell)
                continue
            if cell.moved and moved_visit(subject, cell.facility, cell.number) in names:
                continue  # it is read where it was moved to
            if cell.under != under:
                cell.under, cell.derived = under, None
            visits.append(cell)
            if one.given and under != origin:
                given[under, cell.facility, cell.number] = one.given
    _stays(seen, visits, given, closing)
    if not alone:
        seen.numbers = {(cell.under, cell.facility, cell.number) for cell in visits}
        seen.appointments = _joined(seen.appointments)
    if len(seen.stays) > 1:
        seen.announced = [stay for stay in seen.stays if value_of(stay.said, "planned") is True]
    seen.stays.sort(key=attrgetter("start", "facility", "visit"))
    if len(seen.appointments) > 1:
        seen.appointments.sort(key=starts)
    return seen


def _is_test(cells: Cells) -> bool:
    person = cells.get(("person", ""))
    return isinstance(person, PersonCell) and value_of(person.said, "test_patient") is True


def _stays(
    seen: View,
    visits: list[VisitCell],
    given: Mapping[tuple[str, str, str], int],
    closing: Callable[[str | None], str],
) -> None:
    """The stays of all members' visits, and the cancels that took nothing back.

    A visit is one, under whichever of the patient's numbers it was told: after a merge hospitals
    go on under the one that survives.
    """
    alone = len(seen.members) == 1
    for group in connected(visits):
        found = derive(group, closing)
        for stay in found.stays:
            stay.subject = seen.patient if alone else _subject(stay, group)
            if given:
                stay.given = given.get((stay.subject, stay.facility, stay.visit), 0)
        seen.stays += found.stays
        if found.orphans and not any(cell.moved for cell in group):
            newest = found.stays[-1].visit if found.stays else newest_of(group).number
            where = (min(group, key=first_seen).under, group[0].facility, newest)
            seen.orphans += [(*where, stamp) for stamp in found.orphans]


def _subject(stay: Stay, group: Sequence[VisitCell]) -> str:
    """The identifier under which a stay is kept: its discharge's, else that of its admission."""
    if stay.discharge is not None:
        return stay.discharge.subject
    return min(group, key=first_seen).under if len(group) > 1 else group[0].under


def _joined(appointments: list[AppointmentCell]) -> list[AppointmentCell]:
    """One appointment is one, under whichever number it was told."""
    found: dict[str, AppointmentCell] = {}
    for cell in appointments:
        known = found.get(cell.appointment)
        if known is None:
            found[cell.appointment] = cell
            continue
        said = dict(known.said)
        for name, held in cell.said.items():
            if name not in said or held.stamp > said[name].stamp:
                said[name] = held
        found[cell.appointment] = AppointmentCell(cell.appointment, said)
    return list(found.values())


def _add(seen: View, subject: str, cell: Cell) -> None:
    if isinstance(cell, AppointmentCell):
        seen.appointments.append(cell)
    elif isinstance(cell, WorkCell):
        seen.work[cell.task] = cell.done
    elif isinstance(cell, PersonCell):
        _person(seen, subject, cell)
    elif isinstance(cell, FacilityCell):
        seen.facilities.append(cell)
    elif isinstance(cell, GroupCell):
        seen.conflicts, seen.joins = cell.conflicts, cell.joins


def _person(seen: View, subject: str, cell: PersonCell) -> None:
    for name, held in cell.said.items():
        known = seen.person.get(name)
        if known is None or held.stamp > known.stamp:
            seen.person[name] = held
    seen.wishes += cell.wishes.values()
    if cell.parked:
        seen.parked[subject] = cell.parked
    seen.acknowledged.update(cell.acknowledged)
