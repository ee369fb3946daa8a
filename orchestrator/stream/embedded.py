"""The embedded runtime: intake, clock and decisions in one process over the SQLite log.

One turn of the loop: what lies in the public topics is taken into the journal, with the clocks
that are due (`inflow`, one transaction); then, per journal partition, the processor turns the
new records into a Round, which is committed whole (`store.commit_round`, one transaction); when
there is nothing else to do, some old records are removed (`prune`).

Kill it anywhere and start it again: what was committed stands, the rest is done again with the
same bytes.  A Round that the processor has computed is committed or the process ends, because
the processor may keep what it computed in memory.  A full disk is waited for; a disk that failed
to sync is not.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from orchestrator.core.instants import SECOND
from orchestrator.stream import log_file
from orchestrator.stream.clock import Clock
from orchestrator.stream.failpoints import hit
from orchestrator.stream.garbage import Sweeper
from orchestrator.stream.inflow import Inflow
from orchestrator.stream.intake import Result
from orchestrator.stream.keys import patient_key
from orchestrator.stream.log_errors import LogError, LogMismatch
from orchestrator.stream.prune import Pruner
from orchestrator.stream.rounds import JournalRecord, Processor, Round, Store
from orchestrator.stream.sqlite_log import Log
from orchestrator.stream.status import Holder, Status
from orchestrator.stream.store import LogStore, commit_round
from orchestrator.stream.timekeeper import JUMP, LAG, Timekeeper
from schemas.facilities import Facilities
from schemas.topics import JOURNAL

# Beyond this the structure is not read through at each start; rows are still checked when read.
CHECK_BYTES: Final = 512 * 1024 * 1024

logger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Pace:
    """How much at a time and how often; of what is published only the clock's instants depend."""

    # A commit waits for the disk some milliseconds, so a backlog is worked off in large bites.
    intake_records: int = 3000
    decide_records: int = 1000
    sign_of_life: int = 30 * SECOND  # of the log's clock
    poll_s: float = 0.05
    retry_s: float = 1.0


@dataclass(slots=True)
class Health:
    """What this process did so far, and what holds it up."""

    published: int = 0
    results: Counter[tuple[str, Result]] = field(default_factory=Counter)  # of inputs, by topic
    unavailable: str | None = None  # why the log cannot be written at the moment


