"""The program on Kafka as its users start it: a process of its own, and what it left behind."""

import asyncio
import subprocess
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
from aiokafka import TopicPartition

from orchestrator.stream.kafka.broker import admin
from orchestrator.stream.kafka.connection import Kafka
from schemas.topics import INPUTS, JOURNAL
from tests.kafka import world
from tests.kafka.test_command_line import command, settings_of

__all__ = ["Ran", "by_partition", "decided", "publish_settings", "run", "worker"]

LONGEST_S: Final = 120
Said = tuple[str | None, bytes, bytes]


@dataclass(frozen=True)
class Ran:
    """What a finished command left behind."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.out.splitlines()]

    @property
    def json(self) -> Any:
        return orjson.loads(self.out)


def publish_settings(kafka: Kafka) -> dict[str, str]:
    """The environment in which commands of both runtimes mean Kafka."""
    return settings_of(kafka) | {"CARE_RUNTIME": "kafka"}


async def run(*words: str | Path, **settings: str) -> Ran:
    """Start ``care-orchestrator`` with *words*, and wait for its end."""
    argv, environment = command(*map(str, words), **settings)
    process = await asyncio.create_subprocess_exec(
        *argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), LONGEST_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(), err.decode())


@asynccontextmanager
async def worker(log: Path, **settings: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """``care-orchestrator worker``, both roles; gone afterwards."""
    argv, environment = command("worker", **settings)
    with log.open("ab") as err:
        process = await asyncio.create_subprocess_exec(*argv, env=environment, stderr=err)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


async def decided(kafka: Kafka, group: str, process: asyncio.subprocess.Process) -> None:
    """Until the worker *process* of *group* is through with all that lies in the inputs."""
    async with admin(kafka) as broker:
        counts = await broker.partitions((*INPUTS, JOURNAL))

        async def past(role: str, topics: Iterable[str]) -> bool:
            assert process.returncode is None, "the worker ended"
            tps = [TopicPartition(t, p) for t in topics for p in range(counts[t])]
            ends = await broker.ends(tps)
            stands = await broker.committed(f"{group}-{role}")
            return all(stands.get(tp, 0) >= end for tp, end in ends.items() if end)

        await world.until(lambda: past("intake", INPUTS), "taken in", 90)
        await world.until(lambda: past("decide", [JOURNAL]), "decided", 90)


def by_partition(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[str, int], list[Said]]:
    """
    What was said where, in order, without offsets and stamps.

    Dead letters of several journal partitions share one: they are told apart by what they name.
    """
    found: dict[tuple[str, int], list[Said]] = defaultdict(list)
    for row in rows:
        headers = row.get("headers", {})
        place = int(headers["partition"]) if "partition" in headers else row["partition"]
        content = {name: row.get(name) for name in ("value", "text", "base64")}
        said = (row["key"], orjson.dumps(content), orjson.dumps(headers))
        found[row["topic"], place].append(said)
    return found
