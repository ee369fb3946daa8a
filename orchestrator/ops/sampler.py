"""Looks at the log every ten seconds, in a thread of its own, and shows the last sample as metrics.

It runs outside the loop that decides: a worker that is stuck, or dead, is seen by its growing
lag.  While the log itself is away the last sample is not shown any more, only its age: old
offsets would look like a reader that keeps up.
"""

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Final

import structlog
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from orchestrator.log import describe
from orchestrator.ops.families import numbers, one
from orchestrator.ops.lag import UNKNOWN, Judge, Position, Sample
from orchestrator.ops.look import Look

EVERY_S: Final = 10.0
SOON_S: Final = 1.0
# A sample that is older than this tells nothing about now.
FRESH_S: Final = 3 * EVERY_S

logger = structlog.get_logger()


class Sampler(Collector):
    """
    Takes samples, keeps the last one, and exposes it.

    Args:
        opened: Opens what can be looked through; opened anew after a look failed.
        judge: Judges what was seen.
        told: Called with each sample, in the sampler's thread.
    """

    def __init__(
        self,
        opened: Callable[[], AbstractContextManager[Look]],
        judge: Judge,
        *,
        every_s: float = EVERY_S,
        told: Callable[[Sample], None] | None = None,
    ) -> None:
        self._opened = opened
        self._judge = judge
        self._every_s = every_s
        self._told = told
        self._last: tuple[Sample, float] | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lag-sampler", daemon=True)

    def start(self) -> None:
        """Begin, with a first sample at once."""
        self._thread.start()

    def stop(self) -> None:
        """End; waits for the look at hand."""
        self._stopping.set()
        self._thread.join()

    @property
    def lives(self) -> bool:
        """Whether it goes on looking."""
        return self._thread.is_alive()

    @property
    def sample(self) -> Sample | None:
        """The last one, unless it is too old to speak of now."""
        last = self._last
        return None if last is None or time.monotonic() - last[1] > FRESH_S else last[0]

    @property
    def age_s(self) -> float | None:
        """Since the last one; ``None``: there was none yet."""
        last = self._last
        return None if last is None else time.monotonic() - last[1]

    def collect(self) -> Iterable[Metric]:
        """What Prometheus asks for."""
        yield from one("care_lag_sample_age_seconds", self.age_s)
        if self.sample is not None:
            yield from families(self.sample)

    def _run(self) -> None:
        away = False
        while not self._stopping.is_set():
            try:
                with self._opened() as look:
                    while True:
                        self._take(look)
                        if away:
                            logger.info("lag.sampled")
                        away = False
                        if self._stopping.wait(self._pause_s()):
                            return
            except Exception as problem:  # noqa: BLE001 - whatever it is, the next look may do
                if not away:
                    logger.warning("lag.unavailable", detail=describe(problem)[:200])
                away = True
                self._stopping.wait(self._every_s)

    def _pause_s(self) -> float:
        """Until the next look; soon, while nothing is known: a process that just started."""
        sample = self.sample
        known = sample is not None and any(p.state != UNKNOWN for p in sample.positions)
        return self._every_s if known else min(self._every_s, SOON_S)

    def _take(self, look: Look) -> None:
        seen = look.look()
        sample = self._judge.judge(
            seen.readings, seen.at, seen.cluster, seen.bounds, seen.deadlines, seen.clock
        )
        self._last = sample, time.monotonic()
        if self._told is not None:
            self._told(sample)


def families(sample: Sample) -> Iterable[Metric]:
    """A sample under kafka-lag-exporter's names; what is not known is not there."""
    cluster = sample.cluster

    def at(position: Position) -> tuple[str, ...]:
        reading = position.reading
        return cluster, reading.group, reading.topic, str(reading.partition)

    prefix = "kafka_consumergroup_group"
    found = sample.positions
    done = {at(p): float(p.reading.done) for p in found if p.reading.done is not None}
    yield from numbers(f"{prefix}_offset", done)
    yield from numbers(f"{prefix}_lag", {at(p): p.lag for p in found if p.lag is not None})
    seconds = {at(p): p.seconds for p in found if p.seconds is not None}
    yield from numbers(f"{prefix}_lag_seconds", seconds)
    groups = list(sample.groups())
    for name, values in (
        ("max_lag", {g.name: g.max_lag for g in groups}),
        ("max_lag_seconds", {g.name: g.max_seconds for g in groups}),
        ("sum_lag", {g.name: g.sum_lag for g in groups}),
    ):
        known = {(cluster, group): value for group, value in values.items() if value is not None}
        yield from numbers(f"{prefix}_{name}", known)
    by_topic = {
        (cluster, g.name, topic): float(lag) for g in groups for topic, lag in g.by_topic().items()
    }
    yield from numbers(f"{prefix}_topic_sum_lag", by_topic)
    parts = {(cluster, one.topic, str(one.partition)): one for one in sample.bounds}
    latest = {labels: float(bounds.end) for labels, bounds in parts.items()}
    earliest = {labels: float(bounds.first) for labels, bounds in parts.items()}
    yield from numbers("kafka_partition_latest_offset", latest)
    yield from numbers("kafka_partition_earliest_offset", earliest)
