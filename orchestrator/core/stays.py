"""Stays: a visit's happenings put in order.

A visit's marks are walked by the instant at which each stands.  A stay begins with an admission;
a discharge ends it; a cancellation takes the latest one back; a new admission after a discharge
that stands begins the next stay under the same number (ruling 35).  Two discharges are one
happening until a cancel or a return lies between them (ruling 14).  Cells that
``previous_visit_number`` connects are one visit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from operator import attrgetter

from orchestrator.core.cells import Classed, VisitCell
from orchestrator.core.facts import Stamp
from orchestrator.core.registers import Registers, value_of
from orchestrator.core.visit_walk import (
    ADMIT,
    CORRECTED,
    IMPLIED,
    Happening,
    Mark,
    Segment,
    Walk,
    about_the_discharge,
    first_received,
    marks_of,
    parted_at,
    stated,
)


@dataclass(slots=True)
class Discharge:
    """One discharge happening: all statements about it, and whether it was taken back."""

    at: int
    heard: tuple[tuple[int, int], ...]  # each instant that was said for it, and when we heard it
    anchor: Stamp  # the statement by which it first became known
    anchor_at: int  # the instant that this first statement gave
    visit: str  # the visit number that this first statement carried
    subject: str  # the identifier under which it came
    disposition: str | None
    disposition_receipt: int  # when we first heard the disposition that holds
    first_disposition: str | None  # what the first statement said of it
    events: tuple[str, ...]
    flags: tuple[str, ...]
    cancelled: Stamp | None = None
    apart: int = 0  # when we heard of what parts it from the one before it, of the same number
    # The same discharge as told first under other numbers of the patient: subject, visit, source,
    # event.  Each has been a transition of its own, before the records were joined.
    others: tuple[tuple[str, str, str, str], ...] = ()


@dataclass(slots=True)
class Stay:
    """One facility encounter, from one admission to its end."""

    facility: str
    visit: str
    visits: tuple[str, ...]
    said: Registers
    classes: Mapping[str, Classed]
    last_update: int
    admitted_at: int | None = None
    admit: Stamp | None = None  # the first received admission message, if one came
    admit_at: int | None = None  # its own stated instant
    opened: bool = False  # an admission message came, not only a mention
    flags: tuple[str, ...] = ()
    cancelled: Stamp | None = None
    discharge: Discharge | None = None  # the one that stands
    taken_back: list[Discharge] = field(default_factory=list)
    on_leave: bool = False
    returned_from: bool = False  # began with a return, not with an admission
    planned: bool = False  # announced, not yet begun
    subject: str = ""
    moved: bool = False  # it was another patient's all along
    given: int = 0  # when we heard that it is this patient's, where it came under another
    claimants: frozenset[str] = frozenset()
    start: int = 0  # for order: admission, else the earliest that is known
    began: int = 0  # under an earlier number, where it had one (an ED visit that became this)
    # The class that holds; a discharge without any admission counts as INPATIENT.
    cls: str = field(init=False, default="INPATIENT")

    def __post_init__(self) -> None:
        self.take(self.classes)

    def take(self, classes: Mapping[str, Classed]) -> None:
        """Have these classes: those of its own time, where the number was used again."""
        self.classes = classes
        if len(classes) == 1:
            (self.cls,) = classes
        elif not classes:
            self.cls = "INPATIENT"
        else:
            self.cls = max(classes.items(), key=lambda item: item[1].stamp)[0]

    def class_since(self, cls: str) -> int | None:
        """From when it had this class: its admission, or the class change; None: never had."""
        if cls not in self.classes:
            return self.start if not self.classes and cls == "INPATIENT" else None
        since = self.classes[cls].since
        others = [held.since for name, held in self.classes.items() if name != cls]
        return max(since, self.start) if others and min(others) < since else self.start

    @property
    def ended_at(self) -> int | None:
        """The instant of the discharge that stands."""
        return self.discharge.at if self.discharge else None


@dataclass(slots=True)
class Derived:
    """The stays of one visit, in order, and the cancels that found nothing to take back."""

    stays: list[Stay]
    orphans: list[Stamp]


def derive(
    members: list[VisitCell], closing: Callable[[str | None], str], subject: str = ""
) -> Derived:
    """
    Put the happenings of one connected set of visit cells in order.

    Args:
        members: Not empty.
        closing: What a disposition code does: ``interim`` (still a patient: no discharge),
            ``none`` (admitted here: ends the account, starts nothing), else anything.
        subject: Whose they are; empty where each cell says so itself (`VisitCell.under`).

    Returns:
        Not to be changed: a visit that stands alone keeps it until a fact touches its cell.
    """
    alone = members[0] if len(members) == 1 else None
    if alone is not None and isinstance(alone.derived, Derived):
        return alone.derived
    if subject:
        for cell in members:
            cell.under = subject
    found = _derive(members, closing)
    for stay in found.stays:
        stay.subject = subject or _subject(stay, members)
    if alone is not None:
        alone.derived = found
    return found


def _derive(members: list[VisitCell], closing: Callable[[str | None], str]) -> Derived:
    marks = marks_of(members)
    segments, orphans = Walk(marks).run()
    stays = [_stay(members, segment, closing) for segment in segments]
    if len(stays) > 1:
        _share_classes(stays)
        for stay, segment in zip(stays, segments, strict=True):
            _take_ends(stay, segment, closing)  # what ends it hangs on its own class
    if not stays:
        planned = [cell for cell in members if any(key[0] == "planned" for key in cell.marks)]
        if planned:
            stay = _stay(members, Segment(), closing)
            stay.planned = True
            stay.cancelled = _plan_taken_back(members)
            stays.append(stay)
    return Derived(stays, orphans)


def _subject(stay: Stay, group: Sequence[VisitCell]) -> str:
    """The identifier under which a stay is kept: its discharge's, else that of its admission."""
    return min(group, key=first_seen).under if stay.discharge is None else stay.discharge.subject


