"""Takes what lies in the public topics into the journal, and the clock after it.

One transaction per step: journal records, dead letters, what became of each input, intake's
offsets, and the clocks that are due.  Nobody can append an input between the look that finds
all of them taken in and the clock's T, because the transaction keeps other writers out; so
"everything accepted before T precedes this record" holds without waiting for anyone.
"""

import heapq
from collections import Counter
from contextlib import closing
from typing import Final

from orchestrator.stream.failpoints import hit
from orchestrator.stream.identity import IDENTITY
from orchestrator.stream.intake import Intake, Result, Signs, Taken
from orchestrator.stream.log_errors import LogMismatch, refusing
from orchestrator.stream.sqlite_log import Log, Record, Transaction, within
from orchestrator.stream.status import Status
from orchestrator.stream.timekeeper import Timekeeper
from orchestrator.stream.topic_layout import LIVE_INPUTS
from schemas.facilities import Facilities
from schemas.topics import BACKFILL, DEAD_LETTER, INPUTS, JOURNAL

READER: Final = "intake"
# Taken in under the write lock when a clock is due, so that a sender who never pauses cannot
# hold it; more than this left over is real lag, and holds it.
GATE_RECORDS: Final = 200

_SIGNS: Final = "signs"
Decoded = list[tuple[Record, Taken]]


class Inflow:
    """
    The way from the public topics to the journal.

    Attributes:
        positions: Per input topic the offset at which intake goes on.
        results: How many records of which topic this process took in with which result.
    """

    def __init__(
        self,
        log: Log,
        facilities: Facilities,
        site_key: bytes,
        timekeeper: Timekeeper,
        status: Status | None = None,
    ) -> None:
        self._log = log
        self._intake = Intake(facilities, site_key, Signs(log.note(_SIGNS)))
        self._timekeeper = timekeeper
        self.positions = {topic: self._position(topic) for topic in INPUTS}
        self.results: Counter[tuple[str, Result]] = Counter()
        self._status = status or Status("up")
        self._empty_at: tuple[int, int] | None = None  # `Log.changes` when nothing was found

    def step(self, limit: int, wakes: list[int | None]) -> bool:
        """
        Take in about *limit* records, and append the clocks that are due.

        Args:
            wakes: Per journal partition its earliest wake, once all of it was decided.

        Returns:
            Whether anything was appended.

        Raises:
            LogError: Nothing was; after a retriable one the step may be repeated.
        """
        changes = self._log.changes()
        batch = [] if changes == self._empty_at else self._read(limit)
        self._empty_at = None if batch else changes
        due = self._timekeeper.due(wakes)
        if not batch and not due:
            return False
        hit("intake.read")
        taken = self._take(batch)
        hit("intake.decoded")
        if due:
            hit("clock.due")
        try:
            with self._log.transaction() as transaction:
                hit("intake.begun")
                following = dict(self.positions)
                self._append(transaction, taken, following)
                if due:
                    late = self._take(self._merged(following, LIVE_INPUTS, GATE_RECORDS))
                    self._append(transaction, late, following)
                    taken += late
                self._go_on_at(transaction, following)
                # What was said of who is whom must be decided, and told, before time moves on: a
                # deadline may be settled by what lies under the other number.
                still = any(key == IDENTITY for _, one in taken for key, _ in one.journal)
                clocks = {} if still else self._append_clocks(transaction, due, following)
                hit("intake.commit")
        except BaseException:
            # Nothing was taken in: begin again as a new process would.
            self._intake.signs = Signs(self._log.note(_SIGNS))
            self._empty_at = None
            raise
        hit("intake.committed")
        self.positions = following
        self._count(taken)
        self._timekeeper.committed(clocks)
        return bool(taken or clocks)

    def _read(self, limit: int) -> list[Record]:
        """The next inputs in the order in which they were appended, history after the live ones."""
        found = self._merged(self.positions, LIVE_INPUTS, limit)
        # History gets its turn even under load, but a small one.
        return found + self._merged(
            self.positions, (BACKFILL,), max(limit // 4, limit - len(found))
        )

    def _merged(
        self, positions: dict[str, int], topics: tuple[str, ...], limit: int
    ) -> list[Record]:
        with refusing(self._log.where):
            logs = [self._log.records(topic, 0, positions[topic], limit) for topic in topics]
            with closing(heapq.merge(*logs, key=lambda record: record.stamp)) as merged:
                found = list(within(merged, limit))
            for one in logs:
                one.close()
        return found

    def _take(self, records: list[Record]) -> Decoded:
        return [(record, self._intake.take(record)) for record in records]

    def _append(self, transaction: Transaction, taken: Decoded, following: dict[str, int]) -> None:
        """Write what was taken in; *following* moves behind it."""
        for record, outcome in taken:
            for key, value in outcome.journal:
                transaction.append(JOURNAL, key, value)
            for letter in outcome.dead_letters:
                transaction.append(DEAD_LETTER, letter.key, letter.value, letter.headers)
            following[record.topic] = record.offset + 1
        for (topic, result), count in _results(taken).items():
            transaction.account(topic, 0, result, count)
        transaction.flush()
        hit("intake.appended")

    def _go_on_at(self, transaction: Transaction, following: dict[str, int]) -> None:
        for topic, offset in following.items():
            if offset != self.positions[topic]:
                transaction.commit_offset(READER, topic, 0, offset)
        if self._intake.signs.changed:
            transaction.note(_SIGNS, self._intake.signs.written())
            self._intake.signs.changed = False
        hit("intake.offsets")

    def _append_clocks(
        self, transaction: Transaction, due: list[int], following: dict[str, int]
    ) -> dict[int, int]:
        if not due:
            return {}
        left = [t for t in LIVE_INPUTS if following[t] < self._log.end_offsets(t)[0]]
        return self._timekeeper.append(transaction, due, all_taken_in=not left)

    def untaken(self) -> list[str]:
        """The live inputs in which something lies that was not taken in."""
        return [t for t in LIVE_INPUTS if self.positions[t] < self._log.end_offsets(t)[0]]

    def _count(self, taken: Decoded) -> None:
        """What is durable now, for metrics."""
        results = _results(taken)
        self.results.update(results)
        for (topic, result), count in results.items():
            self._status.took(topic, result, count)
        for _, outcome in taken:
            for letter in outcome.dead_letters:
                self._status.parked(letter.headers)

    def _position(self, topic: str) -> int:
        (position,) = self._log.committed(READER, topic)
        (first,), (end,) = self._log.first_offsets(topic), self._log.end_offsets(topic)
        if not first <= position <= end:
            raise LogMismatch(f"{self._log.where}: {topic} does not hold what intake goes on with")
        return position


def _results(taken: Decoded) -> Counter[tuple[str, Result]]:
    return Counter((record.topic, outcome.result) for record, outcome in taken)
