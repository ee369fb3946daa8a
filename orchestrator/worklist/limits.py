"""How much one caller may ask: a token bucket per subject and kind of request."""

from collections import OrderedDict
from typing import Final, Literal, NamedTuple

from orchestrator.worklist import edge
from orchestrator.worklist.problems import Problem

Kind = Literal["api", "actions", "export"]


class Rate(NamedTuple):
    """*burst* at once, then *per_second*."""

    per_second: float
    burst: float


# interfaces.md 4: API 50 a second, actions 60 a minute, exports 6 an hour.
RATES: Final[dict[Kind, Rate]] = {
    "api": Rate(50, 50),
    "actions": Rate(1, 60),
    "export": Rate(6 / 3600, 6),
}
SUBJECTS: Final = 10_000


class Limits:
    """The buckets; the least recently used is forgotten, full as it is by then."""

    def __init__(self, rates: dict[Kind, Rate] | None = None) -> None:
        self._rates = RATES if rates is None else rates
        self._buckets: OrderedDict[tuple[str, Kind], tuple[float, float]] = OrderedDict()

    def take(self, subject: str, kind: Kind) -> None:
        """
        Count one request.

        Raises:
            Problem: ``rate-limited``; says when the next one is taken.
        """
        rate, now = self._rates[kind], edge.elapsed()
        left, since = self._buckets.get((subject, kind), (rate.burst, now))
        left = min(rate.burst, left + (now - since) * rate.per_second)
        enough = left >= 1
        self._buckets[subject, kind] = (left - 1 if enough else left, now)
        self._buckets.move_to_end((subject, kind))
        while len(self._buckets) > SUBJECTS:
            self._buckets.popitem(last=False)
        if not enough:
            wait = max(1, -int(-(1 - left) // rate.per_second))
            raise Problem("rate-limited", headers={"Retry-After": str(wait)})
