"""The directory: the one place that decides who is whom, under the journal key ``identity``.

It keeps every mark, per cluster (all that any mark ever connected), so a merge costs what its own
cluster holds, however many patients there are.  What changes goes out as numbered messages: to each
identifier its new home, to each home its members.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from orchestrator.core.identity import GroupCell, Homes, homes, remember
from orchestrator.core.joining import group_of, joined, regrouped
from orchestrator.core.marks import NUMBERS, Mark, origin_of, visit_of
from orchestrator.stream.identity import IDENTITY

Send = Callable[[str, dict[str, Any]], None]


class Rows(Protocol):
    """The directory's own rows, read one by one."""

    def read(self, kind: str, name: str, key: str = IDENTITY) -> bytes | None:
        """One row."""
        ...

    def write(self, kind: str, name: str, value: bytes, key: str = IDENTITY) -> None:
        """Write one row."""
        ...


@dataclass(slots=True)
class Cluster:
    """
    All that any mark ever connected.

    Attributes:
        number: Of the last change that was told.
        ever: Of visits that were moved at some time the mark that did it.
        asked: Who was asked for the numbers that visits go by.
    """

    number: int = 0
    marks: list[Mark] = field(default_factory=list)
    ever: dict[str, Mark] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def dump(self) -> list[Any]:
        """Plain data for storage."""
        ever = {name: list(mark) for name, mark in self.ever.items()}
        rest = [ever, self.asked] if ever or self.asked else []
        return [1, self.number, [list(mark) for mark in self.marks], *rest]

    @classmethod
    def load(cls, plain: list[Any]) -> "Cluster":
        """The inverse of `dump`."""
        _, number, marks, *rest = plain
        ever, asked = rest or ({}, [])
        return cls(
            number,
            [Mark(*mark) for mark in marks],
            {name: Mark(*mark) for name, mark in ever.items()},
            asked,
        )


class Directory:
    """
    Takes marks, tells homes and groups.

    Args:
        rows: Where clusters lie.
        key_of: The patient key of an identifier.
        zone: Of the sentences that say when.
    """

    def __init__(self, rows: Rows, key_of: Callable[[str], str], zone: str) -> None:
        self._rows = rows
        self._key_of = key_of
        self._zone = zone

    def take(self, marks: Iterable[Mark], send: Send) -> None:
        """Take in the marks of one event; all that follows is sent."""
        for mark in marks:
            self._take(mark, send)

    def _take(self, mark: Mark, send: Send) -> None:
        known = self._united(mark)
        if any(_same(mark, one) for one in known.marks):
            return
        before, found = homes(known.marks), homes([*known.marks, mark])
        remember(before, known.ever)
        remember(found, known.ever)
        known.marks.append(mark)
        known.number += 1
        asks = self._asks(known, found)
        row = orjson.dumps(known.dump())
        self._rows.write("cluster", self._cluster_of(mark.survivor), row)
        self._tell(before, found, known.number, mark, send)
        for name in asks:
            send(self._key_of(name), {"kind": "numbers", "name": name})

    def _asks(self, known: "Cluster", found: Homes) -> list[str]:
        """Whoever was told of visits is asked, once, for all numbers that they go by."""
        if not any(mark.what in ("move", "move-account") for mark in known.marks):
            return []
        names = sorted(name for name in found.home if visit_of(name) is None)
        fresh = [name for name in names if name not in known.asked]
        known.asked += fresh
        return fresh

    def _united(self, mark: Mark) -> "Cluster":
        """The cluster of both names, which are of one from here on; the larger takes the other."""
        names = sorted({self._cluster_of(name) for name in mark.names()})
        found = sorted(
            ((self._cluster(name), name) for name in names), key=lambda one: len(one[0].marks)
        )
        known, kept = found[-1]
        for other, _ in found[:-1]:
            known.number = max(known.number, other.number)
            known.marks += other.marks
            known.ever |= other.ever
            known.asked += other.asked
            for one in other.marks:
                for name in one.names():
                    self._point(name, kept)
        for name in mark.names():
            self._point(name, kept)
        return known

    def _point(self, name: str, cluster: str) -> None:
        self._rows.write("of", self._key_of(name), cluster.encode())

    def _cluster_of(self, name: str) -> str:
        key = self._key_of(name)
        row = self._rows.read("of", key)
        return key if row is None else row.decode()

    def _cluster(self, cluster: str) -> "Cluster":
        row = self._rows.read("cluster", cluster)
        return Cluster() if row is None else Cluster.load(orjson.loads(row))

    def _tell(self, before: Homes, found: Homes, number: int, mark: Mark, send: Send) -> None:
        """Homes to their identifiers, members to their homes; only what differs."""
        why = joined(mark, self._zone)
        said = {"n": number, "event": why.event, "why": why.why}
        for name in sorted(found.home.keys() | before.home.keys()):
            was = before.home.get(name, origin_of(name))
            home = found.home.get(name, origin_of(name))
            visit = name != origin_of(name)
            if was != home or (visit and name not in before.home):
                moved = found.moves.get(name)
                message = {
                    **said,
                    "kind": "home",
                    "name": name,
                    "to": self._key_of(home),
                    "mark": None if moved is None else list(moved),
                }
                send(self._key_of(origin_of(name)), message)
        groups, known = self._groups(found), self._groups(before)
        for home in sorted(groups.keys() | known.keys()):
            group = groups.get(home, GroupCell())
            alone = list(group.members) == [home] and not group.conflicts
            if alone and home not in before.home:
                continue  # as everybody is who was never named
            if group != known.get(home, GroupCell()):
                group.number = number
                told = regrouped(mark, self._zone, home, known.get(home), group)
                message = {**said, "why": told.why}
                message |= {"kind": "group", "home": home, "group": group.dump()}
                send(self._key_of(home), message)

    def _groups(self, found: Homes) -> dict[str, GroupCell]:
        return {
            home: group_of(home, found, lambda name: self._key_of(origin_of(name)), 0)
            for home in found.groups()
        }


def _same(mark: Mark, known: Mark) -> bool:
    """A repeat: of an event the first received holds; a link says nothing new a second time."""
    if mark.what == known.what == "link":
        return mark.names() == known.names()
    if mark.what in NUMBERS:
        return _number_of(mark) == _number_of(known)
    # An event is (source, id) under its subject (contract.md §2).
    return _event_of(mark) == _event_of(known)


def _event_of(mark: Mark) -> tuple[str, str, int, str]:
    return mark.source, mark.event, mark.number, mark.survivor


def _number_of(mark: Mark) -> tuple[str, ...]:
    return mark.what, mark.survivor, mark.facility, mark.visit, mark.beside
