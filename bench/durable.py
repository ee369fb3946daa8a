"""Events per CPU-second of the embedded loop with everything durable.

What ``up`` does, in this process and on a clock that we move: intake, journal, decisions and
outputs in SQLite (WAL, ``synchronous=FULL``).  Senders write before the measurement, each record
at its own instant; the loop then drains them, and the clock is where the last one came in.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import orjson

from bench import feed
from bench.measure import REPEATS, Figure, once, rate
from bench.speed import RULES
from orchestrator.core.instants import DAY, SECOND
from orchestrator.simulate.happening import Happening
from orchestrator.stream.clock import ManualClock
from orchestrator.stream.embedded import Runtime
from orchestrator.stream.processor import Processor
from orchestrator.stream.rounds import Store
from orchestrator.stream.sqlite_log import Log
from schemas.topics import topic_of

GROUP: Final = "durable"
SITE_KEY: Final = b"bench bench bench bench bench 32"
PARTITIONS: Final = 4
SLICE: Final = 2_000  # records that lie in the log when the loop begins a stretch
# A simulated hospital is small: its records come minutes apart, and each minute with news is also
# a sign of life to be journalled and decided.  Under load one sign stands for many records, so
# the main figure has them come in bursts, as an interface engine hands over what it has queued.
BURST: Final = 50


def figures(count: int, repeats: int = REPEATS) -> list[Figure]:
    """Of about *count* events."""
    heard = feed.happenings(count)
    bursts = min(drained(heard, BURST) for _ in range(repeats))
    single = min(drained(heard, 1) for _ in range(repeats))
    note = f"{PARTITIONS} partitions, {SLICE:,} records at a time"
    return [
        rate(GROUP, "embedded loop, all durable", len(heard), bursts, least=3_000, note=note),
        rate(
            GROUP,
            "the same, each with its sign of life",
            len(heard),
            single,
            note="records minutes apart",
        ),
    ]


def drained(heard: Sequence[Happening], burst: int) -> float:
    """CPU-seconds to take in and decide all of *heard*."""
    seconds = 0.0
    with loop(int(heard[0].received_at.timestamp()) * SECOND - DAY) as (runtime, clock):
        for part in _slices(heard, SLICE):
            send(runtime.log, clock, part, burst)
            seconds += once(lambda: settle(runtime))
    return seconds


@contextmanager
def loop(start: int) -> Iterator[tuple[Runtime, ManualClock]]:
    """The runtime over a new log in a folder of its own."""
    clock = ManualClock(start)
    with (
        TemporaryDirectory(prefix="care-bench-") as folder,
        Log.open(Path(folder), owner=True, create=True, partitions=PARTITIONS, clock=clock) as log,
    ):
        yield Runtime(log, _processor, feed.FACILITIES, SITE_KEY), clock


def _processor(store: Store) -> Processor:
    return Processor(store, RULES, feed.FACILITIES, SITE_KEY)


def send(log: Log, clock: ManualClock, heard: Sequence[Happening], burst: int) -> None:
    """Append records to their public topics, *burst* at a time, when the last of them is ready."""
    log.connection.execute("PRAGMA synchronous=OFF")  # senders are not measured
    for part in _slices(heard, burst):
        ready = int(part[-1].received_at.timestamp()) * SECOND
        clock.advance(max(0, ready - clock.now()))
        with log.transaction() as transaction:
            for line in feed.lines(part, receipt=False):
                topic = topic_of(orjson.loads(line)["type"])
                assert topic is not None
                transaction.append(topic, None, line)
    log.connection.execute("PRAGMA synchronous=FULL")


def settle(runtime: Runtime) -> None:
    """Turn until there is nothing more to do."""
    while runtime.turn():
        pass


def _slices(heard: Sequence[Happening], size: int) -> Iterator[Sequence[Happening]]:
    bounds = [*range(0, len(heard), size), len(heard)]
    for start, end in pairwise(bounds):
        yield heard[start:end]
