"""``demo``: the embedded product on a simulated hospital, on a clock of its own.

The clock is moved by hand: to the receipt of each message, then to each frame's instant.  So
what happens depends on the seed alone, not on how fast the machine is, and a demo that stutters
shows the same tasks as one that does not.
"""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from orchestrator import log as logs
from orchestrator.cli import site, words
from orchestrator.cli.console import hint, say
from orchestrator.cli.demo_screen import Screen
from orchestrator.cli.faults import Mistake, as_mistakes
from orchestrator.core.instants import HOUR, MINUTE
from orchestrator.settings import site_key
from orchestrator.simulate.canonical import line
from orchestrator.simulate.generate import Plan, generate
from orchestrator.simulate.happening import Happening
from orchestrator.simulate.places import GEN, facilities_yaml

if TYPE_CHECKING:
    from orchestrator.stream.clock import ManualClock
    from orchestrator.stream.embedded import Runtime
    from orchestrator.stream.sqlite_log import Log

FOLDER: Final = Path("care-demo")
START: Final = date(2026, 10, 5)  # a Monday; the days to come hold a holiday, 12 October
DAYS: Final = 40
PATIENTS_A_DAY: Final = 14
PROLOGUE: Final = 104 * HOUR  # stays take days and so do deadlines: begin on Friday at eight
PARTITIONS: Final = 4
FRAME_S: Final = 0.1
# Says that the folder is a demo's, so that nothing else is ever deleted.
MARKER: Final = ".care-demo"
LOG_FILE: Final = "demo.log"
CHANGES: Final = "care.change.v1"
BATCH: Final = 1000


def run(folder: Path, *, seed: int, speed: int, seconds: int | None) -> None:
    """Play the demo for *seconds* of real time; ``None``: until Ctrl-C."""
    with as_mistakes():
        reset(folder, quietly=True)
        folder.mkdir(mode=0o700, parents=True)
        (folder / MARKER).touch()
    screen = Screen(GEN.zone)
    with (folder / LOG_FILE).open("w", encoding="utf-8") as written, _interruptible() as going:
        # What goes wrong in the simulated feed is on the screen as gaps; its log lines are kept.
        logs.configure("info", "json", written)
        with _stage(folder, seed) as stage:
            _introduce(folder, speed)
            stage.prologue(going)
            began = stage.now
            screen.show(began, stage.changes(), aloud=False)
            first = time.monotonic()
            while going() and not stage.is_over:
                spent = time.monotonic() - first
                if seconds is not None and spent >= seconds:
                    break
                stage.play(began + int(spent * speed * 1_000_000))
                screen.show(stage.now, stage.changes())
                time.sleep(FRAME_S)
            screen.close(stage.now)
    hint(f"Look closer: care-orchestrator topics read care.task.v1 --data-dir {folder}")


def reset(folder: Path, *, quietly: bool = False) -> None:
    """
    Delete *folder*, if a demo made it.

    Raises:
        Mistake: Something else is there, which is left alone.
    """
    import shutil

    if folder.exists() and not (folder / MARKER).exists():
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
            return
        raise Mistake(f"{folder} is not a demo's folder; name another with --folder")
    existed = folder.exists()
    if existed:
        shutil.rmtree(folder)
    if not quietly:
        say(f"{folder} deleted" if existed else f"{folder} is not there")


class Sent(NamedTuple):
    """One record on its way to a topic."""

    at: int
    topic: str
    raw: bytes


class Stage:
    """
    The runtime with its clock in one hand and the hospital's messages in the other.

    Args:
        door: The log as hospitals see it, opened a second time; the runtime looks for what others
            have appended.
    """

    def __init__(
        self, runtime: "Runtime", door: "Log", clock: "ManualClock", messages: list[Sent]
    ) -> None:
        self._runtime = runtime
        self._door = door
        self._clock = clock
        self._messages = messages
        self._next = 0
        self._read = [0] * door.partitions

    @property
    def now(self) -> int:
        return self._clock.now()

    @property
    def is_over(self) -> bool:
        """Nothing more will happen."""
        return self._next >= len(self._messages)

    def prologue(self, going: Callable[[], bool]) -> None:
        """Live through the first days hour by hour, each hour's messages in one transaction."""
        until = self.now + PROLOGUE
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
        while self._next < len(self._messages) and self._messages[self._next].at <= self.now:
            yield self._messages[self._next]
            self._next += 1

    def _move(self, to: int) -> None:
        if to > self.now:
            self._clock.advance(to - self.now)

    def _settle(self) -> None:
        while self._runtime.turn():
            pass


@contextmanager
def _stage(folder: Path, seed: int) -> Iterator[Stage]:
    from orchestrator.stream import log_file
    from orchestrator.stream.clock import ManualClock
    from orchestrator.stream.embedded import Pace, Runtime
    from orchestrator.stream.sqlite_log import Log
    from schemas.facilities import Facilities

    plan = Plan(PATIENTS_A_DAY * DAYS, seed, START, DAYS, dirt=True)
    here = site.load(folder)
    listed = Facilities.parse(facilities_yaml())
    key = site_key(here)
    clock = ManualClock(_us(plan.begins))
    # A demo's clock takes steps of minutes; a sign of life at each would be most of its log.
    pace = Pace(sign_of_life=30 * MINUTE)
    log_file.create(folder, PARTITIONS, clock.written)
    # Not `embedded.opened`: that takes the clock which the log remembers, and nobody else can be
    # handed one that is moved by hand.
    lock = log_file.lock(folder)
    try:
        with (
            Log.open(folder, owner=True, partitions=PARTITIONS, clock=clock) as log,
            Log.open(folder, clock=clock) as door,
        ):
            runtime = Runtime(log, site.processor_of(here, listed), listed, key, pace)
            yield Stage(runtime, door, clock, _sent(generate(plan)))
    finally:
        log_file.unlock(lock)


def _sent(happenings: list[Happening]) -> list[Sent]:
    from schemas.topics import topic_of

    # What has no topic of its own, an invented type, goes where its sender put the others.
    return [
        Sent(
            _us(happening.received_at),
            topic_of(f"care.{happening.type}.v1", "live") or "care.admission.v1",
            line(happening, receipt=False).rstrip(b"\n"),
        )
        for happening in happenings
    ]


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Let Ctrl-C end the play between two steps, not in the middle of a transaction."""
    stopped = False

    def stop(_signal: int, _frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: not stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _introduce(folder: Path, speed: int) -> None:
    day = words.day(datetime.combine(START, datetime.min.time(), UTC) + timedelta(days=4), "UTC")
    say("Simulated hospitals GEN and MID, made-up patients. Nothing is real.")
    say(f"  clock       a second is {words.length(timedelta(seconds=speed))}, from {day} on")
    where = "" if folder == FOLDER else f" --folder {folder}"
    say(f"  data        {folder}    deleted by: care-orchestrator demo --reset{where}")
    say("")


def _us(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
