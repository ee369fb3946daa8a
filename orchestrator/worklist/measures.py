"""The worklist's metrics (``interfaces.md`` 5); labels are words of the program alone."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

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
LAG: Final = Gauge(
    "care_worklist_projection_lag_records",
    "Records the read model has not taken in yet.",
    ["topic"],
    registry=REGISTRY,
)
AGE: Final = Gauge(
    "care_worklist_projection_age_seconds",
    "How old what the read model tells may be.",
    registry=REGISTRY,
)
STREAMS: Final = Gauge("care_worklist_streams", "Open live streams.", registry=REGISTRY)
