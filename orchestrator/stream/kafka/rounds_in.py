"""Whole poll rounds for Faust's one agent: a Transport whose Consumer hands each poll over as one.

Faust's own way costs 80 to 210 microseconds per record; a round costs that once.  The consumer
waits until the shell is through with a round before it polls again, so nothing is buffered, and
commits what the shell marked as done, nothing else: Faust's acknowledgement decides nothing here
(an exception in an agent acknowledges, too).  The names of Faust and aiokafka that are not public
and are relied on here are listed in ``tests/kafka/test_private_names.py``.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterable
from typing import Any, Final, Protocol

import structlog
from aiokafka.errors import IllegalStateError
from faust.serializers.schemas import Schema
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from orchestrator.stream.kafka.fenced_out import Producer
from orchestrator.stream.kafka.leaving import leave

logger = structlog.get_logger()

POLL_S: Final = 0.25  # a stop waits for it
MORE_S: Final = 0.01
SETTLE_S: Final = 0.2  # how often the positions of partitions without records are committed
# Faust's 1500 makes busy partitions wait for a fetch of idle ones.
FETCH_WAIT_MS: Final = 100


class PollRound(dict[TP, list[Any]]):
    """What one poll read: records by partition, in order."""

    finished = False


class Shell(Protocol):
    """What does the work of an app."""

    woken: asyncio.Event

    async def handle(self, rnd: PollRound) -> None:
        """Do all that follows from *rnd*, durably, or end the process."""
        ...


class RoundSchema(Schema[Any, Any]):
    """The value is the round; bytes are decoded where a bad record can be parked."""

    def loads_key(self, *_: Any, **__: Any) -> None:
        """No key: a round has many."""
        return

    def loads_value(self, app: Any, message: Any, **_: Any) -> Any:
        """The round as it is."""
        del app
        return message.value


class Thread(driver.AIOKafkaConsumerThread):
    """The thread in which aiokafka reads and keeps the session alive."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS  # noqa: SLF001 - Faust has no setting for it
        # Faust sets it only together with its own exactly_once.
        consumer._isolation_level = "read_committed"  # noqa: SLF001
        return consumer

    async def positions(self, tps: Iterable[TP]) -> dict[TP, int]:
        """Where each partition goes on, past transaction markers, which no record shows."""
        consumer = self._ensure_consumer()

        async def read() -> dict[TP, int]:
            return {tp: await consumer.position(driver.ensure_aiokafka_TP(tp)) for tp in tps}

        found: dict[TP, int] = await self.call_thread(read)
        return found


