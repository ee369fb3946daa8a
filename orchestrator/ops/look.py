"""What a look at a log brings, whichever runtime keeps it."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from orchestrator.ops.lag import Bounds, Reading


class Seen(NamedTuple):
    """All positions at one moment, on the clock that stamps the records."""

    at: int
    cluster: str
    readings: Sequence[Reading]
    bounds: Sequence[Bounds]  # of every topic, read by a group or not
    deadlines: int | None = None  # due and not fired, where the log tells
    clock: int | None = None  # T of the last clock of the partition that is furthest behind


class Look(Protocol):
    """Can be asked again and again, by one thread."""

    def look(self) -> Seen:
        """Where everybody stands now; raises what has an ``exit_code`` when the log is away."""
        ...
