"""Appends ``clock(T)`` to the journal partitions that this worker owns: mark, gate, clock.

When a partition's earliest wake has passed, and now and then as a sign of life, a ``mark`` is
appended to it; the mark's append time is T.  Then the high watermarks of all live inputs are
read, and once intake has passed them (its group's committed positions), everything accepted
before T lies in the journal, and ``clock(T)`` is appended behind it.  So a deadline cannot fire
before a message that settles it, however late intake is.  Appended twice, late, or by somebody
who no longer owns the partition, a clock says nothing wrong.

T moves only while the brokers' clock and this machine's agree, and this machine's did not jump.
"""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final

import orjson
import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from orchestrator.core.instants import SECOND, written
from orchestrator.stream.clock import JUMP, ClockGuard, RealClock
from orchestrator.stream.failpoints import hit
from orchestrator.stream.kafka.broker import Admin, BrokerAway, admin
from orchestrator.stream.kafka.decide import DecideShell
from orchestrator.stream.kafka.fenced_out import Landed, OutRow, Place
from orchestrator.stream.kafka.site import Site
from orchestrator.stream.timekeeper import CLOCK_KEY, LAG
from orchestrator.stream.timekeeper import JUMP as JUMPED
from orchestrator.stream.topic_layout import LIVE_INPUTS
from schemas.topics import JOURNAL

LOOK_S: Final = 0.1
RETRY_S: Final = 1.0
HELD_AFTER: Final = 10 * SECOND  # what a clock waits for intake before it counts as held
_MARK: Final = orjson.dumps({"kind": "mark"})

logger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Gate:
    """A mark was appended at T; the clock waits until intake has passed *watermarks*."""

    at: int
    watermarks: dict[TopicPartition, int]


class Clockwork:
    """The clocks of the partitions that this process owns."""

    def __init__(self, site: Site, app: Any, shell: DecideShell) -> None:
        self._site = site
        self._app = app
        self._shell = shell
        self._clock = RealClock()
        self._guard = ClockGuard(self._clock)
        self._last: dict[int, int] = {}  # T of the last clock appended here
        self._gates: dict[int, Gate] = {}
        self._inputs: list[TopicPartition] = []
        self.held: str | None = None

    async def run(self) -> None:
        """Go on for as long as the process lives; brokers may be away for a while."""
        while True:
            try:
                async with AsyncExitStack() as stack:
                    broker = await stack.enter_async_context(admin(self._site.kafka))
                    counts = await broker.partitions(LIVE_INPUTS)
                    self._inputs = [
                        TopicPartition(topic, p) for topic, n in counts.items() for p in range(n)
                    ]
                    while True:
                        await self._step(broker)
                        await asyncio.sleep(LOOK_S)
            except (KafkaError, BrokerAway, OSError) as problem:
                logger.warning("clock.held", reason=type(problem).__name__)
                await asyncio.sleep(RETRY_S)

    async def _step(self, broker: Admin) -> None:
        owned = set(self._shell.owned)
        self._gates = {p: gate for p, gate in self._gates.items() if p in owned}
        due = [p for p in sorted(owned - self._gates.keys()) if self._is_due(p)]
        if due and self._believable():
            await self._open_gates(due, broker)
        if self._gates:
            await self._append_clocks(broker)

    def _is_due(self, partition: int) -> bool:
        part = self._shell.state.part(partition)
        now = self._clock.now()
        last = max(part.meta.clock, self._last.get(partition, 0))
        if now - last >= self._site.sign_of_life_s * SECOND:
            return True
        wake = part.first_wake()
        # A wake at or before the last clock waits for something else than time.
        return wake is not None and last < wake <= now

    def _believable(self) -> bool:
        ahead = self._guard.jumped()
        if ahead:
            self._hold(JUMPED, seconds=ahead / SECOND)
        elif self.held == JUMPED:
            self._hold(None)
        return not ahead

    async def _open_gates(self, due: list[int], broker: Admin) -> None:
        hit("clock.due")
        marks: list[Landed] = await asyncio.gather(*(self._append(p, _MARK) for p in due))
        # Looked at after every mark landed: what is accepted from now on is stamped after T.
        watermarks = dict(await broker.ends(self._inputs))
        for partition, mark in zip(due, marks, strict=True):
            apart = mark.stamp - self._clock.now()
            if abs(apart) > JUMP:
                self._hold(JUMPED, seconds=apart / SECOND)
                return
            self._gates[partition] = Gate(mark.stamp, watermarks)

    async def _append_clocks(self, broker: Admin) -> None:
        stands = await broker.committed(self._site.group_of("intake"))
        passed = [p for p, gate in self._gates.items() if _is_past(gate, stands)]
        if not passed:
            oldest = min(gate.at for gate in self._gates.values())
            if self._clock.now() - oldest > HELD_AFTER:
                self._hold(LAG)
            return
        self._hold(None)
        values = {p: self._gates[p].at for p in passed}
        await asyncio.gather(
            *(
                self._append(p, orjson.dumps({"kind": "clock", "at": written(at)}))
                for p, at in values.items()
            )
        )
        hit("clock.appended")
        self._last.update(values)
        for partition in passed:
            del self._gates[partition]

    async def _append(self, partition: int, value: bytes) -> Landed:
        place = JOURNAL, partition
        rows = {place: [OutRow(CLOCK_KEY.encode(), value)]}
        landed: dict[Place, Landed] = await self._app.producer.land(rows)
        return landed[place]

    def _hold(self, cause: str | None, **more: float) -> None:
        if cause == self.held:
            return
        if cause is None:
            logger.info("clock.released", reason=self.held)
        else:
            logger.warning("clock.held", reason=cause, **more)
        self.held = cause


def _is_past(gate: Gate, stands: dict[TopicPartition, int]) -> bool:
    """A partition where intake never committed counts only if nothing was ever in it."""
    return all(stands.get(tp, 0) >= mark for tp, mark in gate.watermarks.items())
