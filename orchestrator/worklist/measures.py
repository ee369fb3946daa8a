"""The worklist's metrics (``interfaces.md`` 5); labels are words of the program alone."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

REGISTRY: Final = CollectorRegistry()
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

REQUESTS: Final = Counter(
    "care_http_requests_total",
    "Requests answered.",
    ["app", "route", "method", "status"],
    registry=REGISTRY,
)
REQUEST_SECONDS: Final = Histogram(
    "care_http_request_seconds",
    "From the request's first byte to the answer's.",
    ["app", "route", "method"],
    registry=REGISTRY,
    buckets=_BUCKETS,
)
ACTIONS: Final = Counter(
    "care_worklist_actions_total",
    "What became of actions.",
    ["action", "result"],
    registry=REGISTRY,
)
ACTION_SECONDS: Final = Histogram(
    "care_worklist_action_seconds",
    "From an action to its answer.",
    ["action"],
    registry=REGISTRY,
    buckets=_BUCKETS,
)
AUDIT_RECORDS: Final = Counter(
    "care_audit_records_total", "Audit records written.", ["action"], registry=REGISTRY
)
AUDIT_FAILURES: Final = Counter(
    "care_audit_failures_total", "Audit records that could not be written.", registry=REGISTRY
)
AUTH_FAILURES: Final = Counter(
    "care_auth_failures_total", "Credentials refused.", ["cause"], registry=REGISTRY
)
BREAK_GLASS: Final = Counter(
    "care_break_glass_total", "Patients opened by break-glass.", registry=REGISTRY
)
STREAMS: Final = Gauge("care_worklist_streams", "Open live streams.", registry=REGISTRY)


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
        left, age = self._left(), self._age()
        if left is not None:
            family = GaugeMetricFamily(
                "care_worklist_projection_lag_records",
                "Records that the read model has not taken in yet.",
                labels=("topic",),
            )
            for topic, number in left.items():
                family.add_metric([topic], number)
            yield family
        if age is not None:
            yield GaugeMetricFamily(
                "care_worklist_projection_age_seconds",
                "How old what the read model tells may be.",
                value=age,
            )
