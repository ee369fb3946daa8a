"""Ends a worker that does not get on, when leaving it to somebody else would help.

Nothing here counts while no broker answers: an outage is waited for.  What lies open in somebody
else's transaction is nobody's fault either, so ends are those of committed records.
"""

import asyncio
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from orchestrator.core.instants import SECOND
from orchestrator.stream.clock import RealClock
from orchestrator.stream.kafka.broker import BrokerAway, admin
from orchestrator.stream.kafka.leaving import STUCK, leave
from orchestrator.stream.kafka.site import Site
from orchestrator.stream.status import Status

UNSETTLED_S: Final = 120.0  # a rebalance, or a recovery in which no row comes in
FROZEN_S: Final = 120.0  # a partition with records to read in which nothing is read
REFUSED_S: Final = 120.0  # brokers that answer, but take nothing
CLOCK_S: Final = 600.0  # a partition that is read to its end and gets no clock
LOOK_S: Final = 10.0

NO_PROGRESS: Final = "no-progress"
FROZEN: Final = "position-frozen"
REFUSED: Final = "brokers-refuse"
NO_CLOCK: Final = "clock-stands-still"
GIVEN_UP: Final = "recovery-given-up"


@dataclass(frozen=True, slots=True)
class Seen:
    """
    One look.

    Attributes:
        now: In seconds.
        restored: Rows of the changelog read so far.
        positions: Where it stands in each partition that it works on.
        ends: Behind the last committed record of each.
        refused: What is to be appended was refused, last time.
        clocks: Age of each journal partition's clock in seconds, unless clocks are held.
        given_up: Nobody would recover the next assignment, or goes on with this one (`gave_up`).
    """

    now: float
    settled: bool
    restored: int = 0
    positions: Mapping[TopicPartition, int] = field(default_factory=dict)
    ends: Mapping[TopicPartition, int] = field(default_factory=dict)
    refused: bool = False
    clocks: Mapping[int, float] = field(default_factory=dict)
    given_up: bool = False


class Watchdog:
    """Compares looks."""

    def __init__(self, now: float) -> None:
        self._moved_at = self._taken_at = now
        self._settled_at = math.inf
        self._restored = 0
        self._gave_up = False
        self._stood: dict[TopicPartition, tuple[int, float]] = {}  # position, since when

    def judge(self, seen: Seen) -> str | None:
        """Why the worker should end, if it should."""
        # A clock that stood still while nobody worked is not this process's.
        self._settled_at = min(self._settled_at, seen.now) if seen.settled else math.inf
        if seen.settled or seen.restored != self._restored:
            self._moved_at, self._restored = seen.now, seen.restored
        if not seen.refused:
            self._taken_at = seen.now
        # Twice: between two steps of its start it looks the same.
        if self._gave_up and seen.given_up:
            return GIVEN_UP
        self._gave_up = seen.given_up
        if seen.now - self._moved_at > UNSETTLED_S:
            return NO_PROGRESS
        if seen.now - self._taken_at > REFUSED_S:
            return REFUSED
        if self._frozen(seen):
            return FROZEN
        if (
            seen.now - self._settled_at > CLOCK_S
            and any(age > CLOCK_S for age in seen.clocks.values())
            and not _behind(seen)
        ):
            return NO_CLOCK
        return None

    def excuse(self, now: float) -> None:
        """No broker answers: nothing is anybody's fault."""
        self._moved_at = self._taken_at = now
        self._settled_at = math.inf
        self._stood = {}

    def _frozen(self, seen: Seen) -> bool:
        stood, self._stood = self._stood, {}
        if not seen.settled:
            return False
        for tp in _behind(seen):
            at = seen.positions[tp]
            position, since = stood.get(tp, (at, seen.now))
            self._stood[tp] = at, since if position == at else seen.now
        return any(seen.now - since > FROZEN_S for _, since in self._stood.values())


def _behind(seen: Seen) -> list[TopicPartition]:
    return [tp for tp, at in seen.positions.items() if at < seen.ends.get(tp, 0)]


async def watch(site: Site, app: Any, status: Status) -> None:
    """Look until the process ends."""
    dog = Watchdog(time.monotonic())
    while not app.should_stop:
        try:
            async with admin(site.kafka, isolation="read_committed") as broker:
                while not app.should_stop:
                    positions = await _positions(app, status)
                    ends = await broker.ends(positions)
                    reason = dog.judge(_look(app, status, positions, ends))
                    if reason is not None:
                        leave(reason, code=STUCK)
                    await asyncio.sleep(LOOK_S)
        except (KafkaError, BrokerAway, OSError):
            dog.excuse(time.monotonic())
            await asyncio.sleep(1.0)
        except Exception as problem:  # noqa: BLE001 - nobody would watch
            leave("watchdog-failed", problem)


async def beat(status: Status) -> None:
    """Show that the loop turns, to `pulse` and to ``/healthz``."""
    while True:
        status.turned = time.monotonic()
        await asyncio.sleep(1.0)


def gave_up(app: Any) -> bool:
    """
    Whether Faust's recovery has ended for good.

    It takes a wait that lasts too long (brokers away for 40 s while it recovers) for the end of
    the service, and nothing ever starts it again.
    """
    recovery = app.tables.recovery
    tasks = [task.get_name() for task in recovery._futures]  # noqa: SLF001 - nobody else knows
    return bool(recovery.started) and not any("_restart_recovery" in name for name in tasks)


async def _positions(app: Any, status: Status) -> dict[TopicPartition, int]:
    """Of the partitions that it works on; none during a rebalance."""
    if not _is_settled(app, status):
        return {}
    try:
        found = await asyncio.wait_for(app.consumer.stands(), 5.0)
    except (IllegalStateError, TimeoutError):  # revoked meanwhile
        return {}
    return {TopicPartition(tp.topic, tp.partition): at for tp, at in found.items()}


def _is_settled(app: Any, status: Status) -> bool:
    """Whether it was given partitions, has recovered them, and is to keep them."""
    return bool(status.rebalances and not (app.rebalancing or app.tables.recovery.in_recovery))


def _look(
    app: Any,
    status: Status,
    positions: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
) -> Seen:
    now = RealClock().now()
    waiting = bool(status.held or status.clock_held)
    return Seen(
        now=time.monotonic(),
        settled=_is_settled(app, status),
        restored=0 if status.recovery is None else status.recovery.read,
        positions=positions,
        ends=ends,
        refused="brokers" in status.held,
        given_up=gave_up(app),
        # T 0: none was decided on yet, and nobody knows since when one is missing.
        clocks={} if waiting else {p: (now - at) / SECOND for p, at in status.clocks.items() if at},
    )
