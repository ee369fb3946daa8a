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

from schemas.topics import MAX_MESSAGE_BYTES

TRANSACTION_MS: Final = 15_000  # how long a dead worker may hold back readers, at most
BATCH_BYTES: Final = 900_000  # below the smallest `max.message.bytes`
_ROW_BYTES: Final = 64  # what a row costs beyond what is in it, at most

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
            "max_batch_size": MAX_MESSAGE_BYTES,
            "max_request_size": MAX_MESSAGE_BYTES,
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


def size(row: OutRow) -> int:
    """What *row* takes in a batch, at most."""
    bytes_ = len(row.key or b"") + len(row.value or b"") + _ROW_BYTES
    for name, value in row.headers:
        bytes_ += len(name.encode()) + len(value or b"") + 10
    return bytes_


def _batches(producer: AIOKafkaProducer, rows: Iterable[OutRow]) -> Iterator[Any]:
    """Small rows together, a large one alone: it may be as large as its topic allows."""
    batch, filled = None, 0
    for row in rows:
        bytes_ = size(row)
        if batch is not None and filled + bytes_ > BATCH_BYTES:
            yield batch
            batch = None
        if batch is None:
            batch, filled = producer.create_batch(), 0
        key, value, headers = row
        if batch.append(key=key, value=value, timestamp=None, headers=headers) is None:
            raise ValueError(f"a record of {bytes_} bytes, which no topic takes")
        filled += bytes_
    if batch is not None:
        yield batch
