"""What is known of one patient at an instant: the cells of all their identifiers, put in order.

A patient is a *set* of identifiers; facts stay with the identifier they came under, and the view
unites them.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Final, Protocol

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
IN_TIME: Final = attrgetter("start", "facility", "visit")


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
    # What few patients have: who is whom; of joined records, every visit under every number
    # (identifier, facility, number).
    group: GroupCell | None = None
    numbers: frozenset[tuple[str, str, str]] = frozenset()
    parked: dict[str, dict[str, tuple[int, str]]] = field(default_factory=dict)  # by identifier
    acknowledged: dict[str, int] = field(default_factory=dict)
    wishes: list[tuple[str | None, Stamp]] = field(default_factory=list)
    work: dict[str, list[Command]] = field(default_factory=dict)
    facilities: list[FacilityCell] = field(default_factory=list)

    @property
    def names(self) -> Collection[str]:
        """All identifiers of the patient."""
        return (self.patient,) if self.group is None else self.group.members.keys()

    @property
    def is_joined(self) -> bool:
        """Whether the patient has several identifiers."""
        return self.group is not None and len(self.group.members) > 1

    def visits(self) -> set[tuple[str, str, str]]:
        """Identifier, facility and number of every visit that is known."""
        found = {(stay.subject, stay.facility, n) for stay in self.stays for n in stay.visits}
        return found | self.numbers

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
        for heard, *names in self.group.joins if self.group else ():
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


def view(one: Member, closing: Callable[[str | None], str], *, sealed: bool = False) -> View:
    """
    Put the cells of one identifier in order: of a patient who is not joined with anybody.

    Args:
        one: The identifier.
        closing: See `derive`.
        sealed: What was put away, too.
    """
    subject = one.subject
    seen = View(subject, one.key)
    visits: list[VisitCell] = []
    for cell in ({**one.cells, **one.sealed} if sealed else one.cells).values():
        if isinstance(cell, VisitCell):
            visits.append(cell)
        else:
            _add(seen, subject, cell)
    _stays(seen, visits, closing, subject)
    return seen


def united(
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
    names = {one.subject for one in members}
    seen = View(patient, members[0].key)
    visits: list[VisitCell] = []
    elsewhere: list[VisitCell] = []  # they count as another's than under whom they came
    given: dict[tuple[str, str, str], int] = {}
    for one in members:
        subject = one.subject
        cells = {**one.cells, **one.sealed} if sealed else one.cells
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
            if under != subject:
                elsewhere.append(cell)
            if one.given and under != origin:
                given[under, cell.facility, cell.number] = one.given
    seen.appointments = _joined(seen.appointments)
    _stays(seen, visits, closing)
    for cell in elsewhere:
        cell.derived = None  # what is kept of a cell is what its own identifier would say
    if given:
        for stay in seen.stays:
            stay.given = given.get((stay.subject, stay.facility, stay.visit), 0)
    seen.numbers = frozenset((cell.under, cell.facility, cell.number) for cell in visits)
    return seen


def _is_test(cells: Cells) -> bool:
    person = cells.get(("person", ""))
    return isinstance(person, PersonCell) and value_of(person.said, "test_patient") is True


def _stays(
    seen: View, visits: list[VisitCell], closing: Callable[[str | None], str], subject: str = ""
) -> None:
    """The stays of all visits, and the cancels that took nothing back; in order of time.

    A visit is one, under whichever of the patient's numbers it was told: after a merge hospitals
    go on under the one that survives.
    """
    for group in connected(visits):
        found = derive(group, closing, subject)
        seen.stays += found.stays
        if found.orphans and not any(cell.moved for cell in group):
            newest = found.stays[-1].visit if found.stays else newest_of(group).number
            where = (min(group, key=first_seen).under, group[0].facility, newest)
            seen.orphans += [(*where, stamp) for stamp in found.orphans]
    if len(seen.stays) > 1:
        seen.announced = [stay for stay in seen.stays if value_of(stay.said, "planned") is True]
        seen.stays.sort(key=IN_TIME)
    if len(seen.appointments) > 1:
        seen.appointments.sort(key=starts)


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
        seen.group = cell


def _person(seen: View, subject: str, cell: PersonCell) -> None:
    for name, held in cell.said.items():
        known = seen.person.get(name)
        if known is None or held.stamp > known.stamp:
            seen.person[name] = held
    seen.wishes += cell.wishes.values()
    if cell.parked:
        seen.parked[subject] = cell.parked
    seen.acknowledged.update(cell.acknowledged)