class Consumer(driver.Consumer):
    """
    Gives the agent one event per poll round.

    Attributes:
        done: Per partition the offset behind what the shell is through with.
        skipped: Rows that a rebalance crossed are not handed over and are sought again.
    """

    app: Any
    _thread: Thread
    # Rounds begin no faster: each costs its requests, which a few records then share.
    pace_s = 0.02

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.done: dict[TP, int] = {}
        self.skipped: dict[TP, int] = {}
        self._settled_at = 0.0
        self._began = 0.0
        super().__init__(*args, **kwargs)

    def _new_consumer_thread(self) -> Thread:
        return Thread(self, loop=self.loop, beacon=self.beacon)

    async def _drain_messages(self, fetcher: Any) -> None:
        self.done, self.skipped = {}, {}
        try:
            while not (self.should_stop or fetcher.should_stop):
                await self._poll()
        except Exception as problem:  # noqa: BLE001 - Faust would go on with a hole
            if not self.app.should_stop:
                leave("reading-failed", problem)

    async def _poll(self) -> None:
        if self.skipped and not self.app.rebalancing:
            await self._rewind()
        await asyncio.sleep(max(0.0, self._began + self.pace_s - time.monotonic()))
        generation = self.app.consumer_generation_id
        before = not self.app.rebalancing
        records = await self._read()
        calm = before and self._is_calm(generation)
        rnd = PollRound()
        for tp, rows in records.items():
            if tp.topic in self.app.tables.changelog_topics:
                await self._restore(tp, rows)
            elif calm:
                rnd[tp] = rows
            else:
                self.skipped[tp] = min(rows[0].offset, self.skipped.get(tp, rows[0].offset))
        if rnd:
            self._began = time.monotonic()
            await self._hand_over(rnd)
        if calm and not self.skipped and self._is_calm(generation):
            await self._settle(generation)

    async def _read(self) -> dict[TP, list[Any]]:
        """What came since the last poll."""
        generation = self.app.consumer_generation_id
        first, _ = await self._wait_next_records(timeout=POLL_S)
        await asyncio.sleep(0)
        changelogs = self.app.tables.changelog_topics
        in_recovery = any(tp.topic in changelogs for tp in first or ())
        if not first or in_recovery or not self._is_calm(generation):
            return dict(first or {})
        # aiokafka fetches a partition again only when it was emptied: that was what came first
        # after the last poll, not what came since.
        more, _ = await self._wait_next_records(timeout=MORE_S)
        found = {tp: list(rows) for tp, rows in first.items()}
        for tp, rows in (more or {}).items():
            found.setdefault(tp, []).extend(rows)
        return found

    def _is_calm(self, generation: int) -> bool:
        return bool(
            self.flow_active
            and not self.app.rebalancing
            and generation == self.app.consumer_generation_id
        )

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's
        if not self.app.rebalancing:
            return await super()._getmany(active_partitions, timeout)
        # Faust resumes the sources before it seeks them: until it is ready, only the changelog.
        changelogs = self.app.tables.changelog_topics
        own = {tp for tp in active_partitions or () if tp.topic in changelogs}
        if own:
            return await super()._getmany(own, timeout)
        return await asyncio.sleep(0.05, {})

    async def _rewind(self) -> None:
        """
        Go back to what was not handed over.

        Faust's own seek does nothing where nothing was committed yet.
        """
        again, self.skipped = self.skipped, {}
        with contextlib.suppress(IllegalStateError):  # revoked meanwhile
            await self.seek_wait({tp: at for tp, at in again.items() if tp in self.assignment()})

    async def _restore(self, tp: TP, rows: list[Any]) -> None:
        """Take in rows of the changelog; an app without one gets none."""
        raise AssertionError(f"no table reads {tp.topic}, and {len(rows)} rows came")

    async def _settle(self, generation: int) -> None:
        """
        Mark where it stands as done, not only what lies behind the last record.

        The last thing in a partition may be the marker of a transaction, which no record shows.
        """
        now = time.monotonic()
        if now - self._settled_at < SETTLE_S:
            return
        self._settled_at = now
        with contextlib.suppress(IllegalStateError):  # revoked meanwhile
            stands = await self.stands()
            if self._is_calm(generation):
                self.done.update(stands)

    async def stands(self) -> dict[TP, int]:
        """Where it goes on in each partition that is worked on; changelogs are not."""
        changelogs = self.app.tables.changelog_topics
        return await self._thread.positions(
            {tp for tp in self.assignment() if tp.topic not in changelogs}
        )

    async def verify_all_partitions_active(self) -> None:
        """Nothing: Faust's own look at this goes by acknowledgements; ours is `watchdog`."""

    async def _hand_over(self, rnd: PollRound) -> None:
        shell: Shell = self.app.shell
        tp, rows = next(iter(rnd.items()))
        message: Any = self._to_message(tp, rows[-1])
        message.key, message.value, message.headers = None, rnd, []
        await self.callback(message)
        # A round that Faust skips or clears is not finished, not committed, and read again.
        while (
            self.flow_active
            and not self.should_stop
            and not rnd.finished
            and message.generation_id == self.app.consumer_generation_id
        ):
            shell.woken.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(shell.woken.wait(), 1.0)

    def _filter_committable_offsets(self, tps: Iterable[TP]) -> dict[TP, int]:
        del tps
        # Faust's own bookkeeping, which nothing else would empty.
        self._acked.clear()
        self._acked_index.clear()
        # Offset 0, too: who looks on must know that somebody reads there, or its lag is unknown.
        committable = {}
        for tp, at in self.done.items():
            known = self._committed_offset[tp]
            if known is None or at > known:
                committable[tp] = at
        return committable

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """The round in flight is waited for and committed first."""
        await super().on_partitions_revoked(revoked)
        self.done, self.skipped = {}, {}


class IntakeConsumer(Consumer):
    """Reads the public topics."""

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Tell, too."""
        await super().on_partitions_revoked(revoked)
        self.app.status.enter("rebalancing")

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Tell, too."""
        await super().on_partitions_assigned(assigned, generation_id)
        status = self.app.status
        status.rebalances += 1
        status.partitions = {(tp.topic, tp.partition) for tp in assigned}
        status.enter("running")
        logger.info("worker.assigned", role="intake", count=len(assigned))


class IntakeTransport(driver.Transport):
    """``care-intake://``: rounds of the public topics."""

    Consumer = IntakeConsumer
    Producer = Producer
