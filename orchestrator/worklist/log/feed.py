"""What the projection reads and the worklist writes, whichever runtime the log is on.

A ``Feed`` is used by one thread, the projector's.  A ``Sender`` is used by the server's event
loop; what it returned from is durable.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from schemas.topics import INPUTS

TASKS: Final = "care.task.v1"
GAPS: Final = "care.gap.v1"
CHANGES: Final = "care.change.v1"
PATIENTS: Final = "care.patient-view.v1"
AUDIT: Final = "care.audit.v1"
LETTERS: Final = "care.dead-letter.v1"
OUTCOMES: Final = "care.outcome.v1"

# The change log first: it carries the sentence that says why.  What people did is followed for
# their own words, which are published nowhere else.
FOLLOWED: Final = (CHANGES, TASKS, GAPS, PATIENTS, AUDIT, LETTERS, OUTCOMES)

# Where the worklist writes to: actions, audit, what was sent again, and what a steward made of it.
WRITTEN: Final = frozenset({*INPUTS, AUDIT, LETTERS})

NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})

Place = tuple[str, int]  # topic, partition
Positions = Mapping[Place, int]  # the offset at which reading goes on


class Record(NamedTuple):
    """
    One record of a followed topic; a value of ``None`` is a tombstone.

    Attributes:
        at: When it was appended, by the log's clock; looked at where the value says no time.
        headers: What a dead letter's say of it.
        pairs: The same as they lie, of a record that was asked for by its place: a name may come
            twice there, and a value be no text.
    """

    topic: str
    partition: int
    offset: int
    key: str | None
    value: bytes | None
    at: int = 0
    headers: Mapping[str, str] = NO_HEADERS
    pairs: tuple[tuple[str, bytes | None], ...] = ()


class Sample(NamedTuple):
    """
    How far the deciding process was at one look.

    Whoever has read up to *ends* has seen the effect of all that was received before *until*.

    Attributes:
        clocks: The same by partition of the journal: its last clock that was decided.
    """

    until: int
    ends: Positions
    clocks: Mapping[int, int] = MappingProxyType({})


class Fetched(NamedTuple):
    """
    What one read brought.

    Attributes:
        following: Where the places that moved go on: behind the records, and behind offsets that
            hold none (markers of transactions).
    """

    records: list[Record]
    following: Positions


class LogAway(Exception):
    """The log cannot be read or written at the moment; the same can succeed later."""


class Feed(Protocol):
    """The followed topics."""

    @property
    def name(self) -> str:
        """Which log: under another name the offsets mean something else."""
        ...

    @property
    def pace(self) -> float:
        """Seconds of the log's clock in a second; 1 but in a demo, 0 while that stands."""
        ...

    def now(self) -> int:
        """The log's time."""
        ...

    def firsts(self) -> Positions:
        """Per place the lowest offset that may still be there."""
        ...

    def ends(self) -> Positions:
        """Per place the offset after the last record that may be read."""
        ...

    def read(self, positions: Positions, limit: int, wait_s: float) -> Fetched:
        """
        What follows *positions*, each place in order; without records when none came in *wait_s*.

        Raises:
            LogAway: The log cannot be read.
        """
        ...

    def sample(self) -> Sample | None:
        """A look at the deciding process; ``None`` when it has not said anything yet."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


FeedFactory = Callable[[], Feed]


class Sender(Protocol):
    """Where actions and audit records are written."""

    async def send(
        self,
        topic: str,
        key: str | None,
        value: bytes,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> None:
        """
        Append durably.

        Raises:
            LogAway: Not stored, as far as is known.
        """
        ...

    async def close(self) -> None:
        """Let go of it."""
        ...


class Places(Protocol):
    """Single records of the log, by where they lie."""

    async def record(self, topic: str, partition: int, offset: int) -> Record | None:
        """
        The record there; ``None``: nothing is there any more, or it may not be read.

        Raises:
            LogAway: The log cannot be read.
        """
        ...

    async def close(self) -> None:
        """Let go of it."""
        ...
