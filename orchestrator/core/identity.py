"""Who is whom: homes derived from the *set* of what was said of identifiers, in one order.

Merges, un-merges, links and moves of visits are marks.  The same set of marks gives the same homes
in whatever order they came: a merge that was heard late, a repeat after an un-merge and an un-merge
that was heard first need no case of their own.  ``design.md``, *Identity*; rulings 17 and 18.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

What = Literal["merge", "unmerge", "detach", "link", "move"]
# Between the identifier and the visit in the name of a moved visit; no identifier holds it.
_MOVED: Final = "\x1e"


class Mark(NamedTuple):
    """One thing said of two identifiers; marks are taken in the order of the first five fields."""

    time: int
    recorded: int
    source: str
    event: str
    number: int  # of the marks of one event
    what: What
    survivor: str  # of a move the right patient; of a link the identifier that said it
    other: str  # retired, of a move the wrong patient, of a link the other identifier
    facility: str = ""  # of a moved visit
    visit: str = ""
    receipt: int = 0

    def names(self) -> tuple[str, str]:
        """The two identifiers."""
        return self.survivor, self.other


def moved_visit(subject: str, facility: str, visit: str) -> str:
    """The name of what *subject* was told of a visit, where the visit belongs to somebody else."""
    return _MOVED.join((subject, facility, visit))


def origin_of(member: str) -> str:
    """The identifier under which a member's facts come."""
    return member.partition(_MOVED)[0]


def visit_of(member: str) -> tuple[str, str] | None:
    """Facility and number of a moved visit; None for an identifier."""
    parts = member.split(_MOVED)
    return (parts[1], parts[2]) if len(parts) == 3 else None


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
    edges: list[Mark] = []
    stated: set[frozenset[str]] = set()
    conflicts: dict[frozenset[str], Mark] = {}
    # By member: whose it is, what first took it away, what gave it to whose it is.
    moved: dict[str, tuple[str, Mark | None, Mark | None]] = {}
    at: dict[str, str] = {}  # what `_united` says of the edges so far
    found = Homes()
    for mark in _once(marks):
        pair = frozenset(mark.names())
        for name in mark.names():
            found.home.setdefault(name, name)
        if mark.what == "move":
            from_ = {name for name in found.home if _root(at, name) == _root(at, mark.other)}
            _move(moved, mark, from_)
        elif mark.what in ("merge", "link"):
            if _root(at, mark.survivor) != _root(at, mark.other):
                edges.append(mark)
                _join(at, mark)
            elif mark.what == "merge" and _is_inverse(mark, edges, at):
                conflicts[pair] = mark  # what was known before holds
            stated.add(pair)
        else:
            standing = [edge for edge in edges if frozenset(edge.names()) == pair]
            if not standing and mark.what == "detach":
                standing = _between(mark, edges, at)
            if standing:
                edges.remove(standing[0])
                at = _united(edges)
                conflicts.pop(pair, None)
            elif mark.what == "unmerge" and pair not in stated:
                conflicts[pair] = mark
            stated.discard(pair)
    found.home = {name: _root(at, name) for name in found.home}
    found.effective = edges
    found.conflicts = sorted(conflicts.values())
    for member, (owner, since, last) in sorted(moved.items()):
        if since is not None and last is not None:
            found.home[member] = found.home[owner]
            found.counts_as[member] = owner
            found.given[member] = last.receipt
            found.moves[member] = since
    return found


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


def _move(
    moved: dict[str, tuple[str, Mark | None, Mark | None]], mark: Mark, wrong: set[str]
) -> None:
    """All that lies at the wrong patient goes to the right one, wherever it came from.

    The wrong patient is all numbers that are one at that point: hospitals name the surviving one.
    """
    for name in (mark.survivor, *sorted(wrong)):
        moved.setdefault(moved_visit(name, mark.facility, mark.visit), (name, None, None))
    for member, (owner, since, _) in moved.items():
        here = owner in wrong and owner != mark.survivor
        if visit_of(member) == (mark.facility, mark.visit) and here:
            moved[member] = (mark.survivor, since or mark, mark)


def _between(mark: Mark, edges: list[Mark], at: dict[str, str]) -> list[Mark]:
    """What joins an identifier to a group through a third one, where it moves out of the group."""
    if _root(at, mark.survivor) != _root(at, mark.other):
        return []
    for edge in edges:
        if mark.other in edge.names():
            without = _united(one for one in edges if one is not edge)
            if _root(without, mark.survivor) != _root(without, mark.other):
                return [edge]
    return []


def _is_inverse(mark: Mark, edges: Iterable[Mark], at: dict[str, str]) -> bool:
    """Whether it retires who survives, in a group that is one already."""
    if mark.other == _root(at, mark.other):
        return True
    return any((edge.other, edge.survivor) == mark.names() for edge in edges)


def _united(edges: Iterable[Mark]) -> dict[str, str]:
    """The home of each that an edge names: that of the survivor's group at the time."""
    at: dict[str, str] = {}
    for edge in edges:
        _join(at, edge)
    return at


def _join(at: dict[str, str], edge: Mark) -> None:
    survivor, other = edge.names()
    if edge.what == "link" and _root(at, other) == other and other not in at.values():
        # An enterprise number that nobody had yet is no patient's name.
        winner, loser = _root(at, survivor), other
    elif edge.what == "link":
        winner, loser = _root(at, other), _root(at, survivor)
    else:
        winner, loser = _root(at, survivor), _root(at, other)
    at.setdefault(winner, winner)
    at.setdefault(loser, loser)
    for name, home in at.items():
        if home == loser:
            at[name] = winner


def _root(at: dict[str, str], name: str) -> str:
    return at.get(name, name)


@dataclass(slots=True)
class GroupCell:
    """
    Of a home, as the last change of it was told: its members and what contradicts.

    Attributes:
        number: Of the change; the greatest holds.
        members: By name its patient key and, of a moved visit, the identifier it counts as, and
            when we heard so (else 0).
        conflicts: Source, event, instant and the two names.
    """

    number: int = 0
    members: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    conflicts: list[tuple[str, str, int, str, str]] = field(default_factory=list)

    def dump(self) -> list[Any]:
        """Plain data for storage."""
        return [1, self.number, self.members, self.conflicts]

    @classmethod
    def load(cls, plain: list[Any]) -> "GroupCell":
        """The inverse of `dump`."""
        _, number, members, conflicts = plain
        return cls(
            number,
            {name: (key, counts_as, given) for name, (key, counts_as, given) in members.items()},
            [(source, event, at, one, other) for source, event, at, one, other in conflicts],
        )
