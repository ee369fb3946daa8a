"""Ends a worker whose loop no longer turns, or whose end does not come, from a thread of its own.

Faust may stop half way: after a crash of its own it gathers tasks that wait for brokers, and the
process would neither work nor end.  Whatever it is, after a stated time the process is gone, and
its supervisor starts another.
"""

import threading
from collections.abc import Callable
from typing import Final

from orchestrator.stream.kafka.leaving import STUCK, leave
from orchestrator.stream.status import Status

TICK_S: Final = 1.0
# A round may take 30 s, and waits for the brokers meanwhile, not in the way of the loop.
STUCK_TICKS: Final = 60
STOP_TICKS: Final = 15  # an orderly stop takes a second or two; after this it is none

LOOP: Final = "loop-stuck"
STOP: Final = "stop-took-too-long"


class Pulse:
    """Counts own ticks, not time: a process that was paused has not stood still."""

    def __init__(self, status: Status, stopping: Callable[[], bool]) -> None:
        self._status = status
        self._stopping = stopping
        self._turned = status.turned
        self._quiet = self._ending = 0

    def tick(self) -> str | None:
        """Why the process should end, if it should."""
        self._quiet = 0 if self._status.turned != self._turned else self._quiet + 1
        self._turned = self._status.turned
        if self._stopping():
            self._ending += 1
        if self._ending > STOP_TICKS:
            return STOP
        return LOOP if self._quiet > STUCK_TICKS else None


def keep(status: Status, stopping: Callable[[], bool]) -> None:
    """Look until the process ends."""
    pulse = Pulse(status, stopping)
    never = threading.Event()

    def look() -> None:
        while not never.wait(TICK_S):
            reason = pulse.tick()
            if reason is not None:
                leave(reason, code=STUCK)

    threading.Thread(target=look, name="pulse", daemon=True).start()
