"""Reads the positions of consumer groups off the brokers, outside any worker.

Offsets come from the group coordinator and the partitions' leaders, as Kafka's own tools take
them.  The age of the next record is read off that record: one batch per partition that lags, and
only when the group has moved since the last look.  The same read tells offsets that hold nothing
for a reader (markers of transactions, aborted records) from records that wait.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, NamedTuple

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from orchestrator.core.instants import read
from orchestrator.ops.lag import Bounds, Reading
from orchestrator.ops.look import Seen
from orchestrator.stream.clock import RealClock
from orchestrator.stream.kafka.broker import Admin, BrokerAway, admin
from orchestrator.stream.kafka.connection import Kafka, stop, why
from orchestrator.stream.timekeeper import CLOCK_KEY
from schemas.topics import INPUTS, JOURNAL, TOPICS

# Marks and clocks come in pairs; deciding appends little else of its own.
TAIL: Final = 16
READ_S: Final = 2.0  # what reading the next records of all lagging partitions may take


class Ahead(NamedTuple):
    """What lies at a position: when the next record was appended, and offsets without any."""

    next_at: int | None
    hidden: int = 0


class KafkaLook:
    """Looks through connections of its own."""

    def __init__(self, broker: Admin, reader: AIOKafkaConsumer, group: str, cluster: str) -> None:
        self._broker = broker
        self._reader = reader
        self._cluster = cluster
        self._clock = RealClock()
        self._read = {f"{group}-intake": INPUTS, f"{group}-decide": (JOURNAL,)}
        self._known: dict[tuple[TopicPartition, int], Ahead] = {}  # by where the group stands

    async def look(self) -> Seen:
        """Where everybody stands now."""
        readings: list[Reading] = []
        ahead: dict[tuple[TopicPartition, int], Ahead] = {}
        for group, topics in self._read.items():
            # Positions before ends: a lag is never told too small.
            done = await self._broker.committed(group)
            counts = await self._broker.partitions(topics)
            if missing := [topic for topic in topics if not counts.get(topic)]:
                raise BrokerAway(f"{missing[0]} is not there; `topics create` makes it")
            tps = [TopicPartition(topic, p) for topic in topics for p in range(counts[topic])]
            firsts, ends = await self._broker.beginnings(tps), await self._broker.ends(tps)
            # Where nothing ever was, nobody who runs is behind.
            stands = {tp: done.get(tp, 0 if done and ends[tp] == 0 else None) for tp in tps}
            behind = {tp: at for tp, at in stands.items() if at is not None and at < ends[tp]}
            ahead |= await self._ahead(behind, ends)
            for tp in tps:
                at = stands[tp]
                next_at, hidden = ahead.get((tp, at or 0), Ahead(None))
                reading = Reading(
                    group, tp.topic, tp.partition, firsts[tp], ends[tp], at, next_at, hidden
                )
                readings.append(reading)
        # What hides nothing is true for as long as the group stands there.
        self._known = {place: one for place, one in ahead.items() if one.next_at is not None}
        bounds = {
            (r.topic, r.partition): Bounds(r.topic, r.partition, r.first, r.end) for r in readings
        }
        everything = [*bounds.values(), *await self._rest()]
        clock = await self._last_clock([one for one in everything if one.topic == JOURNAL])
        return Seen(self._clock.now(), self._cluster, readings, everything, clock=clock)

    async def _last_clock(self, bounds: Iterable[Bounds]) -> int | None:
        """T of the clock that is furthest behind, of those among each partition's last records."""
        tails = {
            TopicPartition(one.topic, one.partition): (max(one.first, one.end - TAIL), one.end)
            for one in bounds
            if one.end > one.first
        }
        if not tails:
            return None
        found: dict[TopicPartition, int] = {}
        self._reader.assign(list(tails))
        for tp, (start, _) in tails.items():
            self._reader.seek(tp, start)
        try:
            async with asyncio.timeout(READ_S):
                left = set(tails)
                while left:
                    for tp, rows in (await self._reader.getmany(*left, timeout_ms=100)).items():
                        clocks = [at for row in rows if (at := clock_of(row)) is not None]
                        found[tp] = max((found.get(tp, 0), *clocks))
                    for tp in list(left):
                        if await self._reader.position(tp) >= tails[tp][1]:
                            left.discard(tp)
        except TimeoutError:
            pass  # a busy journal; who does not decide on it is seen by the group's lag
        finally:
            self._reader.unsubscribe()
        return min((at for at in found.values() if at), default=None)

    async def _rest(self) -> list[Bounds]:
        """Topics that none of the groups reads; those that this site has."""
        counts = await self._broker.partitions(sorted(TOPICS.keys() - {*INPUTS, JOURNAL}))
        tps = [TopicPartition(topic, p) for topic, count in counts.items() for p in range(count)]
        firsts, ends = await self._broker.beginnings(tps), await self._broker.ends(tps)
        return [Bounds(tp.topic, tp.partition, firsts[tp], ends[tp]) for tp in tps]

    async def _ahead(
        self, behind: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
    ) -> dict[tuple[TopicPartition, int], Ahead]:
        found = {
            (tp, at): self._known[tp, at] for tp, at in behind.items() if (tp, at) in self._known
        }
        unread = {tp: at for tp, at in behind.items() if (tp, at) not in found}
        if not unread:
            return found
        self._reader.assign(list(unread))
        for tp, at in unread.items():
            self._reader.seek(tp, at)
        try:
            async with asyncio.timeout(READ_S):
                async for tp, one in self._next_records(unread, ends):
                    found[tp, unread[tp]] = one
        except TimeoutError:
            pass  # the age of the rest is not known this time; that it lags is
        finally:
            self._reader.unsubscribe()
        return found

    async def _next_records(
        self, unread: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
    ) -> AsyncIterator[tuple[TopicPartition, Ahead]]:
        left = dict(unread)
        while left:
            # One record of one partition at a time: what else was fetched stays undecoded.
            rows = await self._reader.getmany(*left, timeout_ms=100, max_records=1)
            for tp, (row, *_) in rows.items():
                self._reader.pause(tp)
                # Offsets without a record before it are counted as if they held one, as in
                # Kafka's tools: the group has yet to pass them.
                del left[tp]
                yield tp, Ahead(row.timestamp * 1000)
            if rows:
                continue
            for tp, at in list(left.items()):
                # Nothing was there to be read, and yet the reader came to the end.
                if await self._reader.position(tp) >= ends[tp]:
                    del left[tp]
                    yield tp, Ahead(None, ends[tp] - at)


