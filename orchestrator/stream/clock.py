"""Where time comes from, and whether it may be believed.

The log stamps what it appends with the ``now`` of one of these clocks, and clock records carry
it into the journal; nothing else in the product looks at a clock.  ``elapsed`` counts the same
seconds but cannot be set: where the two part by more than a minute, somebody moved the machine's
time, and firing forty days of deadlines because of that would call forty days of families
(reliability.md, F18).  Then the ``ClockGuard`` holds.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from orchestrator.core.instants import MINUTE, read, written

# Slewing by NTP stays below 500 ppm, so a second apart already means a step; a minute is what
# design.md grants broker and worker.
JUMP: Final = MINUTE

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class Clock(Protocol):
    def now(self) -> int:
        """The time of day, in microseconds since 1970, UTC; can be set, so it may jump."""
        ...

    def elapsed(self) -> int:
        """Microseconds since some instant of this boot, at the pace of ``now``; cannot be set."""
        ...

    @property
    def boot(self) -> str:
        """Two ``elapsed`` can be compared if their boots are equal; empty: never."""
        ...

    @property
    def written(self) -> str:
        """What `clock_of` makes this clock from again, in another process too."""
        ...


class RealClock:
    """The machine's own."""

    written: Final = "real"

    def __init__(self) -> None:
        try:
            self.boot = _BOOT_ID.read_text(encoding="ascii").strip()
        except OSError:
            self.boot = ""

    def now(self) -> int:
        return time.time_ns() // 1000

    def elapsed(self) -> int:
        return _since_boot() // 1000


class SpeedClock:
    """
    A clock that runs *factor* times as fast from *start* on: the demo's.

    Args:
        start: What it shows at *origin*.
        factor: Seconds shown per real second, at least 1.
        origin: The machine's time when it was started; a second process that makes the same
            clock from the log shows the same time.
    """

    def __init__(self, start: int, factor: int, origin: int | None = None) -> None:
        if factor < 1:
            raise ValueError("a clock runs forward: the factor is at least 1")
        self._real = RealClock()
        self.start = start
        self.factor = factor
        self.origin = self._real.now() if origin is None else origin

    def now(self) -> int:
        return self.start + (self._real.now() - self.origin) * self.factor

    def elapsed(self) -> int:
        return self._real.elapsed() * self.factor

    @property
    def boot(self) -> str:
        return self._real.boot

    @property
    def written(self) -> str:
        return f"speed {written(self.start)} {self.factor} {written(self.origin)}"


class ManualClock:
    """
    A clock that moves when it is told to: tests, simulations, the demo.

    Attributes:
        pace: How fast whoever moves it does so, for those who look on; 0: it stands.
    """

    boot = ""
    written: Final = "real"

    def __init__(self, start: int) -> None:
        self.time = start
        self.run = 0
        self.pace = 1.0

    def now(self) -> int:
        return self.time

    def elapsed(self) -> int:
        return self.run

    def advance(self, length: int) -> None:
        """Let *length* microseconds pass."""
        self.time += length
        self.run += length

    def jump(self, length: int) -> None:
        """Set the time of day without any time passing."""
        self.time += length


def clock_of(text: str) -> Clock:
    """The clock that wrote *text*; a log keeps it, so that all who append to it agree."""
    if text == RealClock.written:
        return RealClock()
    word, start, factor, origin = text.split(" ")
    if word != "speed":
        raise ValueError("not a clock that this version knows")
    return SpeedClock(read(start), int(factor), read(origin))


@dataclass(frozen=True, slots=True)
class Reference:
    """One look at both readings of a clock, kept in the log beside the last clock record."""

    now: int
    elapsed: int
    boot: str

    @property
    def written(self) -> str:
        """What `reference_of` reads."""
        return f"{self.now} {self.elapsed} {self.boot}"


def reference_of(text: str | None) -> Reference | None:
    """The reference that was written as *text*; none, if there is none."""
    if not text:
        return None
    now, elapsed, boot = text.split(" ")
    return Reference(int(now), int(elapsed), boot)


class ClockGuard:
    """
    Tells whether the time of day moved as real time did since the last look that was believed.

    A reference from the log carries the suspicion over a restart of the process: ending and
    starting ``up`` must not confirm a jump.  After a restart of the machine there is nothing to
    compare with, and the time of day is believed.
    """

    def __init__(self, clock: Clock, believed: Reference | None = None) -> None:
        self._clock = clock
        if believed is None or not clock.boot or believed.boot != clock.boot:
            believed = self._look()
        self.believed = believed

    def jumped(self) -> int:
        """Microseconds by which the time of day ran ahead (negative: behind); 0: none to speak of.

        A look without a jump becomes the one that is believed, so slow drift never adds up.
        """
        look = self._look()
        ahead = (look.now - self.believed.now) - (look.elapsed - self.believed.elapsed)
        if abs(ahead) <= JUMP:
            self.believed = look
            return 0
        return ahead

    def confirm(self) -> None:
        """Believe the time of day as it is."""
        self.believed = self._look()

    def _look(self) -> Reference:
        # The process may be put aside between two readings, and on a speeded clock a moment is
        # long; a look that took too long says nothing and is taken again.
        before = self._clock.elapsed()
        while True:
            now, after = self._clock.now(), self._clock.elapsed()
            if after - before <= JUMP // 4:
                return Reference(now, after, self._clock.boot)
            before = after


def _since_boot() -> int:
    # CLOCK_BOOTTIME goes on while a laptop sleeps; the portable one may not, and then opening
    # the lid would look like a jump.
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return time.monotonic_ns()