class Runtime:
    """The loop.  Everything it knows of what was done before it reads from the log at start."""

    def __init__(
        self,
        log: Log,
        processor: Callable[[Store], Processor],
        facilities: Facilities,
        site_key: bytes,
        pace: Pace | None = None,
    ) -> None:
        self.log = log
        self.pace = pace or Pace()
        self.health = Health()
        self.store = LogStore(log)
        self._check_site_key(site_key)
        self.status = Status("up")
        self.timekeeper = Timekeeper(log, self.pace.sign_of_life)
        self.inflow = Inflow(log, facilities, site_key, self.timekeeper, self.status)
        self.health.results = self.inflow.results
        partitions = range(log.partitions)
        self.positions = [self.store.position(p) for p in partitions]
        self._wakes = [self.store.first_wake(p) for p in partitions]
        self._processor = processor(self.store)
        self._pruner = Pruner(log)
        self._stopping = False
        self.status.partitions = set(partitions)
        self.status.committed_at = dict.fromkeys(partitions, time.monotonic())

    def stop(self) -> None:
        """End `run` after the transaction at hand; safe in a signal handler and another thread."""
        self._stopping = True

    def run(self) -> None:
        """
        Turn until `stop`.

        Raises:
            LogError: The log cannot be gone on with; nothing half was written.
        """
        self.status.enter("running")
        logger.info("process.ready", role="up", partitions=self.log.partitions)
        sweeper = Sweeper(answers=True)  # the worklist is in this process
        while not self._stopping:
            if not self.turn():
                sweeper.step()
                self._sleep(self.pace.poll_s)
        self.status.enter("stopping")
        hit("stop.draining")
        logger.info("process.stopped", role="up")

    def turn(self) -> bool:
        """One turn of the loop; whether there was anything to do."""
        self.status.turned = time.monotonic()
        # Decide first: the wakes that the clock is measured against are those of a journal that
        # was decided to its end.
        decided = self._decide_all()
        took = False
        try:
            self.timekeeper.watch()
            took = not self._stopping and self.inflow.step(self.pace.intake_records, self._wakes)
        except LogError as refusal:
            self._wait_for(refusal)
        else:
            self._is_available()
        self._tell_of_clocks()
        if not took and not decided and self.timekeeper.held != JUMP:
            now = min(self.timekeeper.last)
            self._pruner.step(self.positions, self.inflow.positions, now)
        return took or decided

    def _decide_all(self) -> bool:
        """Decide what lies in the journal, to its end: Rounds may append to other partitions."""
        decided = False
        again = True
        while again and not self._stopping:
            again = False
            for partition, end in enumerate(self.log.end_offsets(JOURNAL)):
                while self.positions[partition] < end and not self._stopping:
                    self._decide(partition)
                    again = decided = True
        return decided

    def _decide(self, partition: int) -> None:
        start = self.positions[partition]
        began = self.status.turned = time.monotonic()
        records = [
            JournalRecord(partition, r.offset, r.stamp, r.key or "", r.value or b"")
            for r in self.log.read(JOURNAL, partition, start, self.pace.decide_records)
        ]
        if not records or [r.offset for r in records] != list(range(start, start + len(records))):
            raise LogMismatch(f"{self.log.where}: {JOURNAL}-{partition} has a hole")
        rnd = self._processor.process(partition, records)
        hit("decide.processed")
        while True:
            try:
                commit_round(self.log, rnd, start + len(records))
                break
            except LogError as refusal:
                self._wait_for(refusal)
                if self._stopping:
                    return
        self._is_available()
        self._tell_of_round(partition, records, rnd, began)
        self.health.published += len(rnd.outputs)
        self.positions[partition] = start + len(records)
        self._wakes[partition] = self.store.first_wake(partition)

    def _wait_for(self, refusal: LogError) -> None:
        """Wait a moment if the same write can succeed later, else pass *refusal* on."""
        if not refusal.retriable:
            raise refusal
        if self.health.unavailable is None:
            logger.error("log.unavailable", reason=type(refusal).__name__)
        self.health.unavailable = self.status.unavailable = type(refusal).__name__
        self.status.publish_errors[JOURNAL] += 1
        self.log.shrink()
        self._sleep(self.pace.retry_s)

    def _is_available(self) -> None:
        self.health.unavailable, self.status.unavailable = None, ""

    def _sleep(self, seconds: float) -> None:
        # In short naps: a signal handler sets a flag and cannot shorten a sleep.
        until = time.monotonic() + seconds
        while not self._stopping and (left := until - time.monotonic()) > 0:
            self.status.turned = time.monotonic()
            time.sleep(min(left, 0.05))

    def _tell_of_round(
        self, partition: int, records: list[JournalRecord], rnd: Round, began: float
    ) -> None:
        """What is durable now, for metrics."""
        self.status.committed_at[partition] = now = time.monotonic()
        self.status.batch_seconds.observe(now - began)
        for observer in self.status.observers:
            observer(partition, records, rnd)

    def _tell_of_clocks(self) -> None:
        status, keeper = self.status, self.timekeeper
        status.clocks = dict(enumerate(keeper.last))
        status.clock_jumps = keeper.jumps
        status.held = {keeper.held: keeper.held_since} if keeper.held else {}
        status.clock_held = (
            {Holder(topic, 0): keeper.held_since for topic in self.inflow.untaken()}
            if keeper.held == LAG
            else {}
        )

    def _check_site_key(self, site_key: bytes) -> None:
        print_ = patient_key(site_key, "care-orchestrator|site-key")
        known = self.log.note("site-key")
        if known is None:
            with self.log.transaction() as transaction:
                transaction.note("site-key", print_)
        elif known != print_:
            raise LogMismatch(
                f"{self.log.where}: the log was written with another site key; with this one no"
                " patient would be found again"
            )


@contextmanager
def opened(
    folder: Path,
    processor: Callable[[Store], Processor],
    facilities: Facilities,
    site_key: bytes,
    *,
    partitions: int,
    clock: Clock | None = None,
    pace: Pace | None = None,
) -> Iterator[Runtime]:
    """
    The runtime of *folder*, whose log is made if there is none; no second one can be opened.

    Args:
        processor: Makes the processor over the store it is given.
        clock: For a new log; one that exists keeps the clock it was made with.

    Raises:
        LogError: The log cannot be used; says why.
    """
    log_file.create(folder, partitions, clock.written if clock else "real")
    descriptor = log_file.lock(folder)
    try:
        with Log.open(folder, owner=True, partitions=partitions) as log:
            hit("start.opened")
            if (folder / log_file.FILE).stat().st_size <= CHECK_BYTES:
                log_file.check_pages(log.connection, log.where)
            runtime = Runtime(log, processor, facilities, site_key, pace)
            hit("start.checked")
            yield runtime
    finally:
        log_file.unlock(descriptor)
