"""What Kafka's tests do from outside: publish, read topics, run workers and kill them."""

import asyncio
import os
import secrets
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from orchestrator.stream import export
from orchestrator.stream.kafka.broker import admin
from orchestrator.stream.kafka.connection import Kafka
from orchestrator.stream.kafka.topic_settings import ALL, wanted
from orchestrator.stream.kafka.worker import ROLES, Role
from orchestrator.stream.memory_store import MemoryStore
from orchestrator.stream.sqlite_log import Record
from orchestrator.stream.topic_layout import is_keyed
from schemas.topics import INPUTS, JOURNAL, TOPICS
from tests.stream.fakes import PARTITIONS, product

ROOT: Final = Path(__file__).resolve().parents[2]
OUTPUTS: Final = [
    t.name for t in TOPICS.values() if t.kind == "output" and t.name != "care.audit.v1"
]
Said = tuple[str, bytes | None, tuple[tuple[str, str], ...]]  # key, value, headers


async def no_topics(kafka: Kafka) -> None:
    """Delete what an earlier test left."""
    client = AIOKafkaAdminClient(bootstrap_servers=kafka.servers)
    await client.start()
    try:
        old = sorted({topic.name for topic in ALL} & set(await client.list_topics()))
        if old:
            await client.delete_topics(old)
            await until(lambda: _gone(client, old), "topics deleted")
    finally:
        await client.close()


async def fresh_topics(kafka: Kafka, replication: int = 1) -> None:
    """All topics, empty."""
    await no_topics(kafka)
    async with admin(kafka) as broker:
        await broker.create(wanted(PARTITIONS, replication), replication)
        await broker.check(wanted(PARTITIONS, replication))


async def _gone(client: AIOKafkaAdminClient, names: list[str]) -> bool:
    return not set(names) & set(await client.list_topics())


async def until(
    holds: Callable[[], Awaitable[bool]], what: str, seconds: float = 60.0, every: float = 0.1
) -> None:
    """Wait until *holds*; a promise about time is the caller's to measure."""
    end = time.monotonic() + seconds
    while not await holds():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        await asyncio.sleep(every)


async def publish(kafka: Kafka, events: Iterable[tuple[str, dict[str, Any]]]) -> None:
    """Send events as hospitals do: any key, any partition."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka.servers, acks="all")
    await producer.start()
    try:
        sent = [await producer.send(topic, orjson.dumps(event)) for topic, event in events]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


async def read(
    kafka: Kafka, topic: str, *, isolation: str = "read_committed"
) -> dict[int, list[Any]]:
    """All of *topic*, by partition."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka.servers,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level=isolation,
        check_crcs=True,
    )
    await consumer.start()
    found: dict[int, list[Any]] = defaultdict(list)
    try:
        async with admin(kafka) as broker:
            count = (await broker.partitions([topic]))[topic]
        tps = [TopicPartition(topic, p) for p in range(count)]
        consumer.assign(tps)
        ends = await consumer.end_offsets(tps)
        while [tp for tp in tps if await consumer.position(tp) < ends[tp]]:
            for tp, rows in (await consumer.getmany(timeout_ms=200)).items():
                found[tp.partition] += rows
    finally:
        await consumer.stop()
    return found


