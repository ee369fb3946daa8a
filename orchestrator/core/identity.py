"""Who is whom: homes derived from the *set* of what was said of identifiers, in one order.

Merges, un-merges, links and moves of visits are marks.  The same set of marks gives the same homes
in whatever order they came: a merge that was heard late, a repeat after an un-merge and an un-merge
that was heard first need no case of their own.  ``design.md``, *Identity*; rulings 17 and 18.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from orchestrator.core.marks import NUMBERS, Mark, origin_of
from orchestrator.core.moves import Moves
from orchestrator.core.unions import Unions


@dataclass(slots=True)
class Homes:
    """
    What a set of marks adds up to.

    Attributes:
        home: Of every identifier and moved visit that was named.
        counts_as: Of a moved visit, the identifier it belongs to.
        given: Of a moved visit, when we heard that it belongs where it does.
        moves: Of a moved visit, the first mark that took it from where its facts come.  Given back,
            it stays a member with a name of its own, of the patient to whom it was given.
        conflicts: Merges and un-merges that contradict what is known, by the earlier of the two
            names.
        effective: The marks that hold.
    """

    home: dict[str, str] = field(default_factory=dict)
    counts_as: dict[str, str] = field(default_factory=dict)
    given: dict[str, int] = field(default_factory=dict)
    moves: dict[str, Mark] = field(default_factory=dict)
    conflicts: list[Mark] = field(default_factory=list)
    effective: list[Mark] = field(default_factory=list)

    def members(self, home: str) -> list[str]:
        """All whose home it is, in a fixed order."""
        return sorted(member for member, at in self.home.items() if at == home)

    def groups(self) -> dict[str, list[str]]:
        """The members of every home that has any."""
        found: dict[str, list[str]] = {}
        for member in sorted(self.home):
            found.setdefault(self.home[member], []).append(member)
        return found


def homes(marks: Iterable[Mark]) -> Homes:
    """Derive who is whom from all *marks* that are connected; each counts once."""
    once = _once(marks)
    unions, moves = Unions(), Moves(once)
    stated: set[frozenset[str]] = set()
    conflicts: dict[frozenset[str], Mark] = {}
    found = Homes()
    for mark in once:
        if mark.what in NUMBERS:
            continue
        pair = frozenset(mark.names())
        for name in mark.names():
            found.home.setdefault(name, name)
        if mark.what in ("move", "move-account"):
            root = unions.root(mark.other)
            moves.take(mark, {name for name in found.home if unions.root(name) == root})
        elif mark.what in ("merge", "link"):
            if not unions.are_one(mark):
                conflicts.pop(pair, None)
            elif mark.what == "merge" and unions.is_inverse(mark):
                conflicts[pair] = mark  # what was known before holds
            unions.join(mark)
            stated.add(pair)
        else:
            direct = unions.take_back(mark)
            # The latest word on two records holds, on whatever way they had become one.
            others = unions.part(mark)
            if direct or others:
                conflicts.pop(pair, None)
            known = direct or bool(others) or pair in stated
            if mark.what == "unmerge" and not (known and all(o.what == "link" for o in others)):
                conflicts[pair] = mark  # it takes back what nobody had said of these two
    found.home = {name: unions.root(name) for name in found.home}
    found.effective = unions.joins
    found.conflicts = sorted(conflicts.values())
    for member, held in sorted(moves.found.items()):
        if held.since is not None and held.last is not None:
            found.home[member] = found.home[held.owner]
            found.counts_as[member] = held.owner
            found.given[member] = held.last.receipt
            found.moves[member] = held.since
    return found


def remember(found: Homes, ever: dict[str, Mark]) -> None:
    """
    Keep every visit that once was moved a member, its own identifier's where nobody else has it.

    Args:
        found: Changed in place.
        ever: Of a visit that was moved the mark that did it, as it stood then; more are added.
            A mark that is heard late may make another one void, and the visit has a chart already.
    """
    for member, mark in ever.items():
        if member not in found.home:
            origin = origin_of(member)
            found.home[member] = found.home.get(origin, origin)
            found.counts_as[member] = origin
            found.given[member] = 0
            found.moves[member] = mark
    for member, mark in found.moves.items():
        ever.setdefault(member, mark)


def _once(marks: Iterable[Mark]) -> list[Mark]:
    """Each in its place; a link counts when it was first received, every message repeats it."""
    once = {(*mark[:5], mark.survivor): mark for mark in sorted(marks, reverse=True)}
    links: dict[tuple[str, str], Mark] = {}
    for mark in once.values():
        if mark.what == "link":
            known = links.setdefault(mark.names(), mark)
            links[mark.names()] = min(known, mark, key=lambda one: (one.receipt, one))
    return sorted(
        mark for mark in once.values() if mark.what != "link" or links[mark.names()] is mark
    )


@dataclass(slots=True)
class GroupCell:
    """
    Of a home, as the last change of it was told: its members and what contradicts.

    Attributes:
        number: Of the change; the greatest holds.
        members: By name its patient key and, of a moved visit, the identifier it counts as, and
            when we heard so (else 0).
        conflicts: Source, event, instant and the two names.
        joins: When we heard that which two are one.
    """

    number: int = 0
    members: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    conflicts: list[tuple[str, str, int, str, str]] = field(default_factory=list)
    joins: list[tuple[int, str, str]] = field(default_factory=list)

    def dump(self) -> list[Any]:
        """Plain data for storage."""
        return [1, self.number, self.members, self.conflicts, self.joins]

    @classmethod
    def load(cls, plain: list[Any]) -> "GroupCell":
        """The inverse of `dump`."""
        _, number, members, conflicts, *joins = plain
        return cls(
            number,
            {name: (key, counts_as, given) for name, (key, counts_as, given) in members.items()},
            [(source, event, at, one, other) for source, event, at, one, other in conflicts],
            [(at, one, other) for at, one, other in (joins[0] if joins else ())],
        )
