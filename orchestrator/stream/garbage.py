"""How Python looks for garbage in a process that holds many patients.

What lives long here (cells, heads, working patients) forms no cycles and goes when nobody refers
to it.  Python's full collections look through all of it again and again all the same: with ten
thousand working patients half a second each, every second or two under load, and a third of the
CPU time.  What does form cycles (an exception with its frames, a task) is small and mostly young.
"""

import gc
import time
from typing import Final

YOUNG: Final = 20_000  # objects made before the youngest are looked through
MIDDLE: Final = 50
NEVER: Final = 1_000_000_000  # the full look is taken by `Sweeper`
EVERY_S: Final = 600.0


class Sweeper:
    """Takes the full look now and then instead of Python; one per process."""

    def __init__(self) -> None:
        gc.set_threshold(YOUNG, MIDDLE, NEVER)
        self.sweep()

    def sweep(self) -> None:
        """Look through what was made since the last time, and leave it alone from now on."""
        gc.collect()
        gc.freeze()
        self._swept_at = time.monotonic()

    def step(self) -> None:
        """Sweep if it is time."""
        if time.monotonic() - self._swept_at >= EVERY_S:
            self.sweep()
