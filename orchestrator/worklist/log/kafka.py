"""Kafka for the worklist: the followed topics at ``read_committed``, and an idempotent producer.

How far the deciding group is, is read off its committed offsets and the clock records before
them: what one transaction made visible together (outputs, offset) is believed together.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any, Final, TypeVar

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    KafkaError,
    OffsetOutOfRangeError,
    TopicAuthorizationFailedError,
)

from orchestrator.stream.kafka.broker import Admin, BrokerAway, admin
from orchestrator.stream.kafka.connection import Kafka, stop
from orchestrator.stream.kafka.site_key import OtherSiteKey, is_ours
from orchestrator.stream.kafka.topic_settings import SITE
from orchestrator.worklist import edge
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
from schemas.topics import JOURNAL

REQUEST_S: Final = 10.0
# Where reading the journal for its clocks begins: so far before the group's position.
JOURNAL_BACK: Final = 5_000
CLOCKS_KEPT: Final = 1_000
MILLISECOND: Final = 1_000

T = TypeVar("T")


class KafkaFeed:
    """
    The followed topics of a cluster; with an event loop of its own, for one thread.

    Args:
        site_key: Ours; under another one patients would have other keys than in the topics.
            ``None``: nothing is keyed by whoever reads.
        topics: Which of them.
        clocks: Also how far the deciding group is; else `sample` is never known.

    Raises:
        LogAway: No broker answers, or a topic is not there.
        OtherSiteKey: The workers have another one.
    """

    pace = 1.0

    def __init__(
        self,
        kafka: Kafka,
        group: str,
        site_key: bytes | None,
        topics: Sequence[str] = FOLLOWED,
        *,
        clocks: bool = True,
    ) -> None:
        self._kafka = kafka
        self._topics = topics
        self._has_clocks = clocks
        self._site_key = site_key
        self._is_ours = False  # known to be; before the first worker nobody can say
        self._group = f"{group}-decide"
        self._loop = asyncio.new_event_loop()
        self._open = AsyncExitStack()
        self._clocks: dict[int, tuple[list[int], list[int]]] = {}  # offsets and T, ascending
        self._ends: dict[Place, int] = {}
        self._stands: dict[TopicPartition, int] = {}
        try:
            self._run(self._start())
        except BaseException:
            self.close()
            raise

    async def _start(self) -> None:
        self._admin: Admin = await self._open.enter_async_context(
            admin(self._kafka, isolation="read_committed")
        )
        needed = [*self._topics, JOURNAL, SITE.name]
        counts = await self._admin.partitions(needed)
        missing = [topic for topic in needed if not counts.get(topic)]
        if missing:
            raise LogAway(f"{missing[0]} is not there; `topics create` makes it")
        await self._check_site_key()
        self._tps = [TopicPartition(name, p) for name in self._topics for p in range(counts[name])]
        clocks = range(counts[JOURNAL] if self._has_clocks else 0)
        self._journal = [TopicPartition(JOURNAL, p) for p in clocks]
        ids = [await self._admin.topic_id(topic) for topic in self._topics]
        self.name = " ".join(ids)
        self._consumer = AIOKafkaConsumer(
            **self._kafka.client(),
            client_id="care-worklist",
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
        )
        await self._consumer.start()
        self._open.push_async_callback(stop, self._consumer)
        self._consumer.assign([*self._tps, *self._journal])
        await self._to_clocks()

    async def _check_site_key(self) -> None:
        if self._is_ours or self._site_key is None:
            return
        found = await is_ours(self._admin, self._site_key)
        if found is False:
            raise OtherSiteKey
        self._is_ours = bool(found)

    async def _to_clocks(self) -> None:
        """Begin the journal a little before where the deciding group stands."""
        if not self._has_clocks:
            return
        stands = await self._admin.committed(self._group)
        firsts = await self._admin.beginnings(self._journal)
        for tp in self._journal:
            self._clocks[tp.partition] = ([], [])
            self._consumer.seek(tp, max(firsts[tp], stands.get(tp, 0) - JOURNAL_BACK))

    def now(self) -> int:
        return edge.now()

    def firsts(self) -> Positions:
        found = self._run(self._admin.beginnings(self._tps))
        return {(tp.topic, tp.partition): offset for tp, offset in found.items()}

    def ends(self) -> Positions:
        """As of the last look: the brokers are asked once a sample, not once a batch."""
        if not self._ends:
            self._ends = self._run(self._ask_ends())
        return self._ends

    async def _ask_ends(self) -> dict[Place, int]:
        found = await self._admin.ends(self._tps)
        return {(tp.topic, tp.partition): offset for tp, offset in found.items()}

    def since(self, topic: str, at: int) -> Positions:
        """Per place of *topic*, where what was appended at *at* or later begins."""
        return self._run(self._since(topic, at))

    async def _since(self, topic: str, at: int) -> dict[Place, int]:
        stamps = {tp: at // MILLISECOND for tp in self._tps if tp.topic == topic}
        found = await self._consumer.offsets_for_times(stamps)
        ends = await self._admin.ends(stamps)
        return {
            (topic, tp.partition): ends[tp] if begins is None else begins.offset
            for tp, begins in found.items()
        }

    def read(self, positions: Positions, limit: int, wait_s: float) -> Fetched:
        return self._run(self._read(positions, limit, wait_s))

    async def _read(self, positions: Positions, limit: int, wait_s: float) -> Fetched:
        for tp in self._tps:
            wanted = positions.get((tp.topic, tp.partition), 0)
            if self._stands.get(tp) != wanted:
                self._consumer.seek(tp, wanted)
        rows = await self._consumer.getmany(timeout_ms=int(wait_s * 1000), max_records=limit)
        found: list[Record] = []
        for tp, records in rows.items():
            if tp.topic == JOURNAL:
                self._note_clocks(tp.partition, records)
                continue
            for row in records:
                # A team's own system may have written any bytes.
                key = None if row.key is None else row.key.decode(errors="replace")
                headers = {n: (v or b"").decode(errors="replace") for n, v in row.headers}
                found.append(
                    Record(
                        tp.topic, tp.partition, row.offset, key, row.value,
                        row.timestamp * MILLISECOND, headers,
                    )
                )  # fmt: skip
        following: dict[Place, int] = {}
        for tp in self._tps:
            # Behind markers of transactions, too: they hold offsets and no record.
            at = self._stands[tp] = await self._consumer.position(tp)
            if at != positions.get((tp.topic, tp.partition), 0):
                following[tp.topic, tp.partition] = at
        return Fetched(found, following)

    def _note_clocks(self, partition: int, rows: Any) -> None:
        offsets, clocks = self._clocks[partition]
        for row in rows:
            # A clock is a few bytes long; what is longer is about a patient, and not looked at.
            if row.value is None or len(row.value) > 100:
                continue
            value = orjson.loads(row.value)
            if value.get("kind") == "clock":
                offsets.append(row.offset)
                clocks.append(micros(value["at"]))
        del offsets[:-CLOCKS_KEPT], clocks[:-CLOCKS_KEPT]

    def sample(self) -> Sample | None:
        return self._run(self._sample())

    async def _sample(self) -> Sample | None:
        await self._check_site_key()
        # The group's position first: what it promises lies before the ends asked for after it.
        stands = await self._admin.committed(self._group)
        self._ends = await self._ask_ends()
        decided: dict[int, int] = {}
        if not self._clocks:
            return None
        for partition, (offsets, clocks) in self._clocks.items():
            number = bisect_left(offsets, stands.get(TopicPartition(JOURNAL, partition), 0))
            if number == 0:
                return None  # it has decided no clock that was read yet
            decided[partition] = max(clocks[:number])
        return Sample(min(decided.values()), dict(self._ends), decided)

    def close(self) -> None:
        with suppress(LogAway):
            self._run(self._open.aclose())
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return self._loop.run_until_complete(work)
        except (KafkaError, BrokerAway, OSError, TimeoutError, asyncio.CancelledError) as problem:
            # Nobody cancels anything in this loop but aiokafka itself, when a broker goes away.
            raise LogAway(str(problem) or type(problem).__name__) from problem


class KafkaSender:
    """Appends with ``acks=all``; a repeat after a lost answer is told by its event's id."""

    def __init__(self, kafka: Kafka, wait_s: float) -> None:
        self._kafka = kafka
        self._wait_s = wait_s
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def send(
        self,
        topic: str,
        key: str | None,
        value: bytes,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> None:
        told = [(name, said.encode()) for name, said in headers.items()]
        try:
            async with asyncio.timeout(self._wait_s):
                producer = await self._started()
                name = None if key is None else key.encode()
                await producer.send_and_wait(topic, value, key=name, headers=told)
        except (KafkaError, OSError, TimeoutError) as problem:
            raise LogAway(type(problem).__name__) from problem

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    **self._kafka.client(),
                    client_id="care-worklist",
                    acks="all",
                    enable_idempotence=True,
                    compression_type="lz4",
                    max_request_size=2 * 1024 * 1024,
                    request_timeout_ms=int(REQUEST_S * 1000),
                )
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
        return self._producer

    async def close(self) -> None:
        if self._producer is not None:
            with suppress(KafkaError, OSError):
                await self._producer.stop()


