"""How decide comes to own journal partitions: fence, read the changelog, check, go on.

A Faust table stands over the changelog, because then Faust chooses the assignor that keeps a
partition and its changelog together, pauses, seeks and says when it is ready.  Its content is
ours: whole polls go to `state.State`, and a partition that this process kept is not read again.
"""

from typing import Any, Final

from aiokafka.errors import KafkaError
from faust.stores import memory
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from orchestrator.stream.kafka.broker import BrokerAway
from orchestrator.stream.kafka.fenced_out import Producer
from orchestrator.stream.kafka.leaving import leave
from orchestrator.stream.kafka.rounds_in import Consumer
from orchestrator.stream.kafka.state import BadStateRow, State
from orchestrator.stream.kafka.topic_settings import STATE
from orchestrator.stream.status import Progress
from schemas.topics import JOURNAL

TABLE: Final = "state"


class Store(memory.Store[bytes, bytes]):
    """Tells Faust how far the changelog was read; the state itself lies in the shell."""

    app: Any

    @property
    def _state(self) -> State:
        state: State = self.app.shell.state
        return state

    def persisted_offset(self, tp: TP) -> int | None:
        """Where this process's state of a partition stands; not a row of it is read again."""
        part = self._state.parts.get(tp.partition)
        return None if part is None or part.offset < 0 else part.offset

    def apply_changelog_batch(self, batch: Any, to_key: Any, to_value: Any) -> None:
        """Nothing: `DecideConsumer` took it in already; Faust's way brings one row per poll."""

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """Drop what others own now."""
        del standby_tps
        owned = {tp.partition for tp in active_tps}
        consumer = self.app.consumer
        if owned != {tp.partition for tp in consumer.assignment() if tp.topic == JOURNAL}:
            # Faust would go on with an empty table.
            leave("no-changelog")
        self.app.shell.recovered(owned)


class DecideConsumer(Consumer):
    """Reads the journal; the changelog goes to the state."""

    # A transaction per partition costs more than intake's one request.
    pace_s = 0.05

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._last: dict[TP, Any] = {}
        self._restored = 0
        super().__init__(*args, **kwargs)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """No clock is appended and nothing is decided until the next assignment is recovered."""
        await super().on_partitions_revoked(revoked)
        self.app.shell.revoked()

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Fence the former owners before the changelog is read: from here on it cannot change."""
        self._last, self._restored = {}, 0
        try:
            await self.app.shell.own({tp.partition for tp in assigned if tp.topic == JOURNAL})
        except (KafkaError, BrokerAway, OSError) as problem:
            leave("fencing-failed", problem)
        await super().on_partitions_assigned(assigned, generation_id)

    async def _restore(self, tp: TP, rows: list[Any]) -> None:
        if tp in self.app.tables.recovery.active_tps:
            part = self.app.shell.state.part(tp.partition)
            fresh = [row for row in rows if row.offset > part.offset]
            if fresh:
                self._restored += len(fresh)
                self._tell_progress()
                try:
                    part.restore(fresh[-1].offset, fresh)
                except BadStateRow as problem:
                    leave("changelog-unreadable", problem)
            self._last[tp] = rows[-1]
            await self._past(tp)

    def _tell_progress(self) -> None:
        """Offsets, not rows, say how much there is: compaction leaves holes; close enough."""
        recovery = self.app.tables.recovery
        left = sum(
            max(
                0,
                (recovery.active_highwaters[tp] or 0)
                - self.app.shell.state.part(tp.partition).offset,
            )
            for tp in recovery.active_tps
        )
        self.app.status.recovery = Progress(self._restored, self._restored + left)

    async def _past(self, tp: TP) -> None:
        """
        Tell Faust how far the changelog was read.

        By the position: its last offset is a commit marker, which no record ever shows.
        """
        recovery = self.app.tables.recovery
        at = (await self.position(tp) or 0) - 1
        recovery.active_offsets[tp] = max(recovery.active_offsets[tp] or -1, at)
        if tp in self._last:
            await self.callback(self._to_message(tp, self._last[tp]))

    async def _wait_next_records(self, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's
        records, active = await super()._wait_next_records(timeout)
        recovery = self.app.tables.recovery
        if recovery.in_recovery and not records and self.flow_active:
            for tp in set(recovery.active_tps):
                await self._past(tp)
        return records, active

    async def perform_seek(self) -> None:
        """
        Go on where the state stands; the group's offsets are for display.

        A journal that does not reach back to that, or not so far, is another one or has lost
        records, and no state may be built on it.
        """
        await super().perform_seek()
        tps = {tp for tp in self.assignment() if tp.topic == JOURNAL}
        if not tps:
            return
        for tp in sorted(tps):
            journal = self.app.shell.state.part(tp.partition).meta.journal
            if journal not in ("", self.app.shell.journal):
                leave("journal-replaced", detail=f"{STATE.name} is not of this {JOURNAL}")
        following = {
            tp: self.app.shell.state.part(tp.partition).meta.following for tp in sorted(tps)
        }
        firsts, ends = await self.earliest_offsets(*tps), await self.highwaters(*tps)
        for tp, at in following.items():
            if not firsts[driver.ensure_aiokafka_TP(tp)] <= at <= (ends[tp] or 0):
                leave("journal-lost-records", detail=f"{STATE.name} knows more of {tp.partition}")
        await self.seek_wait(following)


class DecideTransport(driver.Transport):
    """``care-decide://``: rounds of the journal, fenced transactions out."""

    Consumer = DecideConsumer
    Producer = Producer
