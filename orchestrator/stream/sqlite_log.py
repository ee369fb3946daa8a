"""The durable log: topics of partitions, appended to and read by offset, in one SQLite file.

What `transaction` returned from is on the disk (WAL, ``synchronous=FULL``), whatever happens to
the process afterwards.  Several processes may have the log open: writers come one after the
other (``BEGIN IMMEDIATE``, waiting at most `log_file.BUSY_S`), readers are never held up.

Each record is stamped when its transaction begins.  Stamps never run backwards inside a
partition, and a clock record puts a floor under those of the whole log: what is appended after
``clock(T)`` is stamped later than T, even if the machine's time was set back.  That is what
makes "everything accepted before T precedes this record" true.
"""

import sqlite3
import zlib
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import orjson

from orchestrator.stream import log_file
from orchestrator.stream.clock import Clock, clock_of
from orchestrator.stream.keys import partition_of
from orchestrator.stream.log_errors import LogCorrupt, LogMismatch, refusing
from orchestrator.stream.topic_layout import is_keyed

# What one read may bring into memory, beyond its first record: a record is up to 2 MiB.
READ_BYTES: Final = 16 * 1024 * 1024
_OFFSET_MASK: Final = (1 << log_file.OFFSET_BITS) - 1


class Record(NamedTuple):
    """One record as it lies in the log; *stamp* is its append time in microseconds, UTC."""

    topic: str
    partition: int
    offset: int
    stamp: int
    key: str | None
    value: bytes | None  # None: a tombstone
    headers: dict[str, str]


