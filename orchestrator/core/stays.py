"""Stays: a visit's happenings put in order.

A visit's marks are walked by the instant at which each stands.  A stay begins with an admission;
a discharge ends it; a cancellation takes the latest one back; a new admission after a discharge
that stands begins the next stay under the same number (ruling 35).  Two discharges are one
happening until a cancel or a return lies between them (ruling 14).  Cells that
``previous_visit_number`` connects are one visit.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter, itemgetter
from typing import Any, Final, NamedTuple

from orchestrator.core.cells import VisitCell, matching_instant
from orchestrator.core.facts import Stamp
from orchestrator.core.registers import Registers, value_of


@dataclass(slots=True)
class Discharge:
    """One discharge happening: all statements about it, and whether it was taken back."""

    at: int
    at_receipt: int  # when we heard the instant that holds
    anchor: Stamp  # the statement by which it first became known
    anchor_at: int  # the instant that this first statement gave
    visit: str  # the visit number that this first statement carried
    disposition: str | None
    events: tuple[str, ...]
    flags: tuple[str, ...]
    cancelled: Stamp | None = None


@dataclass(slots=True)
class Stay:
    """One facility encounter, from one admission to its end."""

    facility: str
    visit: str
    visits: tuple[str, ...]
    said: Registers
    classes: Mapping[str, tuple[int, Stamp]]
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
    start: int = 0  # for order: admission, else the earliest that is known

    @property
    def cls(self) -> str:
        """The class that holds; a discharge without any admission counts as INPATIENT."""
        if not self.classes:
            return "INPATIENT"
        return max(self.classes.items(), key=lambda item: item[1][1])[0]

    def class_since(self, cls: str) -> int | None:
        """From when it had this class: its admission, or the class change; None: never had."""
        if cls not in self.classes:
            return self.start if not self.classes and cls == "INPATIENT" else None
        since = self.classes[cls][0]
        others = [first for name, (first, _) in self.classes.items() if name != cls]
        return max(since, self.start) if others and min(others) < since else self.start

    @property
    def ended_at(self) -> int | None:
        """The instant of the discharge that stands."""
        return self.discharge.at if self.discharge else None


_ADMIT, _WEAK, _DISCHARGE, _RETURNED, _LEFT, _CANCEL_ADMIT, _CANCEL_DISCHARGE = range(7)
_RANK: Final = {
    "left": _LEFT,
    "returned": _RETURNED,
    "cancel-admit": _CANCEL_ADMIT,
    "cancel-discharge": _CANCEL_DISCHARGE,
}

# An implied admission instant (an update that opened the stay without naming one) yields to any
# that was stated.
IMPLIED: Final = "IMPLIED"


class _Mark(NamedTuple):
    """One line of a visit's story; sorting it by its first three fields puts it in order."""

    instant: int
    rank: int
    stamp: Stamp
    said: Any  # the cell's key of this statement
    visit: str


@dataclass(slots=True)
class _Happening:
    statements: list[_Mark]
    cancelled: Stamp | None = None


@dataclass(slots=True)
class _Segment:
    admits: list[_Mark] = field(default_factory=list)
    happenings: list[_Happening] = field(default_factory=list)
    cancelled: Stamp | None = None
    on_leave: bool = False
    returned_from: int | None = None

    def standing(self) -> bool:
        """Whether a discharge that stands has ended this stay."""
        last = self.happenings[-1] if self.happenings else None
        return (
            last is not None
            and last.cancelled is None
            and any(mark.said[1] for mark in last.statements)
        )


@dataclass(slots=True)
class Derived:
    """The stays of one visit, in order, and the cancels that found nothing to take back."""

    stays: list[Stay]
    orphans: list[Stamp]


def derive(members: list[VisitCell], closing: Callable[[str | None], str]) -> Derived:
    """
    Put the happenings of one connected set of visit cells in order.

    Args:
        members: Not empty.
        closing: What a disposition code does: ``interim`` (still a patient: no discharge),
            ``none`` (admitted here: ends the account, starts nothing), else anything.
    """
    marks = _marks(members)
    segments, orphans = _Walk(marks).run()
    stays = [_stay(members, segment, closing) for segment in segments]
    if not stays:
        planned = [cell for cell in members if any(key[0] == "planned" for key in cell.marks)]
        if planned:
            stay = _stay(members, _Segment(), closing)
            stay.planned = True
            cancels = [
                stamp
                for cell in members
                for (what, _, _), stamp in cell.marks.items()
                if what == "cancel-admit"
            ]
            stay.cancelled = min(cancels, default=None)
            stays.append(stay)
    return Derived(stays, orphans)


