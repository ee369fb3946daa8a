"""Record batches out: awaited, to a stated partition, and for decide inside fenced transactions.

One producer with a transactional id per owned journal partition: starting it ends whatever the
partition's former owner was doing, and the brokers refuse that owner from then on.  A worker that
was paused for longer than its session can therefore not write old state over new (without this,
one pause lost 14 % of the facts in a test).
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaProducer
from faust.transport.drivers import aiokafka as driver

TRANSACTION_MS: Final = 15_000  # how long a dead worker may hold back readers, at most
BATCH_BYTES: Final = 900_000  # below the smallest `max.message.bytes`
LARGEST_BYTES: Final = 2 * 1024 * 1024

Headers = list[tuple[str, bytes]]


class OutRow(NamedTuple):
    """A record to be written."""

    key: bytes | None
    value: bytes | None
    headers: Headers = []  # noqa: RUF012 - never changed


class Landed(NamedTuple):
    """Where a batch of rows came to lie."""

    first: int
    last: int
    stamp: int  # append time of the last one, microseconds


class Producer(driver.Producer):
    """Faust's producer, with batches."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.fenced: dict[int, AIOKafkaProducer] = {}
        super().__init__(*args, **kwargs)

    async def rows(
        self,
        topic: str,
        partition: int,
        rows: Iterable[OutRow],
        producer: AIOKafkaProducer | None = None,
    ) -> Landed | None:
        """Write *rows*; returns once every replica in sync has them.  ``None``: there were none."""
        producer = producer or self._ensure_producer()
        sent: list[tuple[Any, asyncio.Future[Any]]] = []
        batch = None
        for key, value, headers in rows:
            if batch is not None and _added(batch, key, value, headers):
                continue
            if batch is not None:
                sent.append((batch, await producer.send_batch(batch, topic, partition=partition)))
            batch = producer.create_batch()
            if not _added(batch, key, value, headers):
                raise ValueError("one record is larger than a batch")
        if batch is None:
            return None
        sent.append((batch, await producer.send_batch(batch, topic, partition=partition)))
        landed = [await future for _, future in sent]
        last = landed[-1]
        # For a batch, aiokafka answers with the offset of its first record.
        return Landed(
            landed[0].offset,
            last.offset + sent[-1][0].record_count() - 1,
            last.timestamp * 1000,
        )

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


def _added(batch: Any, key: bytes | None, value: bytes | None, headers: Headers) -> bool:
    added = batch.append(key=key, value=value, timestamp=None, headers=headers)
    return added is not None