class Log:
    """An open log.  Not for two threads at once: each opens its own."""

    def __init__(self, folder: Path, connection: sqlite3.Connection, clock: Clock | None) -> None:
        self.folder = folder
        self.where = str(folder / log_file.FILE)
        self.connection = connection
        site = dict(self._rows("SELECT name, value FROM site"))
        try:
            self.site_id, self.journal_id = str(site["site"]), str(site["journal"])
            self.partitions = int(site["partitions"])
            self.clock = clock or clock_of(str(site["clock"]))
        except (KeyError, ValueError) as problem:
            connection.close()
            raise LogCorrupt(f"{self.where}: the log's own description is damaged") from problem
        self._ids: dict[tuple[str, int], int] = {}

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        owner: bool = False,
        create: bool = False,
        partitions: int | None = None,
        clock: Clock | None = None,
    ) -> Self:
        """
        Open the log in *folder*.

        Args:
            owner: The process that decides; there is one (`log_file.lock`).
            create: Make an empty log if there is none.
            partitions: Of the journal and the outputs; fixed once the log exists, since another
                count would put a patient's next record where nobody looks for it.
            clock: Default: the one the log was made with.

        Raises:
            LogError: It cannot be used; says why.
        """
        if create:
            log_file.create(folder, partitions or 1, clock.written if clock else "real")
        log = cls(folder, log_file.connect(folder, owner=owner), clock)
        if partitions is not None and partitions != log.partitions:
            log.close()
            raise LogMismatch(
                f"{log.where}: the log has {log.partitions} partitions, the settings say"
                f" {partitions}; set CARE_PARTITIONS={log.partitions}"
            )
        return log

    def close(self) -> None:
        """Let go of the file."""
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Topics and offsets

    def partitions_of(self, topic: str) -> int:
        """How many partitions *topic* has here: inputs and dead letters have one."""
        return self.partitions if is_keyed(topic) else 1

    def topics(self) -> list[str]:
        """The topics that hold or held something, by name."""
        return [name for (name,) in self._rows("SELECT DISTINCT topic FROM logs ORDER BY topic")]

    def end_offsets(self, topic: str) -> list[int]:
        """Per partition the offset that the next record will get."""
        return self._bounds(topic, "next")

    def first_offsets(self, topic: str) -> list[int]:
        """Per partition the lowest offset that may still be there."""
        return self._bounds(topic, "first")

    def committed(self, reader: str, topic: str) -> list[int]:
        """Per partition where *reader* goes on."""
        found = self._rows(
            "SELECT partition, next FROM offsets WHERE reader = ? AND topic = ?", reader, topic
        )
        return self._per_partition(topic, found)

    def accounts(self) -> dict[tuple[str, int, str], int]:
        """How many records of (topic, partition) ended with which result."""
        rows = self._rows("SELECT topic, partition, result, count FROM accounts")
        return {(topic, partition, result): count for topic, partition, result, count in rows}

    # Reading

    def read(self, topic: str, partition: int, start: int, limit: int) -> list[Record]:
        """From offset *start* on, in order, at most *limit* records or `READ_BYTES` of them."""
        with refusing(self.where), closing(self.records(topic, partition, start, limit)) as found:
            return list(within(found, limit))

    def records(self, topic: str, partition: int, start: int, limit: int) -> Generator[Record]:
        """The same one by one; to be used up or closed before anything is written."""
        number = self._log_id(topic, partition)
        if number is None:
            return
        base = number << log_file.OFFSET_BITS
        cursor = self.connection.execute(
            "SELECT id, stamp, key, value, headers, crc FROM records"
            " WHERE id >= ? AND id <= ? ORDER BY id LIMIT ?",
            (base + start, base | _OFFSET_MASK, limit),
        )
        for row, stamp, key, value, headers, crc in cursor:
            if crc != checksum(row ^ stamp, key, value):
                raise LogCorrupt(
                    f"{self.where}: record {topic}-{partition}-{row - base} is damaged;"
                    " restore the log from a backup"
                )
            yield Record(
                topic,
                partition,
                row - base,
                stamp,
                key,
                value,
                orjson.loads(headers) if headers else {},
            )

    # Writing

    def append(
        self,
        topic: str,
        key: str | None,
        value: bytes | None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, int]:
        """Append one record durably; its partition and offset."""
        with self.transaction() as transaction:
            return transaction.append(topic, key, value, headers)

    @contextmanager
    def transaction(self) -> Iterator["Transaction"]:
        """
        One writer transaction: all of what is done with it, or nothing.

        Raises:
            LogError: The disk refuses, or another writer holds the log too long.
        """
        with refusing(self.where):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                transaction = Transaction(self)
                yield transaction
                transaction.flush()
                self.connection.execute("COMMIT")
            except BaseException:
                # After a full disk SQLite may have rolled back by itself.
                if self.connection.in_transaction:
                    with suppress(sqlite3.Error):
                        self.connection.execute("ROLLBACK")
                raise

    def shrink(self) -> None:
        """Try to move the write-ahead log into the file: on a full disk it may be what is full."""
        with suppress(sqlite3.Error):
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def note(self, name: str) -> str | None:
        """What `Transaction.note` kept under *name*."""
        for (value,) in self._rows("SELECT value FROM site WHERE name = ?", f"note/{name}"):
            return str(value)
        return None

    def changes(self) -> tuple[int, int]:
        """Something that differs once anybody has written."""
        return int(self._rows("PRAGMA data_version")[0][0]), self.connection.total_changes

    # Inner parts, shared with Transaction

    def _rows(self, statement: str, *values: object) -> list[Any]:
        with refusing(self.where):
            return self.connection.execute(statement, values).fetchall()

    def _bounds(self, topic: str, column: str) -> list[int]:
        return self._per_partition(
            topic,
            self._rows(f"SELECT partition, {column} FROM logs WHERE topic = ?", topic),  # noqa: S608 - two literals
        )

    def _per_partition(self, topic: str, found: Iterable[tuple[int, int]]) -> list[int]:
        values = [0] * self.partitions_of(topic)
        for partition, value in found:
            values[partition] = value
        return values

    def _log_id(self, topic: str, partition: int) -> int | None:
        number = self._ids.get((topic, partition))
        if number is None:
            for (number,) in self._rows(
                "SELECT id FROM logs WHERE topic = ? AND partition = ?", topic, partition
            ):
                self._ids[topic, partition] = number
        return number


class _Tail:
    """Where the next record of a partition goes, inside a transaction."""

    __slots__ = ("next", "number", "stamp")

    def __init__(self, number: int, following: int, stamp: int) -> None:
        self.number, self.next, self.stamp = number, following, stamp


