"""How a figure is taken: CPU time of this process, the best of several runs.

Other work on the machine slows a process down and nothing speeds one up, so the best run is the
nearest to what the code costs.  Ratios compare runs of one session, taken in turns.
"""

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

REPEATS: Final = 5


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of the report."""

    group: str
    name: str
    value: float
    unit: str
    target: str = ""  # as the product's goals say it
    met: bool | None = None
    note: str = ""

    def plain(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def cpu_seconds(run: Callable[[], object], repeats: int = REPEATS) -> float:
    """
    The CPU time of *run*, system calls included.

    Args:
        run: Does the same each time.
    """
    return min(once(run) for _ in range(repeats))


def once(run: Callable[[], object]) -> float:
    """The CPU time of one call."""
    gc.collect()
    before = time.process_time()
    run()
    return time.process_time() - before


def rate(
    group: str, name: str, count: int, seconds: float, *, least: int = 0, note: str = ""
) -> Figure:
    """So many events per CPU-second; *least*: the target."""
    value = count / seconds
    return Figure(
        group,
        name,
        value,
        "events/CPU-s",
        f"at least {least:,}" if least else "",
        value >= least if least else None,
        note,
    )


def ratio(group: str, name: str, value: float, most: float, note: str = "") -> Figure:
    """How many times as dear; *most*: the target."""
    return Figure(group, name, value, "times", f"at most {most:g}", value <= most, note)
