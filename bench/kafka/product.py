"""Events per CPU-second of the whole product path: public topic, journal, decision, outputs.

``python -m bench.kafka.product [--events 30000]``: a ward's events (`bench.feed`) lie in topics,
then the workers start; what is counted is the CPU time of both roles from the moment at which each
has its partitions until all is decided on and committed.  The broker's and the sender's are not.
"""

import argparse
import asyncio
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import orjson
from aiokafka import TopicPartition
from confluent_kafka import Producer

from bench import feed, report
from bench.kafka import stage
from bench.measure import Figure
from orchestrator.stream.kafka.broker import admin
from orchestrator.stream.kafka.connection import Kafka
from schemas.topics import INPUTS, JOURNAL, topic_of

EVENTS: Final = 30_000
REPEATS: Final = 2
_STILL_S: Final = 0.3


class Run(NamedTuple):
    """CPU seconds by role, and how long it took."""

    events: int
    cpu: dict[str, float]
    seconds: float

    @property
    def rate(self) -> float:
        """Events per CPU-second of all workers."""
        return self.events / sum(self.cpu.values())


def main() -> int:
    """Take the figures and print them."""
    parser = argparse.ArgumentParser(prog="python -m bench.kafka.product")
    parser.add_argument("--events", type=int, default=EVENTS)
    chosen = parser.parse_args()
    with prepared(chosen.events) as lines:
        best = max((drained(lines) for _ in range(REPEATS)), key=lambda run: run.rate)
    shares = ", ".join(
        f"{role} {seconds / best.events * 1e6:,.0f} µs an event"
        for role, seconds in best.cpu.items()
    )
    print(report.table([figure("product", "whole path, a ward's events", best, shares)]), end="")
    return 0


def figure(group: str, name: str, run: Run, note: str) -> Figure:
    """Its rate, with what there is to say."""
    note = f"{note}; {run.events / run.seconds:,.0f} a second of wall clock"
    return Figure(group, name, run.rate, "events/CPU-s", note=note)


class prepared:  # noqa: N801 - a context manager
    """A file of *events* in the order of receipt, the last one of them about now."""

    def __init__(self, events: int) -> None:
        self._events = events
        self._folder = TemporaryDirectory(prefix="care-bench-")

    def __enter__(self) -> Path:
        start = (datetime.now(UTC) - timedelta(days=feed.DAYS)).date()
        heard = feed.happenings(self._events, start=start)[: self._events]
        path = Path(self._folder.name) / "events"
        path.write_bytes(b"\n".join(feed.lines(heard, receipt=False)))
        return path

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()


def drained(events: Path, names: tuple[str, ...] = ("a",)) -> Run:
    """Of *events*, through workers of *names* on a broker of their own."""
    with stage.broker() as kafka:
        command = [sys.executable, "-m", "bench.kafka.product", "--as-sender", kafka.bootstrap]
        sent = subprocess.run([*command, str(events)], check=True, capture_output=True)
        with stage.workers(kafka, names, level="info") as workers:
            before = _ready(workers)
            began = time.monotonic()
            asyncio.run(_decided(kafka))
            cpu: dict[str, float] = {}
            for one, spent in zip(workers, before, strict=True):
                cpu[one.role] = cpu.get(one.role, 0.0) + one.cpu_seconds() - spent
            return Run(int(sent.stdout), cpu, time.monotonic() - began)


def _ready(workers: Sequence[stage.Worker]) -> list[float]:
    """What each had spent when it got its partitions."""
    spent: dict[int, float] = {}
    while len(spent) < len(workers):
        for number, one in enumerate(workers):
            if number not in spent and (
                one.said("worker.assigned") or one.said("worker.recovered")
            ):
                spent[number] = one.cpu_seconds()
        time.sleep(0.02)
    return [spent[number] for number in range(len(workers))]


async def _decided(kafka: Kafka) -> None:
    """Until intake has passed all inputs, and decide all that this appended."""
    async with admin(kafka) as broker:
        for role, topics in (("intake", INPUTS), ("decide", (JOURNAL,))):
            counts = await broker.partitions(topics)
            tps = [TopicPartition(topic, p) for topic, n in counts.items() for p in range(n)]
            ends = await broker.ends(tps)
            while True:
                stands = await broker.committed(f"{stage.GROUP}-{role}")
                if all(stands.get(tp, 0) >= end for tp, end in ends.items()):
                    break
                await asyncio.sleep(_STILL_S)


def send(bootstrap: str, events: Path) -> int:
    """Send the lines of *events* to the topics of their types; how many."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 20, "acks": "all"})
    number = 0
    for line in events.read_bytes().splitlines():
        event = orjson.loads(line)
        topic = topic_of(event["type"])
        assert topic is not None
        while True:
            try:
                producer.produce(topic, line, event["subject"].encode())
                break
            except BufferError:
                producer.poll(0.05)
        number += 1
    producer.flush(60)
    return number


if __name__ == "__main__":
    if sys.argv[1:2] == ["--as-sender"]:
        print(send(sys.argv[2], Path(sys.argv[3])))
    else:
        sys.exit(main())
