"""Decides on a poll of the journal: one transaction per partition and round.

In it: outputs, changed rows of state with meta last, and the group's offset.  A round that the
processor has seen is committed or the process ends, because the processor remembers what it
computed.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

import orjson
import structlog

from orchestrator.core.instants import read
from orchestrator.stream.failpoints import hit
from orchestrator.stream.garbage import Sweeper
from orchestrator.stream.kafka.fenced_out import OutRow, Place, landed
from orchestrator.stream.kafka.leaving import leave
from orchestrator.stream.kafka.rounds_in import PollRound
from orchestrator.stream.kafka.site import Site
from orchestrator.stream.kafka.state import Meta, State
from orchestrator.stream.kafka.topic_settings import STATE
from orchestrator.stream.keys import partition_of
from orchestrator.stream.rounds import JournalRecord, Round
from orchestrator.stream.timekeeper import CLOCK_KEY
from orchestrator.stream.topic_layout import is_keyed
from schemas.topics import JOURNAL

ROUND_S: Final = 30.0

logger = structlog.get_logger()


class DecideShell:
    """
    The work of the decide app.

    Attributes:
        state: Of the partitions that this process owns.
        owned: Those that are recovered; none during a rebalance.
    """

    def __init__(self, site: Site, app: Any) -> None:
        self._site = site
        self._app = app
        self.state = State(site.partitions)
        self._processor = site.processor(self.state)
        self.owned: set[int] = set()
        self.woken = asyncio.Event()
        self._sweeper = Sweeper()

    # Owning

    def revoked(self) -> None:
        """All partitions may go to others."""
        self.owned = set()

    async def own(self, partitions: set[int]) -> None:
        """Fence the former owners of *partitions*, before their changelog is read."""
        group = self._site.group_of("decide")
        await self._app.producer.own({p: f"{group}-journal-{p}" for p in partitions})

    def recovered(self, partitions: set[int]) -> None:
        """The state of *partitions* is as its last owner left it."""
        hit("start.checked")
        self.state.keep(partitions)
        # A new one: patients in its memory may be of a partition that others owned meanwhile.
        self._processor = self._site.processor(self.state)
        self._sweeper.sweep()
        self.owned = set(partitions)
        logger.info("worker.recovered", role="decide", count=len(partitions))

    # Deciding

    async def handle(self, rnd: PollRound) -> None:
        """Commit all that follows from *rnd*, or end the process."""
        try:
            async with asyncio.timeout(ROUND_S):
                await asyncio.gather(
                    *(self._decide(tp.partition, rows) for tp, rows in rnd.items())
                )
        except Exception as problem:  # noqa: BLE001 - no exception may leave an agent
            leave("deciding-failed", problem)
        # For display: what counts is in the changelog, in the same transaction as what follows.
        self._app.consumer.done.update({tp: rows[-1].offset + 1 for tp, rows in rnd.items()})
        rnd.finished = True
        self.woken.set()
        self._sweeper.step()

    async def _decide(self, partition: int, rows: Sequence[Any]) -> None:
        part = self.state.part(partition)
        records, meta = _records(partition, rows, part.meta)
        if not records:
            return
        decided = self._processor.process(partition, records)
        hit("decide.processed")
        meta = meta._replace(state=decided.meta[1])
        out = self._outputs(decided)
        state = STATE.name, partition
        out[state] = [OutRow(key, value) for key, value in part.rows(decided, meta)]
        producer = self._app.producer
        fenced = producer.fenced[partition]
        async with fenced.transaction():
            hit("decide.state")
            flying = await producer.launch(out, fenced)
            await flying[0].future
            hit("decide.some")
            landings = await landed(flying)
            hit("decide.outputs")
            hit("decide.commit")
        part.commit(decided, meta, landings[state].last)
        hit("decide.committed")

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


def _records(partition: int, rows: Sequence[Any], meta: Meta) -> tuple[list[JournalRecord], Meta]:
    """The rows that come next, with stamps that never fall, and how far they lead."""
    records = []
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
        records.append(JournalRecord(partition, row.offset, stamp, key, row.value or b""))
    following = rows[-1].offset + 1 if rows else meta.following
    return records, Meta(max(meta.following, following), stamp, clock, meta.state)
