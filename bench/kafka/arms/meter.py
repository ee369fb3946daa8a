"""Time of this process, from the first record it works on to the last thing it wrote durably."""

import os
import resource
import sys
import time
from pathlib import Path
from typing import Final, NoReturn

import orjson

MARK: Final = "RESULT "


class Meter:
    """Counts records until *limit*."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._count = 0
        self._began: tuple[float, float] | None = None

    def begin(self) -> None:
        """The first record is at hand; later calls do nothing."""
        if self._began is None:
            self._began = time.monotonic(), _cpu()

    def add(self, count: int) -> bool:
        """So many more were worked on; whether that is enough."""
        self._count += count
        return self._count >= self._limit

    def finish(self) -> NoReturn:
        """Tell the figures and end: an orderly stop is no part of the work."""
        assert self._began is not None, "nothing was worked on"
        wall, cpu = time.monotonic() - self._began[0], _cpu() - self._began[1]
        told = {"records": self._count, "wall_s": wall, "cpu_s": cpu, "rss_mb": _rss_mb()}
        sys.stdout.write(f"{MARK}{orjson.dumps(told).decode()}\n")
        sys.stdout.flush()
        os._exit(0)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _rss_mb() -> int:
    # Not getrusage's: that one begins with what the parent had.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) // 1024
