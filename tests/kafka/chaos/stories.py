"""The journal and the change log laid side by side, patient by patient.

The change log is cut at the events that it records: a *piece* is what was published after one
applied event and before the next.  The journal says which clock records lay around it.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson

from orchestrator.core.instants import read as instant
from orchestrator.stream.timekeeper import CLOCK_KEY
from tests.kafka.chaos.accounting import Entry
from tests.kafka.chaos.recorded import Plain, Recorded, Row


class Step(NamedTuple):
    """One applied event: what it says, the clock before it, and the clock before the next one."""

    event: Plain  # as it was sent, with its receipt
    before: int  # T of the last clock record, microseconds; 0: none yet
    after: int
    stamp: int  # of its journal record
    receipt: int
    parked: int = 0  # stamp of the last record before the next one that was put aside


class Change(NamedTuple):
    """One record of the change log, with its place there."""

    plain: Plain
    partition: int
    offset: int

    @property
    def name(self) -> str:
        """What sort of change it is."""
        found: str = self.plain["change"]
        return found


@dataclass
class Story:
    """
    One patient: what the journal says, and what was published.

    Attributes:
        steps: Applied events in the journal's order.
        pieces: The changes that followed each of them.
        before: Changes before the first of them.
        foreign: Events in the change log that the journal does not have.
    """

    key: str
    subject: str
    partition: int
    steps: list[Step] = field(default_factory=list)
    pieces: list[list[Change]] = field(default_factory=list)
    before: list[Change] = field(default_factory=list)
    foreign: list[Change] = field(default_factory=list)


class Clocks(NamedTuple):
    """The clock records of one partition."""

    offsets: list[int]
    instants: list[int]

    def before(self, offset: int | None) -> int:
        """T of the last one before *offset*, or of the last one at all; 0: there was none."""
        at = len(self.offsets) if offset is None else bisect_left(self.offsets, offset)
        return self.instants[at - 1] if at else 0


def stories(recorded: Recorded, entries: Iterable[Entry]) -> dict[str, Story]:
    """Every patient with an applied event, by patient key."""
    clocks = clocks_of(recorded)
    found: dict[str, Story] = {}
    told: dict[str, list[Entry]] = defaultdict(list)
    parked: dict[str, list[Row]] = defaultdict(list)
    for entry in entries:
        if entry.result == "applied":
            told[entry.name[0]].append(entry)
        elif entry.result == "dead-letter":
            parked[entry.name[0]].append(entry.row)
    for key, mine in told.items():
        partition = mine[0].row.partition
        at = clocks[partition]
        following = [*(entry.row.offset for entry in mine[1:]), None]
        steps = [
            Step(
                _sent(entry),
                at.before(entry.row.offset),
                at.before(next_one),
                entry.row.stamp,
                entry.receipt,
                _last_between(parked.get(key, []), entry.row.offset, next_one),
            )
            for entry, next_one in zip(mine, following, strict=True)
        ]
        subject = steps[0].event["subject"]
        found[key] = Story(key, subject, partition, steps, [[] for _ in steps])
    _cut(recorded, found)
    return found


def _last_between(rows: list[Row], offset: int, following: int | None) -> int:
    """The stamp of the last of *rows* there; 0: there is none."""
    found = [
        r.stamp for r in rows if offset < r.offset and (following is None or r.offset < following)
    ]
    return max(found, default=0)


def _sent(entry: Entry) -> Plain:
    """The event in the sender's own bytes, and when we received it."""
    plain = entry.row.plain
    sent: Plain = orjson.loads(plain["raw"]) if "raw" in plain else dict(plain["event"])
    sent["receivedtime"] = plain["event"]["receivedtime"]
    return sent


def _cut(recorded: Recorded, found: dict[str, Story]) -> None:
    """Cut each patient's changes at the events that they record."""
    current: dict[str, list[Change]] = {key: story.before for key, story in found.items()}
    names = {
        key: {(step.event["id"], step.receipt): n for n, step in enumerate(story.steps)}
        for key, story in found.items()
    }
    for partition, changes in recorded.changes.items():
        offsets = recorded.offsets[partition]
        for offset, plain in zip(offsets, changes, strict=True):
            key = plain["patient_key"]
            if key not in found:
                continue
            change = Change(plain, partition, offset)
            if change.name == "event.recorded":
                event = plain["event"]
                number = names[key].get((event["id"], instant(event["receivedtime"])))
                if number is None:
                    found[key].foreign.append(change)
                    continue
                current[key] = found[key].pieces[number]
            current[key].append(change)


def clocks_of(recorded: Recorded) -> dict[int, Clocks]:
    """The clock records that were decided on; T never falls."""
    found = {}
    for partition, rows in recorded.journal.items():
        clocks = found[partition] = Clocks([], [])
        now = 0
        for row in rows:
            if row.key == CLOCK_KEY and row.offset < recorded.decided.get(partition, 0):
                plain = row.plain
                if plain["kind"] == "clock":
                    now = max(now, instant(plain["at"]))
                    clocks.offsets.append(row.offset)
                    clocks.instants.append(now)
    return found
