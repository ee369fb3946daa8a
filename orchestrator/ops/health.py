"""Whether a process lives and whether it is ready, as ``/healthz`` and ``/readyz`` answer it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from orchestrator.core.instants import SECOND, written
from orchestrator.ops.metrics import recovered
from orchestrator.ops.sampler import Sampler
from orchestrator.stream.clock import Clock
from orchestrator.stream.status import Status

NOT_READY: Final = "not-ready"
# Degraded: it works, and what it shows is behind.
Readiness = Literal["ready", "degraded", "not-ready"]
_WORST: Final[tuple[Readiness, ...]] = ("not-ready", "degraded", "ready")

# A round may take 30 s before the worker ends itself; a loop that stands longer is dead.
ALIVE_S: Final = 45.0


@dataclass(frozen=True, slots=True)
class Check:
    """
    One thing that must hold.

    Attributes:
        name: ``log partitions recovery clock projection audit disk policy keys``.
        since: When it began to be as it is, an instant; ``None``: not known.
        progress: 0 to 1, of what takes a while.
    """

    name: str
    status: Readiness
    detail: str = ""
    since: str | None = None
    progress: float | None = None


class Health(NamedTuple):
    """What a process says of itself."""

    alive: bool
    checks: tuple[Check, ...]

    @property
    def status(self) -> Readiness:
        """The worst of the checks."""
        found = {check.status for check in self.checks}
        return next((status for status in _WORST if status in found), "ready")

    @property
    def ready(self) -> bool:
        """Whether it can do its work."""
        return self.alive and self.status != NOT_READY

    def body(self, version: str, runtime: str) -> dict[str, Any]:
        """What ``/readyz`` answers."""
        status = self.status if self.alive else NOT_READY
        checks = [
            {
                "name": check.name,
                "status": check.status,
                "detail": check.detail,
                "since": check.since,
                "progress": check.progress,
            }
            for check in self.checks
        ]
        return {"status": status, "version": version, "runtime": runtime, "checks": checks}


Asked = Callable[[], Health]


def of_runtime(
    status: Status, clock: Clock, policy_version: str, sampler: Sampler | None = None
) -> Health:
    """The health of a process that runs a role of a runtime."""
    alive = time.monotonic() - status.turned < ALIVE_S
    checks = [
        _log(status),
        _partitions(status, clock) if alive else Check("partitions", "not-ready", "stuck"),
        _recovery(status, clock),
        _clock(status),
        Check("policy", "ready", policy_version),
    ]
    if status.role == "up":
        full = status.unavailable == "LogFull"
        checks.append(Check("disk", "not-ready" if full else "ready", "full" if full else ""))
    if sampler is not None:
        checks[0] = worse(checks[0], of_lag(sampler))
    return Health(alive, tuple(checks))


def of_lag(sampler: Sampler) -> Check:
    """Whether all that lies in the log was taken in and decided, as the last sample saw it."""
    sample = sampler.sample
    if sample is None:
        detail = "not looked at yet" if sampler.age_s is None else "away"
        return Check("log", "not-ready", detail)
    behind = [one for one in sample.positions if one.state != "OK"]
    if not behind:
        return Check("log", "ready")
    unknown = sum(one.state == "UNKNOWN" for one in behind)
    detail = f"of {len(sample.positions)} partitions {len(behind) - unknown} behind"
    return Check("log", "degraded", f"{detail}, {unknown} unknown")


def worse(one: Check, other: Check) -> Check:
    """That of the two which says more."""
    return min(one, other, key=lambda check: _WORST.index(check.status))


def _log(status: Status) -> Check:
    if status.unavailable:
        return Check("log", "not-ready", status.unavailable)
    since = status.held.get("brokers")
    if since is not None:
        return Check("log", "not-ready", "no broker answers", written(since))
    return Check("log", "ready")


def _partitions(status: Status, clock: Clock) -> Check:
    detail = f"{len(status.partitions)} owned"
    since = _phase_since(status, clock)
    if status.phase in ("running", "recovering"):
        return Check("partitions", "ready", detail, since)
    return Check("partitions", "not-ready", status.phase, since)


def _recovery(status: Status, clock: Clock) -> Check:
    if status.phase == "recovering":
        since = _phase_since(status, clock)
        return Check("recovery", "not-ready", "reading state", since, recovered(status))
    running = status.phase == "running"
    return Check("recovery", "ready" if running else "not-ready", progress=recovered(status))


def _clock(status: Status) -> Check:
    causes = sorted(cause for cause in status.held if cause != "brokers")
    if not causes:
        return Check("clock", "ready")
    return Check("clock", "degraded", f"held: {causes[0]}", written(status.held[causes[0]]))


def _phase_since(status: Status, clock: Clock) -> str:
    lasted = time.monotonic() - status.phase_since
    return written(clock.now() - int(lasted * SECOND))
