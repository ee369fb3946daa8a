"""Who is whom: from the set of marks, in one total order, to homes, groups and moved visits.

The directory lives under one key.  It keeps every mark once, for ever, and derives the cluster
that a mark touches anew, so a late mark that sorts before others is no special case.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from tests.simulation.identity.care import origin_of, visit_stream

DIRECTORY: Final = "identity"  # its key


class Mark(NamedTuple):
    """One statement about identity; marks sort by the order in which they count."""

    time: int
    recorded: int
    source: str
    event: str
    kind: str  # merge, unmerge, move; pair: a visit goes by another number, too
    one: str  # merge: the survivor; move: the right patient
    other: str  # merge: the retired; move: whom the visit was taken for
    visit: str = ""
    beside: str = ""  # of a pair the other number; a pair holds from ever and for ever


def pair(subject: str, visit: str, beside: str) -> Mark:
    """What an identifier tells of the numbers that a visit goes by; the same however often."""
    return Mark(0, 0, "numbers", f"{visit}|{beside}", "pair", subject, subject, visit, beside)


class Home(NamedTuple):
    """To the router of a stream: your n-th home."""

    stream: str
    n: int
    to: str


class Numbers(NamedTuple):
    """To an identifier, then in its stream: what numbers do your visits go by?"""

    stream: str


class Group(NamedTuple):
    """To a home: these are your members, and who owns the moved visits that concern them."""

    home: str
    n: int
    members: frozenset[str]
    moved: tuple[tuple[str, str | None], ...]


Decided = Home | Group | Numbers


@dataclass(slots=True)
class Cluster:
    """Identifiers that any mark ever joined, directly or not."""

    marks: set[Mark] = field(default_factory=set)
    n: int = 0
    homes: dict[str, str] = field(default_factory=dict)
    groups: dict[str, tuple[frozenset[str], tuple[tuple[str, str | None], ...]]] = field(
        default_factory=dict
    )
    ever: set[tuple[str, str]] = field(default_factory=set)  # visits that have a stream
    asked: set[str] = field(default_factory=set)  # who was asked for numbers


def _fold_merges(names: Iterable[str], marks: Iterable[Mark]) -> dict[str, tuple[str, set[str]]]:
    """By identifier its home and group."""
    names = list(names)
    edges: list[tuple[str, str]] = []
    found: dict[str, tuple[str, set[str]]] = {name: (name, {name}) for name in names}

    def join(survivor: str, retired: str) -> bool:
        home, members = found[survivor]
        if retired in members:
            return False
        united = members | found[retired][1]
        for name in united:
            found[name] = (home, united)
        return True

    for mark in marks:
        if mark.kind == "merge":
            if join(mark.one, mark.other):
                edges.append((mark.one, mark.other))
        elif mark.kind == "unmerge":
            left = [edge for edge in edges if set(edge) != {mark.one, mark.other}]
            if left != edges:
                edges = left
                found.update((name, (name, {name})) for name in names)
                for survivor, retired in edges:
                    join(survivor, retired)
    return found


def _fold_moves(marks: Iterable[Mark]) -> dict[tuple[str, str], str]:
    """By (identifier it was sent under, visit) the present owner."""
    marks = list(marks)
    pairs = [(mark.one, {mark.visit, mark.beside}) for mark in marks if mark.kind == "pair"]
    owner: dict[tuple[str, str], str] = {}
    for mark in marks:
        if mark.kind == "move":
            told = {origin for (origin, _), present in owner.items() if present == mark.other}
            told.add(mark.other)
            numbers = _numbers(mark, [both for name, both in pairs if name in told])
            for number in numbers:
                owner.setdefault((mark.other, number), mark.other)
            for (origin, visit), present in owner.items():
                if visit in numbers and present == mark.other:
                    owner[origin, visit] = mark.one
    return owner


def _numbers(mark: Mark, pairs: list[set[str]]) -> set[str]:
    """All that the moved visit goes by."""
    found = {mark.visit}
    while more := {number for both in pairs if both & found for number in both} - found:
        found |= more
    return found


class Directory:
    """Keeps the marks and tells whom they concern; its state is one Cluster per connected set."""

    def __init__(self) -> None:
        self.cluster: dict[str, Cluster] = {}

    def take(self, marks: Iterable[Mark]) -> list[tuple[str, Decided]]:
        """The messages that follow from the marks of one event, by the key they go to."""
        marks = list(marks)
        touched = sorted({name for mark in marks for name in (mark.one, mark.other)})
        cluster = self._united(touched)
        if not set(marks) - cluster.marks:
            return []
        cluster.marks |= set(marks)
        return self._derive(cluster)

    def _united(self, names: Iterable[str]) -> Cluster:
        found = Cluster()
        seen: set[int] = set()
        for name in names:
            known = self.cluster.get(name)
            if known is None:
                found.homes[name] = name
                found.groups[name] = (frozenset({name}), ())
            elif id(known) not in seen:
                seen.add(id(known))
                found.marks |= known.marks
                found.n = max(found.n, known.n)
                found.homes |= known.homes
                found.groups |= known.groups
                found.ever |= known.ever
                found.asked |= known.asked
        for name in found.homes:
            if "#" not in name:
                self.cluster[name] = found
        return found

    def order(self, marks: set[Mark]) -> list[Mark]:
        """The order in which marks count; not the order in which they came."""
        return sorted(marks)

    def asks(self, cluster: Cluster) -> set[str]:
        """Whom to ask for numbers: where a visit was moved everybody, once."""
        if not any(mark.kind == "move" for mark in cluster.marks):
            return set()
        return {name for name in cluster.homes if "#" not in name} - cluster.asked

    def remember(self, cluster: Cluster, owners: dict[tuple[str, str], str]) -> None:
        """A visit that has a stream keeps it: where nobody else's, it is its own identifier's."""
        cluster.ever |= owners.keys()
        for origin, visit in cluster.ever:
            owners.setdefault((origin, visit), origin)

    def _derive(self, cluster: Cluster) -> list[tuple[str, Decided]]:
        marks = self.order(cluster.marks)
        names = [name for name in cluster.homes if "#" not in name]
        merged = _fold_merges(names, marks)
        homes = {name: merged[name][0] for name in names}
        owners: dict[str, str] = {}
        moved = _fold_moves(marks)
        self.remember(cluster, moved)
        for (origin, visit), owner in moved.items():
            stream = visit_stream(origin, visit)
            owners[stream] = owner  # for ever, the origin itself if it was moved back
            homes[stream] = merged[owner][0]
        groups = {name: (frozenset[str](), ()) for name in names} | {
            home: self._group(members, owners) for home, members in merged.values()
        }
        n = cluster.n + 1
        sent: list[tuple[str, Decided]] = [
            (origin_of(stream), Home(stream, n, home))
            for stream, home in homes.items()
            if cluster.homes.get(stream) != home
        ]
        sent += [
            (home, Group(home, n, *groups[home]))
            for home in names
            if cluster.groups[home] != groups[home]
        ]
        cluster.homes, cluster.groups = homes, groups
        if sent:
            cluster.n = n
        asks = sorted(self.asks(cluster))
        cluster.asked |= set(asks)
        return [*sent, *((name, Numbers(name)) for name in asks)]

    def _group(
        self, members: set[str], owners: dict[str, str]
    ) -> tuple[frozenset[str], tuple[tuple[str, str | None], ...]]:
        moved = {
            stream: owner if owner in members else None
            for stream, owner in owners.items()
            if owner in members or origin_of(stream) in members
        }
        here = {stream for stream, owner in moved.items() if owner is not None}
        return frozenset(members | here), tuple(sorted(moved.items()))
