"""How far behind a reader is: in records, in seconds, and whether it still moves.

Arithmetic only.  What was never seen stays unknown (``None``) all the way to the screen: an
unknown lag shown as 0 has hidden dead readers before.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from orchestrator.core.instants import MINUTE, SECOND

OK: Final = "OK"
LAGGING: Final = "LAGGING"  # behind, and moving
STALLED: Final = "STALLED"  # behind, and not moving
UNKNOWN: Final = "UNKNOWN"  # nobody ever said where this reader stands
State = Literal["OK", "LAGGING", "STALLED", "UNKNOWN"]
WORST_FIRST: Final[tuple[State, ...]] = ("UNKNOWN", "STALLED", "LAGGING", "OK")

# A sign of life comes every 30 s; who missed four of them has stopped.
CLOCK_OLD: Final = 2 * MINUTE

Place = tuple[str, str, int]  # group, topic, partition


class Reading(NamedTuple):
    """
    What was seen of one partition and one group that reads it.

    Attributes:
        first: The offset of the first record that is still kept.
        end: The offset that the next record will get.
        done: Where the group goes on; ``None``: it never said.
        next_at: When the record at *done* was appended, in microseconds; ``None``: not seen.
        hidden: Offsets from *done* on that hold no record for a reader: markers of transactions,
            and what aborted ones left.
    """

    group: str
    topic: str
    partition: int
    first: int
    end: int
    done: int | None
    next_at: int | None = None
    hidden: int = 0

    @property
    def place(self) -> Place:
        return self.group, self.topic, self.partition

    @property
    def lag(self) -> int | None:
        """Records that the group has yet to read."""
        if self.done is None:
            return None
        # A group may commit between the two looks that make a reading.
        return max(0, self.end - self.done - self.hidden)

    def seconds(self, now: int) -> float | None:
        """How long ago the next record to read was appended; 0 for who has read all."""
        if self.lag is None:
            return None
        if self.lag == 0:
            return 0.0
        return None if self.next_at is None else max(0, now - self.next_at) / SECOND


class Bounds(NamedTuple):
    """What a partition holds: from *first* on, before *end*."""

    topic: str
    partition: int
    first: int
    end: int


class Position(NamedTuple):
    """A reading, judged."""

    reading: Reading
    lag: int | None
    seconds: float | None
    state: State


@dataclass(frozen=True, slots=True)
class Sample:
    """
    One look at everything.

    Attributes:
        at: When, in microseconds, on the clock that stamps the records.
        cluster: Whose.
        bounds: Of every topic, read by a group or not.
        deadlines: Patients whose next deadline has passed and was not fired; ``None``: the log
            does not tell from outside.
        clock: T of the last clock record of the partition that is furthest behind; ``None``: not
            seen.
    """

    at: int
    cluster: str
    positions: tuple[Position, ...]
    bounds: tuple[Bounds, ...] = ()
    deadlines: int | None = None
    clock: int | None = None

    @property
    def clock_s(self) -> float | None:
        """Since the last clock: while nobody decides, it grows, however current the readers are."""
        return None if self.clock is None else max(0, self.at - self.clock) / SECOND

    @property
    def stands(self) -> bool:
        """Whether nobody has decided for so long that deadlines are not fired."""
        return self.clock_s is not None and self.clock_s * SECOND > CLOCK_OLD

    def groups(self) -> Iterator["Group"]:
        """The same by group."""
        for name in dict.fromkeys(one.reading.group for one in self.positions):
            yield Group(name, tuple(p for p in self.positions if p.reading.group == name))

    @property
    def current(self) -> bool:
        """Whether all of it is known, and near the end, and somebody decides."""
        return not self.stands and all(one.state == OK for one in self.positions)

    @property
    def seconds(self) -> float | None:
        """How old the oldest record is that somebody has yet to read, as far as that is known."""
        return max((one.seconds for one in self.positions if one.seconds is not None), default=None)


@dataclass(frozen=True, slots=True)
class Group:
    """The positions of one group; sums and maxima leave out what is unknown."""

    name: str
    positions: tuple[Position, ...]

    @property
    def max_lag(self) -> int | None:
        return max(self._lags(), default=None)

    @property
    def sum_lag(self) -> int | None:
        lags = self._lags()
        return sum(lags) if lags else None

    @property
    def max_seconds(self) -> float | None:
        return max((p.seconds for p in self.positions if p.seconds is not None), default=None)

    def by_topic(self) -> dict[str, int]:
        """The sum of each topic of which anything is known."""
        sums: dict[str, int] = {}
        for one in self.positions:
            if one.lag is not None:
                sums[one.reading.topic] = sums.get(one.reading.topic, 0) + one.lag
        return sums

    def _lags(self) -> list[int]:
        return [one.lag for one in self.positions if one.lag is not None]


class Judge:
    """
    Tells a reader that is behind and moves from one that stands, from one look to the next.

    Args:
        behind_us: Who is this far behind, or less, is current.
        stalled_us: Who stands this long with something left to read stands.
    """

    def __init__(self, behind_us: int, stalled_us: int) -> None:
        self._behind = behind_us
        self._stalled = stalled_us
        self._stood: dict[Place, tuple[int, int]] = {}  # where, and since when

    def judge(
        self,
        readings: Iterable[Reading],
        at: int,
        cluster: str,
        bounds: Iterable[Bounds] = (),
        deadlines: int | None = None,
        clock: int | None = None,
    ) -> Sample:
        """The sample that *readings*, taken at *at*, make."""
        found = tuple(self._position(reading, at) for reading in readings)
        kept = {position.reading.place for position in found}
        self._stood = {place: stood for place, stood in self._stood.items() if place in kept}
        return Sample(at, cluster, found, tuple(bounds), deadlines, clock)

    def _position(self, reading: Reading, at: int) -> Position:
        lag, seconds = reading.lag, reading.seconds(at)
        if lag is None or reading.done is None:
            self._stood.pop(reading.place, None)
            return Position(reading, None, None, UNKNOWN)
        stood = self._stood.get(reading.place)
        if not lag or stood is None or stood[0] != reading.done:
            stood = self._stood[reading.place] = (reading.done, at)
        if not lag or (seconds is not None and seconds * SECOND <= self._behind):
            return Position(reading, lag, seconds, OK)
        stands = at - stood[1]
        if seconds is not None:  # it cannot have stood before what it has not read was there
            stands = min(stands, int(seconds * SECOND))
        standing = stands >= self._stalled
        return Position(reading, lag, seconds, STALLED if standing else LAGGING)
