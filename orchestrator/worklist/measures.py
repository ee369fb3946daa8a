"""The worklist's metrics (``interfaces.md`` 5); labels are words of the program alone."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from orchestrator.ops.families import numbers, one
from orchestrator.ops.names import METRICS

REGISTRY: Final = CollectorRegistry()
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

logger = structlog.get_logger()


def _counter(name: str) -> Counter:
    return Counter(name, METRICS[name].help, METRICS[name].labels, registry=REGISTRY)


def _histogram(name: str) -> Histogram:
    of = METRICS[name]
    return Histogram(name, of.help, of.labels, registry=REGISTRY, buckets=_BUCKETS)


REQUESTS: Final = _counter("care_http_requests_total")
REQUEST_SECONDS: Final = _histogram("care_http_request_seconds")
ACTIONS: Final = _counter("care_worklist_actions_total")
ACTION_SECONDS: Final = _histogram("care_worklist_action_seconds")
AUDIT_RECORDS: Final = _counter("care_audit_records_total")
AUDIT_FAILURES: Final = _counter("care_audit_failures_total")
AUTH_FAILURES: Final = _counter("care_auth_failures_total")
LETTER_RETRIES: Final = _counter("care_dead_letter_retries_total")
BREAK_GLASS: Final = _counter("care_break_glass_total")
_STREAMS: Final = "care_worklist_streams"
STREAMS: Final = Gauge(_STREAMS, METRICS[_STREAMS].help, registry=REGISTRY)


def auth_failed(cause: str) -> None:
    """Count that somebody was not let in, and say so in the log; *cause* is a word of ours."""
    AUTH_FAILURES.labels(cause).inc()
    logger.warning("auth.failed", reason=cause)


class Progress(Collector):
    """
    How far the read model is; absent while that is not known, never 0 by default.

    Args:
        left: By topic, how many records lie ahead.
        age: Seconds since the instant up to which everything is in it.
    """

    def __init__(
        self, left: Callable[[], Mapping[str, int] | None], age: Callable[[], float | None]
    ) -> None:
        self._left = left
        self._age = age

    def collect(self) -> Iterable[Metric]:
        left = {(topic,): float(number) for topic, number in (self._left() or {}).items()}
        yield from numbers("care_worklist_projection_lag_records", left)
        yield from one("care_worklist_projection_age_seconds", self._age())
