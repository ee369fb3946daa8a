"""Patients that are joined, separated, or given each other's visits: members change places.

For a run that holds all of them at once (``replay``).  Where they lie in different partitions,
``stream`` moves them by messages; what is joined with what is the same function of the same marks.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from orchestrator.core.announce import Joined
from orchestrator.core.calendar import spoken
from orchestrator.core.cells import VisitCell
from orchestrator.core.facts import OF_VISIT, Stamp, Told
from orchestrator.core.identity import GroupCell, Homes, homes, remember
from orchestrator.core.marks import Mark, origin_of, visit_of
from orchestrator.core.patient import CellKey, Patient

GROUP = ("group", "")
_JOINED = "Two records were joined on {when}."
_PARTED = "Two records were separated on {when}."
_MOVED = "A visit changed records on {when}."
_SAID = {
    "merge": _JOINED,
    "link": _JOINED,
    "unmerge": _PARTED,
    "detach": _PARTED,
    "move": _MOVED,
    "move-account": _MOVED,
    "pair": "A visit that changed records goes by this number, too.",
    "account": "A visit that changed records goes by this number, too.",
}


def joined(mark: Mark, zone: str) -> Joined:
    """Why members changed places, for the tasks that only change hands by it."""
    return Joined(mark.event, _SAID[mark.what].format(when=spoken(mark.time, zone)))


def regrouped(
    mark: Mark, zone: str, home: str, was: GroupCell | None, now: GroupCell | None
) -> Joined:
    """
    The same of one home, told by what differs there, whatever the mark was meant to do.

    Args:
        was: Its group before; None or without members: nobody but itself.
        now: Its group.
    """
    before, after = _identifiers(home, was), _identifiers(home, now)
    text = _SAID[mark.what]
    if after > before:
        text = _JOINED
    elif before > after:
        text = _PARTED
    return Joined(mark.event, text.format(when=spoken(mark.time, zone)))


def _identifiers(home: str, group: GroupCell | None) -> set[str]:
    members = (group and group.members) or (home,)
    return {name for name in members if visit_of(name) is None}


def group_of(home: str, found: Homes, key_of: Callable[[str], str], number: int) -> GroupCell:
    """What the home of a group is told of it."""
    members = found.members(home)
    return GroupCell(
        number,
        {
            name: (key_of(name), found.counts_as.get(name, name), found.given.get(name, 0))
            for name in members
        },
        [
            (mark.source, mark.event, mark.time, mark.survivor, mark.other)
            for mark in found.conflicts
            if mark.survivor in members
        ],
        sorted((m.receipt, *m.names()) for m in found.effective if m.survivor in members),
    )


def flag_moved(origin: Patient, member: str, mark: Mark) -> None:
    """Tell the patient under whom a visit came that its own cell of it is not the one to read."""
    key = moved_cell(member)
    cell = origin.cells.get(key) or origin.sealed.get(key)
    if not isinstance(cell, VisitCell):
        facility, _, visit = key[1].partition("|")
        cell = origin.cells[key] = VisitCell(facility, visit)
    cell.derived = None
    cell.moved = Stamp(mark.recorded, -1, mark.source, mark.event, mark.time, mark.receipt)
    origin.dirty.add(key)


def moved_cell(member: str) -> CellKey:
    """The cell of a moved visit."""
    visit = visit_of(member)
    assert visit is not None
    return ("visit", "|".join(visit))


def copy_of(origin: Patient, member: str, key: str) -> Patient:
    """A moved visit as a member of the patient it belongs to, with all that was said of it."""
    name = moved_cell(member)
    found = Patient(member, key, at=origin.at)
    for there, here in ((origin.cells, found.cells), (origin.sealed, found.sealed)):
        cell = there.get(name)
        if isinstance(cell, VisitCell):
            copied = VisitCell.load(cell.dump())
            copied.moved = None
            here[name] = copied
            found.dirty.add(name)
    # What was said of a time to come counts for both from then on.
    held = (said_of(told, member) for told in origin.held)
    found.held = [told for told in held if told is not None]
    return found


def said_of(told: Told, member: str, under: str = "") -> Told | None:
    """
    What a member was told: of a moved visit, only what was said of it under its origin.

    Args:
        member: An identifier, or the name of a moved visit.
        under: What the patient calls it; empty for its own.
    """
    visit = visit_of(member)
    if visit is None:
        return replace(told, under=under) if under else told
    facts = tuple(
        fact
        for fact in told.facts
        if isinstance(fact, OF_VISIT) and (fact.facility, fact.visit) == visit
    )
    if not facts:
        return None
    return replace(told, type="", under=under, facts=facts, at_once=(), marks=())


def _cause(fresh: Iterable[Mark], was: GroupCell | None, now: GroupCell) -> Mark:
    """Of several marks of one instant the one that a home's change is about."""
    here = now.members.keys() | (was.members.keys() if was is not None else set())
    return max(fresh, key=lambda mark: (not here.isdisjoint(mark.names()), mark))


