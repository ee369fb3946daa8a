"""Reads the positions of the embedded runtime's readers off the log, from outside its loop."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from orchestrator.ops.lag import Bounds, Reading
from orchestrator.ops.look import Seen
from orchestrator.stream import inflow
from orchestrator.stream.sqlite_log import Log
from schemas.topics import INPUTS, JOURNAL

CLUSTER: Final = "embedded"


class EmbeddedLook:
    """
    Looks through a connection of its own: it works while ``up`` is stuck, and when it is dead.

    Args:
        group: What the readers are named after, as consumer groups are on Kafka.
    """

    def __init__(self, log: Log, group: str) -> None:
        self._log = log
        self._group = group

    def look(self) -> Seen:
        """Where everybody stands now."""
        readings = [*self._intake(), *self._decide()]
        bounds = [
            Bounds(topic, partition, first, end)
            for topic in sorted({*self._log.topics(), *INPUTS, JOURNAL})
            for partition, (first, end) in enumerate(
                zip(self._log.first_offsets(topic), self._log.end_offsets(topic), strict=True)
            )
        ]
        return Seen(self._log.clock.now(), CLUSTER, readings, bounds, self._due(), self._clock())

    def _intake(self) -> Iterator[Reading]:
        # Read before the ends, as on Kafka: a lag is never told too small.
        done = dict(
            self._log.connection.execute(
                "SELECT topic, next FROM offsets WHERE reader = ?", (inflow.READER,)
            )
        )
        ran = bool(done) or self._decided()
        for topic in INPUTS:
            (first,), (end,) = self._log.first_offsets(topic), self._log.end_offsets(topic)
            # Once it ran at all, what it never read it goes on with at the beginning.
            at = done.get(topic, 0 if ran else None)
            yield self._reading("intake", topic, 0, first, end, at)

    def _decide(self) -> Iterator[Reading]:
        done = self._decided()
        firsts, ends = self._log.first_offsets(JOURNAL), self._log.end_offsets(JOURNAL)
        for partition, (first, end) in enumerate(zip(firsts, ends, strict=True)):
            at = done.get(partition, 0 if done else None)
            yield self._reading("decide", JOURNAL, partition, first, end, at)

    def _decided(self) -> dict[int, int]:
        return dict(self._log.connection.execute("SELECT partition, next FROM meta"))

    def _reading(
        self, role: str, topic: str, partition: int, first: int, end: int, done: int | None
    ) -> Reading:
        following = []
        if done is not None and done < end:
            following = self._log.read(topic, partition, done, 1)
        next_at = following[0].stamp if following else None
        return Reading(f"{self._group}-{role}", topic, partition, first, end, done, next_at)

    def _clock(self) -> int | None:
        last = [self._log.note(f"clock/{p}") for p in range(self._log.partitions)]
        return min((int(at) for at in last if at), default=None)

    def _due(self) -> int:
        """Wakes that have passed; one at or before the last clock waits for something else."""
        now, due = self._log.clock.now(), 0
        for partition in range(self._log.partitions):
            last = int(self._log.note(f"clock/{partition}") or 0)
            (count,) = self._log.connection.execute(
                "SELECT count(*) FROM heads WHERE partition = ? AND wake > ? AND wake <= ?",
                (partition, last, now),
            ).fetchone()
            due += count
        return due


@contextmanager
def looking(folder: Path, group: str) -> Iterator[EmbeddedLook]:
    """
    A look at the log in *folder*.

    Raises:
        LogError: There is none, or it cannot be read.
    """
    with Log.open(folder) as log:
        yield EmbeddedLook(log, group)
