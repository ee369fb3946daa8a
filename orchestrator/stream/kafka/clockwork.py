"""Appends ``clock(T)`` to the journal partitions that this worker owns: mark, gate, clock.

When a partition's earliest wake has passed, and now and then as a sign of life, a mark is
appended to it; the mark's append time is T.  Then the high watermarks of all live inputs are
read, and once intake has passed them (its group's committed positions), everything accepted
before T lies in the journal.  Then decide must have passed the end that the identity's partition
has now: what it had to tell other partitions of who is whom lies in them, too.  Behind all that
``clock(T)`` is appended.  So a deadline cannot fire before a message that settles it, however late
intake is.  Appended twice, late, or by somebody who no longer owns the partition, a clock says
nothing wrong.

T moves only while time can be believed (`belief`).
"""

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final

import orjson
import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from orchestrator.core.instants import SECOND, written
from orchestrator.stream.failpoints import hit
from orchestrator.stream.identity import IDENTITY
from orchestrator.stream.kafka import operating
from orchestrator.stream.kafka.belief import Belief
from orchestrator.stream.kafka.broker import Admin, BrokerAway, admin
from orchestrator.stream.kafka.decide import DecideShell
from orchestrator.stream.kafka.fenced_out import Landed, OutRow, Place
from orchestrator.stream.kafka.leaving import leave
from orchestrator.stream.kafka.site import Site
from orchestrator.stream.keys import partition_of
from orchestrator.stream.status import Holder, Status
from orchestrator.stream.timekeeper import CLOCK_KEY, LAG
from orchestrator.stream.timekeeper import JUMP as JUMPED
from orchestrator.stream.topic_layout import LIVE_INPUTS
from schemas.topics import JOURNAL

LOOK_S: Final = 0.1
RETRY_S: Final = 1.0
APPEND_S: Final = 10.0
HELD_AFTER: Final = 10 * SECOND  # what a clock waits for intake before it counts as held
COUNT_S: Final = 5.0  # how often those are counted whose deadline has passed
AWAY: Final = "brokers"
_MARK: Final = orjson.dumps({"kind": "clock-mark"})

logger = structlog.get_logger()


@dataclass(slots=True)
class Gate:
    """
    A mark was appended at T; its clock waits.

    Attributes:
        watermarks: What intake must have passed.
        identity: What decide must have passed in the identity's partition, once intake is through.
    """

    at: int
    watermarks: dict[TopicPartition, int]
    identity: int | None = None


