"""Whether time may be believed: this machine's against itself, and the brokers' against this one.

T is an append time, so it is the brokers' clock that deadlines fire by.  This machine's tells when
to ask for one, and vouches for it: while the two agree within a minute, and this one moved as real
time did, somebody would have had to set both wrong.  Else clocks are held, until the times agree
again or an operator says that the brokers' is right (``clock confirm``).
"""

from collections.abc import Iterable

from orchestrator.stream.clock import JUMP, Clock, ClockGuard, reference_of


class Belief:
    """What one process believes of time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._guard = ClockGuard(clock)
        self._resumed = False
        self._granted = 0  # by which the brokers may be ahead of us: an operator said so
        self._confirming = False

    def resume(self, references: Iterable[str]) -> None:
        """
        Go on from what an earlier process of this machine believed: a restart confirms nothing.

        Args:
            references: As `written` gave them; those of other machines and boots say nothing.
        """
        if self._resumed:
            return
        self._resumed = True
        known = [reference_of(text) for text in references]
        ours = [one for one in known if one is not None and one.boot == self._clock.boot]
        if ours and self._clock.boot:
            self._guard = ClockGuard(self._clock, max(ours, key=lambda one: one.elapsed))

    @property
    def written(self) -> str:
        """The last look that was believed."""
        return self._guard.believed.written

    def now(self) -> int:
        """The brokers' time, as far as it is known here."""
        return self._clock.now() + self._granted

    def jumped(self) -> int:
        """Microseconds by which this machine's time ran ahead of itself; 0: none to speak of."""
        return self._guard.jumped()

    def apart(self, stamp: int) -> int:
        """By how many microseconds the brokers, who just stamped *stamp*, are ahead; 0: few."""
        ahead = stamp - self._clock.now()
        if self._confirming:
            self._confirming, self._granted = False, ahead
        return ahead if abs(ahead - self._granted) > JUMP else 0

    def confirm(self) -> None:
        """Believe this machine's time as it is, and the brokers' as the next mark shows it."""
        self._guard.confirm()
        self._confirming = True
