"""The demo's stage: the embedded runtime, a simulated hospital, and a clock moved by hand.

The clock goes to the receipt of each message, then to each frame's instant.  So what happens
depends on the seed and on what a visitor does, not on how fast the machine is, and a demo that
stutters shows the same tasks as one that does not.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from orchestrator.cli import site
from orchestrator.core.instants import HOUR, MINUTE, SECOND
from orchestrator.settings import site_key
from orchestrator.simulate.canonical import line
from orchestrator.simulate.generate import Plan, generate
from orchestrator.simulate.happening import Happening
from orchestrator.simulate.places import GEN, MID, facilities_yaml

if TYPE_CHECKING:
    from orchestrator.stream.clock import ManualClock
    from orchestrator.stream.embedded import Runtime
    from orchestrator.stream.sqlite_log import Log

START: Final = date(2026, 10, 5)  # a Monday; the days to come hold a holiday, 12 October
DAYS: Final = 40
PATIENTS_A_DAY: Final = 14
PROLOGUE: Final = 104 * HOUR  # stays take days and so do deadlines: begin on Friday at eight
# Who looks around wants more to be there: the Tuesday after the holiday, at nine.
PROLOGUE_SERVED: Final = 201 * HOUR
PARTITIONS: Final = 4
CHANGES: Final = "care.change.v1"
BATCH: Final = 1000
# How often the feeds usually speak: of what is silent for three times as long it is said.
INTERVALS: Final = {GEN.id: "PT1H", MID.id: "PT2H"}
# A clock's sign of life, in real seconds: by it the pages know how fresh they are.
SIGN_S: Final = 3
SIGN_AT_MOST: Final = 30 * MINUTE  # at a high pace the clocks would be most of the log


class Sent(NamedTuple):
    """One record on its way to a topic."""

    at: int
    topic: str
    raw: bytes
    place: str


class Stage:
    """
    The runtime with its clock in one hand and the hospital's messages in the other.

    Args:
        door: The log as hospitals see it, opened a second time; the runtime looks for what others
            have appended.

    Attributes:
        silent: The facilities whose messages do not arrive at the moment; they come when it ends.
        works: Whether the deciding process does: else what arrives waits, and so do deadlines.
    """

    def __init__(
        self, runtime: "Runtime", door: "Log", clock: "ManualClock", messages: list[Sent]
    ) -> None:
        self._runtime = runtime
        self._door = door
        self._clock = clock
        self._messages = messages
        self._next = 0
        self._kept: list[Sent] = []
        self._read = [0] * door.partitions
        self.silent: frozenset[str] = frozenset()
        self.works = True

    @property
    def clock(self) -> "ManualClock":
        """By which everybody stamps who writes to the log."""
        return self._clock

    def runs_at(self, pace: int) -> None:
        """Let the clock's signs of life come as often as the pages need them; 0: it stands."""
        self._clock.pace = float(pace)
        self._runtime.timekeeper.sign_of_life = min(SIGN_AT_MOST, max(1, pace) * SIGN_S * SECOND)

    @property
    def now(self) -> int:
        return self._clock.now()

    @property
    def is_over(self) -> bool:
        """Nothing more will happen."""
        return self._next >= len(self._messages)

    def prologue(self, going: Callable[[], bool], length: int = PROLOGUE) -> None:
        """Live through the first days hour by hour, each hour's messages in one transaction."""
        until = self.now + length
        while self.now < until and going():
            self._move(min(self.now + HOUR, until))
            with self._door.transaction() as transaction:
                for message in self._arrived():
                    transaction.append(message.topic, None, message.raw)
            self._settle()

    def play(self, until: int) -> None:
        """Move the clock to *until*, each message arriving at its own instant."""
        while self._next < len(self._messages) and self._messages[self._next].at <= until:
            # First what was due before it, as it would have been done in time.
            self._move(self._messages[self._next].at - 1)
            self._settle()
            self._move(self._messages[self._next].at)
            for message in self._arrived():
                self._door.append(message.topic, None, message.raw)
            # Decided at once: when we knew is when the journal took it in.
            self._settle()
        self._move(until)
        if self._kept and not self.silent.issuperset(one.place for one in self._kept):
            with self._door.transaction() as transaction:
                for message in self._arrived():
                    transaction.append(message.topic, None, message.raw)
        self._settle()

    def changes(self) -> list[dict[str, Any]]:
        """What was published since the last look, in the order of its instants."""
        found: list[tuple[int, int, dict[str, Any]]] = []
        for partition, position in enumerate(self._read):
            start = position
            while records := self._door.read(CHANGES, partition, start, BATCH):
                start = records[-1].offset + 1
                found += [
                    (record.stamp, record.offset, orjson.loads(record.value))
                    for record in records
                    if record.value is not None
                ]
            self._read[partition] = start
        return [change for _, _, change in sorted(found, key=lambda row: row[:2])]

    def _arrived(self) -> Iterator[Sent]:
        kept, self._kept = self._kept, []
        while self._next < len(self._messages) and self._messages[self._next].at <= self.now:
            kept.append(self._messages[self._next])
            self._next += 1
        for message in kept:
            if message.place in self.silent:
                self._kept.append(message)
            else:
                yield message

    def _move(self, to: int) -> None:
        if to > self.now:
            self._clock.advance(to - self.now)

    def _settle(self) -> None:
        while self.works and self._runtime.turn():
            pass


