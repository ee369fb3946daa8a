"""How fresh the read model is: ``current``, ``behind``, ``stale`` or ``unknown``.

An empty list and a late one look alike, so every answer says up to which instant all that was
received is in it.
"""

import threading
from typing import Any, Final, Literal, NamedTuple

from orchestrator.worklist.instants import SECOND, text_of
from orchestrator.worklist.log.feed import Positions, Sample

State = Literal["current", "behind", "stale", "unknown"]

# Three signs of life of the deciding process: what does not move for so long does not move.
STALE_AFTER_S: Final = 90.0


class Now(NamedTuple):
    """The instants that a judgement needs."""

    log: int  # the log's time
    elapsed: float  # seconds that cannot be set back


class Freshness:
    """
    Told by the projector, asked by every answer; safe between threads.

    Args:
        behind_after: Seconds of real time that the data may be old.
        pace: Seconds of the log's clock in one of real time.
    """

    def __init__(self, behind_after: float) -> None:
        self._behind_after = behind_after
        self._lock = threading.Lock()
        self._pace = 1.0
        self._until: int | None = None
        self._moved = 0.0
        self._waiting: Sample | None = None

    def runs_at(self, pace: float) -> None:
        """The pace of the log's clock; 0: it stands, and then nothing grows old."""
        self._pace = pace

    def sampled(self, sample: Sample, elapsed: float) -> None:
        """The deciding process was looked at."""
        with self._lock:
            # A sample not yet reached is nearer than a newer one: under load only it arrives.
            if self._waiting is None:
                self._waiting = sample
            if self._until is None:
                self._moved = self._moved or elapsed

    def reached(self, positions: Positions, elapsed: float) -> None:
        """The rows of everything before *positions* stand."""
        with self._lock:
            sample = self._waiting
            if sample is None or any(positions.get(p, 0) < end for p, end in sample.ends.items()):
                return
            self._waiting = None
            if self._until is None or sample.until > self._until or not self._pace:
                self._until = sample.until
                self._moved = elapsed

    @property
    def until(self) -> int | None:
        """Up to which instant all that was received stands in the rows."""
        with self._lock:
            return self._until

    def state(self, now: Now) -> State:
        """One word for all of it."""
        return self._judged(now)[0]

    def told(self, now: Now, silent_feeds: list[str]) -> dict[str, Any]:
        """The part of an answer that says how fresh it is."""
        state, until = self._judged(now)
        behind = None if until is None else max(0, now.log - until) // SECOND
        return {
            "state": state,
            "data_until": None if until is None else text_of(until),
            "behind_s": behind,
            "silent_feeds": silent_feeds,
        }

    def age(self, now: Now) -> float | None:
        """Seconds since the instant up to which everything is there; ``None``: not known."""
        until = self.until
        return None if until is None else self._real(now.log - until)

    def behind(self, now: Now) -> float | None:
        """Seconds of the log's clock that the rows are behind, where that is too long."""
        state, until = self._judged(now)
        if until is None or state == "current":
            return None
        return max(0, now.log - until) / SECOND

    def is_old(self, length: int) -> bool:
        """Whether *length* of the log's clock is longer than data may be old."""
        return self._real(length) > self._behind_after

    def _judged(self, now: Now) -> tuple[State, int | None]:
        with self._lock:
            until, moved = self._until, self._moved
        if until is None:
            return "unknown", None
        if now.elapsed - moved > STALE_AFTER_S:
            return "stale", until
        return ("behind" if self.is_old(now.log - until) else "current"), until

    def _real(self, length: int) -> float:
        """Real seconds of *length* of the log's clock."""
        return max(0.0, length / SECOND / self._pace) if self._pace else 0.0
