"""The embedded log for the worklist: polled for reading, appended to by one thread of its own."""

import asyncio
import queue
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from orchestrator.stream.clock import Clock, ManualClock, SpeedClock
from orchestrator.stream.log_errors import LogError
from orchestrator.stream.sqlite_log import Log
from orchestrator.stream.store import LogStore
from orchestrator.worklist.instants import micros
from orchestrator.worklist.log.feed import (
    FOLLOWED,
    NO_HEADERS,
    Fetched,
    LogAway,
    Place,
    Positions,
    Record,
    Sample,
)

NAP_S: Final = 0.02
# Sent together in one transaction: each waits for the disk.
TOGETHER: Final = 200


class EmbeddedFeed:
    """
    The followed topics in the log of *folder*; for the thread that made it.

    Args:
        clock: Where another than the one that the log remembers is in somebody's hand.
        topics: Which of them.
    """

    def __init__(
        self, folder: Path, clock: Clock | None = None, topics: Sequence[str] = FOLLOWED
    ) -> None:
        self._topics = topics
        try:
            self._log = Log.open(folder, clock=clock)
        except LogError as problem:
            raise LogAway(str(problem)) from problem
        self._store = LogStore(self._log)
        self.name = f"{self._log.site_id}/{self._log.journal_id}"

    @property
    def pace(self) -> float:
        clock = self._log.clock
        if isinstance(clock, ManualClock):
            return clock.pace
        return float(clock.factor) if isinstance(clock, SpeedClock) else 1.0

    def now(self) -> int:
        return self._log.clock.now()

    def firsts(self) -> Positions:
        return self._bounds(self._log.first_offsets)

    def ends(self) -> Positions:
        return self._bounds(self._log.end_offsets)

    def _bounds(self, of_topic: Callable[[str], list[int]]) -> dict[Place, int]:
        try:
            return {
                (topic, partition): offset
                for topic in self._topics
                for partition, offset in enumerate(of_topic(topic))
            }
        except LogError as problem:
            raise LogAway(str(problem)) from problem

    def since(self, topic: str, at: int) -> Positions:
        """Per place of *topic*, where what was appended at *at* or later begins."""
        try:
            firsts, ends = self._log.first_offsets(topic), self._log.end_offsets(topic)
            return {
                (topic, partition): bisect_left(
                    range(ends[partition]),
                    at,
                    lo=min(first, ends[partition]),
                    key=partial(self._stamp, topic, partition),
                )
                for partition, first in enumerate(firsts)
            }
        except LogError as problem:
            raise LogAway(str(problem)) from problem

    def _stamp(self, topic: str, partition: int, offset: int) -> int:
        """When the record of *offset* was appended, or the next that is still there."""
        (found,) = self._log.read(topic, partition, offset, 1)
        return found.stamp

    def read(self, positions: Positions, limit: int, wait_s: float) -> Fetched:
        until = time.monotonic() + wait_s
        while True:
            found = self._read(positions, limit)
            left = until - time.monotonic()
            if found or left <= 0:
                return Fetched(found, {(r.topic, r.partition): r.offset + 1 for r in found})
            time.sleep(min(NAP_S, left))

    def _read(self, positions: Positions, limit: int) -> list[Record]:
        found: list[Record] = []
        try:
            for place, end in self.ends().items():
                start = positions.get(place, 0)
                if start >= end:
                    continue
                records = self._log.read(*place, start, limit - len(found))
                found += [
                    Record(*place, one.offset, one.key, one.value, one.stamp, one.headers)
                    for one in records
                ]
                if len(found) >= limit:
                    break
        except LogError as problem:
            raise LogAway(str(problem)) from problem
        return found

    def sample(self) -> Sample | None:
        # The clocks first: what they promise lies before the ends that are read after them.
        decided = [self._store.meta(p) for p in range(self._log.partitions)]
        if any(meta is None for meta in decided):
            return None
        clocks = {
            partition: micros(orjson.loads(meta)["clock"])
            for partition, meta in enumerate(decided)
            if meta is not None
        }
        until = min(clocks.values())
        return Sample(until, self.ends(), clocks) if until else None

    def close(self) -> None:
        self._log.close()


class _Letter(NamedTuple):
    topic: str
    key: str | None
    value: bytes
    headers: dict[str, str]
    stored: "asyncio.Future[None]"
    loop: asyncio.AbstractEventLoop


class EmbeddedSender:
    """
    Appends to the log of *folder*, what waits together in one transaction.

    Args:
        clock: As for `EmbeddedFeed`.
    """

    def __init__(self, folder: Path, clock: Clock | None = None) -> None:
        self._folder = folder
        self._clock = clock
        self._waiting: queue.SimpleQueue[_Letter | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="worklist-sender", daemon=True)
        self._thread.start()

    async def send(
        self,
        topic: str,
        key: str | None,
        value: bytes,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> None:
        loop = asyncio.get_running_loop()
        stored: asyncio.Future[None] = loop.create_future()
        self._waiting.put(_Letter(topic, key, value, dict(headers), stored, loop))
        await stored

    async def close(self) -> None:
        self._waiting.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        log: Log | None = None
        try:
            while (first := self._waiting.get()) is not None:
                letters = [first, *self._more()]
                try:
                    log = log or Log.open(self._folder, clock=self._clock)
                    with log.transaction() as transaction:
                        for letter in letters:
                            transaction.append(
                                letter.topic, letter.key, letter.value, letter.headers
                            )
                except LogError as problem:
                    self._answer(letters, LogAway(str(problem)))
                except Exception as bug:  # noqa: BLE001 - whoever waits must hear of it
                    self._answer(letters, bug)
                else:
                    self._answer(letters, None)
        finally:
            if log is not None:
                log.close()

    def _more(self) -> list[_Letter]:
        letters: list[_Letter] = []
        with suppress(queue.Empty):
            while len(letters) < TOGETHER:
                letter = self._waiting.get_nowait()
                if letter is None:
                    self._waiting.put(None)
                    break
                letters.append(letter)
        return letters

    @staticmethod
    def _answer(letters: list[_Letter], problem: Exception | None) -> None:
        for letter in letters:
            # The loop of a server that is going down does not listen any more.
            with suppress(RuntimeError):
                letter.loop.call_soon_threadsafe(_settle, letter.stored, problem)


def _settle(stored: "asyncio.Future[None]", problem: Exception | None) -> None:
    if stored.done():
        return
    if problem is None:
        stored.set_result(None)
    else:
        stored.set_exception(problem)


class EmbeddedPlaces:
    """Single records of the log of *folder*."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def record(self, topic: str, partition: int, offset: int) -> Record | None:
        return await asyncio.to_thread(self._record, topic, partition, offset)

    async def close(self) -> None:
        """Nothing is held."""

    def _record(self, topic: str, partition: int, offset: int) -> Record | None:
        try:
            with Log.open(self._folder) as log:
                if partition >= log.partitions_of(topic):
                    return None
                found = log.read(topic, partition, offset, 1)
        except LogError as problem:
            raise LogAway(str(problem)) from problem
        if not found or found[0].offset != offset:
            return None
        (one,) = found
        pairs = tuple((name, said.encode()) for name, said in one.headers.items())
        return Record(topic, partition, offset, one.key, one.value, one.stamp, one.headers, pairs)