def _share_classes(stays: list[Stay]) -> None:
    """Of a number used again each stay has the classes of its own time."""
    for stay, following in pairwise(stays):
        own = {name: held for name, held in stay.classes.items() if held.since < following.start}
        later = {
            name: held._replace(since=min(since))
            for name, held in stay.classes.items()
            if (since := [at for at in (held.since, *held.openings) if at >= following.start])
        }
        if not later and following.opened and following.cls in following.classes:
            later = {following.cls: following.classes[following.cls]}
        stay.take(own or stay.classes)
        following.take(later)


def _plan_taken_back(members: list[VisitCell]) -> Stamp | None:
    """The cancellation of an announced admission that was not announced again since."""
    marks = [(at, what, stamp) for cell in members for (what, at, _), stamp in cell.marks.items()]
    announced = max((at for at, what, _ in marks if what == "planned"), default=0)
    cancels = [
        stamp
        for at, what, stamp in marks
        if what in ("cancel-admit", "cancel-planned") and at >= announced
    ]
    return min(cancels, default=None)


def _stay(members: list[VisitCell], segment: Segment, closing: Callable[[str | None], str]) -> Stay:
    newest = newest_of(members)
    single = len(members) == 1
    stay = Stay(
        newest.facility,
        newest.number,
        (newest.number,)
        if single
        else tuple(dict.fromkeys(cell.number for cell in sorted(members, key=first_seen))),
        newest.said if single else _union(members),
        newest.classes if single else _classes(members),
        newest.last_update if single else max(cell.last_update for cell in members),
        cancelled=segment.cancelled,
        on_leave=segment.on_leave,
        returned_from=segment.returned_from is not None,
    )
    if not single or newest.moved or newest.claimants:
        _whose(stay, members)
    if segment.admits:
        named = [mark for mark in segment.admits if IMPLIED not in mark.said[2]] or segment.admits
        holding = max(named, key=attrgetter("stamp"))
        stay.admitted_at, _, flags = holding.said
        stay.flags = tuple(flag for flag in flags if flag != IMPLIED)
        opened = [mark for mark in segment.admits if mark.rank == ADMIT]
        stay.opened = bool(opened)
        if opened:
            first = min(opened, key=first_received)
            stay.admit, stay.admit_at = first.stamp, first.said[0]
    elif segment.returned_from is not None:
        stay.admitted_at = segment.returned_from
    _take_ends(stay, segment, closing)
    return stay


def _take_ends(stay: Stay, segment: Segment, closing: Callable[[str | None], str]) -> None:
    """The discharges of a stay, and since when it is known."""
    stay.discharge, stay.taken_back = None, []
    for happening in segment.happenings:
        discharge = _discharge(happening, stay.visit, closing)
        if discharge is None:
            continue
        if closing(discharge.disposition) == "none" and stay.cls == "INPATIENT":
            continue  # admitted here: an inpatient stay goes on
        if discharge.cancelled is None:
            stay.discharge = discharge
        else:
            stay.taken_back.append(discharge)
    known = [d.at for d in stay.taken_back]
    if stay.discharge is not None:
        known.append(stay.discharge.at)
    if not known:  # an account closed, or an interim bill, is all that was heard of it
        known = [stated(mark) for one in segment.happenings for mark in one.statements]
    stay.start = stay.admitted_at if stay.admitted_at is not None else min(known, default=0)
    earlier = (mark.said[0] for mark in segment.admits if mark.visit != stay.visit)
    stay.began = min([stay.start, *earlier])


