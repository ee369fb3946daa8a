"""Cells: what is known of one thing, as a join of facts.

A visit, an appointment, a person, a task's commands, a facility's feed.  Each cell is a
join-semilattice: the same set of facts gives the same cell in whatever order and however often
they came, and thirty A08s cost a handful of registers.  Nothing here decides anything.

Stored form: a list whose first element is the format version.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from orchestrator.core import registers as reg
from orchestrator.core.facts import (
    Admitted,
    AppointmentSaid,
    Command,
    Contested,
    DischargeSaid,
    FacilityHeard,
    FieldUnmapped,
    Mended,
    Parked,
    PersonSaid,
    Stamp,
    VisitMark,
    VisitSaid,
    parked_name,
)
from orchestrator.core.identity import GroupCell
from orchestrator.core.registers import MATERIAL, NOTHING, STAMPED, Registers

FORMAT: Final = 1

type_of_admit = tuple[int, bool, tuple[str, ...]]
type_of_discharge = tuple[int | None, bool, tuple[str, ...], bool, str | None]
type_of_mark = tuple[str, int, int | None]


def matching_instant(at: int, stamp: Stamp, *, whole_day: bool) -> int:
    """Where a happening stands when cancels look for it (``contract.md`` §2).

    The earlier of its stated instant (of a date without a time: local noon less twelve hours) and
    its recorded time.
    """
    return min(at - 43_200_000_000 if whole_day else at, stamp.recorded)


def _keep(stamps: list[Stamp], new: Stamp) -> int:
    """Keep of equal statements the first received, the first recorded and the greatest."""
    if new in stamps:
        return NOTHING
    every = [*stamps, new]
    kept = {
        min(every, key=lambda s: (s.receipt, s.source, s.event)),
        min(every, key=lambda s: (s.recorded, s)),
        max(every),
    }
    before = set(stamps)
    stamps[:] = sorted(kept)
    if kept == before:
        return NOTHING
    return MATERIAL if min(stamps, key=lambda s: (s.receipt, s.source, s.event)) == new else STAMPED


class Classed(NamedTuple):
    """That a visit had a class: since when at the earliest, by which greatest stamp.

    *heard* is when we first heard so; *openings* are the instants of the admissions that said so,
    ascending: a visit number that is used again has the class anew.
    """

    since: int
    stamp: Stamp
    heard: int
    openings: tuple[int, ...] = ()

    def joined(self, other: "Classed") -> "Classed":
        """What both say."""
        return Classed(
            min(self.since, other.since),
            max(self.stamp, other.stamp),
            min(self.heard, other.heard),
            tuple(sorted({*self.openings, *other.openings})),
        )


@dataclass(slots=True)
class VisitCell:
    """Everything said of one visit number of one facility."""

    facility: str
    number: str
    said: Registers = field(default_factory=dict)
    classes: dict[str, Classed] = field(default_factory=dict)
    admits: dict[type_of_admit, list[Stamp]] = field(default_factory=dict)
    discharges: dict[type_of_discharge, list[Stamp]] = field(default_factory=dict)
    marks: dict[type_of_mark, Stamp] = field(default_factory=dict)
    last_update: int = 0
    # Told by who decides who is whom: that the visit was another's all along, and all identifiers
    # under which the same number came.
    moved: Stamp | None = None
    claimants: frozenset[str] = frozenset()
    # The accounts that it is billed to, with the event that said so; asked for where one is moved.
    accounts: dict[str, str] = field(default_factory=dict)
    # The identifier under which the view reads it.
    under: str = field(default="", init=False, compare=False, repr=False)
    # What `stays.derive` made of this cell; any fact may change it.
    derived: object = field(default=None, init=False, compare=False, repr=False)

    def join(self, fact: VisitSaid | Admitted | DischargeSaid | VisitMark | Contested) -> int:
        """Take in one fact; how much it changed."""
        self.derived = None
        if isinstance(fact, Contested):
            known, self.claimants = self.claimants, self.claimants | fact.claimants
            return NOTHING if known == self.claimants else MATERIAL
        stamp = fact.stamp
        changed = NOTHING
        if stamp.time > self.last_update:
            self.last_update = stamp.time
            changed = STAMPED
        if isinstance(fact, VisitSaid):
            return max(changed, self._said(fact))
        if isinstance(fact, Admitted):
            admits = self.admits.setdefault((fact.at, fact.opened, fact.flags), [])
            return max(changed, _keep(admits, stamp))
        if isinstance(fact, DischargeSaid):
            key = (
                fact.at,
                fact.opens,
                fact.flags,
                "disposition" in fact.fields,
                fact.fields.get("disposition"),
            )
            return max(changed, _keep(self.discharges.setdefault(key, []), stamp))
        mark = (fact.what, fact.at, fact.cancels_at)
        held = self.marks.get(mark)
        if held is None or (stamp.receipt, stamp.source, stamp.event) < (
            held.receipt,
            held.source,
            held.event,
        ):
            self.marks[mark] = stamp
            changed = MATERIAL
        return changed

    def is_told(self) -> bool:
        """Whether anything was decided about whose visit it is."""
        return self.moved is not None or bool(self.claimants)

    def _said(self, fact: VisitSaid) -> int:
        changed = NOTHING
        for name, value in fact.fields.items():
            if name == "class":
                changed = max(changed, self._class(value, fact))
            elif name == "account_number":
                changed = max(changed, self._account(value, fact.stamp.event))
            else:
                changed = max(changed, reg.say(self.said, name, value, fact.stamp))
        return changed

    def _account(self, account: str, event: str) -> int:
        """The smallest of all that were said: bounded, and still a join."""
        if self.accounts.get(account, event + "\0") <= event:
            return NOTHING
        known = dict(self.accounts)
        self.accounts[account] = event
        if len(self.accounts) > MOST_ACCOUNTS:
            del self.accounts[max(self.accounts)]
        return NOTHING if known == self.accounts else STAMPED

    def _class(self, value: str, fact: VisitSaid) -> int:
        """Per class its first instant and its greatest stamp: bounded, and still a join."""
        since = fact.stamp.time if fact.class_from is None else fact.class_from
        openings = () if fact.class_from is None else (fact.class_from,)
        new = Classed(since, fact.stamp, fact.stamp.receipt, openings)
        held = self.classes.get(value)
        joined = new if held is None else held.joined(new)
        if joined == held:
            return NOTHING
        self.classes[value] = joined
        if held is None or joined.since != held.since or joined.openings != held.openings:
            return MATERIAL
        return MATERIAL if len(self.classes) > 1 else STAMPED

    def dump(self) -> list[Any]:
        """Plain data for storage."""
        return [
            FORMAT,
            self.facility,
            self.number,
            reg.dump(self.said),
            {
                name: [c.since, list(c.stamp), c.openings, c.heard]
                for name, c in self.classes.items()
            },
            [[*key, [list(s) for s in stamps]] for key, stamps in self.admits.items()],
            [[*key, [list(s) for s in stamps]] for key, stamps in self.discharges.items()],
            [[*key, list(stamp)] for key, stamp in self.marks.items()],
            self.last_update,
            *self._rest(),
        ]

    def _rest(self) -> list[Any]:
        """What few visits have."""
        if not (self.accounts or self.is_told()):
            return []
        moved = None if self.moved is None else list(self.moved)
        return [moved, sorted(self.claimants), *([self.accounts] if self.accounts else ())]

    @classmethod
    def load(cls, plain: list[Any]) -> "VisitCell":
        """The inverse of `dump`."""
        _, facility, number, said, classes, admits, discharges, marks, last_update, *rest = plain
        moved, claimants, *accounts = rest or (None, ())
        return cls(
            facility,
            number,
            reg.load(said),
            {
                name: Classed(
                    since, Stamp(*stamp), heard[0] if heard else stamp[5], tuple(openings)
                )
                for name, (since, stamp, openings, *heard) in classes.items()
            },
            {
                (at, opened, tuple(flags)): [Stamp(*s) for s in stamps]
                for at, opened, flags, stamps in admits
            },
            {
                (at, opens, tuple(flags), has, value): [Stamp(*s) for s in stamps]
                for at, opens, flags, has, value, stamps in discharges
            },
            {(what, at, cancels): Stamp(*stamp) for what, at, cancels, stamp in marks},
            last_update,
            None if moved is None else Stamp(*moved),
            frozenset(claimants),
            dict(accounts[0]) if accounts else {},
        )


@dataclass(slots=True)
class AppointmentCell:
    """Everything said of one appointment; ``status`` is a register like the others."""

    appointment: str
    said: Registers = field(default_factory=dict)

    def join(self, fact: AppointmentSaid) -> int:
        """Take in one fact; how much it changed."""
        changed = reg.say(self.said, "status", fact.status, fact.stamp)
        return max(changed, reg.say_all(self.said, fact.fields, fact.stamp))

    def dump(self) -> list[Any]:
        """Plain data for storage."""
        return [FORMAT, self.appointment, reg.dump(self.said)]

    @classmethod
    def load(cls, plain: list[Any]) -> "AppointmentCell":
        """The inverse of `dump`."""
        return cls(plain[1], reg.load(plain[2]))


@dataclass(slots=True)
class PersonCell:
    """The person, what was parked of theirs, and which gaps somebody acknowledged."""

    said: Registers = field(default_factory=dict)
    parked: dict[str, tuple[int, str]] = field(default_factory=dict)  # name -> receipt, reason
    acknowledged: dict[str, int] = field(default_factory=dict)  # gap id -> receipt
    # Every word about outreach, wish or consent, with its stamp: the last of them is not all.
    wishes: dict[str, tuple[str | None, Stamp]] = field(default_factory=dict)
    linked: set[str] = field(default_factory=set)  # identifiers that were told to be theirs, too
    settled: dict[str, int] = field(default_factory=dict)  # what was sent again: name -> receipt

    def join(self, fact: PersonSaid | Parked | Mended) -> int:
        """Take in one fact; how much it changed."""
        if isinstance(fact, Mended):
            return self._settle(fact)
        if isinstance(fact, Parked):
            name = parked_name(fact.stamp.source, fact.stamp.event)
            held, said = self.parked.get(name), (fact.stamp.receipt, fact.reason)
            if (held is not None and held <= said) or self.settled.get(name, 0) > said[0]:
                return NOTHING
            self.parked[name] = said
            if len(self.parked) > MOST_PARKED:
                del self.parked[min(self.parked, key=lambda event: (self.parked[event], event))]
            return MATERIAL
        # A preference or a death said again is said of now: its time counts, not only its value.
        changed = reg.say_all(self.said, fact.fields, fact.stamp) != NOTHING
        for name in ("outreach", "consent_outreach"):
            if name in fact.fields:
                changed |= self._wish(fact.fields[name], fact.stamp)
        return MATERIAL if changed else NOTHING

    def _settle(self, fact: Mended) -> int:
        mended = self.mended(fact.events, fact.receipt)
        for event in mended:
            del self.parked[event]
        known, held = dict(self.settled), self.settled
        held |= {event: max(fact.receipt, held.get(event, 0)) for event in fact.events}
        while len(held) > MOST_PARKED:
            del held[min(held, key=lambda event: (held[event], event))]
        return MATERIAL if mended else NOTHING if held == known else STAMPED

    def mended(self, events: Iterable[str], receipt: int) -> list[str]:
        """Which of *events* were parked before *receipt*; what clashed at that instant stays."""
        called = list(events)
        called += [one.rpartition("\0")[2] for one in called]  # as they were called before
        held = ((one, self.parked.get(one)) for one in dict.fromkeys(called))
        return [one for one, parked in held if parked is not None and parked[0] < receipt]

    def _wish(self, wish: str | None, stamp: Stamp) -> bool:
        """Keep one more wish, an older one too: it may be the one that holds for a discharge."""
        name = f"{stamp.source} {stamp.event}"
        held = self.wishes.get(name)
        if held is not None and held[1] >= stamp:
            return False
        self.wishes[name] = (wish, stamp)
        if len(self.wishes) > MOST_WISHES:
            del self.wishes[min(self.wishes, key=lambda event: self.wishes[event][1])]
        return True

    def dump(self) -> list[Any]:
        """Plain data for storage."""
        wishes = {name: [wish, list(stamp)] for name, (wish, stamp) in self.wishes.items()}
        more: list[Any] = [sorted(self.linked)] if self.linked or self.settled else []
        more += [self.settled] if self.settled else []
        return [FORMAT, reg.dump(self.said), self.parked, self.acknowledged, wishes, *more]

    @classmethod
    def load(cls, plain: list[Any]) -> "PersonCell":
        """The inverse of `dump`."""
        _, said, parked, acknowledged, wishes, *more = plain
        return cls(
            reg.load(said),
            {event: (at, why) for event, (at, why) in parked.items()},
            acknowledged,
            {name: (wish, Stamp(*stamp)) for name, (wish, stamp) in wishes.items()},
            set(more[0]) if more else set(),
            more[1] if len(more) > 1 else {},
        )


# A sender's fault may park every message of one patient; the gap needs only the newest few.
MOST_PARKED: Final = 20
MOST_WISHES: Final = 50
MOST_ACCOUNTS: Final = 8


@dataclass(slots=True)
class WorkCell:
    """The accepted commands of one task, in the order of their acceptance."""

    task: str
    done: list[Command] = field(default_factory=list)

    def dump(self) -> list[Any]:
        """Plain data for storage."""
        return [FORMAT, self.task, [command.dump() for command in self.done]]

    @classmethod
    def load(cls, plain: list[Any]) -> "WorkCell":
        """The inverse of `dump`."""
        return cls(plain[1], [Command.load(command) for command in plain[2]])


@dataclass(slots=True)
class FacilityCell:
    """A facility's feed: when it was last heard, and which fields it sends that nobody mapped."""

    facility: str
    heard: int = 0
    unmapped: dict[str, int] = field(default_factory=dict)  # field -> first receipt
    acknowledged: dict[str, int] = field(default_factory=dict)  # gap id -> receipt

    def join(self, fact: FacilityHeard | FieldUnmapped) -> int:
        """Take in one fact; how much it changed."""
        if isinstance(fact, FacilityHeard):
            if fact.at <= self.heard:
                return NOTHING
            self.heard = fact.at
            return MATERIAL
        if self.unmapped.get(fact.field, fact.at + 1) <= fact.at:
            return NOTHING
        self.unmapped[fact.field] = fact.at
        return MATERIAL

    def dump(self) -> list[Any]:
        """Plain data for storage."""
        return [FORMAT, self.facility, self.heard, self.unmapped, self.acknowledged]

    @classmethod
    def load(cls, plain: list[Any]) -> "FacilityCell":
        """The inverse of `dump`."""
        return cls(*plain[1:])


Cell = VisitCell | AppointmentCell | PersonCell | WorkCell | FacilityCell | GroupCell