class KafkaPlaces:
    """Single records of a cluster, one after the other: by one consumer that nobody waits for."""

    def __init__(self, kafka: Kafka, wait_s: float) -> None:
        self._kafka = kafka
        self._wait_s = wait_s
        self._consumer: AIOKafkaConsumer | None = None
        self._turn = asyncio.Lock()

    async def record(self, topic: str, partition: int, offset: int) -> Record | None:
        async with self._turn:
            try:
                async with asyncio.timeout(self._wait_s):
                    return await self._record(TopicPartition(topic, partition), offset)
            except (TopicAuthorizationFailedError, OffsetOutOfRangeError):
                return None
            except (KafkaError, OSError, TimeoutError) as problem:
                await self.close()  # the next one begins anew
                raise LogAway(type(problem).__name__) from problem

    async def _record(self, tp: TopicPartition, offset: int) -> Record | None:
        consumer = await self._started()
        firsts = await consumer.beginning_offsets([tp])
        ends = await consumer.end_offsets([tp])
        if not firsts[tp] <= offset < ends[tp]:
            return None
        consumer.assign([tp])
        try:
            consumer.seek(tp, offset)
            row = await consumer.getone(tp)
        finally:
            consumer.unsubscribe()
        if row.offset != offset:
            return None  # compacted away
        key = None if row.key is None else row.key.decode(errors="replace")
        headers = {name: (said or b"").decode(errors="replace") for name, said in row.headers}
        at, pairs = row.timestamp * MILLISECOND, tuple(row.headers)
        return Record(tp.topic, tp.partition, offset, key, row.value, at, headers, pairs)

    async def _started(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            consumer = AIOKafkaConsumer(
                **self._kafka.client(),
                client_id="care-worklist-places",
                enable_auto_commit=False,
                auto_offset_reset="none",
                isolation_level="read_committed",
            )
            try:
                await consumer.start()
            except BaseException:
                await stop(consumer)
                raise
            self._consumer = consumer
        return self._consumer

    async def close(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await stop(consumer)
