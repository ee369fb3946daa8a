"""What a key remembers once it was named in a merge, an un-merge, a link or a move of a visit.

A key that never was has no desk, and pays nothing.  Terms: everything told of an identifier is one
numbered *stream*, written by the identifier's own key (its *router*) alone; the *chart* (cells,
ledger rows, what waits) is one token that consumes the stream in order, wherever it lies.
"""

from dataclasses import dataclass, field
from typing import Any

from orchestrator.core.identity import GroupCell
from orchestrator.core.patient import Patient

Body = dict[str, Any]


@dataclass(slots=True)
class Route:
    """Where a stream goes: the key of its *n*-th home, and the number of its last item."""

    home: str
    n: int = 0
    i: int = 0


@dataclass(slots=True)
class Chart:
    """
    The state of one identifier, or of one moved visit.

    Attributes:
        router: The key that writes its stream.
        partition: Of that key: whoever decides, what goes out about it lies there.
        taken: The number of the last item it consumed.
        low: Everything of it accepted before this instant is in here.
        queue: Taken, and waiting until its whole group is here.
        numbers: Of its visits what the directory was told, once it has asked for it.
    """

    patient: Patient
    router: str
    partition: int
    taken: int = 0
    low: int = 0
    queue: list[Body] = field(default_factory=list)
    numbers: list[str] | None = None

    def dump(self) -> list[Any]:
        """What is not in the patient's own rows."""
        numbers = [] if self.numbers is None else [self.numbers]
        return [self.router, self.partition, self.taken, self.low, self.queue, *numbers]


@dataclass(slots=True)
class Desk:
    """
    The router of its own streams, and a home of charts.

    Attributes:
        routes: By stream; a visit's stream has a home of its own once it was moved.
        asks: By stream the smallest instant that a home waits for.
        group: The newest that the directory said of this home.
        charts: What lies here, members or about to leave.
        arrived: By name the number of the last arrival, against a repeat.
        early: Items that came before their turn, or before their chart.
        asked: By name the instant that was asked for.
        parts: Of charts that come in several records.
        why: The event and the sentence of what has changed and was not planned yet.
    """

    key: str
    subject: str
    routes: dict[str, Route] = field(default_factory=dict)
    asks: dict[str, int] = field(default_factory=dict)
    group: GroupCell = field(default_factory=GroupCell)
    charts: dict[str, Chart] = field(default_factory=dict)
    arrived: dict[str, int] = field(default_factory=dict)
    early: dict[str, dict[int, Body]] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    parts: dict[str, dict[int, Body]] = field(default_factory=dict)
    why: tuple[str, str] | None = None
    wake: int | None = None

    @property
    def due(self) -> int | None:
        """When the key must be looked at next."""
        wakes = [*self.asks.values(), *([] if self.wake is None else [self.wake])]
        return min(wakes, default=None)

    def dump(self) -> list[Any]:
        """Plain data for storage, the charts' own rows aside."""
        return [
            1,
            self.subject,
            {name: [r.home, r.n, r.i] for name, r in self.routes.items()},
            self.asks,
            self.group.dump(),
            {name: chart.dump() for name, chart in self.charts.items()},
            self.arrived,
            {name: sorted(items.items()) for name, items in self.early.items() if items},
            self.asked,
            {name: sorted(parts.items()) for name, parts in self.parts.items()},
            self.why,
            self.wake,
        ]

    @classmethod
    def load(cls, key: str, plain: list[Any], patients: dict[str, Patient]) -> "Desk":
        """
        The inverse of `dump`.

        Args:
            patients: By name those whose charts lie here.
        """
        (_, subject, routes, asks, group, charts, arrived, early, asked, parts, why, wake) = plain
        return cls(
            key,
            subject,
            {name: Route(*route) for name, route in routes.items()},
            asks,
            GroupCell.load(group),
            {name: Chart(patients[name], *chart) for name, chart in charts.items()},
            arrived,
            {name: dict(items) for name, items in early.items()},
            asked,
            {name: dict(items) for name, items in parts.items()},
            None if why is None else (why[0], why[1]),
            wake,
        )


def names_of_charts(plain: list[Any]) -> list[str]:
    """The charts that a stored desk holds."""
    return list(plain[5])
