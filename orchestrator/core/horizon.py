"""The instant a plan is made for, and the first one at which it can differ.

Every comparison with ``now`` goes through `Horizon.reached`.  That is what makes ``plan`` constant
on [now, wake): no rule can look at the clock without leaving its own wake behind.
"""


class Horizon:
    """Remembers the least instant that was asked for and not yet reached."""

    __slots__ = ("now", "wake")

    def __init__(self, now: int) -> None:
        self.now = now
        self.wake: int | None = None

    def reached(self, instant: int) -> bool:
        """Whether *instant* is past or present; a future one becomes a candidate to wake at."""
        if instant <= self.now:
            return True
        if self.wake is None or instant < self.wake:
            self.wake = instant
        return False


class Until(Horizon):
    """A horizon that ends: what lies beyond *limit* is never reached, nor waited for."""

    __slots__ = ("limit", "whole")

    def __init__(self, whole: Horizon, limit: int) -> None:
        super().__init__(min(whole.now, limit))
        self.whole = whole
        self.limit = limit

    def reached(self, instant: int) -> bool:
        """As the whole horizon says, up to the limit."""
        return instant <= self.limit and self.whole.reached(instant)
