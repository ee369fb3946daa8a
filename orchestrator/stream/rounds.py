"""What passes between the runtime and the processor: journal records in, one Round out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

DEADLINE: Final = "deadline"


class JournalRecord(NamedTuple):
    """One journal record; *stamp* is in microseconds UTC and never falls within a partition."""

    partition: int
    offset: int
    stamp: int
    key: str
    value: bytes


class Out(NamedTuple):
    """One record to publish."""

    topic: str
    key: str
    partition: int | None  # None: that of the key
    value: bytes | None  # None: a tombstone
    headers: dict[str, str] | None = None


class Made(NamedTuple):
    """One change of a Round, for those who count: what it says and what brought it about."""

    change: dict[str, Any]
    lane: str  # of the event that it follows from, or `DEADLINE`
    receipt: int = 0  # of that event


@dataclass(slots=True)
class Round:
    """All that follows from a stretch of one journal partition; committed whole or not at all."""

    meta: tuple[int, bytes]  # partition, state of the partition
    outputs: list[Out] = field(default_factory=list)
    cells: dict[tuple[str, str, str], tuple[bytes, bool]] = field(default_factory=dict)
    heads: dict[str, tuple[bytes, int | None]] = field(default_factory=dict)
    seen: dict[tuple[str, str], tuple[bytes, int]] = field(default_factory=dict)
    forget_seen_before: int | None = None
    journal: list[tuple[str, bytes]] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)  # keys whose rows go, before others are written
    # What happened, for logs and metrics; the same could be read off the outputs, at a price.
    made: list[Made] = field(default_factory=list)
    # Of events: topic, lane, and one of applied, duplicate, parked.
    results: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    late: Counter[str] = field(default_factory=Counter)  # told an hour after the fact; by topic


class Store(Protocol):
    """The derived state, as the processor reads it; it is written by committing Rounds alone."""

    def head(self, key: str) -> bytes | None:
        """The head of a patient."""
        ...

    def cells(self, key: str) -> list[tuple[str, str, bytes]]:
        """The open cells of a patient: kind, id, value; in no particular order."""
        ...

    def cell(self, key: str, kind: str, name: str) -> bytes | None:
        """One cell, sealed or open."""
        ...

    def put_away(self, key: str) -> list[tuple[str, str, bytes]]:
        """The sealed cells of a patient; asked for only where all of it moves."""
        ...

    def seen(self, key: str, event_hash: str) -> bytes | None:
        """What is remembered of an event."""
        ...

    def due(self, partition: int, until: int) -> list[str]:
        """The keys whose wake is at or before *until*."""
        ...

    def meta(self, partition: int) -> bytes | None:
        """The state of the partition as of its last Round."""
        ...


class Processor(Protocol):
    """Decides.  Same journal, same bytes, whatever the batching."""

    def process(self, partition: int, records: Sequence[JournalRecord]) -> Round:
        """The Round that follows from *records*, which come next in *partition*."""
        ...