class Workers:
    """The two roles as processes of their own, started again whenever one ends."""

    def __init__(
        self, kafka: Kafka, folder: Path, names: tuple[str, ...], failpoints: Mapping[Role, str]
    ) -> None:
        self.kafka = kafka
        # Another for each test: a member's place outlives its process, and so do its partitions.
        self.group = f"care-{secrets.token_hex(4)}"
        self.folder = folder
        self.running: dict[tuple[Role, str], subprocess.Popen[bytes]] = {}
        self.ends: list[int] = []  # how those ended that were started again
        for name in names:
            for role in ROLES:
                self.start(role, name, failpoints.get(role, ""))

    def start(self, role: Role, name: str, failpoints: str = "") -> None:
        command = [sys.executable, "-m", "tests.kafka.worker_process"]
        with (self.folder / f"{role}-{name}.log").open("ab") as out:
            self.running[role, name] = subprocess.Popen(
                [*command, self.kafka.bootstrap, self.group, role, name],
                cwd=ROOT,
                env={**os.environ, "FAILPOINTS": failpoints},
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def revive(self) -> None:
        """Start again what ended."""
        for (role, name), process in list(self.running.items()):
            if process.poll() is not None:
                self.ends.append(process.returncode)
                self.start(role, name)

    def kill(self, role: Role, name: str) -> None:
        self.running[role, name].send_signal(signal.SIGKILL)
        self.running[role, name].wait()

    def stop(self) -> list[int]:
        """End all orderly; their exit codes."""
        for process in self.running.values():
            process.terminate()
        return [process.wait(30) for process in self.running.values()]

    async def caught_up(self) -> None:
        """Until all that lies in the inputs is decided on, workers being revived meanwhile."""
        async with admin(self.kafka) as broker:
            counts = await broker.partitions((*INPUTS, JOURNAL))
            inputs = [TopicPartition(t, p) for t in INPUTS for p in range(counts[t])]
            journal = [TopicPartition(JOURNAL, p) for p in range(counts[JOURNAL])]
            for role, tps in (("intake", inputs), ("decide", journal)):
                ends = await broker.ends(tps)

                async def past(role: str = role, ends: Any = ends) -> bool:
                    self.revive()
                    stands = await broker.committed(f"{self.group}-{role}")
                    return all(stands.get(tp, 0) >= end for tp, end in ends.items())

                await until(past, f"{role} caught up", 180)

    async def decided(self) -> dict[int, int]:
        """How far the journal was decided on, by partition."""
        async with admin(self.kafka) as broker:
            stands = await broker.committed(f"{self.group}-decide")
        return {tp.partition: at for tp, at in stands.items() if tp.topic == JOURNAL}


@asynccontextmanager
async def workers(
    kafka: Kafka,
    folder: Path,
    names: tuple[str, ...] = ("a",),
    failpoints: Mapping[Role, str] = MappingProxyType({}),
) -> AsyncIterator[Workers]:
    """
    Workers that are gone afterwards, whatever happened.

    Args:
        names: Of the replicas; each has both roles.
        failpoints: For their first start.
    """
    running = Workers(kafka, folder, names, failpoints)
    try:
        yield running
    finally:
        for process in running.running.values():
            process.kill()
            process.wait()


async def journal_lines(
    kafka: Kafka, decided: dict[int, int], but: tuple[int, bytes] | None = None
) -> list[bytes]:
    """
    The journal as an export: as far as it was decided on, with stamps that never fall.

    Args:
        but: Leave out the records of a partition with that key.
    """
    lines = []
    for partition, rows in sorted((await read(kafka, JOURNAL)).items()):
        stamp = 0
        for row in rows:
            stamp = max(stamp, row.timestamp * 1000)
            if row.offset < decided.get(partition, 0) and (partition, row.key) != but:
                key = (row.key or b"").decode()
                record = Record(JOURNAL, partition, row.offset, stamp, key, row.value, {})
                lines.append(export.line(record))
    return lines


def replayed(lines: list[bytes]) -> dict[tuple[str, int], list[Said]]:
    """What an undisturbed run publishes from the same journal, one record at a time."""
    store = MemoryStore()
    processor = product(store)
    for record in export.journal(lines):
        store.commit(processor.process(record.partition, [record]))
    said: dict[tuple[str, int], list[Said]] = defaultdict(list)
    for out in store.published:
        where = (out.partition or 0) if is_keyed(out.topic) else 0
        headers = tuple(sorted((out.headers or {}).items()))
        said[out.topic, where].append((out.key, out.value, headers))
    return said


async def published(
    kafka: Kafka, *, isolation: str = "read_committed"
) -> dict[tuple[str, int], list[Said]]:
    """What the workers published."""
    said: dict[tuple[str, int], list[Said]] = {}
    for topic in OUTPUTS:
        for partition, rows in (await read(kafka, topic, isolation=isolation)).items():
            said[topic, partition] = [
                (
                    (row.key or b"").decode(),
                    row.value,
                    tuple(sorted((name, value.decode()) for name, value in row.headers)),
                )
                for row in rows
            ]
    return said


def without_repeats(said: dict[tuple[str, int], list[Said]]) -> dict[tuple[str, int], list[Said]]:
    """The first of each."""
    return {where: list(dict.fromkeys(rows)) for where, rows in said.items()}
