"""The directory: the one place that decides who is whom, under the journal key ``identity``.

It keeps every mark, per cluster (all that any mark ever connected), so a merge costs what its own
cluster holds, however many patients there are.  What changes goes out as numbered messages: to each
identifier its new home, to each home its members.
"""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import orjson

from orchestrator.core.identity import GroupCell, Homes, Mark, homes, origin_of
from orchestrator.core.joining import group_of, joined
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
        number, marks = self._united(mark)
        if any(_same(mark, known) for known in marks):
            return
        before = homes(marks)
        found = homes([*marks, mark])
        number += 1
        cluster = self._cluster_of(mark.survivor)
        self._rows.write(
            "cluster", cluster, orjson.dumps([1, number, [*map(list, marks), list(mark)]])
        )
        self._tell(before, found, number, mark, send)

    def _united(self, mark: Mark) -> tuple[int, list[Mark]]:
        """The cluster of both names, which are of one from here on; the larger takes the other."""
        names = sorted({self._cluster_of(name) for name in mark.names()})
        found = sorted(((*self._marks(name), name) for name in names), key=lambda c: len(c[1]))
        number, marks, kept = found[-1]
        for other_number, other_marks, _ in found[:-1]:
            number = max(number, other_number)
            marks += other_marks
            for one in other_marks:
                for name in one.names():
                    self._point(name, kept)
        for name in mark.names():
            self._point(name, kept)
        return number, marks

    def _point(self, name: str, cluster: str) -> None:
        self._rows.write("of", self._key_of(name), cluster.encode())

    def _cluster_of(self, name: str) -> str:
        key = self._key_of(name)
        row = self._rows.read("of", key)
        return key if row is None else row.decode()

    def _marks(self, cluster: str) -> tuple[int, list[Mark]]:
        row = self._rows.read("cluster", cluster)
        if row is None:
            return 0, []
        _, number, marks = orjson.loads(row)
        return number, [Mark(*mark) for mark in marks]

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
                message = {**said, "kind": "group", "home": home, "group": group.dump()}
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
    # An event is (source, id) under its subject (contract.md §2).
    return _event_of(mark) == _event_of(known)


def _event_of(mark: Mark) -> tuple[str, str, int, str]:
    return mark.source, mark.event, mark.number, mark.survivor
