"""A steady stream of discharges and who sees their tasks: what an operator's step does to it.

Each discharge is another patient's, so each must lead to a 48-hour call.  The reader is a consumer
at `read_committed`, as the worklist is; the wait of an event is from the producer's call to its
task being read, broker and both hops included.
"""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from orchestrator.stream.kafka.connection import Kafka

SENT_TO: Final = "care.discharge.v1"
SEEN_IN: Final = "care.task.v1"
CALL: Final = "CALL_48H"


@dataclass
class Flow:
    """What was sent and what was seen; both grow while it runs."""

    prefix: str
    sent: dict[str, float] = field(default_factory=dict)  # visit -> when
    seen: dict[str, float] = field(default_factory=dict)  # visit -> when its call was first read
    versions: Counter[tuple[str, int]] = field(default_factory=Counter)
    failure: BaseException | None = None

    @property
    def lost(self) -> int:
        """Discharges without a call, so far."""
        return len(self.sent.keys() - self.seen.keys())

    @property
    def doubled(self) -> int:
        """Calls that were read twice in the same version: harmless, and counted."""
        return sum(count - 1 for count in self.versions.values())

    @property
    def tasks_per_visit(self) -> set[int]:
        """How many different calls one discharge led to; must be one."""
        visits = Counter(task.partition("|")[0] for task in {key for key, _ in self.versions})
        return set(visits.values())

    def wait_for(self, more: int) -> None:
        """Until so many more were sent and one of those is seen; the stream goes on."""
        start = len(self.sent)
        end = time.monotonic() + 120
        while len(self.sent) < start + more or not set(list(self.sent)[start:]) & set(self.seen):
            assert self.failure is None, self.failure
            assert time.monotonic() < end, "nothing flows"
            time.sleep(0.2)

    def longest(self, since: float = 0.0) -> float:
        """The longest wait of those sent since."""
        waits = [self.seen[v] - at for v, at in self.sent.items() if at >= since and v in self.seen]
        return max(waits, default=0.0)

    def usual(self) -> float:
        """The median wait."""
        waits = sorted(self.seen[visit] - self.sent[visit] for visit in self.seen)
        return waits[len(waits) // 2]

    def event(self, number: int) -> tuple[str, bytes]:
        """A discharge of now: its visit, and the event."""
        visit = f"{self.prefix}{number:06}"
        event = {
            "specversion": "1.0",
            "id": f"GEN-{visit}",
            "source": "walk",
            "type": "care.discharge.recorded.v1",
            "time": datetime.now(UTC).isoformat(),
            "subject": f"GEN|{visit}",
            "facility": "GEN",
            "data": {"visit_number": visit, "disposition": {"code": "01"}},
        }
        return visit, orjson.dumps(event)


@contextmanager
def flowing(kafka: Kafka, prefix: str, rate: float = 10.0) -> Iterator[Flow]:
    """Send *rate* discharges a second for as long as the context is open; then wait for all."""
    flow, stop = Flow(prefix), threading.Event()

    def run() -> None:
        try:
            asyncio.run(_both(kafka, flow, rate, stop))
        except BaseException as problem:
            flow.failure = problem
            raise

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield flow
    finally:
        stop.set()
        thread.join(150)
    assert flow.failure is None, flow.failure


async def _both(kafka: Kafka, flow: Flow, rate: float, stop: threading.Event) -> None:
    consumer = AIOKafkaConsumer(
        **kafka.client(), isolation_level="read_committed", auto_offset_reset="earliest"
    )
    producer = AIOKafkaProducer(**kafka.client(), enable_idempotence=True)
    async with producer, consumer:
        # A broker that was not asked for the topic yet may not know it: the producer waits.
        partitions = await producer.partitions_for(SEEN_IN)
        consumer.assign([TopicPartition(SEEN_IN, partition) for partition in partitions])
        await consumer.seek_to_end()
        reading = asyncio.create_task(_read(consumer, flow))
        sends = []
        while not stop.is_set():
            visit, event = flow.event(len(flow.sent))
            flow.sent[visit] = time.monotonic()
            sends.append(await producer.send(SENT_TO, event))
            await asyncio.sleep(1 / rate)
        await asyncio.gather(*sends)
        end = time.monotonic() + 120
        while flow.lost and time.monotonic() < end and not reading.done():  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def _read(consumer: Any, flow: Flow) -> None:
    while True:
        rows = await consumer.getmany(timeout_ms=100)
        now = time.monotonic()
        for row in [row for of in rows.values() for row in of]:
            task = orjson.loads(row.value) if row.value else {}
            visit = task.get("visit_number", "")
            if task.get("kind") != CALL or not visit.startswith(flow.prefix):
                continue
            flow.seen.setdefault(visit, now)
            flow.versions[f"{visit}|{task['task_id']}", task["version"]] += 1
