"""Shows a runtime's own counts and states as metrics, at the moment of the scrape.

Nothing of this runs where records are decided: there plain numbers are counted (`status.Status`,
`work.Work`), and made into series here.
"""

import time
from collections.abc import Iterable
from importlib.metadata import version
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from orchestrator.core.instants import SECOND
from orchestrator.ops.families import ONE, histograms, numbers, one
from orchestrator.ops.names import BUILD, METRICS
from orchestrator.ops.work import Work
from orchestrator.stream.clock import Clock
from orchestrator.stream.status import Status

DECIDES: Final = ("decide", "up")


class RuntimeMetrics(Collector):
    """One role's series; *work* is that of a role that decides."""

    def __init__(self, status: Status, clock: Clock, work: Work) -> None:
        self._status = status
        self._clock = clock
        self._work = work

    def collect(self) -> Iterable[Metric]:
        """What Prometheus asks for."""
        yield from self._counts()
        if self._status.role in DECIDES:
            yield from self._clocks()
            yield from self._deadlines()
            yield from self._outcome()
            yield from self._handovers()

    def _counts(self) -> Iterable[Metric]:
        status, work = self._status, self._work
        # Intake and decide count different records, so their sum counts each once.
        yield from numbers("care_stream_records_total", status.records + work.records)
        yield from numbers("care_dead_letters_total", status.letters + work.letters)
        errors = {(topic,): count for topic, count in dict(status.publish_errors).items()}
        yield from numbers("care_stream_publish_errors_total", errors)
        yield from one("care_stream_rebalances_total", status.rebalances)

    def _clocks(self) -> Iterable[Metric]:
        status, now, mono = self._status, self._clock.now(), time.monotonic()
        # T 0: no clock was decided on yet, so it has no age.
        ages = {(str(p),): _seconds(now, at) for p, at in dict(status.clocks).items() if at}
        yield from numbers("care_stream_clock_age_seconds", ages)
        held = {
            (str(holder.partition), holder.topic): _seconds(now, since)
            for holder, since in dict(status.clock_held).items()
        }
        yield from numbers("care_stream_clock_held_seconds", held)
        # What another worker owns by now is that one's to tell.
        owned = status.partitions
        commits = {
            (str(p),): max(0.0, mono - at)
            for p, at in dict(status.committed_at).items()
            if p in owned
        }
        yield from numbers("care_stream_commit_age_seconds", commits)
        yield from one("care_stream_partitions_owned", len(status.partitions))
        yield from one("care_stream_recovery_progress_ratio", recovered(status))
        yield from one("care_stream_clock_jumps_total", status.clock_jumps)
        yield from histograms("care_stream_batch_seconds", {ONE: status.batch_seconds})
        yield from histograms("care_stream_recovery_seconds", {ONE: status.recovery_seconds})

    def _deadlines(self) -> Iterable[Metric]:
        status, work = self._status, self._work
        yield from one("care_deadlines_backlog", status.backlog)
        held = {(cause,): status.backlog for cause in ("lag", "clock-jump") if cause in status.held}
        yield from numbers("care_deadlines_held", held)
        yield from numbers("care_deadlines_fired_total", dict(work.fired))
        yield from one("care_deadlines_early_total", work.early)
        yield from histograms("care_deadline_fire_delay_seconds", dict(work.fire_delay))

    def _handovers(self) -> Iterable[Metric]:
        """As the last Round of each partition said; before the first nothing is known."""
        owned = self._status.partitions
        known = [tally for p, tally in dict(self._work.identity).items() if p in owned]
        since = [at for tally in known for at in tally.moving.values()]
        yield from one("care_identity_handovers", len(since) if known else None)
        oldest = _seconds(self._clock.now(), min(since)) if since else None
        yield from one("care_identity_handover_age_seconds", oldest)
        conflicts = sum(tally.conflicts for tally in known)
        yield from one("care_identity_conflicts", conflicts if known else None)

    def _outcome(self) -> Iterable[Metric]:
        work = self._work
        yield from numbers("care_stream_late_records_total", dict(work.late))
        yield from histograms("care_event_to_task_seconds", dict(work.event_to_task))
        yield from numbers("care_task_changes_total", dict(work.task_changes))
        yield from numbers("care_task_retractions_total", dict(work.retractions))
        yield from numbers("care_gap_changes_total", dict(work.gap_changes))


def recovered(status: Status) -> float | None:
    """How much of a recovery is done, 0 to 1; ``None``: none is going on and none was needed."""
    if status.recovery is None:
        return 1.0 if status.phase == "running" else None
    return status.recovery.read / status.recovery.rows if status.recovery.rows else 1.0


def registry(runtime: str, policy_version: str, *collectors: Collector) -> CollectorRegistry:
    """What one process shows: *collectors*, and which build it is."""
    made = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=made)
    build = METRICS[BUILD]
    info = Gauge(BUILD, build.help, build.labels, registry=made)
    info.labels(version("care-orchestrator"), runtime, policy_version).set(1)
    for collector in collectors:
        made.register(collector)
    return made


def _seconds(now: int, since: int) -> float:
    return max(0, now - since) / SECOND