def _whose(stay: Stay, members: list[VisitCell]) -> None:
    """What was decided about whose visit it is."""
    moved = [cell.moved for cell in members if cell.moved]
    if moved:
        stay.moved, stay.cancelled = True, min(moved)
    stay.claimants = frozenset().union(*(cell.claimants for cell in members))


def _discharge(
    happening: Happening, newest: str, closing: Callable[[str | None], str]
) -> Discharge | None:
    statements = about_the_discharge(happening.statements, newest, closing)
    opening = [mark for mark in statements if mark.said[1]]
    if not opening:
        return None
    disposed = [mark for mark in statements if mark.said[3]]
    disposition = max(disposed, key=attrgetter("stamp")).said[4] if disposed else None
    if closing(disposition) == "interim":
        return None
    timed = [mark for mark in statements if mark.said[0] is not None or mark.said[1]]
    holding = max(timed, key=attrgetter("stamp"))
    at = stated(holding)
    first = min(opening, key=first_received)
    return Discharge(
        at=at,
        heard=_heard(timed),
        anchor=first.stamp,
        anchor_at=stated(first),
        visit=first.visit,
        subject=first.subject,
        disposition=disposition,
        disposition_receipt=min(
            (mark.stamp.receipt for mark in disposed if mark.said[4] == disposition), default=0
        ),
        first_disposition=first.said[4],
        events=tuple(dict.fromkeys(mark.stamp.event for mark in statements)),
        flags=tuple(flag for flag in holding.said[2] if flag != CORRECTED),
        cancelled=happening.cancelled,
        apart=parted_at(happening, first),
        others=_others(opening, first.subject) if len(opening) > 1 else (),
    )


def _heard(timed: list[Mark]) -> tuple[tuple[int, int], ...]:
    heard: dict[int, int] = {}
    for mark in timed:
        at = stated(mark)
        heard[at] = min(mark.stamp.receipt, heard.get(at, mark.stamp.receipt))
    return tuple(heard.items())


def _others(opening: list[Mark], subject: str) -> tuple[tuple[str, str, str, str], ...]:
    firsts: dict[str, Mark] = {}
    for mark in sorted(opening, key=first_received):
        if mark.subject != subject:
            firsts.setdefault(mark.subject, mark)
    return tuple(
        (name, mark.visit, mark.stamp.source, mark.stamp.event) for name, mark in firsts.items()
    )


def connected(cells: Sequence[VisitCell]) -> list[list[VisitCell]]:
    """Cells in the sets that ``previous_visit_number`` connects, or one number in two records."""
    if len(cells) == 1:
        return [[cells[0]]]
    by_key: dict[tuple[str, str], list[VisitCell]] = {}
    for cell in cells:
        by_key.setdefault((cell.facility, cell.number), []).append(cell)
    if not [cell for cell in cells if "previous_visit_number" in cell.said]:
        return list(by_key.values())
    parent = {key: key for key in by_key}

    def root(key: tuple[str, str]) -> tuple[str, str]:
        while parent[key] != key:
            key = parent[key]
        return key

    for (facility, number), same in by_key.items():
        for cell in same:
            previous = value_of(cell.said, "previous_visit_number")
            if previous and (facility, previous) in by_key and previous != number:
                parent[root((facility, number))] = root((facility, previous))
    groups: dict[tuple[str, str], list[VisitCell]] = {}
    for key, same in by_key.items():
        groups.setdefault(root(key), []).extend(same)
    return list(groups.values())


def first_seen(cell: VisitCell) -> tuple[int, str]:
    """For order: when a visit began, by what its cell says."""
    since = [held.since for held in cell.classes.values()]
    since += [key[0] for key in cell.admits]
    since += [key[0] for key in cell.discharges if key[0] is not None]
    return (min(since, default=cell.last_update), cell.number)


def newest_of(members: list[VisitCell]) -> VisitCell:
    """The cell whose number is nobody's previous number."""
    if len(members) == 1:
        return members[0]
    previous = {value_of(cell.said, "previous_visit_number") for cell in members}
    last = [cell for cell in members if cell.number not in previous] or members
    return max(last, key=first_seen)


def _union(members: list[VisitCell]) -> Registers:
    joined: Registers = {}
    for cell in members:
        for name, held in cell.said.items():
            if name not in joined or held.stamp > joined[name].stamp:
                joined[name] = held
    return joined


def _classes(members: list[VisitCell]) -> dict[str, Classed]:
    joined: dict[str, Classed] = {}
    for cell in members:
        for name, said in cell.classes.items():
            held = joined.get(name)
            joined[name] = said if held is None else held.joined(said)
    return joined