@contextmanager
def opened(folder: Path, seed: int) -> Iterator[Stage]:
    """The stage on a new log in *folder*, which exists; what is played depends on *seed* alone."""
    from orchestrator.stream import log_file
    from orchestrator.stream.clock import ManualClock
    from orchestrator.stream.embedded import Pace, Runtime
    from orchestrator.stream.sqlite_log import Log
    from schemas.facilities import Facilities

    plan = Plan(PATIENTS_A_DAY * DAYS, seed, START, DAYS, dirt=True)
    here = site.load(folder)
    listed = Facilities.parse(facilities_text())
    key = site_key(here)
    clock = ManualClock(_us(plan.begins))
    pace = Pace(sign_of_life=SIGN_AT_MOST)
    log_file.create(folder, PARTITIONS, clock.written)
    # Not `embedded.opened`: that takes the clock which the log remembers, and nobody else can be
    # handed one that is moved by hand.
    lock = log_file.lock(folder)
    try:
        with (
            Log.open(folder, owner=True, partitions=PARTITIONS, clock=clock) as log,
            Log.open(folder, clock=clock) as door,
        ):
            runtime = Runtime(log, site.processor_of(here, listed, key), listed, key, pace)
            yield Stage(runtime, door, clock, _sent(introduced(generate(plan))))
    finally:
        log_file.unlock(lock)


def facilities_text() -> str:
    """The facilities file of the demo: the simulator's, and how often the feeds usually speak."""
    text = facilities_yaml()
    for place, interval in INTERVALS.items():
        text = text.replace(f"{place}:\n", f"{place}:\n  expected_interval: {interval}\n", 1)
    return text


def introduced(happenings: list[Happening]) -> Iterator[Happening]:
    """With each admission its patient's details, as the PID segment of an ADT message has them."""
    for happening in happenings:
        yield happening
        if happening.type == "admission.opened" and not happening.cut:
            name = f"{happening.id}#2"
            yield replace(happening, type="patient.updated", visit=None, data={}, id=name)


def _sent(happenings: Iterable[Happening]) -> list[Sent]:
    from schemas.topics import topic_of

    # What has no topic of its own, an invented type, goes where its sender put the others.
    return [
        Sent(
            _us(happening.received_at),
            topic_of(f"care.{happening.type}.v1", "live") or "care.admission.v1",
            line(happening, receipt=False).rstrip(b"\n"),
            happening.place.id,
        )
        for happening in happenings
    ]


def _us(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