class Transaction:
    """An open writer transaction of a `Log`; nobody else can write until it ends."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._connection = log.connection
        self._tails: dict[tuple[str, int], _Tail] = {}
        self._rows: list[tuple[int, int, str | None, bytes | None, bytes | None, int]] = []
        self.now: Final = log.clock.now()
        row = self._connection.execute("SELECT value FROM site WHERE name = 'floor'").fetchone()
        self._floor = int(row[0])

    def append(
        self,
        topic: str,
        key: str | None,
        value: bytes | None,
        headers: dict[str, str] | None = None,
        partition: int | None = None,
    ) -> tuple[int, int]:
        """Append a record; its partition (by default that of *key*) and offset."""
        if partition is None:
            count = self._log.partitions_of(topic)
            partition = 0 if count == 1 else partition_of(key or "", count)
        tail = self._tails.get((topic, partition)) or self._tail(topic, partition)
        offset = tail.next
        tail.next = offset + 1
        row = tail.number << log_file.OFFSET_BITS | offset
        packed = orjson.dumps(headers) if headers else None
        crc = checksum(row ^ tail.stamp, key, value)
        self._rows.append((row, tail.stamp, key, value, packed, crc))
        return partition, offset

    def flush(self) -> None:
        """Hand to SQLite what was appended so far; done at the end anyway."""
        if not self._rows:
            return
        self._connection.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)", self._rows)
        self._rows.clear()
        self._connection.executemany(
            "UPDATE logs SET next = ?, stamp = ? WHERE id = ?",
            [(tail.next, tail.stamp, tail.number) for tail in self._tails.values()],
        )

    def commit_offset(self, reader: str, topic: str, partition: int, following: int) -> None:
        """Let *reader* go on at offset *following* from now on."""
        self._connection.execute(
            "INSERT OR REPLACE INTO offsets VALUES (?, ?, ?, ?)",
            (reader, topic, partition, following),
        )

    def account(self, topic: str, partition: int, result: str, count: int) -> None:
        """Add to how many records ended with *result*."""
        self._connection.execute(
            "INSERT INTO accounts VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET count = count + excluded.count",
            (topic, partition, result, count),
        )

    def raise_floor(self, stamp: int) -> None:
        """Stamp nothing below *stamp* from now on, whatever the clock says."""
        if stamp > self._floor:
            self._floor = stamp
            self._connection.execute("UPDATE site SET value = ? WHERE name = 'floor'", (stamp,))

    def note(self, name: str, value: str) -> None:
        """Keep a word of the runtime's own bookkeeping."""
        self._connection.execute(
            "INSERT OR REPLACE INTO site VALUES (?, ?)", (f"note/{name}", value)
        )

    def execute(self, statement: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        """One statement on the tables of derived state."""
        return self._connection.execute(statement, values)

    def executemany(self, statement: str, values: Iterable[Sequence[object]]) -> None:
        """The same for many rows."""
        self._connection.executemany(statement, values)

    def _tail(self, topic: str, partition: int) -> _Tail:
        if not 0 <= partition < self._log.partitions_of(topic):
            raise ValueError(f"{topic} has no partition {partition}")
        found = self._connection.execute(
            "SELECT id, next, stamp FROM logs WHERE topic = ? AND partition = ?",
            (topic, partition),
        ).fetchone()
        if found is None:
            number = self._connection.execute(
                "INSERT INTO logs (topic, partition, first, next, stamp) VALUES (?, ?, 0, 0, 0)",
                (topic, partition),
            ).lastrowid
            found = (number, 0, 0)
        number, following, stamp = found
        tail = _Tail(number, following, max(stamp, self.now, self._floor))
        self._tails[topic, partition] = tail
        return tail


def within(records: Iterable[Record], limit: int) -> Iterator[Record]:
    """The first of *records*: at most *limit*, and no further than `READ_BYTES`."""
    size = 0
    for count, record in enumerate(records, 1):
        yield record
        size += len(record.value or b"")
        if count >= limit or size >= READ_BYTES:
            return


def checksum(seed: int, key: str | None, value: bytes | None) -> int:
    """What a row must agree with when it is read again; *seed* ties it to its place."""
    start = seed & 0xFFFFFFFF
    if key is not None:
        start = zlib.crc32(key.encode(), start)
    return start if value is None else zlib.crc32(value, start)
