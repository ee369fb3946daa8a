"""The walk over one visit's marks: which admissions and discharges there were, what was taken back.

Rules of this file: marks are taken in order of the instant at which each stands; a cancellation
takes back the one that stands at the instant it names, else the latest at or before its own time,
whenever either arrives (``contract.md`` §2, rulings 6, 14, 35).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Final, NamedTuple

from orchestrator.core.cells import VisitCell, matching_instant
from orchestrator.core.facts import Stamp

# In order of rank at one instant: what is announced, what happens, what is taken back.
PLANNED, PENDING = -2, -1
ADMIT, WEAK, DISCHARGE, RETURNED, LEFT, CANCEL_PLANNED, CANCEL_ADMIT, CANCEL_DISCHARGE = range(8)
RANK: Final = {
    "left": LEFT,
    "returned": RETURNED,
    "cancel-planned": CANCEL_PLANNED,
    "cancel-admit": CANCEL_ADMIT,
    "cancel-discharge": CANCEL_DISCHARGE,
}

# An implied admission instant (an update that opened the stay without naming one) yields to any
# that was stated.
IMPLIED: Final = "IMPLIED"
# A correction of a discharge: it amends the one that is known, and is one only where none is.
CORRECTED: Final = "CORRECTED"


class Mark(NamedTuple):
    """One line of a visit's story; sorting it by its first three fields puts it in order."""

    instant: int
    rank: int
    stamp: Stamp
    said: Any  # the cell's key of this statement
    visit: str
    subject: str  # the identifier under which it was said


@dataclass(slots=True)
class Happening:
    statements: list[Mark]
    cancelled: Stamp | None = None
    closed: bool = False  # a cancel or a return lies behind it
    apart: int = 0  # when we heard of what lies between the one before it and this one
    before: "Happening | None" = None

    def over(self, instant: int) -> bool:
        """Taken back before *instant*: a discharge said there is another one (ruling 14)."""
        return self.cancelled is not None and (self.closed or self.cancelled.time < instant)


@dataclass(slots=True)
class Segment:
    admits: list[Mark] = field(default_factory=list)
    happenings: list[Happening] = field(default_factory=list)
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


def marks_of(members: list[VisitCell]) -> list[Mark]:
    marks: list[Mark] = []
    for cell in members:
        for admit, stamps in cell.admits.items():
            rank, whole = ADMIT if admit[1] else WEAK, "DAY" in admit[2]
            for stamp in stamps:
                instant = matching_instant(admit[0], stamp, whole_day=whole)
                marks.append(Mark(instant, rank, stamp, admit, cell.number, cell.under))
        for said, stamps in cell.discharges.items():
            for stamp in stamps:
                stated = stamp.time if said[0] is None else said[0]
                instant = matching_instant(stated, stamp, whole_day="DAY" in said[2])
                marks.append(Mark(instant, DISCHARGE, stamp, said, cell.number, cell.under))
        for mark, stamp in cell.marks.items():
            if mark[0] in RANK:
                marks.append(Mark(mark[1], RANK[mark[0]], stamp, mark, cell.number, cell.under))
            else:
                rank = PLANNED if mark[0] == "planned" else PENDING
                marks.append(Mark(mark[1], rank, stamp, mark, cell.number, cell.under))
    marks.sort(key=itemgetter(0, 1, 2))
    return marks


def stated(mark: Mark) -> int:
    """The instant at which an admission or a discharge says it stands."""
    instant: int | None = mark.said[0]
    return mark.stamp.time if instant is None else instant


def first_received(mark: Mark) -> tuple[int, str, str]:
    """For order: which of several statements we heard first."""
    return (mark.stamp.receipt, mark.stamp.source, mark.stamp.event)


def parted_at(happening: Happening, first: Mark) -> int:
    """When it became another one than the one before it; 0: *first* was the first of both."""
    others = [] if happening.before is None else happening.before.statements
    known = (first_received(mark) for mark in others if mark.said[1])
    return happening.apart if any(one < first_received(first) for one in known) else 0


def about_the_discharge(
    marks: list[Mark], newest: str, closing: Callable[[str | None], str]
) -> list[Mark]:
    """
    The statements of a happening without those that are about something else.

    Closing the account of an earlier number (admitted here, 09) says nothing of the visit that
    went on under a later one; nor does an account closed, or an interim bill (30), at an instant
    at which no discharge stands.  At the same instant, or said as a correction, either is one.
    """

    def aside(mark: Mark) -> bool:
        return bool(mark.said[3]) and closing(mark.said[4]) in ("none", "interim")

    stands = {
        stated(mark)
        for mark in marks
        if mark.said[1] and CORRECTED not in mark.said[2] and not aside(mark)
    }
    return [
        mark
        for mark in marks
        if not aside(mark)
        or (
            mark.visit == newest
            and (
                CORRECTED in mark.said[2]
                or not mark.said[1]
                or not stands
                or stated(mark) in stands
            )
        )
    ]