def _marks(members: list[VisitCell]) -> list[_Mark]:
    marks: list[_Mark] = []
    for cell in members:
        for admit, stamps in cell.admits.items():
            rank, whole = _ADMIT if admit[1] else _WEAK, "DAY" in admit[2]
            for stamp in stamps:
                instant = matching_instant(admit[0], stamp, whole_day=whole)
                marks.append(_Mark(instant, rank, stamp, admit, cell.number))
        for said, stamps in cell.discharges.items():
            for stamp in stamps:
                stated = stamp.time if said[0] is None else said[0]
                instant = matching_instant(stated, stamp, whole_day="DAY" in said[2])
                marks.append(_Mark(instant, _DISCHARGE, stamp, said, cell.number))
        for mark, stamp in cell.marks.items():
            if mark[0] in _RANK:
                marks.append(_Mark(mark[1], _RANK[mark[0]], stamp, mark, cell.number))
            elif mark[0] == "planned":
                marks.append(_Mark(mark[1], -1, stamp, mark, cell.number))
            else:
                marks.append(_Mark(mark[1], -2, stamp, mark, cell.number))
    marks.sort(key=itemgetter(0, 1, 2))
    return marks


def _stated(mark: _Mark) -> int:
    """The instant at which an admission or a discharge says it stands."""
    instant: int | None = mark.said[0]
    return mark.stamp.time if instant is None else instant


class _Walk:
    """One pass over a visit's marks in order."""

    def __init__(self, marks: list[_Mark]) -> None:
        self.marks = marks
        self.segments: list[_Segment] = []
        self.orphans: list[Stamp] = []
        self.current: _Segment | None = None
        self.planned = self.pending = False
        # Cancels that name the instant they take back, whenever they were said.
        self.named = {
            rank: {
                mark.said[2]: mark.stamp
                for mark in reversed(marks)
                if mark.rank == rank and mark.said[2] is not None
            }
            for rank in (_CANCEL_ADMIT, _CANCEL_DISCHARGE)
        }

    def run(self) -> tuple[list[_Segment], list[Stamp]]:
        for mark in self.marks:
            if mark.rank < 0:
                self.planned |= mark.rank == -1
                self.pending |= mark.rank == -2
            elif mark.rank <= _WEAK:
                self._admit(mark)
            elif mark.rank == _DISCHARGE:
                self._discharge(mark)
            elif mark.rank == _LEFT:
                if self.current is not None and not self.current.standing():
                    self.current.on_leave = True
            elif mark.rank == _RETURNED:
                self._returned(mark)
            else:
                self._cancel(mark)
        return self.segments, self.orphans

    def _begin(self, segment: _Segment) -> _Segment:
        self.segments.append(segment)
        self.current = segment
        return segment

    def _admit(self, mark: _Mark) -> None:
        current = self.current
        if current is None or (
            mark.rank == _ADMIT and (current.cancelled is not None or current.standing())
        ):
            current = self._begin(_Segment())
        current.admits.append(mark)
        if current.cancelled is None:
            current.cancelled = self.named[_CANCEL_ADMIT].get(mark.said[0])

    def _discharge(self, mark: _Mark) -> None:
        opens = mark.said[1]
        current = self.current
        if current is None or current.cancelled is not None:
            if not opens:
                return  # an amendment of nothing
            current = self._begin(_Segment())
        if not current.happenings or current.happenings[-1].cancelled is not None:
            current.happenings.append(_Happening([]))
        happening = current.happenings[-1]
        happening.statements.append(mark)
        if opens:
            happening.cancelled = self.named[_CANCEL_DISCHARGE].get(_stated(mark))

    def _returned(self, mark: _Mark) -> None:
        current = self.current
        if current is None:
            return
        current.on_leave = False
        if current.standing() and current.cancelled is None:
            self._begin(_Segment(returned_from=mark.instant))

    def _cancel(self, mark: _Mark) -> None:
        discharge = mark.rank == _CANCEL_DISCHARGE
        if mark.said[2] is not None:
            ranks = (_DISCHARGE,) if discharge else (_ADMIT, _WEAK)
            if not any(
                other.rank in ranks and other.said[1 if discharge else 0] is not False
                and _stated(other) == mark.said[2]
                for other in self.marks
            ) and not (self.pending if discharge else self.planned):
                self.orphans.append(mark.stamp)
            return
        target: _Happening | _Segment | None = (
            self._latest_discharge()
            if discharge
            else next((s for s in reversed(self.segments) if s.admits), None)
        )
        if target is not None:
            target.cancelled = target.cancelled or mark.stamp
        elif not (self.pending if discharge else self.planned):
            self.orphans.append(mark.stamp)

    def _latest_discharge(self) -> _Happening | None:
        for segment in reversed(self.segments):
            for happening in reversed(segment.happenings):
                if any(mark.said[1] for mark in happening.statements):
                    return happening
        return None


