"""A reader of the change log at ``read_committed``, as the worklist will be one, while it runs.

It remembers what it was shown and when, and how far the journal's clocks are.
"""

import asyncio
import contextlib
import time
import zlib
from collections import defaultdict
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from orchestrator.core.instants import read as instant
from orchestrator.stream.timekeeper import CLOCK_KEY
from schemas.topics import JOURNAL
from tests.kafka.chaos.recorded import CHANGES, Sight


class Follower:
    """
    Reads until it is stopped; brokers may be away meanwhile.

    Attributes:
        seen: Of the change log, by partition and offset.
        clocks: The latest T in each journal partition, and its offset.
        looked: When it looked last, microseconds.
    """

    def __init__(self, bootstrap: str, partitions: int) -> None:
        self.seen: dict[int, dict[int, Sight]] = defaultdict(dict)
        self.clocks: dict[int, tuple[int, int]] = dict.fromkeys(range(partitions), (0, -1))
        self.looked = 0
        self._tps = [TopicPartition(t, p) for t in (CHANGES, JOURNAL) for p in range(partitions)]
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            fetch_max_wait_ms=50,
            retry_backoff_ms=500,
        )
        self._task: asyncio.Task[None] | None = None

    @property
    def sights(self) -> int:
        """How much it was shown."""
        return sum(map(len, self.seen.values()))

    async def start(self) -> None:
        """Begin at the beginning."""
        await self._consumer.start()
        self._consumer.assign(self._tps)
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Read no more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._consumer.stop()

    async def _run(self) -> None:
        while True:
            found: dict[Any, list[Any]] = await self._consumer.getmany(timeout_ms=500)
            now = self.looked = time.time_ns() // 1000
            for tp, rows in found.items():
                if tp.topic == CHANGES:
                    seen = self.seen[tp.partition]
                    for row in rows:
                        seen.setdefault(row.offset, Sight(now, zlib.crc32(row.value)))
                else:
                    self._look_for_clocks(tp.partition, rows)

    def _look_for_clocks(self, partition: int, rows: list[Any]) -> None:
        for row in rows:
            if row.key == CLOCK_KEY.encode():
                value = orjson.loads(row.value)
                if value["kind"] == "clock":
                    self.clocks[partition] = (instant(value["at"]), row.offset)