class Clockwork:
    """The clocks of the partitions that this process owns."""

    def __init__(self, site: Site, app: Any, shell: DecideShell, status: Status) -> None:
        self._site = site
        self._app = app
        self._shell = shell
        self._status = status
        self._belief: Belief = shell.belief
        self._last: dict[int, int] = {}  # T of the last clock appended here
        self._gates: dict[int, Gate] = {}
        # Inputs that an operator does not wait for, and where intake stood in them.
        self._released: dict[TopicPartition, int | None] = {}
        self._identity = TopicPartition(JOURNAL, partition_of(IDENTITY, site.partitions))
        self._counted_at = 0.0

    async def run(self) -> None:
        """Go on for as long as the process lives; brokers may be away for a while."""
        while True:
            try:
                async with AsyncExitStack() as stack:
                    broker = await stack.enter_async_context(admin(self._site.kafka))
                    while True:
                        await self._step(broker)
                        await asyncio.sleep(LOOK_S)
            except (KafkaError, BrokerAway, OSError) as problem:
                self._hold(AWAY, detail=type(problem).__name__)
                await asyncio.sleep(RETRY_S)
            except Exception as problem:  # noqa: BLE001 - without clocks no deadline fires
                leave("clock-failed", problem)

    async def _step(self, broker: Admin) -> None:
        self._obey()
        owned = set(self._shell.owned)
        self._tell(owned)
        self._gates = {p: gate for p, gate in self._gates.items() if p in owned}
        due = [p for p in sorted(owned - self._gates.keys()) if self._is_due(p)]
        if due and self._believable():
            await self._open_gates(due, broker)
        if self._gates:
            await self._append_clocks(broker)
        else:
            self._status.clock_held = {}

    def _obey(self) -> None:
        """Do what operators wrote into the journal."""
        while self._shell.orders:
            order = self._shell.orders.popleft()
            if order["kind"] == operating.CONFIRM:
                self._belief.confirm()
            else:
                self._released[TopicPartition(order["topic"], order["partition"])] = None

    def _is_due(self, partition: int) -> bool:
        part = self._shell.state.part(partition)
        now = self._belief.now()
        last = max(part.meta.clock, self._last.get(partition, 0))
        if now - last >= self._site.sign_of_life_s * SECOND:
            return True
        wake = part.first_wake()
        # A wake at or before the last clock waits for something else than time.
        return wake is not None and last < wake <= now

    def _believable(self) -> bool:
        ahead = self._belief.jumped()
        if ahead:
            self._hold(JUMPED, seconds=ahead / SECOND)
        return not ahead

    async def _open_gates(self, due: list[int], broker: Admin) -> None:
        hit("clock.due")
        marks: list[Landed] = await asyncio.gather(*(self._append(p, _MARK) for p in due))
        # Counted and looked at after every mark landed: what is accepted from now on is stamped
        # after T.
        counts = await broker.partitions(LIVE_INPUTS)
        inputs = [TopicPartition(topic, p) for topic, n in counts.items() for p in range(n)]
        watermarks = dict(await broker.ends(inputs))
        for partition, mark in zip(due, marks, strict=True):
            apart = self._belief.apart(mark.stamp)
            if apart:
                self._hold(JUMPED, seconds=apart / SECOND)
                return
            self._gates[partition] = Gate(mark.stamp, watermarks)

    async def _append_clocks(self, broker: Admin) -> None:
        stands = await broker.committed(self._site.group_of("intake"))
        self._pass_released(stands)
        waiting = {p: self._missing(gate, stands) for p, gate in self._gates.items()}
        await self._wait_for_identity(waiting, broker)
        self._tell_holders(waiting)
        passed = [p for p, missing in waiting.items() if not missing]
        if not passed:
            oldest = min(gate.at for gate in self._gates.values())
            if self._belief.now() - oldest > HELD_AFTER:
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

    async def _wait_for_identity(
        self, waiting: dict[int, list[TopicPartition]], broker: Admin
    ) -> None:
        """Those that wait for no input any more wait for decide in the identity's partition."""
        through = [self._gates[p] for p, missing in waiting.items() if not missing]
        if not through:
            return
        if any(gate.identity is None for gate in through):
            end = (await broker.ends([self._identity]))[self._identity]
            for gate in through:
                gate.identity = end if gate.identity is None else gate.identity
        stands = await broker.committed(self._site.group_of("decide"))
        stand = stands.get(self._identity, 0)
        for partition, missing in waiting.items():
            end_ = self._gates[partition].identity
            if not missing and (end_ is None or stand < end_):
                missing.append(self._identity)

    def _missing(self, gate: Gate, stands: dict[TopicPartition, int]) -> list[TopicPartition]:
        """A partition where intake never committed counts only if nothing was ever in it."""
        return [
            tp
            for tp, mark in gate.watermarks.items()
            if stands.get(tp, 0) < mark and tp not in self._released
        ]

    def _pass_released(self, stands: dict[TopicPartition, int]) -> None:
        """An input that was given up is waited for again as soon as intake moves on in it."""
        for tp, stood in list(self._released.items()):
            stand = stands.get(tp, 0)
            if stood is None:
                self._released[tp] = stand
            elif stand > stood:
                del self._released[tp]

    async def _append(self, partition: int, value: bytes) -> Landed:
        place = JOURNAL, partition
        rows = {place: [OutRow(CLOCK_KEY.encode(), value)]}
        # The producer would wait for brokers for ever, and nobody be told that they are away.
        async with asyncio.timeout(APPEND_S):
            landed: dict[Place, Landed] = await self._app.producer.land(rows)
        return landed[place]

    # Telling

    def _tell(self, owned: set[int]) -> None:
        status, parts = self._status, self._shell.state
        status.clocks = {p: parts.part(p).meta.clock for p in owned}
        if time.monotonic() - self._counted_at > COUNT_S:
            self._counted_at = time.monotonic()
            now = self._belief.now()
            status.backlog = sum(parts.part(p).passed(now) for p in owned)

    def _tell_holders(self, waiting: dict[int, list[TopicPartition]]) -> None:
        """Each input that holds a clock, since the oldest mark that waits for it."""
        since: dict[Holder, int] = {}
        for partition, missing in waiting.items():
            at = self._gates[partition].at
            for tp in missing:
                holder = Holder(tp.topic, tp.partition)
                since[holder] = min(at, since.get(holder, at))
        self._status.clock_held = since

    def _hold(self, cause: str | None, **more: float | str) -> None:
        held = self._status.held
        if cause is None:
            if held:
                logger.info("clock.released", reason=next(iter(held)))
                held.clear()
        elif cause not in held:
            if cause == JUMPED:
                self._status.clock_jumps += 1
                logger.error("clock.jumped", **more)
            logger.warning("clock.held", reason=cause, **more)
            held.clear()
            held[cause] = self._belief.now()
