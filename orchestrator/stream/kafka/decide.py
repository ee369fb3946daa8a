"""Decides on a poll of the journal: one transaction per partition and round.

In it: outputs, changed rows of state, and meta last, which says how far the journal was decided on.
The group's own offset follows a moment later and is for display.  A round that the processor has
seen is committed or the process ends, because the processor remembers what it computed.
"""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Any, Final

import orjson
import structlog

from orchestrator.core.instants import read
from orchestrator.stream.clock import RealClock
from orchestrator.stream.failpoints import hit
from orchestrator.stream.garbage import Sweeper
from orchestrator.stream.kafka.belief import Belief
from orchestrator.stream.kafka.broker import admin
from orchestrator.stream.kafka.fenced_out import OutRow, Place, landed
from orchestrator.stream.kafka.leaving import leave
from orchestrator.stream.kafka.misplaced import parted
from orchestrator.stream.kafka.operating import ORDERS
from orchestrator.stream.kafka.rounds_in import PollRound
from orchestrator.stream.kafka.site import Site
from orchestrator.stream.kafka.state import Meta, State
from orchestrator.stream.kafka.topic_settings import STATE
from orchestrator.stream.keys import partition_of
from orchestrator.stream.rounds import JournalRecord, Round
from orchestrator.stream.status import Status
from orchestrator.stream.timekeeper import CLOCK_KEY
from orchestrator.stream.topic_layout import is_keyed
from schemas.topics import JOURNAL

COMMIT_S: Final = 30.0  # what brokers may take for one transaction

logger = structlog.get_logger()


class DecideShell:
    """
    The work of the decide app.

    Attributes:
        state: Of the partitions that this process owns.
        owned: Those that are recovered; none during a rebalance.
        belief: Whether time may be believed; its references are kept in meta.
        journal: The id of the journal topic.
        orders: What operators wrote into the journal, for `clockwork`.
    """

    def __init__(self, site: Site, app: Any, status: Status) -> None:
        self._site = site
        self._app = app
        self._status = status
        self.belief = Belief(RealClock())
        self.journal = ""
        self.orders: deque[dict[str, Any]] = deque()
        self.state = State(site.partitions)
        self._processor = site.processor(self.state)
        self.owned: set[int] = set()
        self.woken = asyncio.Event()
        self._sweeper = Sweeper()

    # Owning

    def revoked(self) -> None:
        """All partitions may go to others."""
        self.owned = set()
        self._status.partitions = set()
        self._status.enter("rebalancing")

    async def own(self, partitions: set[int]) -> None:
        """Fence the former owners of *partitions*, before their changelog is read."""
        group = self._site.group_of("decide")
        await self._app.producer.own({p: f"{group}-journal-{p}" for p in partitions})
        async with admin(self._site.kafka) as broker:
            self.journal = await broker.topic_id(JOURNAL)
        self._status.rebalances += 1
        self._status.enter("recovering")

    def recovered(self, partitions: set[int]) -> None:
        """The state of *partitions* is as its last owner left it."""
        hit("start.checked")
        self.state.keep(partitions)
        # A new one: patients in its memory may be of a partition that others owned meanwhile.
        self._processor = self._site.processor(self.state)
        self._sweeper.sweep()
        self.belief.resume(self.state.part(p).meta.believed for p in partitions)
        self.owned = set(partitions)
        status = self._status
        status.recovery = None
        status.recovery_seconds.observe(time.monotonic() - status.phase_since)
        status.partitions = set(partitions)
        status.committed_at = dict.fromkeys(partitions, time.monotonic())
        status.enter("running")
        logger.info("worker.recovered", role="decide", count=len(partitions))

    # Deciding

    async def handle(self, rnd: PollRound) -> None:
        """Commit all that follows from *rnd*, or end the process."""
        began = time.monotonic()
        try:
            await asyncio.gather(*(self._decide(tp.partition, rows) for tp, rows in rnd.items()))
        except Exception as problem:  # noqa: BLE001 - no exception may leave an agent
            self._status.publish_errors[JOURNAL] += 1
            leave("deciding-failed", problem)
        # For display: what counts is in the changelog, in the same transaction as what follows.
        self._app.consumer.done.update({tp: rows[-1].offset + 1 for tp, rows in rnd.items()})
        rnd.finished = True
        self.woken.set()
        self._status.batch_seconds.observe(time.monotonic() - began)
        self._sweeper.step()

    async def _decide(self, partition: int, rows: Sequence[Any]) -> None:
        part = self.state.part(partition)
        records, meta, orders = _records(partition, rows, part.meta)
        if not records:
            return
        ours, letters = parted(records, self._site.partitions)
        decided = self._processor.process(partition, ours)
        decided.outputs += letters
        hit("decide.processed")
        meta = meta._replace(
            state=decided.meta[1], journal=self.journal, believed=self.belief.written
        )
        out = self._outputs(decided)
        state = STATE.name, partition
        out[state] = [OutRow(key, value) for key, value in part.rows(decided, meta)]
        producer = self._app.producer
        fenced = producer.fenced[partition]
        # Nothing is aborted here: whoever fails leaves, and the next owner's fence aborts it.
        async with asyncio.timeout(COMMIT_S):
            await fenced.begin_transaction()
            hit("decide.state")
            flying = await producer.launch(out, fenced)
            await flying[0].future
            hit("decide.some")
            landings = await landed(flying)
            hit("decide.outputs")
            hit("decide.commit")
            await fenced.commit_transaction()
        part.commit(decided, meta, landings[state].last)
        hit("decide.committed")
        self.orders += orders
        self._status.committed_at[partition] = time.monotonic()
        for observe in self._status.observers:
            observe(partition, records, decided)

    def _outputs(self, decided: Round) -> dict[Place, list[OutRow]]:
        outputs: dict[Place, list[OutRow]] = defaultdict(list)
        for out in decided.outputs:
            # Dead letters have one partition, wherever their patient's outputs lie.
            where = (out.partition or 0) if is_keyed(out.topic) else 0
            headers = [(name, text.encode()) for name, text in (out.headers or {}).items()]
            outputs[out.topic, where].append(OutRow(out.key.encode(), out.value, headers))
        for key, value in decided.journal:
            where = partition_of(key, self._site.partitions)
            outputs[JOURNAL, where].append(OutRow(key.encode(), value))
        return outputs


def _records(
    partition: int, rows: Sequence[Any], meta: Meta
) -> tuple[list[JournalRecord], Meta, list[dict[str, Any]]]:
    """The rows that come next, with stamps that never fall, how far they lead, and orders."""
    records, orders = [], []
    stamp, clock = meta.stamp, meta.clock
    for row in rows:
        if row.offset < meta.following:
            continue  # read again after a rebalance
        stamp = max(stamp, row.timestamp * 1000)
        key = "" if row.key is None else row.key.decode()
        if key == CLOCK_KEY:
            value = orjson.loads(row.value)
            if value["kind"] == "clock":
                clock = max(clock, read(value["at"]))
            elif value["kind"] in ORDERS:
                orders.append(value)
        records.append(JournalRecord(partition, row.offset, stamp, key, row.value or b""))
    following = rows[-1].offset + 1 if rows else meta.following
    meta = meta._replace(following=max(meta.following, following), stamp=stamp, clock=clock)
    return records, meta, orders
