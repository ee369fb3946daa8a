"""What a worker knows of itself, as plain data: for ``/metrics``, ``/readyz`` and its watchdog.

Written by the worker's one event loop, read from any thread; nothing here decides anything.  Each
attribute names the series of ``interfaces.md`` §5 that shows it; ages are left to the reader, who
knows the time.  Labels are topics, partitions and configuration words, never a patient.
"""

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from orchestrator.stream.rounds import JournalRecord, Round

BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

Phase = Literal["starting", "rebalancing", "recovering", "running", "stopping"]


class Histogram:
    """Counts by upper bound; *counts* has one entry more than *bounds*, for what is beyond."""

    def __init__(self, bounds: tuple[float, ...] = BUCKETS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Holder(NamedTuple):
    """An input partition that intake has not passed, and that a clock therefore waits for."""

    topic: str
    partition: int


class Progress(NamedTuple):
    """How far a recovery is: rows of the changelog read, and to be read."""

    read: int
    rows: int


# After a commit: journal partition, what was decided on, what followed from it.
Observer = Callable[[int, Sequence[JournalRecord], Round], None]


@dataclass(slots=True)
class Status:
    """
    One role's counters and states; seconds are those of `time.monotonic`, instants microseconds.

    Attributes:
        phase: ``running``: it owns what it was given, and all of it is recovered.
        phase_since: Since when, in seconds.
        partitions: ``care_stream_partitions_owned``: journal partitions (decide), or all the
            input partitions as (topic, partition) (intake).
        recovery: ``care_stream_recovery_progress_ratio``; ``None``: nothing is being recovered.
        recovery_seconds: ``care_stream_recovery_seconds``.
        batch_seconds: ``care_stream_batch_seconds``: one poll round, read to committed.
        records: ``care_stream_records_total{topic,lane,result}``.  Intake knows no lane of what
            it parks, and leaves it empty.
        publish_errors: ``care_stream_publish_errors_total{topic}``; the process ends after one.
        rebalances: ``care_stream_rebalances_total``.
        committed_at: ``care_stream_commit_age_seconds{partition}``: when a partition's last
            transaction was committed, or it became ours, in seconds.
        clocks: ``care_stream_clock_age_seconds{partition}``: T of the last clock decided on.
        clock_held: ``care_stream_clock_held_seconds{partition,topic}``: since when (an instant)
            a clock waits for intake to pass that input partition.
        clock_jumps: ``care_stream_clock_jumps_total``.
        held: ``care_deadlines_held{cause}``: why no clock is appended (``lag``, ``clock-jump``,
            ``brokers``) and since when, an instant; empty: nothing is held.
        backlog: ``care_deadlines_backlog``: patients with a wake that has passed, not fired.
        observers: Called after each commit of decide, in its loop: keep them quick.
    """

    role: str
    phase: Phase = "starting"
    phase_since: float = field(default_factory=time.monotonic)
    partitions: set[int] | set[tuple[str, int]] = field(default_factory=set)
    recovery: Progress | None = None
    recovery_seconds: Histogram = field(default_factory=Histogram)
    batch_seconds: Histogram = field(default_factory=Histogram)
    records: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    publish_errors: Counter[str] = field(default_factory=Counter)
    rebalances: int = 0
    committed_at: dict[int, float] = field(default_factory=dict)
    clocks: dict[int, int] = field(default_factory=dict)
    clock_held: dict[Holder, int] = field(default_factory=dict)
    clock_jumps: int = 0
    held: dict[str, int] = field(default_factory=dict)
    backlog: int = 0
    observers: list[Observer] = field(default_factory=list)

    def enter(self, phase: Phase) -> None:
        """Note that *phase* began, unless it lasts already."""
        if phase != self.phase:
            self.phase, self.phase_since = phase, time.monotonic()