def clock_of(row: Any) -> int | None:
    """T, if *row* of the journal is a clock."""
    if row.key != CLOCK_KEY.encode() or row.value is None:
        return None
    value = orjson.loads(row.value)
    return read(value["at"]) if value["kind"] == "clock" else None


class BlockingLook:
    """A `KafkaLook` for who has no event loop."""

    def __init__(self, runner: asyncio.Runner, kafka: Kafka, inner: KafkaLook) -> None:
        self._runner = runner
        self._kafka = kafka
        self._inner = inner

    def look(self) -> Seen:
        """
        Where everybody stands now.

        Raises:
            BrokerAway: No broker answers, or the topics are not there.
        """

        async def look() -> Seen:
            try:
                return await self._inner.look()
            except (KafkaError, OSError) as problem:
                raise BrokerAway(
                    f"{self._kafka.bootstrap}: {await why(self._kafka, problem)}"
                ) from problem

        return self._runner.run(look())


@contextmanager
def looking(kafka: Kafka, group: str) -> Iterator[BlockingLook]:
    """
    A look at the brokers of *kafka*, for the groups named after *group*.

    Raises:
        BrokerAway: No broker answers.
    """
    with asyncio.Runner() as runner:
        context = _opened(kafka, group)
        inner = runner.run(context.__aenter__())
        try:
            yield BlockingLook(runner, kafka, inner)
        finally:
            runner.run(context.__aexit__(None, None, None))


@asynccontextmanager
async def _opened(kafka: Kafka, group: str) -> AsyncIterator[KafkaLook]:
    async with admin(kafka) as broker:
        # No group, and the smallest fetches that brokers make: one batch for each partition.
        reader = AIOKafkaConsumer(
            **kafka.client(),
            client_id="care-lag",
            enable_auto_commit=False,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=1,
            fetch_max_wait_ms=100,
        )
        await reader.start()
        try:
            yield KafkaLook(broker, reader, group, await broker.cluster())
        finally:
            await stop(reader)
