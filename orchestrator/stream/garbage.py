"""How Python looks for garbage in a process that holds many patients.

What lives long here (cells, heads, working patients) forms no cycles and goes when nobody refers
to it.  Python's full collections look through all of it again and again all the same: with ten
thousand working patients half a second each, every second or two under load, and a third of the
CPU time.  What does form cycles (an exception with its frames, a task) is small and mostly young.

So what lives at a sweep is put aside, and Python's own full look goes through what was made since,
when that has grown by a quarter.  A process that also answers requests takes out again what it
put aside: a request, or an open stream, may have been among it.
"""

import gc
import time
from typing import Final

YOUNG: Final = 20_000  # objects made before the youngest are looked through
MIDDLE: Final = 50
FULL: Final = 1  # looks through the middle before Python thinks of a full one
EVERY_S: Final = 600.0


class Sweeper:
    """Takes the look through everything now and then; one per process."""

    def __init__(self, *, answers: bool = False) -> None:
        """*answers*: the process also answers requests."""
        self._answers = answers
        gc.set_threshold(YOUNG, MIDDLE, FULL)
        self.sweep()

    def sweep(self) -> None:
        """Look through what was made since the last time, and leave it alone from now on."""
        if self._answers:
            gc.unfreeze()
        gc.collect()
        gc.freeze()
        self._swept_at = time.monotonic()

    def step(self) -> None:
        """Sweep if it is time."""
        if time.monotonic() - self._swept_at >= EVERY_S:
            self.sweep()