class Joining:
    """
    All patients that marks connect.

    Attributes:
        patients: By identifier, and by the name of each moved visit.
    """

    def __init__(self, key_of: Callable[[str], str]) -> None:
        self._key_of = key_of
        self._marks: list[Mark] = []
        self._known = Homes()
        self._ever: dict[str, Mark] = {}
        self.patients: dict[str, Patient] = {}
        self._groups: dict[str, GroupCell] = {}

    def patient(self, name: str) -> Patient:
        """The one of that name; made where it is new."""
        if name not in self.patients:
            self.patients[name] = Patient(name, self._key_of(name))
        return self.patients[name]

    def home(self, name: str) -> Patient:
        """The patient that *name* is a member of."""
        return self.patient(self._known.home.get(name, name))

    def homes(self) -> list[Patient]:
        """Every patient that is planned, in a fixed order."""
        return [
            self.patients[name]
            for name in sorted(self.patients)
            if self._known.home.get(name, name) == name
        ]

    def take(self, marks: Iterable[Mark], zone: str) -> dict[str, Joined]:
        """
        Take in more marks.

        Returns:
            By name the patients whose members are others now, and why.
        """
        fresh = list(marks)
        self._marks += fresh
        before, found = self._known, homes(self._marks)
        remember(found, self._ever)
        self._known = found
        for name in found.home:
            if name not in found.counts_as:
                self.patient(name)
        self._move_visits(found)
        groups = found.groups()
        changed: dict[str, Joined] = {}
        told = {home: group_of(home, found, self._key_of, 0) for home in groups}
        for home in sorted(told.keys() | self._groups.keys()):
            was, now = self._groups.get(home), told.get(home)
            if was != now:
                if now is not None:
                    changed[home] = regrouped(_cause(fresh, was, now), zone, home, was, now)
                self._regroup(home, now)
        self._groups = told
        for member in sorted(found.moves.keys() - before.moves.keys()):
            changed[self.home(origin_of(member)).subject] = joined(found.moves[member], zone)
        return changed

    def _move_visits(self, found: Homes) -> None:
        for member, mark in sorted(found.moves.items()):
            if member not in self.patients:
                origin = self.patient(origin_of(member))
                self.patients[member] = copy_of(origin, member, self._key_of(member))
                flag_moved(origin, member, mark)

    def _regroup(self, home: str, group: GroupCell | None) -> None:
        patient = self.patient(home)
        patient.cells.pop(GROUP, None)
        patient.others = {}
        if group is None:
            return
        for name, (_, counts_as, given) in group.members.items():
            member = self.patient(name)
            member.counts_as, member.given = counts_as, given
            if name != home:
                patient.others[name] = member
        if len(group.members) > 1 or group.conflicts:
            patient.cells[GROUP] = group
