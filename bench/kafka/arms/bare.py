"""Bare aiokafka: one `getmany` loop, batches out, offsets committed behind them.

At least once, as most write it; with ``fenced`` a transaction per partition and poll, which is
what our shape guarantees.
"""

import asyncio
import sys
import time
from collections.abc import Mapping
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from bench.kafka.arms.meter import Meter
from bench.kafka.arms.work import PARTITIONS, POLL, WORKS
from bench.kafka.arms.written import Place, Row, meta_of, records_of, rows_of
from orchestrator.stream.kafka.state import State
from schemas.topics import JOURNAL

COMMIT_S: Final = 1.0


async def produce(producer: AIOKafkaProducer, rows: Mapping[Place, list[Row]]) -> None:
    """Write all; returns when all is acknowledged."""
    sent = []
    for (topic, partition), theirs in rows.items():
        batch = producer.create_batch()
        for key, value in theirs:
            if batch.append(key=key, value=value, timestamp=None) is None:
                sent.append(await producer.send_batch(batch, topic, partition=partition))
                batch = producer.create_batch()
                batch.append(key=key, value=value, timestamp=None)
        if batch.record_count():
            sent.append(await producer.send_batch(batch, topic, partition=partition))
    for future in sent:
        await future


def producer_for(bootstrap: str, transactional_id: str | None = None) -> AIOKafkaProducer:
    return AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        acks="all",
        enable_idempotence=True,
        max_batch_size=900_000,
        max_request_size=2 * 1024 * 1024,
        transactional_id=transactional_id,
    )


async def run(bootstrap: str, work: str, group: str, limit: int, *, fenced: bool) -> None:
    """Until *limit* records are worked off."""
    meter = Meter(limit)
    state = State(PARTITIONS)
    processor = WORKS[work].processor(state)
    names = [f"{group}-{p}" for p in range(PARTITIONS)] if fenced else [None]
    producers = [producer_for(bootstrap, name) for name in names]
    consumer = AIOKafkaConsumer(
        JOURNAL,
        bootstrap_servers=bootstrap,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_poll_records=POLL,
    )
    for one in (*producers, consumer):
        await one.start()

    async def partition(tp: TopicPartition, rows: list[Any]) -> None:
        records = records_of(tp.partition, rows)
        decided = processor.process(tp.partition, records)
        part, meta = state.part(tp.partition), meta_of(decided, records)
        out = rows_of(part, decided, meta)
        if fenced:
            producer = producers[tp.partition]
            async with producer.transaction():
                await produce(producer, out)
                await producer.send_offsets_to_transaction({tp: meta.following}, group)
        else:
            await produce(producers[0], out)
        part.commit(decided, meta, 0)

    committed, done = time.monotonic(), {}
    while True:
        polled = await consumer.getmany(timeout_ms=1000)
        if not polled:
            continue
        meter.begin()
        await asyncio.gather(*(partition(tp, rows) for tp, rows in polled.items()))
        done.update({tp: rows[-1].offset + 1 for tp, rows in polled.items()})
        enough = meter.add(sum(map(len, polled.values())))
        if not fenced and (enough or time.monotonic() - committed > COMMIT_S):
            await consumer.commit(done)
            committed = time.monotonic()
        if enough:
            meter.finish()


def main() -> None:
    """Run until the limit is worked off."""
    bootstrap, work, group, limit, *more = sys.argv[1:]
    asyncio.run(run(bootstrap, work, group, int(limit), fenced=more == ["fenced"]))


if __name__ == "__main__":
    main()
