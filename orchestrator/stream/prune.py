"""Removes what the contract no longer keeps, a little at a time and never what is still needed.

Time here is that of the oldest partition clock, which a jump of the machine's cannot move.  An
input is kept until intake has taken it in, a journal record until it was decided and for 120
days, however full the disk.  Of a compacted topic each key keeps its latest record; the ones
before it go a day after they were superseded, so that a reader who is a little behind still
meets them.
"""

from typing import Final

import structlog

from orchestrator.core.instants import DAY, MINUTE
from orchestrator.stream.failpoints import hit
from orchestrator.stream.log_errors import LogError, refusing
from orchestrator.stream.log_file import OFFSET_BITS
from orchestrator.stream.sqlite_log import Log, Transaction
from orchestrator.stream.topic_layout import COMPACTED, retention
from schemas.topics import JOURNAL

STEP: Final = 1000  # records looked at under one write lock: some ten milliseconds
EVERY: Final = 10 * MINUTE  # of the log's clock, unless there is more to do
SUPERSEDED_KEPT: Final = DAY

logger = structlog.get_logger()


class Pruner:
    """The prune of one log; `step` is called when there is nothing better to do."""

    def __init__(self, log: Log, step: int = STEP) -> None:
        self._log = log
        self._limit = step
        self._done_at: int | None = None

    def step(self, decided: list[int], taken: dict[str, int], now: int) -> int:
        """
        Remove at most a step's worth.

        Args:
            decided: Per journal partition the offset from which on records are needed.
            taken: The same for the input topics.
            now: Microseconds; what is older than its retention before this goes.

        Returns:
            How many records were looked at; 0: nothing to do for a while.
        """
        if self._done_at is not None and now - self._done_at < EVERY:
            return 0
        left = self._limit
        try:
            with refusing(self._log.where):
                left -= self._step(decided, taken, now)
        except LogError as refusal:
            # Removing can wait; whoever must write will meet the same trouble and handle it.
            logger.warning("log.not_pruned", reason=type(refusal).__name__)
            left = self._limit
        if left == self._limit:
            self._done_at = now
        return self._limit - left

    def _step(self, decided: list[int], taken: dict[str, int], now: int) -> int:
        rows = self._log.connection.execute("SELECT id, topic, partition, first, next FROM logs")
        left = self._limit
        for number, topic, partition, first, following in rows.fetchall():
            until = following
            if topic == JOURNAL:
                until = min(until, decided[partition])
            elif topic in taken:
                until = min(until, taken[topic])
            base = number << OFFSET_BITS
            if topic in COMPACTED:
                left -= self._compact(topic, partition, base, now - SUPERSEDED_KEPT, left)
            else:
                left -= self._expire(topic, number, base + first, base + until, now, left)
            if left <= 0:
                break
        return self._limit - left

    def _expire(self, topic: str, number: int, start: int, until: int, now: int, limit: int) -> int:
        kept = retention(topic)
        if kept is None:
            return 0
        before = now - int(kept.total_seconds()) * 1_000_000
        found = self._log.connection.execute(
            "SELECT id, stamp FROM records WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
            (start, until, limit),
        ).fetchall()
        old = [row for row, stamp in found if stamp < before]
        if not old:
            return 0
        with self._log.transaction() as transaction:
            transaction.execute("DELETE FROM records WHERE id >= ? AND id <= ?", (start, old[-1]))
            hit("prune.deleted")
            first = (old[-1] & ((1 << OFFSET_BITS) - 1)) + 1
            transaction.execute("UPDATE logs SET first = ? WHERE id = ?", (first, number))
        return len(old)

    def _compact(self, topic: str, partition: int, base: int, before: int, limit: int) -> int:
        name = f"compacted/{topic}/{partition}"
        start = base + int(self._log.note(name) or 0)
        found = self._log.connection.execute(
            "SELECT id, stamp, key, value IS NULL FROM records"
            " WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
            (start, base + (1 << OFFSET_BITS), limit),
        ).fetchall()
        found = [row for row in found if row[1] < before]
        if not found:
            return 0
        with self._log.transaction() as transaction:
            for row, _, key, is_tombstone in found:
                _supersede(transaction, topic, key, row, is_tombstone=bool(is_tombstone))
            hit("prune.deleted")
            transaction.note(name, str(found[-1][0] - base + 1))
        return len(found)


def _supersede(
    transaction: Transaction, topic: str, key: str, row: int, *, is_tombstone: bool
) -> None:
    earlier = transaction.execute(
        "SELECT id FROM latest WHERE topic = ? AND key = ?", (topic, key)
    ).fetchone()
    if earlier is not None:
        transaction.execute("DELETE FROM records WHERE id = ?", earlier)
    if is_tombstone:
        transaction.execute("DELETE FROM records WHERE id = ?", (row,))
        transaction.execute("DELETE FROM latest WHERE topic = ? AND key = ?", (topic, key))
    else:
        transaction.execute("INSERT OR REPLACE INTO latest VALUES (?, ?, ?)", (topic, key, row))