def _stay(
    members: list[VisitCell], segment: _Segment, closing: Callable[[str | None], str]
) -> Stay:
    newest = _newest(members)
    single = len(members) == 1
    stay = Stay(
        newest.facility,
        newest.number,
        tuple(cell.number for cell in sorted(members, key=_first_seen)),
        newest.said if single else _union(members),
        newest.classes if single else _classes(members),
        max(cell.last_update for cell in members),
        cancelled=segment.cancelled,
        on_leave=segment.on_leave,
        returned_from=segment.returned_from is not None,
    )
    if segment.admits:
        stated = [mark for mark in segment.admits if IMPLIED not in mark.said[2]] or segment.admits
        holding = max(stated, key=attrgetter("stamp"))
        stay.admitted_at, _, flags = holding.said
        stay.flags = tuple(flag for flag in flags if flag != IMPLIED)
        opened = [mark for mark in segment.admits if mark.rank == _ADMIT]
        stay.opened = bool(opened)
        if opened:
            first = min(opened, key=_first_received)
            stay.admit, stay.admit_at = first.stamp, first.said[0]
    elif segment.returned_from is not None:
        stay.admitted_at = segment.returned_from
    for happening in segment.happenings:
        discharge = _discharge(happening, closing)
        if discharge is None:
            continue
        if discharge.cancelled is None:
            stay.discharge = discharge
        else:
            stay.taken_back.append(discharge)
    known = [d.at for d in stay.taken_back]
    if stay.discharge is not None:
        known.append(stay.discharge.at)
    stay.start = stay.admitted_at if stay.admitted_at is not None else min(known, default=0)
    return stay


def _first_received(mark: _Mark) -> tuple[int, str, str]:
    return (mark.stamp.receipt, mark.stamp.source, mark.stamp.event)


def _discharge(happening: _Happening, closing: Callable[[str | None], str]) -> Discharge | None:
    # Closing the account of a visit that was admitted here says nothing where another discharge
    # of the same happening does.
    statements = [
        mark
        for mark in happening.statements
        if not (mark.said[3] and closing(mark.said[4]) in ("none", "interim"))
    ] or happening.statements
    opening = [mark for mark in statements if mark.said[1]]
    if not opening:
        return None
    disposed = [mark for mark in statements if mark.said[3]]
    disposition = max(disposed, key=attrgetter("stamp")).said[4] if disposed else None
    if closing(disposition) == "interim":
        return None
    first = min(opening, key=_first_received)
    timed = [mark for mark in statements if mark.said[0] is not None or mark.said[1]]
    holding = max(timed, key=attrgetter("stamp"))
    at = _stated(holding)
    return Discharge(
        at=at,
        at_receipt=min(mark.stamp.receipt for mark in timed if _stated(mark) == at),
        anchor=first.stamp,
        anchor_at=_stated(first),
        visit=first.visit,
        disposition=disposition,
        events=tuple(dict.fromkeys(mark.stamp.event for mark in statements)),
        flags=holding.said[2],
        cancelled=happening.cancelled,
    )


def connected(cells: Iterable[VisitCell]) -> list[list[VisitCell]]:
    """Cells in sets that ``previous_visit_number`` connects, each set in order of its first word."""
    by_key = {(cell.facility, cell.number): cell for cell in cells}
    parent = {key: key for key in by_key}

    def root(key: tuple[str, str]) -> tuple[str, str]:
        while parent[key] != key:
            key = parent[key]
        return key

    linked = False
    for (facility, number), cell in by_key.items():
        previous = value_of(cell.said, "previous_visit_number")
        if previous and (facility, previous) in by_key and previous != number:
            parent[root((facility, number))] = root((facility, previous))
            linked = True
    if not linked:
        return [[cell] for cell in by_key.values()]
    groups: dict[tuple[str, str], list[VisitCell]] = {}
    for key, cell in by_key.items():
        groups.setdefault(root(key), []).append(cell)
    return list(groups.values())


def _first_seen(cell: VisitCell) -> tuple[int, str]:
    since = [first for first, _ in cell.classes.values()]
    since += [key[0] for key in cell.admits]
    since += [key[0] for key in cell.discharges if key[0] is not None]
    return (min(since, default=cell.last_update), cell.number)


def _newest(members: list[VisitCell]) -> VisitCell:
    """The cell whose number is nobody's previous number."""
    if len(members) == 1:
        return members[0]
    previous = {value_of(cell.said, "previous_visit_number") for cell in members}
    last = [cell for cell in members if cell.number not in previous] or members
    return max(last, key=_first_seen)


def _union(members: list[VisitCell]) -> Registers:
    joined: Registers = {}
    for cell in members:
        for name, held in cell.said.items():
            if name not in joined or held.stamp > joined[name].stamp:
                joined[name] = held
    return joined


def _classes(members: list[VisitCell]) -> dict[str, tuple[int, Stamp]]:
    joined: dict[str, tuple[int, Stamp]] = {}
    for cell in members:
        for name, (since, stamp) in cell.classes.items():
            held = joined.get(name)
            joined[name] = (
                (since, stamp) if held is None else (min(held[0], since), max(held[1], stamp))
            )
    return joined
