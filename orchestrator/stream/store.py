"""The derived state over the log, and the one transaction in which a Round becomes true.

`LogStore` reads it for the processor; `commit_round` writes a Round: cells, heads, what was
seen, outputs, records for the journal, and the meta row with the journal position last.  What a
row holds is the processor's business; here a row is bytes with a sum.
"""

from collections.abc import Iterable

from orchestrator.stream.failpoints import hit
from orchestrator.stream.log_errors import LogCorrupt, LogMismatch
from orchestrator.stream.rounds import Out, Round
from orchestrator.stream.sqlite_log import Log, Transaction, checksum
from orchestrator.stream.topic_layout import is_keyed
from schemas.topics import JOURNAL


class LogStore:
    """The `rounds.Store` of the durable runtime."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._connection = log.connection

    def head(self, key: str) -> bytes | None:
        row = self._connection.execute(
            "SELECT value, crc FROM heads WHERE key = ?", (key,)
        ).fetchone()
        return None if row is None else self._sound(key, "head", *row)

    def cells(self, key: str) -> list[tuple[str, str, bytes]]:
        rows = self._connection.execute(
            "SELECT kind, name, value, crc FROM cells WHERE key = ? AND sealed = 0", (key,)
        )
        return [(kind, name, self._sound(key, kind, value, crc)) for kind, name, value, crc in rows]

    def cell(self, key: str, kind: str, name: str) -> bytes | None:
        row = self._connection.execute(
            "SELECT value, crc FROM cells"
            " WHERE key = ? AND sealed IN (0, 1) AND kind = ? AND name = ?",
            (key, kind, name),
        ).fetchone()
        return None if row is None else self._sound(key, kind, *row)

    def put_away(self, key: str) -> list[tuple[str, str, bytes]]:
        rows = self._connection.execute(
            "SELECT kind, name, value, crc FROM cells WHERE key = ? AND sealed = 1", (key,)
        )
        return [(kind, name, self._sound(key, kind, value, crc)) for kind, name, value, crc in rows]

    def seen(self, key: str, event_hash: str) -> bytes | None:
        row = self._connection.execute(
            "SELECT value FROM seen WHERE key = ? AND hash = ?", (key, event_hash)
        ).fetchone()
        return None if row is None else row[0]

    def due(self, partition: int, until: int) -> list[str]:
        rows = self._connection.execute(
            "SELECT key FROM heads WHERE partition = ? AND wake <= ? ORDER BY wake, key",
            (partition, until),
        )
        return [key for (key,) in rows]

    def meta(self, partition: int) -> bytes | None:
        row = self._connection.execute(
            "SELECT value FROM meta WHERE partition = ?", (partition,)
        ).fetchone()
        return None if row is None else row[0]

    # For the runtime

    def first_wake(self, partition: int) -> int | None:
        """The earliest wake of the partition."""
        row = self._connection.execute(
            "SELECT min(wake) FROM heads WHERE partition = ? AND wake IS NOT NULL", (partition,)
        ).fetchone()
        return None if row is None else row[0]

    def position(self, partition: int) -> int:
        """
        The journal offset at which deciding goes on.

        Raises:
            LogMismatch: The state was derived from another journal, or from more of it than
                there is: a file was restored without the other half.
        """
        row = self._connection.execute(
            "SELECT journal, next FROM meta WHERE partition = ?", (partition,)
        ).fetchone()
        if row is None:
            return 0
        journal, following = row
        where = f"{self._log.where}: {JOURNAL}-{partition}"
        if journal != self._log.journal_id:
            raise LogMismatch(f"{where}: the state was derived from another journal")
        if following > self._log.end_offsets(JOURNAL)[partition]:
            raise LogMismatch(f"{where}: the journal ends before what was already decided")
        if following < self._log.first_offsets(JOURNAL)[partition]:
            raise LogMismatch(f"{where}: records were removed before they were decided")
        return int(following)

    def _sound(self, key: str, kind: str, value: bytes, crc: int) -> bytes:
        if crc != checksum(0, key, value):
            raise LogCorrupt(f"{self._log.where}: a {kind} is damaged; restore it from a backup")
        return value


def commit_round(log: Log, rnd: Round, following: int) -> None:
    """
    Make *rnd* true, and *following* the journal offset at which its partition goes on.

    Raises:
        LogError: The disk refused; nothing of the Round was written.
    """
    partition, meta = rnd.meta
    with log.transaction() as transaction:
        _write_state(transaction, rnd, partition)
        hit("decide.state")
        half = len(rnd.outputs) // 2
        _publish(transaction, rnd.outputs[:half])
        transaction.flush()
        hit("decide.some")
        _publish(transaction, rnd.outputs[half:])
        for key, value in rnd.journal:
            transaction.append(JOURNAL, key, value)
        transaction.flush()
        hit("decide.outputs")
        transaction.execute(
            "INSERT OR REPLACE INTO meta VALUES (?, ?, ?, ?)",
            (partition, log.journal_id, following, meta),
        )
        hit("decide.commit")
    hit("decide.committed")


def _publish(transaction: Transaction, outputs: Iterable[Out]) -> None:
    for out in outputs:
        # Dead letters have one partition here, wherever their patient's outputs lie.
        partition = out.partition if is_keyed(out.topic) else None
        transaction.append(out.topic, out.key, out.value, out.headers, partition)


def _write_state(transaction: Transaction, rnd: Round, partition: int) -> None:
    for key in rnd.gone:
        transaction.execute("DELETE FROM cells WHERE key = ?", (key,))
        transaction.execute("DELETE FROM heads WHERE key = ?", (key,))
    if rnd.cells:
        transaction.executemany(
            "INSERT INTO cells (key, sealed, kind, name, value, crc) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET value = excluded.value, crc = excluded.crc",
            [
                (key, int(sealed), kind, name, value, checksum(0, key, value))
                for (key, kind, name), (value, sealed) in rnd.cells.items()
            ],
        )
        # A cell is open or sealed, never both.
        transaction.executemany(
            "DELETE FROM cells WHERE key = ? AND sealed = ? AND kind = ? AND name = ?",
            [
                (key, int(not sealed), kind, name)
                for (key, kind, name), (_, sealed) in rnd.cells.items()
            ],
        )
    if rnd.heads:
        transaction.executemany(
            "INSERT INTO heads (key, partition, wake, value, crc) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET wake = excluded.wake, value = excluded.value,"
            " crc = excluded.crc",
            [
                (key, partition, wake, value, checksum(0, key, value))
                for key, (value, wake) in rnd.heads.items()
            ],
        )
    if rnd.seen:
        transaction.executemany(
            "INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?, ?)",
            [
                (key, event_hash, partition, expires, value)
                for (key, event_hash), (value, expires) in rnd.seen.items()
            ],
        )
    if rnd.forget_seen_before is not None:
        transaction.execute(
            "DELETE FROM seen WHERE partition = ? AND expires < ?",
            (partition, rnd.forget_seen_before),
        )
