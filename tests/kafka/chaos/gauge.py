"""How far the run is, asked past every proxy: what is accepted, taken in, decided."""

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from orchestrator.stream.kafka.broker import BrokerAway, admin
from orchestrator.stream.kafka.connection import Kafka
from schemas.topics import INPUTS, JOURNAL
from tests.kafka.chaos.fleet import GROUP, PARTITIONS
from tests.kafka.chaos.follower import Follower

LOOK_S = 0.3


class Reading(NamedTuple):
    """One look."""

    accepted: int  # records in the input topics
    waiting: int  # of them, those that intake has not passed
    decided: dict[int, int]  # by journal partition
    undecided: int

    @property
    def taken(self) -> int:
        """Records that intake has passed."""
        return self.accepted - self.waiting


class Stuck(AssertionError):
    """The product does not come to rest, or not back to work."""


class Gauge:
    """Looks at the topics and the groups."""

    def __init__(self, bootstrap: str) -> None:
        self._kafka = Kafka(bootstrap)
        self._inputs = [TopicPartition(t, p) for t in INPUTS for p in range(PARTITIONS)]
        self._journal = [TopicPartition(JOURNAL, p) for p in range(PARTITIONS)]

    async def read(self) -> Reading:
        """
        Look.

        Raises:
            BrokerAway: Nobody answers.
        """
        async with admin(self._kafka) as broker:
            inputs = await broker.ends(self._inputs)
            journal = await broker.ends(self._journal)
            taken = await broker.committed(f"{GROUP}-intake")
            stands = await broker.committed(f"{GROUP}-decide")
        return Reading(
            sum(inputs.values()),
            sum(max(0, end - taken.get(tp, 0)) for tp, end in inputs.items()),
            {tp.partition: stands.get(tp, 0) for tp in self._journal},
            sum(max(0, end - stands.get(tp, 0)) for tp, end in journal.items()),
        )

    async def accepted(self) -> int:
        """How many records the input topics hold; asked until a broker answers."""
        while True:
            try:
                return (await self.read()).accepted
            except (BrokerAway, KafkaError, OSError):
                await asyncio.sleep(LOOK_S)

    async def progress(self, limit_s: float) -> float:
        """
        Wait until something is decided in every partition; how many seconds that took.

        Raises:
            Stuck: Somewhere nothing was.
        """
        began = time.monotonic()
        first: Reading | None = None
        now: Reading | None = None
        while time.monotonic() - began < limit_s:
            try:
                now = await self.read()
            except (BrokerAway, KafkaError, OSError):
                await asyncio.sleep(LOOK_S)
                continue
            first = first or now
            if all(at > first.decided[partition] for partition, at in now.decided.items()):
                return time.monotonic() - began
            await asyncio.sleep(LOOK_S)
        raise Stuck(f"not everything goes on within {limit_s:.0f} s: {first}, {now}")

    async def past(self, target: Callable[[Reading], bool], limit_s: float) -> Reading:
        """
        Wait until a reading is past *target*; that reading.

        Raises:
            Stuck: It does not come.
        """
        began = time.monotonic()
        while not target(now := await self.read()):
            if time.monotonic() - began > limit_s:
                raise Stuck(f"a backlog is not drained within {limit_s:.0f} s: {now}")
            await asyncio.sleep(1)
        return now

    async def rest(self, follower: Follower, limit_s: float) -> None:
        """
        Wait until all that was sent is decided and the clocks are past it.

        Raises:
            Stuck: It does not come to that.
        """
        began, quiet = time.monotonic(), 0
        while time.monotonic() - began < limit_s:
            now = await self.read()
            if now.waiting:
                quiet = 0
            elif not quiet:
                quiet = time.time_ns() // 1000
            past = all(
                at > quiet and now.decided[partition] > offset
                for partition, (at, offset) in follower.clocks.items()
            )
            if quiet and past:
                return
            await asyncio.sleep(LOOK_S)
        raise Stuck(f"not at rest after {limit_s:.0f} s: {await self.read()}")
