"""Reads a topic from the brokers for people, scripts and the export of the journal.

Only what was committed (``read_committed``), each record once, partitions merged by append time.
Brokers' clocks may step back, so stamps are made to never fall inside a partition, as the worker
makes them: an exported journal is then decided exactly as it was.
"""

import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from orchestrator.stream.kafka.broker import BrokerAway, admin
from orchestrator.stream.kafka.connection import Kafka, stop, why
from orchestrator.stream.sqlite_log import Record

POLL_MS: Final = 200
AWAY_S: Final = 15.0  # without any progress
BUFFERED: Final = 1000  # records of a partition that wait for those of others


class NoTopic(Exception):
    """The brokers have no such topic, or do not show it to this user."""

    exit_code: ClassVar[int] = 2


class Place(NamedTuple):
    """A record, and the offset of the one before it in its partition (-1: it is the first)."""

    record: Record
    after: int | None  # None: reading began in the middle


async def records(
    kafka: Kafka, topic: str, *, start: int = 0, follow: bool = False
) -> AsyncGenerator[Place]:
    """
    The records of *topic*, those that are there in the order of their stamps.

    Args:
        start: From this offset on (in each partition).
        follow: Go on with what comes, for ever.

    Raises:
        NoTopic: There is none.
        BrokerAway: The brokers do not answer.
    """
    count = await _partitions(kafka, topic)
    async with _consumer(kafka) as consumer:
        tps = [TopicPartition(topic, number) for number in range(count)]
        consumer.assign(tps)
        firsts = await consumer.beginning_offsets(tps)
        parts = [_Part(tp, max(start, firsts[tp]), begins=start == 0) for tp in tps]
        for part in parts:
            consumer.seek(part.tp, part.position)
        for tp, end in (await consumer.end_offsets(tps)).items():
            parts[tps.index(tp)].end = end
        async for place in _merged(consumer, parts):
            yield place
        while follow:
            await _poll(consumer, parts, None)
            found = [place for part in parts for place in part.take_all()]
            for place in sorted(found, key=lambda p: p.record.stamp):
                yield place


class _Part:
    """One partition: what was read of it and not yet handed on."""

    def __init__(self, tp: TopicPartition, position: int, *, begins: bool) -> None:
        self.tp = tp
        self.position = position
        self.end = 0
        self._after = -1 if begins and position == 0 else None
        self._stamp = 0
        self.waiting: deque[Place] = deque()

    @property
    def is_owing(self) -> bool:
        """Whether records are still to come before anything later may be handed on."""
        return not self.waiting and self.position < self.end

    def add(self, row: Any) -> None:
        self._stamp = max(self._stamp, row.timestamp * 1000)
        self.waiting.append(Place(_record(row, self._stamp), self._after))
        self._after = row.offset

    def take_all(self) -> list[Place]:
        found = list(self.waiting)
        self.waiting.clear()
        return found


async def _merged(consumer: AIOKafkaConsumer, parts: list[_Part]) -> AsyncIterator[Place]:
    """All that lay there when reading began, and perhaps some more."""
    while True:
        moved = time.monotonic()
        while any(part.is_owing for part in parts):
            if await _poll(consumer, parts, BUFFERED):
                moved = time.monotonic()
            elif time.monotonic() - moved > AWAY_S:
                raise BrokerAway(f"no answer for {AWAY_S:.0f} s")
        ready = [part for part in parts if part.waiting]
        if not ready:
            return
        first = min(ready, key=lambda part: part.waiting[0].record.stamp)
        yield first.waiting.popleft()


async def _poll(consumer: AIOKafkaConsumer, parts: list[_Part], most: int | None) -> bool:
    """Read once; whether anything moved: markers and aborted records move positions alone."""
    if most is not None:
        full = {part.tp for part in parts if len(part.waiting) >= most}
        consumer.pause(*full)
        consumer.resume(*({part.tp for part in parts} - full))
    found = await consumer.getmany(timeout_ms=POLL_MS)
    moved = False
    for part in parts:
        for row in found.get(part.tp, ()):
            part.add(row)
        position = await consumer.position(part.tp)
        moved = moved or position != part.position
        part.position = position
    return moved


@asynccontextmanager
async def _consumer(kafka: Kafka) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        **kafka.client(),
        client_id="care-read",
        enable_auto_commit=False,
        isolation_level="read_committed",
        check_crcs=True,
        request_timeout_ms=int(AWAY_S * 1000),
    )
    try:
        await consumer.start()
        yield consumer
    except (KafkaError, OSError) as problem:
        raise BrokerAway(f"{kafka.bootstrap}: {await why(kafka, problem)}") from problem
    finally:
        await stop(consumer)


async def _partitions(kafka: Kafka, topic: str) -> int:
    async with admin(kafka) as broker:
        there = await broker.topics()
        if topic in there:
            return (await broker.partitions([topic]))[topic]
    ours = ", ".join(sorted(name for name in there if name.startswith("care.")))
    raise NoTopic(f"{topic} is no topic that this user sees; there is {ours or 'nothing yet'}")


def _record(row: Any, stamp: int) -> Record:
    return Record(
        row.topic,
        row.partition,
        row.offset,
        stamp,
        None if row.key is None else row.key.decode("utf-8", "replace"),
        row.value,
        {name: (value or b"").decode("utf-8", "replace") for name, value in row.headers},
    )
