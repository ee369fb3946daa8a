"""How much there is, as metrics: counted in the read model at the moment of the scrape."""

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from orchestrator.worklist.model import tables


class _Gauge(NamedTuple):
    name: str
    text: str
    labels: tuple[str, ...]
    sql: str  # labels, then the number


_GAUGES: Final = (
    _Gauge(
        "care_tasks",
        "Tasks.",
        ("team", "kind", "status"),
        "SELECT team, kind, status, count(*) FROM tasks GROUP BY 1, 2, 3",
    ),
    _Gauge(
        "care_tasks_overdue",
        "Open tasks that are overdue.",
        ("team", "kind", "attribution"),
        "SELECT team, kind, coalesce(attribution, ''), count(*) FROM tasks"
        " WHERE open = 1 AND overdue = 1 GROUP BY 1, 2, 3",
    ),
    _Gauge(
        "care_deadlines_pending",
        "Open tasks whose due time is to come.",
        ("kind",),
        "SELECT kind, count(*) FROM tasks WHERE open = 1 AND overdue = 0 GROUP BY 1",
    ),
    _Gauge(
        "care_gaps",
        "Open gaps.",
        ("code", "severity"),
        "SELECT code, severity, count(*) FROM gaps WHERE status = 'open' GROUP BY 1, 2",
    ),
    _Gauge(
        "care_transitions",
        "Transitions.",
        ("status",),
        "SELECT status, count(*) FROM transitions GROUP BY 1",
    ),
)


class Counts(Collector):
    """
    The gauges of the read model; absent while nothing was ever projected, never 0 by default.

    Args:
        ready: Whether the rows stand for something yet.
    """

    def __init__(self, path: Path, ready: Callable[[], bool]) -> None:
        self._path = path
        self._ready = ready

    def describe(self) -> Iterable[Metric]:
        return [GaugeMetricFamily(one.name, one.text, labels=one.labels) for one in _GAUGES]

    def collect(self) -> Iterable[Metric]:
        if not self._ready():
            return
        try:
            with closing(tables.connect(self._path, write=False)) as db:
                for one in _GAUGES:
                    family = GaugeMetricFamily(one.name, one.text, labels=one.labels)
                    for *labels, number in db.execute(one.sql):
                        family.add_metric([str(label) for label in labels], number)
                    yield family
        except sqlite3.Error:
            return  # absent: it cannot be counted now
