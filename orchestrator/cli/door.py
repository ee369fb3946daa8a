"""The operators' door of a process: opens the port, says where, and serves while the work lasts."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from orchestrator.cli import on_kafka, site

if TYPE_CHECKING:
    from prometheus_client.registry import Collector

    from orchestrator.ops.health import Check
    from orchestrator.ops.lag import Sample
    from orchestrator.ops.look import Look
    from orchestrator.ops.sampler import Sampler
    from orchestrator.settings import Settings
    from orchestrator.stream.clock import Clock
    from orchestrator.stream.status import Status

# interfaces.md §0
UP: Final = 8010
WORKER: Final = 8012
_MICRO: Final = 1_000_000

logger = structlog.get_logger()


class Part(NamedTuple):
    """What a part of a process shows to operators."""

    collectors: "Sequence[Collector]"
    checks: "Callable[[], Sequence[Check]]"


def looks(here: "Settings") -> "Callable[[], AbstractContextManager[Look]]":
    """What opens a look at the log or the brokers that the settings name."""
    if on_kafka.is_chosen(here):
        from orchestrator.ops import look_kafka

        kafka = on_kafka.brokers(here)
        return lambda: look_kafka.looking(kafka, here.group)
    from orchestrator.ops import look_embedded

    return lambda: look_embedded.looking(here.data_dir, here.group)


def sampler(
    here: "Settings",
    status: "Status | None" = None,
    also: "Callable[[Sample], None] | None" = None,
) -> "Sampler":
    """
    The sampler of lag, not started.

    Args:
        status: Learns from it what a loop at work may not.
        also: Told of each sample.
    """
    from orchestrator.ops.lag import Judge
    from orchestrator.ops.sampler import Sampler

    def told(sample: "Sample") -> None:
        if status is not None and sample.deadlines is not None:
            status.backlog = sample.deadlines
        if also is not None:
            also(sample)

    behind = int(here.behind_after.total_seconds() * _MICRO)
    # Who has not moved for as long as it may be behind is not moving.
    return Sampler(looks(here), Judge(behind, stalled_us=behind), told=told)


def policy_version(here: "Settings") -> str:
    """Of the policy that is in force now."""
    from orchestrator.stream.clock import RealClock

    now = datetime.fromtimestamp(RealClock().now() / _MICRO, UTC)
    return [p for p in site.policies_of(here) if p.effective_from <= now][-1].version


@contextmanager
def of_status(
    here: "Settings",
    status: "Status",
    clock: "Clock",
    *,
    runtime: str,
    usual: int,
    lag: "Sampler | None" = None,
    beside: "Part | None" = None,
) -> Iterator[None]:
    """
    Serve what a runtime's *status* says, while it runs; a child, to its parent.

    Args:
        usual: The port of this kind of process, where the settings name none.
        beside: What else runs in this process.
        lag: Shown, too; started and stopped here.
    """
    from orchestrator.ops import children, health, http, metrics, server
    from orchestrator.ops.work import Work

    work = Work(clock)
    status.observers.append(work)
    version = policy_version(here)
    collectors = [metrics.RuntimeMetrics(status, clock, work), *([lag] if lag else [])]
    collectors += beside.collectors if beside else []
    registry = metrics.registry(runtime, version, *collectors)

    def asked() -> health.Health:
        said = health.of_runtime(status, clock, version, lag)
        return said._replace(checks=(*said.checks, *(beside.checks() if beside else ())))

    door = http.app(registry, asked, runtime)
    entry = children.own_socket(status.role) or server.bound(here.host, here.ops_port, usual)
    with server.served(door, entry) as port:
        where = {"port": port} if port else {}  # a child's parent says where
        logger.info("process.started", role=status.role, runtime=runtime, **where)
        logger.info("policy.loaded", policy_version=version)
        if lag is not None:
            lag.start()
        try:
            yield
        finally:
            if lag is not None:
                lag.stop()


@contextmanager
def of_part(here: "Settings", part: Part, *, role: str, usual: int) -> Iterator[None]:
    """Serve what a process says that has no runtime of its own."""
    from orchestrator.ops import health, http, metrics, server

    registry = metrics.registry(here.runtime, policy_version(here), *part.collectors)
    # Who answers lives: it is asked from another thread than its own, whose checks tell the rest.
    door = http.app(registry, lambda: health.Health(True, tuple(part.checks())), here.runtime)
    with server.served(door, server.bound(here.host, here.ops_port, usual)) as port:
        logger.info("process.started", role=role, runtime=here.runtime, port=port)
        yield


@contextmanager
def of_children(here: "Settings", roles: "Sequence[str]") -> Iterator[None]:
    """Serve what the processes say that are started meanwhile, one for each of *roles*."""
    from orchestrator.ops import children, server

    with children.folder() as folder:
        door = children.app([folder / role for role in roles], "kafka")
        with server.served(door, server.bound(here.host, here.ops_port, WORKER)) as port:
            logger.info("process.started", role="worker", runtime="kafka", port=port)
            yield


@contextmanager
def of_lag(here: "Settings", lag: "Sampler") -> Iterator[None]:
    """Serve lag alone: a process that looks on, and lives when the workers do not."""
    from orchestrator.ops import health, http, metrics, server

    version = policy_version(here)
    registry = metrics.registry(here.runtime, version, lag)

    def asked() -> health.Health:
        return health.Health(lag.lives, (health.of_lag(lag),))

    door = http.app(registry, asked, here.runtime)
    with server.served(door, server.bound(here.host, here.ops_port, UP)) as port:
        logger.info("process.started", role="lag", runtime=here.runtime, port=port)
        lag.start()
        try:
            yield
        finally:
            lag.stop()
