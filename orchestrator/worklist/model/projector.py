"""Follows the published topics into the read model; one thread, one writer.

Rows and offsets become true in one transaction, so a kill at any point loses and doubles nothing:
the next start goes on where the rows end.
"""

import os
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import structlog

from orchestrator.worklist import edge
from orchestrator.worklist.log.feed import (
    Feed,
    FeedFactory,
    LogAway,
    Place,
)
from orchestrator.worklist.model import tables
from orchestrator.worklist.model.fold import Fold, Seen
from orchestrator.worklist.model.freshness import Freshness, Now

BATCH: Final = 1000
WAIT_S: Final = 0.2
RETRY_S: Final = 1.0
SAMPLE_EACH_S: Final = 0.5
CAUGHT_UP: Final = 100  # so few records left are no backlog
LATE: Final = ("behind", "stale")

logger = structlog.get_logger()


class Batch(NamedTuple):
    """What became visible with one commit."""

    seen: list[Seen]
    left: int  # records still to come, as far as was known


class Projection:
    """
    The read model as its writer holds it.

    Args:
        rebuilding: Until `finished`, the file counts as one that is being made anew.
    """

    def __init__(
        self, path: Path, feed: Feed, key_of: Callable[[str], str], *, rebuilding: bool = False
    ) -> None:
        self._lock = tables.lock(path)
        self._db = tables.connect(path, write=True)
        self.feed = feed
        self.taken = 0  # records, by this process
        self.made_anew = tables.prepare(
            self._db, feed.name, feed.ends(), edge.new_id(), rebuilding=rebuilding
        )
        if not rebuilding:
            self.finished()  # whoever serves a file that was left half made goes on with it
        self.positions = self._start()
        self._fold = Fold(self._db, key_of)

    def _start(self) -> dict[Place, int]:
        found = self._db.execute("SELECT topic, partition, next FROM positions").fetchall()
        positions: dict[Place, int] = {(topic, number): at for topic, number, at in found}
        # What retention took before it was read is gone for everybody.
        for place, first in self.feed.firsts().items():
            positions[place] = max(first, positions.get(place, 0))
        return positions

    def step(self, limit: int = BATCH, wait_s: float = 0.0) -> Batch | None:
        """
        Take in what comes next; ``None`` when nothing does.

        Raises:
            LogAway: The log cannot be read.
            sqlite3.Error: The read model cannot be written; nothing of the batch stands.
        """
        records, moved = self.feed.read(self.positions, limit, wait_s)
        following = {**self.positions, **moved}
        if not records:
            self.positions = following  # markers alone: not worth a transaction
            return None
        self._db.execute("BEGIN IMMEDIATE")
        try:
            seen = [one for r in records if (one := self._fold.apply(r)) is not None]
            self._db.executemany(
                "INSERT OR REPLACE INTO positions VALUES (?, ?, ?)",
                [(*place, at) for place, at in sorted(moved.items())],
            )
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        self.positions = following
        self.taken += len(records)
        return Batch(seen, self.left())

    def left(self) -> int:
        """How many offsets lie ahead."""
        return sum(self.ahead().values())

    def ahead(self) -> dict[str, int]:
        """The same by topic."""
        found: Counter[str] = Counter()
        for place, end in self.feed.ends().items():
            found[place[0]] += max(0, end - self.positions.get(place, 0))
        return dict(found)

    @property
    def differences(self) -> int:
        """Records of one id and version that were not equal."""
        return self._fold.differences

    def finished(self) -> None:
        """What is there was made to its end: another `rebuild` begins anew."""
        self._db.execute("DELETE FROM meta WHERE name = ?", (tables.REBUILDING,))

    def close(self) -> None:
        """
        Let go of the file.

        The planner is never told what lies in it: the indexes are made for its plans as they are
        without, and a plan that changes with the data is one that nobody has measured.
        """
        self._db.close()
        os.close(self._lock)


class Projector:
    """The thread that keeps the read model up with the log until it is stopped."""

    def __init__(
        self,
        path: Path,
        feed: FeedFactory,
        key_of: Callable[[str], str],
        freshness: Freshness,
        told: Callable[[Batch], None],
    ) -> None:
        """
        Args:
            told: Called in this thread after each commit.
        """
        self._path = path
        self._make_feed = feed
        self._key_of = key_of
        self._freshness = freshness
        self._told = told
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="worklist-projector", daemon=True)
        self.ready = threading.Event()  # the file is there and can be asked
        self.ahead: dict[str, int] | None = None  # records by topic, at the last look
        self.failing: str | None = None
        self.clocks: Mapping[int, int] = {}  # by partition, the last clock that was decided

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End after the batch at hand."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._follow()
            except (LogAway, sqlite3.Error, tables.InUse) as problem:
                self._fails(type(problem).__name__)
            except Exception as bug:
                # Rows that a bug keeps away are better than none: it is said, and tried again.
                logger.exception("projection.failed")
                self._fails(type(bug).__name__)
            self._stopping.wait(RETRY_S)

    def _fails(self, reason: str) -> None:
        if self.failing != reason:
            logger.error("projection.behind", reason=reason)
        self.failing = reason

    def _follow(self) -> None:
        feed = self._make_feed()
        try:
            projection = Projection(self._path, feed, self._key_of)
            try:
                self._keep_up(projection)
            finally:
                projection.close()
        finally:
            feed.close()

    def _keep_up(self, projection: Projection) -> None:
        behind, state = True, ""
        next_sample = 0.0
        while not self._stopping.is_set():
            now = edge.elapsed()
            if now >= next_sample:
                next_sample = now + SAMPLE_EACH_S
                self.ahead = projection.ahead()
                self._freshness.runs_at(projection.feed.pace)
                sample = projection.feed.sample()
                if sample is not None:
                    self.clocks = sample.clocks
                    self._freshness.sampled(sample, now)
                    self._freshness.reached(projection.positions, now)
                state = self._freshness.state(Now(projection.feed.now(), now))
                if state in LATE and not behind:
                    behind = True
                    left = sum(self.ahead.values())
                    logger.warning("projection.behind", reason=state, count=left)
            self.ready.set()
            batch = projection.step(wait_s=WAIT_S)
            self.failing = None
            left = 0 if batch is None else batch.left
            if batch is not None:
                self._freshness.reached(projection.positions, edge.elapsed())
                self._told(batch)
            if behind and left <= CAUGHT_UP and state not in LATE:
                behind = False
                logger.info("projection.caught_up")
