"""The lag of the last week, as far as this process was there to see it: bounded, in memory.

Every sample of the last six hours, and of the week the worst of each five minutes.  What was not
seen is not there: a hole in the curve is a hole, never a zero.
"""

import threading
from collections import deque
from typing import Final, NamedTuple

from orchestrator.core.instants import DAY, HOUR, MINUTE
from orchestrator.ops.lag import UNKNOWN, Sample

FINE: Final = 6 * HOUR
COARSE: Final = 7 * DAY
STEP: Final = 5 * MINUTE
# A clock that is speeded up brings few samples an hour, one that is not at most this many.
MOST: Final = 2200


class Point(NamedTuple):
    """
    How it stood at one instant.

    Attributes:
        seconds: Of the reader that was furthest behind, or of what is shown, if that is older;
            ``None``: of none it was known.
        records: Of all readers together.
        unknown: Readers that never said where they are.
    """

    at: int
    seconds: float | None
    records: int | None
    unknown: int


class History:
    """Told by the sampler's thread, asked by the pages."""

    def __init__(self) -> None:
        self._fine: deque[Point] = deque(maxlen=MOST)
        self._coarse: deque[Point] = deque(maxlen=MOST)
        self._lock = threading.Lock()

    def take(self, sample: Sample, shown: float | None = None) -> None:
        """
        Note one sample.

        Args:
            shown: Seconds that what people are shown is behind: who has read all may not have
                decided, and what is decided may not be shown.
        """
        lags = [one.lag for one in sample.positions if one.lag is not None]
        unknown = sum(one.state == UNKNOWN for one in sample.positions)
        seconds = max((one for one in (sample.seconds, shown) if one is not None), default=None)
        point = Point(sample.at, seconds, sum(lags) if lags else None, unknown)
        with self._lock:
            self._fine.append(point)
            _drop(self._fine, sample.at - FINE)
            last = self._coarse[-1] if self._coarse else None
            if last is not None and last.at // STEP == point.at // STEP:
                self._coarse[-1] = _worse(last, point)
            else:
                self._coarse.append(point)
            _drop(self._coarse, sample.at - COARSE)

    def since(self, at: int) -> list[Point]:
        """The points from *at* on, in order: each one, or the worst of five minutes."""
        with self._lock:
            fine, coarse = list(self._fine), list(self._coarse)
        begins = fine[0].at if fine else 0
        return [p for p in coarse if at <= p.at < begins] + [p for p in fine if p.at >= at]


def _drop(points: deque[Point], before: int) -> None:
    while points and points[0].at < before:
        points.popleft()


def _worse(one: Point, other: Point) -> Point:
    return max(one, other, key=lambda p: (-1.0 if p.seconds is None else p.seconds, p.unknown))
