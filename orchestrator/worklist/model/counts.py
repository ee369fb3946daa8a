"""How much there is, as metrics: counted in the read model at the moment of the scrape."""

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from orchestrator.ops.families import numbers, one
from orchestrator.worklist import edge
from orchestrator.worklist.instants import SECOND
from orchestrator.worklist.model import tables

# Metric -> its labels, then the number.
_QUERIES: Final = {
    "care_tasks": "SELECT team, kind, status, count(*) FROM tasks GROUP BY 1, 2, 3",
    "care_tasks_overdue": "SELECT team, kind, coalesce(attribution, ''), count(*) FROM tasks"
    " WHERE open = 1 AND overdue = 1 GROUP BY 1, 2, 3",
    "care_deadlines_pending": "SELECT kind, count(*) FROM tasks"
    " WHERE open = 1 AND overdue = 0 GROUP BY 1",
    "care_gaps": "SELECT code, severity, count(*) FROM gaps WHERE status = 'open' GROUP BY 1, 2",
    "care_transitions": "SELECT status, count(*) FROM transitions GROUP BY 1",
    "care_dead_letters_open": "SELECT reason, count(*) FROM letters WHERE status = 'open'"
    " GROUP BY 1",
}
_OLDEST: Final = "SELECT min(at) FROM letters WHERE status = 'open'"


class Counts(Collector):
    """
    The gauges of the read model; absent while nothing was ever projected, never 0 by default.

    Args:
        ready: Whether the rows stand for something yet.
        now: The log's time.
    """

    def __init__(
        self, path: Path, ready: Callable[[], bool], now: Callable[[], int] = edge.now
    ) -> None:
        self._path = path
        self._ready = ready
        self._now = now

    def collect(self) -> Iterable[Metric]:
        if not self._ready():
            return
        try:
            with closing(tables.connect(self._path, write=False)) as db:
                for name, query in _QUERIES.items():
                    rows = db.execute(query).fetchall()
                    yield from numbers(name, {tuple(map(str, row[:-1])): row[-1] for row in rows})
                (oldest,) = db.execute(_OLDEST).fetchone()
                waits = 0 if oldest is None else max(0, self._now() - oldest)
                yield from one("care_dead_letter_oldest_seconds", waits / SECOND)
        except sqlite3.Error:
            return  # absent: it cannot be counted now