class Walk:
    """One pass over a visit's marks in order."""

    def __init__(self, marks: list[Mark]) -> None:
        self.marks = marks
        self.segments: list[Segment] = []
        self.orphans: list[Stamp] = []
        self.current: Segment | None = None
        self.planned = self.pending = False
        self.last: Happening | None = None
        self.between = 0  # when we heard of what ended or took back the last discharge
        self.amendments: list[Mark] = []  # said of a discharge before the instant it stands at
        # Cancels that name the instant they take back, whenever they were said.
        self.named = {
            rank: {
                mark.said[2]: mark.stamp
                for mark in reversed(marks)
                if mark.rank == rank and mark.said[2] is not None
            }
            for rank in (CANCEL_ADMIT, CANCEL_DISCHARGE)
        }

    def run(self) -> tuple[list[Segment], list[Stamp]]:
        for mark in self.marks:
            if mark.rank < 0:
                self.planned |= mark.rank == PLANNED
                self.pending |= mark.rank == PENDING
            elif mark.rank <= WEAK:
                self._admit(mark)
            elif mark.rank == DISCHARGE:
                self._discharge(mark)
            elif mark.rank == LEFT:
                if self.current is not None and not self.current.standing():
                    self.current.on_leave = True
            elif mark.rank == RETURNED:
                self._returned(mark)
            elif mark.rank != CANCEL_PLANNED:
                self._cancel(mark)
            elif not self.planned:
                self.orphans.append(mark.stamp)
        return self.segments, self.orphans

    def _begin(self, segment: Segment) -> Segment:
        self.segments.append(segment)
        self.current = segment
        return segment

    def _admit(self, mark: Mark) -> None:
        current = self.current
        if current is None or (
            mark.rank == ADMIT and (current.cancelled is not None or current.standing())
        ):
            if current is not None and current.standing():
                self.between = mark.stamp.receipt
            current = self._begin(Segment())
        current.admits.append(mark)
        if current.cancelled is None:
            current.cancelled = self.named[CANCEL_ADMIT].get(mark.said[0])

    def _discharge(self, mark: Mark) -> None:
        opens = mark.said[1]
        current = self.current
        # A cancel that names the admission may have been said after the discharge: it takes both.
        if current is None or (
            current.cancelled is not None and current.cancelled.time < mark.instant
        ):
            if not opens:
                self.amendments.append(mark)
                return
            current = self._begin(Segment())
        if not current.happenings or current.happenings[-1].over(mark.instant):
            last = current.happenings[-1].cancelled if current.happenings else None
            apart = self.between or (0 if last is None else last.receipt)
            current.happenings.append(Happening(self.amendments, apart=apart, before=self.last))
            self.last = current.happenings[-1]
            self.amendments = []
            self.between = 0
        happening = current.happenings[-1]
        happening.statements.append(mark)
        if opens and happening.cancelled is None:
            happening.cancelled = self.named[CANCEL_DISCHARGE].get(stated(mark))

    def _returned(self, mark: Mark) -> None:
        current = self.current
        if current is None:
            return
        current.on_leave = False
        if current.happenings:
            current.happenings[-1].closed = True
            self.between = mark.stamp.receipt
        if current.standing() and current.cancelled is None:
            self._begin(Segment(returned_from=mark.instant))

    def _cancel(self, mark: Mark) -> None:
        discharge = mark.rank == CANCEL_DISCHARGE
        if mark.said[2] is not None and self._stands(mark.said[2], discharge=discharge):
            return  # taken back where it stands
        target: Happening | Segment | None = (
            self._latest_discharge()
            if discharge
            else next((s for s in reversed(self.segments) if s.admits), None)
        )
        if target is not None:
            target.cancelled = target.cancelled or mark.stamp
            if isinstance(target, Happening):
                target.closed = True
                self.between = mark.stamp.receipt
        elif not (self.pending if discharge else self.planned):
            self.orphans.append(mark.stamp)

    def _stands(self, instant: int, *, discharge: bool) -> bool:
        """Whether anything stands at the instant that a cancel names."""
        return any(
            (mark.rank == DISCHARGE and mark.said[1] if discharge else mark.rank in (ADMIT, WEAK))
            and stated(mark) == instant
            for mark in self.marks
        )

    def _latest_discharge(self) -> Happening | None:
        for segment in reversed(self.segments):
            for happening in reversed(segment.happenings):
                if any(mark.said[1] for mark in happening.statements):
                    return happening
        return None
