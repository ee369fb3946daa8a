"""What the product publishes for a small simulated hospital: the records that projections fold."""

import random
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Final

import orjson

from orchestrator.core.instants import DAY, HOUR, read, written
from orchestrator.simulate import canonical
from orchestrator.simulate.generate import Plan, generate
from orchestrator.stream.clock import ManualClock
from orchestrator.stream.embedded import Pace, Runtime
from orchestrator.stream.keys import patient_key
from orchestrator.stream.sqlite_log import Log
from orchestrator.worklist.log.feed import FOLLOWED, Fetched, Place, Positions, Record, Sample
from schemas.topics import topic_of
from tests.stream.fakes import FACILITIES, PARTITIONS, SITE_KEY, product

BEGIN: Final = read("2026-10-05T00:00:00Z")


def key_of(subject: str) -> str:
    return patient_key(SITE_KEY, subject)


def published(
    folder: Path, patients: int = 25, seed: int = 5, topics: Sequence[str] = FOLLOWED
) -> list[Record]:
    """What *topics* hold after three weeks of a hospital, and some commands."""
    clock = ManualClock(BEGIN)
    plan = Plan(patients=patients, seed=seed, start=date(2026, 10, 5), days=14)
    events = [canonical.event(happening) for happening in generate(plan)]
    events.sort(key=lambda event: str(event["receivedtime"]))
    with Log.open(folder, owner=True, create=True, partitions=PARTITIONS, clock=clock) as log:
        runtime = Runtime(log, product, FACILITIES, SITE_KEY, Pace())
        for event in events:
            at = read(event.pop("receivedtime"))
            _advance(clock, at, runtime)
            _send(log, event)
        _advance(clock, clock.now() + 2 * DAY, runtime)
        _commands(log, runtime)
        _advance(clock, clock.now() + 10 * DAY, runtime)
        return [
            Record(topic, partition, one.offset, one.key, one.value)
            for topic in topics
            for partition in range(PARTITIONS)
            for one in log.read(topic, partition, 0, 1_000_000)
        ]


def _advance(clock: ManualClock, until: int, runtime: Runtime) -> None:
    while clock.now() < until:
        clock.advance(min(6 * HOUR, until - clock.now()))
        while runtime.turn():
            pass


def _send(log: Log, event: dict[str, object]) -> None:
    topic = topic_of(str(event["type"]), str(event.get("lane", "live")))
    assert topic is not None
    log.append(topic, None, orjson.dumps(event))


def _commands(log: Log, runtime: Runtime) -> None:
    """An acceptance of every open task, and for each third a completion."""
    tasks: dict[str, dict[str, object]] = {}
    for partition in range(PARTITIONS):
        for record in log.read("care.task.v1", partition, 0, 1_000_000):
            task = orjson.loads(record.value or b"")
            tasks[task["task_id"]] = task
    for number, task in enumerate(tasks.values()):
        for what in ("accepted", "completed")[: 1 + (number % 3 == 0)]:
            data = {"task_id": task["task_id"], "actor": "nurse-1", "role": "rn"}
            event = {
                "specversion": "1.0",
                "id": f"{what}-{number}",
                "source": "worklist",
                "type": f"care.task.{what}.v1",
                "time": written(log.clock.now()),
                "subject": task["subject"],
                "facility": task["facility"],
                "data": data,
            }
            _send(log, event)
        while runtime.turn():
            pass


class ListFeed:
    """
    The records of a list as a log; in the order of *draw* across places, as brokers give them.

    Attributes:
        name: As of another log, when it is changed.
    """

    pace = 1.0

    def __init__(self, records: Sequence[Record], seed: int = 0, name: str = "log") -> None:
        self.name = name
        self.fails: Exception | None = None
        self._by_place: dict[Place, list[Record]] = {}
        for record in records:
            self._by_place.setdefault((record.topic, record.partition), []).append(record)
        self._draw = random.Random(seed)

    def now(self) -> int:
        return BEGIN

    def firsts(self) -> Positions:
        return {place: records[0].offset for place, records in self._by_place.items()}

    def ends(self) -> Positions:
        return {place: records[-1].offset + 1 for place, records in self._by_place.items()}

    def read(self, positions: Positions, limit: int, wait_s: float) -> Fetched:
        del wait_s
        if self.fails is not None:
            raise self.fails
        found: list[Record] = []
        places = sorted(self._by_place)
        self._draw.shuffle(places)
        for place in places:
            ahead = [r for r in self._by_place[place] if r.offset >= positions.get(place, 0)]
            found += ahead[: self._draw.randint(0, limit)]
        if not found:
            for place in places:
                ahead = [r for r in self._by_place[place] if r.offset >= positions.get(place, 0)]
                found += ahead[:limit]
        found = found[:limit]
        return Fetched(found, {(r.topic, r.partition): r.offset + 1 for r in found})

    def sample(self) -> Sample | None:
        return None

    def close(self) -> None:
        pass
