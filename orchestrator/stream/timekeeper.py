"""Decides when ``clock(T)`` goes into the journal, and when it must not.

A partition's clock is due when its earliest wake has passed, and every so often as a sign of
life.  It is held while inputs that lie in the log are not all taken in (``lag``: a deadline must
not fire before the message that settles it was read), and after the machine's time jumped
(``clock-jump``: until it jumps back, or an operator confirms it).
"""

from typing import Final

import orjson
import structlog

from orchestrator.core.instants import SECOND, written
from orchestrator.stream.clock import ClockGuard, reference_of
from orchestrator.stream.failpoints import hit
from orchestrator.stream.sqlite_log import Log, Transaction
from schemas.topics import JOURNAL

CLOCK_KEY: Final = "clock"
LAG: Final = "lag"
JUMP: Final = "clock-jump"

_BELIEVED: Final = "clock-believed"
_CONFIRMED: Final = "clock-confirmed"

logger = structlog.get_logger()


class Timekeeper:
    """
    The clocks of all partitions.

    Attributes:
        sign_of_life: The longest time between two clocks of a partition.
        last: Per partition the T of its last clock record; 0 before the first.
        held: Why no clock is appended at the moment, if so.
        held_since: Since when, an instant.
        jumps: How often the machine's time was found moved.
    """

    def __init__(self, log: Log, sign_of_life: int) -> None:
        self._log = log
        self.sign_of_life = sign_of_life
        self._guard = ClockGuard(log.clock, reference_of(log.note(_BELIEVED)))
        self.last = [int(log.note(f"clock/{p}") or 0) for p in range(log.partitions)]
        self.held: str | None = None
        self.held_since = 0
        self.jumps = 0

    def watch(self) -> None:
        """Look whether the time of day can be believed; once a turn."""
        ahead = self._guard.jumped()
        if ahead and self._log.note(_CONFIRMED):
            self._guard.confirm()
            with self._log.transaction() as transaction:
                transaction.note(_CONFIRMED, "")
            ahead = 0
        if ahead and self.held != JUMP:
            logger.error("clock.jumped", seconds=ahead / SECOND)
            self.jumps += 1
            self._hold(JUMP)
        elif not ahead and self.held == JUMP:
            self._hold(None)

    def due(self, wakes: list[int | None]) -> list[int]:
        """The partitions that need a clock, given each one's earliest wake."""
        if self.held == JUMP:
            return []
        now = self._log.clock.now()
        # A wake at or before the last clock waits for something else than time.
        return [
            partition
            for partition, (last, wake) in enumerate(zip(self.last, wakes, strict=True))
            if now > last
            and (now - last >= self.sign_of_life or (wake is not None and last < wake <= now))
        ]

    def append(
        self, transaction: Transaction, due: list[int], *, all_taken_in: bool
    ) -> dict[int, int]:
        """
        Append the clocks of *due* partitions, or hold them.

        Args:
            all_taken_in: Inside this transaction no live input lies untaken in the log.

        Returns:
            T per partition; hand it to `committed` once it is durable.
        """
        if not all_taken_in:
            self._hold(LAG)
            return {}
        # Looked at again here, so that no jump slips in between `watch` and T.
        if self._guard.jumped():
            return {}
        self._hold(None)
        at = transaction.now
        due = [partition for partition in due if at > self.last[partition]]
        if not due:
            return {}
        value = orjson.dumps({"kind": "clock", "at": written(at)})
        for partition in due:
            transaction.append(JOURNAL, CLOCK_KEY, value, partition=partition)
            transaction.note(f"clock/{partition}", str(at))
        # What is accepted from here on comes after T, whatever the machine's time does.
        transaction.raise_floor(at + 1)
        transaction.note(_BELIEVED, self._guard.believed.written)
        transaction.flush()
        hit("clock.appended")
        return dict.fromkeys(due, at)

    def committed(self, clocks: dict[int, int]) -> None:
        """Note that *clocks* are durable."""
        for partition, at in clocks.items():
            self.last[partition] = at

    def _hold(self, cause: str | None) -> None:
        if cause == self.held:
            return
        if cause is None:
            logger.info("clock.released", reason=self.held)
        else:
            logger.warning("clock.held", reason=cause)
        self.held = cause
        self.held_since = self._log.clock.now()


def confirm_clock(log: Log) -> None:
    """Tell a runtime that holds its clocks after a jump that the time of day is right."""
    with log.transaction() as transaction:
        transaction.note(_CONFIRMED, "yes")
