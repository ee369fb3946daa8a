"""What decide knows of its journal partitions, and how it stands in the changelog.

In memory it is a `rounds.Store`, one `PartitionState` per owned partition.  In the changelog
(``care.state.v1``, compacted) it is one row per head, cell and remembered event, and one row of
meta, all of a Round in one transaction; reading the rows of a partition in order gives the state
back.  A row's first byte is the version of its form.
"""

import heapq
import struct
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, Protocol

import orjson

from orchestrator.stream.keys import partition_of
from orchestrator.stream.rounds import Round

Row = tuple[bytes, bytes | None]  # key, value; None: forgotten

_VERSION: Final = b"\x01"
_META: Final = b"m"
_HEAD, _CELL, _SEEN = b"h", b"c", b"s"
_SEPARATOR: Final = b"\0"  # in no patient key, kind or hash; a cell's name comes last
_INSTANT: Final = struct.Struct(">q")
_NO_WAKE: Final = -(1 << 63)


class Meta(NamedTuple):
    """How far a partition is."""

    following: int = 0  # the journal offset at which deciding goes on
    stamp: int = 0  # of the last record decided on; stamps never fall
    clock: int = 0  # T of the last clock record decided on
    state: bytes | None = None  # the processor's own
    journal: str = ""  # the id of the journal topic that all this follows from
    believed: str = ""  # the last look at the machine's time that was believed

    def written(self) -> bytes:
        """As the changelog holds it."""
        text = None if self.state is None else self.state.decode()
        return _VERSION + orjson.dumps([*self[:3], text, *self[4:]])


class StateRow(Protocol):
    """A record of the changelog."""

    @property
    def key(self) -> bytes: ...

    @property
    def value(self) -> bytes | None: ...


class BadStateRow(Exception):
    """A row of the changelog has a form that this version does not know."""


