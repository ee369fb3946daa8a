"""How long decide needs to come back: from an empty disk with many patients, and after SIGKILL.

``python -m bench.kafka.recovery [--patients 100000] [--killed]``: the changelog is filled with
copies of one patient whom the processor made (`bench.copies`), each with an open transition; then
decide starts.  Time counts from the start of its process, interpreter and imports included.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Iterator
from itertools import islice
from typing import Final

from aiokafka import TopicPartition
from confluent_kafka import Producer

from bench import report
from bench.copies import Copies
from bench.kafka import stage
from bench.kafka.latency import measured
from bench.measure import Figure
from orchestrator.stream.kafka.broker import admin
from orchestrator.stream.kafka.connection import Kafka
from orchestrator.stream.kafka.state import Meta, PartitionState
from orchestrator.stream.kafka.topic_settings import STATE
from orchestrator.stream.keys import partition_of
from orchestrator.stream.rounds import Round
from schemas.topics import JOURNAL

TARGETS_S: Final = {100_000: 10.0, 1_000_000: 90.0}
AT_A_TIME: Final = 5_000
SESSION_S: Final = 10.0  # the product's default


def main() -> int:
    """Take the figures and print them."""
    parser = argparse.ArgumentParser(prog="python -m bench.kafka.recovery")
    parser.add_argument("--patients", type=int, nargs="*", default=[100_000])
    parser.add_argument("--killed", action="store_true", help="also: SIGKILL to progress again")
    chosen = parser.parse_args()
    figures: list[Figure] = []
    for patients in chosen.patients:
        with stage.broker() as kafka:
            rows, size = filled(kafka, patients)
            sys.stderr.write(f"{patients:,} patients: {rows:,} rows, {size / 1e6:,.0f} MB\n")
            figures += _recovered(kafka, patients, size)
    if chosen.killed:
        with stage.broker() as kafka:
            figures += [_killed(kafka, again=again) for again in (True, False)]
            figures += _stopped(kafka)
    print(report.table(figures), end="")
    return 0


def filled(kafka: Kafka, patients: int) -> tuple[int, int]:
    """Write the changelog of *patients*; how many rows and bytes."""
    copies = Copies()
    journal = asyncio.run(_journal_id(kafka))
    producer = Producer(
        {"bootstrap.servers": kafka.bootstrap, "linger.ms": 50, "batch.size": 500_000}
    )
    number = size = 0
    numbers = iter(range(patients))
    nothing = PartitionState()  # rows of a Round that changes nothing that was there

    def write(key: bytes, value: bytes | None, partition: int) -> None:
        nonlocal number, size
        while True:
            try:
                producer.produce(STATE.name, value, key, partition)
                break
            except BufferError:
                producer.poll(0.1)
        number += 1
        size += len(key) + len(value or b"")

    while chunk := list(islice(numbers, AT_A_TIME)):
        for partition, rnd in enumerate(_split(copies.round(chunk))):
            for key, value in nothing.rows(rnd, Meta(journal=journal)):
                write(key, value, partition)
        producer.poll(0)
    producer.flush(120)
    return number, size


def _split(rnd: Round) -> Iterator[Round]:
    """By partition; meta is each partition's own."""
    parts = [Round((p, rnd.meta[1])) for p in range(stage.PARTITIONS)]
    for cell, value in rnd.cells.items():
        parts[partition_of(cell[0], stage.PARTITIONS)].cells[cell] = value
    for key, head in rnd.heads.items():
        parts[partition_of(key, stage.PARTITIONS)].heads[key] = head
    for seen, entry in rnd.seen.items():
        parts[partition_of(seen[0], stage.PARTITIONS)].seen[seen] = entry
    yield from parts


async def _journal_id(kafka: Kafka) -> str:
    async with admin(kafka) as broker:
        return await broker.topic_id(JOURNAL)


def _recovered(kafka: Kafka, patients: int, size: int) -> list[Figure]:
    with stage.workers(kafka, roles=("decide",), level="info") as (decide,):
        began = time.monotonic()
        while not decide.said("worker.recovered"):
            time.sleep(0.05)
            if not decide.alive:
                raise RuntimeError(f"decide ended: {decide.tail()}")
        seconds = time.monotonic() - began
        cpu, memory = decide.cpu_seconds(), decide.rss_bytes()
    target = TARGETS_S.get(patients)
    return [
        Figure(
            "recovery",
            f"{patients:,} patients, process start to deciding",
            seconds,
            "s",
            f"under {target:g}" if target else "",
            seconds < target if target else None,
            f"{size / patients:,.0f} bytes of rows a patient, {cpu:.1f} CPU-s",
        ),
        Figure(
            "recovery",
            f"{patients:,} patients, memory of decide",
            memory / patients,
            "bytes/patient",
            note=f"{memory / 1e6:,.0f} MB in all",
        ),
    ]


def _killed(kafka: Kafka, *, again: bool) -> Figure:
    """SIGKILL of decide; *again*: it is started again at once, else another one takes over."""
    names = ("a",) if again else ("a", "b")
    with stage.workers(kafka, names) as workers:
        measured(kafka.bootstrap, 20, 5)
        killed = next(one for one in workers if one.role == "decide")
        before = asyncio.run(_decided(kafka))
        killed.stop(kill=True)
        began = time.monotonic()
        mine = [p for p, at in enumerate(before) if at]
        if again:
            killed.start()
        else:
            workers.remove(killed)
        seconds = asyncio.run(_moved(kafka, before, mine)) - began
    what = "started again at once" if again else "another worker takes over"
    return Figure(
        "recovery",
        f"SIGKILL to all partitions deciding again, {what}",
        seconds,
        "s",
        f"under {SESSION_S + 5:g}",
        seconds < SESSION_S + 5,
        "session timeout 10 s",
    )


def _stopped(kafka: Kafka) -> list[Figure]:
    """SIGTERM to gone, while records come in."""
    with stage.workers(kafka) as workers:
        measured(kafka.bootstrap, 20, 3)
        sender = Producer({"bootstrap.servers": kafka.bootstrap})
        found = []
        for one in list(workers):
            for partition in list(range(stage.PARTITIONS)) * 20:
                sender.produce(JOURNAL, b'{"kind":"clock-mark"}', b"clock", partition)
            sender.flush(10)
            began = time.monotonic()
            code = one.stop()
            seconds = time.monotonic() - began
            workers.remove(one)
            name = f"SIGTERM to gone, {one.role}"
            note = f"exit code {code}"
            found.append(Figure("recovery", name, seconds, "s", "under 3", seconds < 3, note))
    return found


async def _decided(kafka: Kafka) -> list[int]:
    async with admin(kafka) as broker:
        stands = await broker.committed(f"{stage.GROUP}-decide")
    return [stands.get(TopicPartition(JOURNAL, p), 0) for p in range(stage.PARTITIONS)]


async def _moved(kafka: Kafka, before: list[int], partitions: list[int]) -> float:
    """When the last of *partitions* was decided on again, while records keep coming."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "linger.ms": 0})
    async with admin(kafka) as broker:
        while True:
            for partition in range(stage.PARTITIONS):
                producer.produce(JOURNAL, b'{"kind":"clock-mark"}', b"clock", partition)
            producer.flush(10)
            stands = await broker.committed(f"{stage.GROUP}-decide")
            if all(stands.get(TopicPartition(JOURNAL, p), 0) > before[p] for p in partitions):
                return time.monotonic()
            await asyncio.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
