"""What an operator may tell running workers, as records of the journal that nothing follows from.

In each partition, so that each owner hears of it, whoever that is:

====================================================  ==========================================
``{"kind": "clock-confirm"}``                         the brokers' time is right
``{"kind": "clock-release", "topic", "partition"}``   no clock waits for that input partition
                                                      before intake moves on in it
====================================================  ==========================================

A worker that starts after it was decided on does not know of it: the clock is held again, and the
alarm goes on again.
"""

from typing import Any, Final

import orjson
from aiokafka import AIOKafkaProducer

from orchestrator.stream.kafka.connection import Kafka
from orchestrator.stream.timekeeper import CLOCK_KEY
from schemas.topics import JOURNAL

CONFIRM: Final = "clock-confirm"
RELEASE: Final = "clock-release"
ORDERS: Final = frozenset({CONFIRM, RELEASE})


async def confirm_clock(kafka: Kafka, partitions: int) -> None:
    """Tell all workers that hold their clocks after a jump that the brokers' time is right."""
    await _append(kafka, partitions, {"kind": CONFIRM})


async def release_clock(kafka: Kafka, partitions: int, topic: str, partition: int) -> None:
    """Tell all workers that no clock is to wait for an input partition that intake cannot read."""
    await _append(kafka, partitions, {"kind": RELEASE, "topic": topic, "partition": partition})


async def _append(kafka: Kafka, partitions: int, order: dict[str, Any]) -> None:
    producer = AIOKafkaProducer(**kafka.client(), acks="all", enable_idempotence=True)
    await producer.start()
    try:
        for partition in range(partitions):
            await producer.send_and_wait(
                JOURNAL, orjson.dumps(order), key=CLOCK_KEY.encode(), partition=partition
            )
    finally:
        await producer.stop()