class PartitionState:
    """The state of one journal partition."""

    def __init__(self) -> None:
        self.meta = Meta()
        self.offset = -1  # the last changelog offset that is in here
        self._heads: dict[str, tuple[bytes, int | None]] = {}
        self._open: dict[str, dict[tuple[str, str], bytes]] = {}
        self._sealed: dict[str, dict[tuple[str, str], bytes]] = {}
        self._seen: dict[tuple[str, str], tuple[bytes, int]] = {}
        # Every wake and expiry ever set; those that hold no longer are dropped when met.
        self._wakes: list[tuple[int, str]] = []
        self._expiries: list[tuple[int, str, str]] = []

    def head(self, key: str) -> bytes | None:
        found = self._heads.get(key)
        return None if found is None else found[0]

    def cells(self, key: str) -> list[tuple[str, str, bytes]]:
        return [(kind, name, value) for (kind, name), value in self._open.get(key, {}).items()]

    def cell(self, key: str, kind: str, name: str) -> bytes | None:
        found = self._open.get(key, {}).get((kind, name))
        return self._sealed.get(key, {}).get((kind, name)) if found is None else found

    def put_away(self, key: str) -> list[tuple[str, str, bytes]]:
        return [(kind, name, value) for (kind, name), value in self._sealed.get(key, {}).items()]

    def seen(self, key: str, event_hash: str) -> bytes | None:
        found = self._seen.get((key, event_hash))
        return None if found is None else found[0]

    def due(self, until: int) -> list[str]:
        """The keys whose wake is at or before *until*."""
        due: list[tuple[int, str]] = []
        while self._wakes and self._wakes[0][0] <= until:
            wake = heapq.heappop(self._wakes)
            if self._wake(wake[1]) == wake[0] and (not due or due[-1] != wake):
                due.append(wake)
        for wake in due:
            heapq.heappush(self._wakes, wake)
        return [key for _, key in due]

    def passed(self, now: int) -> int:
        """How many wakes have passed."""
        return sum(wake <= now and self._wake(key) == wake for wake, key in self._wakes)

    def _wake(self, key: str) -> int | None:
        head = self._heads.get(key)
        return None if head is None else head[1]

    def first_wake(self) -> int | None:
        """The earliest wake."""
        while self._wakes:
            wake, key = self._wakes[0]
            if self._wake(key) == wake:
                return wake
            heapq.heappop(self._wakes)
        return None

    def rows(self, rnd: Round, meta: Meta) -> Iterator[Row]:
        """What the changelog must get for *rnd*, meta last; nothing is changed yet."""
        for key in rnd.gone:
            yield from ((row, None) for row in self._rows_of(key))
        for (key, kind, name), (value, sealed) in rnd.cells.items():
            yield _cell_key(key, kind, name), _VERSION + (b"s" if sealed else b"o") + value
        for key, (value, wake) in rnd.heads.items():
            instant = _INSTANT.pack(_NO_WAKE if wake is None else wake)
            yield _HEAD + key.encode(), _VERSION + instant + value
        for (key, name), (value, expires) in rnd.seen.items():
            yield _seen_key(key, name), _VERSION + _INSTANT.pack(expires) + value
        for key, name in self._expired(rnd.forget_seen_before):
            if (key, name) not in rnd.seen:
                yield _seen_key(key, name), None
        # Last, and never a tombstone: recovery waits for the last offset, which must stay there.
        yield _META, meta.written()

    def commit(self, rnd: Round, meta: Meta, offset: int) -> None:
        """Make *rnd* true; its rows are in the changelog up to *offset*."""
        for key in rnd.gone:
            for rows in (self._heads, self._open, self._sealed):
                rows.pop(key, None)
        for (key, kind, name), (value, sealed) in rnd.cells.items():
            self._put_cell(key, kind, name, value, sealed=sealed)
        for key, (value, wake) in rnd.heads.items():
            self._put_head(key, value, wake)
        for (key, name), (value, expires) in rnd.seen.items():
            self._put_seen(key, name, value, expires)
        for key, name in self._expired(rnd.forget_seen_before):
            self._seen.pop((key, name), None)
        self.meta = meta
        self.offset = offset

    def _rows_of(self, key: str) -> Iterator[bytes]:
        if key in self._heads:
            yield _HEAD + key.encode()
        for cells in (self._open, self._sealed):
            yield from (_cell_key(key, kind, name) for kind, name in cells.get(key, {}))

    def restore(self, offset: int, rows: Iterable[StateRow]) -> None:
        """Take in what the changelog holds, in its order; *offset* is that of the last row."""
        for row in rows:
            try:
                self._restore(row.key, row.value)
            except (ValueError, IndexError, TypeError, struct.error) as problem:
                raise BadStateRow(f"a row of the changelog before {offset}") from problem
        self.offset = offset

    def _restore(self, row: bytes, value: bytes | None) -> None:
        sort, rest = row[:1], row[1:]
        if value is None:
            self._drop(sort, rest.decode())
            return
        if value[:1] != _VERSION:
            raise ValueError("another version")
        if sort == _CELL:
            key, kind, name = rest.decode().split("\0", 2)
            self._put_cell(key, kind, name, value[2:], sealed=value[1:2] == b"s")
        elif sort == _HEAD:
            (wake,) = _INSTANT.unpack_from(value, 1)
            self._put_head(rest.decode(), value[9:], None if wake == _NO_WAKE else wake)
        elif sort == _SEEN:
            key, name = rest.decode().split("\0")
            (expires,) = _INSTANT.unpack_from(value, 1)
            self._put_seen(key, name, value[9:], expires)
        elif row == _META:
            following, stamp, clock, text, *ours = orjson.loads(value[1:])
            state = None if text is None else text.encode()
            self.meta = Meta(following, stamp, clock, state, *ours)
        else:
            raise ValueError("no sort of row")

    def _drop(self, sort: bytes, rest: str) -> None:
        if sort == _HEAD:
            self._heads.pop(rest, None)
        elif sort == _SEEN:
            key, name = rest.split("\0")
            self._seen.pop((key, name), None)
        elif sort == _CELL:
            key, kind, name = rest.split("\0", 2)
            for cells in (self._open, self._sealed):
                cells.get(key, {}).pop((kind, name), None)
        else:
            raise ValueError("no sort of row that goes")

    def _put_cell(self, key: str, kind: str, name: str, value: bytes, *, sealed: bool) -> None:
        # A cell is open or sealed, never both.
        here, there = (self._sealed, self._open) if sealed else (self._open, self._sealed)
        here.setdefault(key, {})[kind, name] = value
        if key in there:
            there[key].pop((kind, name), None)

    def _put_head(self, key: str, value: bytes, wake: int | None) -> None:
        held = self._heads.get(key)
        self._heads[key] = (value, wake)
        if wake is not None and (held is None or held[1] != wake):
            heapq.heappush(self._wakes, (wake, key))

    def _put_seen(self, key: str, name: str, value: bytes, expires: int) -> None:
        self._seen[key, name] = (value, expires)
        heapq.heappush(self._expiries, (expires, key, name))

    def _expired(self, before: int | None) -> list[tuple[str, str]]:
        """What is to be forgotten; asked before and after it is, so it may name some in vain."""
        expired = []
        if before is not None:
            kept = []
            while self._expiries and self._expiries[0][0] < before:
                entry = heapq.heappop(self._expiries)
                expires, key, name = entry
                found = self._seen.get((key, name))
                if found is not None and found[1] == expires:
                    expired.append((key, name))
                    kept.append(entry)
            for entry in kept:
                heapq.heappush(self._expiries, entry)
        return expired


class State:
    """The `rounds.Store` of all owned partitions."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self.parts: dict[int, PartitionState] = {}

    def part(self, partition: int) -> PartitionState:
        """The state of *partition*, empty if it is new here."""
        found = self.parts.get(partition)
        if found is None:
            found = self.parts[partition] = PartitionState()
        return found

    def keep(self, partitions: set[int]) -> None:
        """Forget all others: somebody else owns them."""
        for gone in set(self.parts) - partitions:
            del self.parts[gone]

    def head(self, key: str) -> bytes | None:
        return self._of(key).head(key)

    def cells(self, key: str) -> list[tuple[str, str, bytes]]:
        return self._of(key).cells(key)

    def cell(self, key: str, kind: str, name: str) -> bytes | None:
        return self._of(key).cell(key, kind, name)

    def put_away(self, key: str) -> list[tuple[str, str, bytes]]:
        return self._of(key).put_away(key)

    def seen(self, key: str, event_hash: str) -> bytes | None:
        return self._of(key).seen(key, event_hash)

    def due(self, partition: int, until: int) -> list[str]:
        return self.part(partition).due(until)

    def meta(self, partition: int) -> bytes | None:
        return self.part(partition).meta.state

    def _of(self, key: str) -> PartitionState:
        return self.part(partition_of(key, self._partitions))


def _cell_key(key: str, kind: str, name: str) -> bytes:
    return _CELL + _SEPARATOR.join((key.encode(), kind.encode(), name.encode()))


def _seen_key(key: str, name: str) -> bytes:
    return _SEEN + _SEPARATOR.join((key.encode(), name.encode()))
