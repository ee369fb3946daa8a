"""The loop on a clock that the test moves, and looks at what it left."""

from typing import Any

import orjson

from orchestrator.stream import inflow
from orchestrator.stream.embedded import Pace, Runtime
from orchestrator.stream.memory_store import MemoryStore
from orchestrator.stream.rounds import JournalRecord
from orchestrator.stream.sqlite_log import Log
from schemas.topics import INPUTS, JOURNAL
from tests.stream.fakes import (
    FACILITIES,
    SITE_KEY,
    FakeProcessor,
)

PACE = Pace(retry_s=0.01, poll_s=0.01)


def runtime_of(log: Log, pace: Pace = PACE) -> Runtime:
    return Runtime(log, FakeProcessor, FACILITIES, SITE_KEY, pace)


def settle(runtime: Runtime) -> None:
    """Turn until there is nothing more to do."""
    while runtime.turn():
        pass


def held(runtime: Runtime) -> str | None:
    return runtime.timekeeper.held


def unavailable(runtime: Runtime) -> str | None:
    return runtime.health.unavailable


def published(log: Log, topic: str = "care.task.v1") -> list[dict[str, Any]]:
    return [
        orjson.loads(r.value or b"")
        for p in range(log.partitions)
        for r in log.read(topic, p, 0, 100_000)
    ]


def replayed(log: Log) -> list[tuple[str, str, int, bytes | None]]:
    """What an undisturbed run of the same journal publishes, in memory, one record at a time."""
    store = MemoryStore()
    processor = FakeProcessor(store)
    for partition in range(log.partitions):
        for r in log.read(JOURNAL, partition, 0, 1_000_000):
            record = JournalRecord(partition, r.offset, r.stamp, r.key or "", r.value or b"")
            store.commit(processor.process(partition, [record]))
    return sorted((o.topic, o.key, o.partition or 0, o.value) for o in store.published)


def stored(log: Log) -> list[tuple[str, str, int, bytes | None]]:
    """The same as it lies in the log."""
    return sorted(
        (topic, r.key or "", p, r.value)
        for topic in ("care.task.v1", "care.change.v1", "care.gap.v1")
        for p in range(log.partitions)
        for r in log.read(topic, p, 0, 1_000_000)
    )


def assert_all_accounted(log: Log) -> None:
    """Per input: what landed is what was journalled, parked or ignored."""
    accounts = log.accounts()
    for topic in INPUTS:
        (landed,) = log.end_offsets(topic)
        (taken,) = log.committed(inflow.READER, topic)
        results = [n for (t, _, _), n in accounts.items() if t == topic]
        assert landed == taken == sum(results)
