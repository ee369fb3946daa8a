"""The journal on Kafka, all that was committed to it; only read, with no group and no offsets."""

import asyncio
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from aiokafka import TopicPartition

from orchestrator.stream.kafka.broker import admin
from orchestrator.stream.kafka.connection import Kafka
from orchestrator.stream.kafka.reading import records
from schemas.topics import JOURNAL

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class KafkaJournal:
    """That of a cluster; plain enough to be handed to another process."""

    kafka: Kafka

    def size(self) -> int:
        """Offsets of markers are counted as well: it is for showing how far one is."""
        return asyncio.run(self._size())

    async def _size(self) -> int:
        async with admin(self.kafka, isolation="read_committed") as broker:
            count = (await broker.partitions([JOURNAL]))[JOURNAL]
            tps = [TopicPartition(JOURNAL, number) for number in range(count)]
            ends, firsts = await broker.ends(tps), await broker.beginnings(tps)
        return sum(ends[tp] - firsts[tp] for tp in tps)

    def values(self) -> Iterator[bytes]:
        loop = asyncio.new_event_loop()
        found = records(self.kafka, JOURNAL)

        def wait_for(step: Coroutine[Any, Any, T]) -> T:
            return loop.run_until_complete(step)

        try:
            while (place := wait_for(anext(found, None))) is not None:
                if place.record.value is not None:
                    yield place.record.value
        finally:
            wait_for(found.aclose())
            loop.close()
