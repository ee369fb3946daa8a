"""Record batches out: awaited, to a stated partition, and for decide inside fenced transactions.

One producer with a transactional id per owned journal partition: starting it ends whatever the
partition's former owner was doing, and the brokers refuse that owner from then on.  A worker that
was paused for longer than its session can therefore not write old state over new (without this,
one pause lost 14 % of the facts in a test).
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaProducer
from faust.transport.drivers import aiokafka as driver

TRANSACTION_MS: Final = 15_000  # how long a dead worker may hold back readers, at most
BATCH_BYTES: Final = 900_000  # below the smallest `max.message.bytes`
LARGEST_BYTES: Final = 2 * 1024 * 1024

Headers = list[tuple[str, bytes]]
Place = tuple[str, int]  # topic, partition


class OutRow(NamedTuple):
    """A record to be written."""

    key: bytes | None
    value: bytes | None
    headers: Headers = []  # noqa: RUF012 - never changed


class Landed(NamedTuple):
    """Where rows came to lie; *last* counts only if nobody else writes there."""

    first: int
    last: int
    stamp: int  # append time of the last one, microseconds


class Flying(NamedTuple):
    """A batch on its way."""

    place: Place
    batch: Any
    future: asyncio.Future[Any]


class Producer(driver.Producer):
    """Faust's producer, with batches."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.fenced: dict[int, AIOKafkaProducer] = {}
        super().__init__(*args, **kwargs)

    async def land(self, rows: Mapping[Place, Iterable[OutRow]]) -> dict[Place, Landed]:
        """Write *rows*, each place's in order; returns once every replica in sync has them."""
        return await landed(await self.launch(rows))

    async def launch(
        self, rows: Mapping[Place, Iterable[OutRow]], producer: AIOKafkaProducer | None = None
    ) -> list[Flying]:
        """Send *rows* off; `landed` waits for them."""
        producer = producer or self._ensure_producer()
        batches = [
            (number, place, batch)
            for place, theirs in rows.items()
            for number, batch in enumerate(_batches(producer, theirs))
        ]
        # A place takes its next batch when it has sent off the one before; nobody waits for that.
        batches.sort(key=itemgetter(0))
        return [
            Flying(place, batch, await producer.send_batch(batch, place[0], partition=place[1]))
            for _, place, batch in batches
        ]

    async def own(self, names: Mapping[int, str]) -> None:
        """
        Fence the former owners of partitions, and have a transactional producer for each.

        Args:
            names: The transactional id by partition; partitions that are not named are let go.
        """
        old = list(self.fenced.values())
        self.fenced = {}
        await asyncio.gather(*(producer.stop() for producer in old))
        fresh = {p: self._new_producer(name) for p, name in sorted(names.items())}
        await asyncio.gather(*(producer.start() for producer in fresh.values()))
        self.fenced = fresh

    async def on_stop(self) -> None:
        """Let go of the transactional producers, too."""
        await self.own({})
        await super().on_stop()

    def _settings_extra(self) -> Mapping[str, Any]:
        return {
            "acks": "all",
            "enable_idempotence": True,
            "transaction_timeout_ms": TRANSACTION_MS,
            "max_batch_size": BATCH_BYTES,
            "max_request_size": LARGEST_BYTES,
        }


async def landed(flying: Iterable[Flying]) -> dict[Place, Landed]:
    """Where each place's rows came to lie, once every replica in sync has them all."""
    found: dict[Place, Landed] = {}
    for place, batch, future in flying:
        told = await future  # of a batch: the offset of its first record
        first = found[place].first if place in found else told.offset
        last = told.offset + batch.record_count() - 1
        found[place] = Landed(first, last, told.timestamp * 1000)
    return found


def _batches(producer: AIOKafkaProducer, rows: Iterable[OutRow]) -> Iterator[Any]:
    batch = None
    for key, value, headers in rows:
        if batch is not None and _added(batch, key, value, headers):
            continue
        if batch is not None:
            yield batch
        batch = producer.create_batch()
        if not _added(batch, key, value, headers):
            raise ValueError("one record is larger than a batch")
    if batch is not None:
        yield batch


def _added(batch: Any, key: bytes | None, value: bytes | None, headers: Headers) -> bool:
    added = batch.append(key=key, value=value, timestamp=None, headers=headers)
    return added is not None
