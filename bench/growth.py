"""Cost of an event as the number of patients grows: core and durable store.

One store grows from stage to stage; each patient in it was discharged home lately and has an open
transition, the dearest state a patient can be in.  At each stage the same kinds of events are
decided and committed, in two ways:

- *same wards*: the events concern a thousand patients drawn from all;
- *all strangers*: each concerns another patient, and none is in memory.

Between the stages compare like with like; between the two ways is the price of reading a patient
from the store.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final

from bench import feed
from bench.copies import Copies
from bench.measure import Figure, once, ratio
from bench.people import START, Journal, after_discharge, chunks
from bench.speed import RULES
from orchestrator.core.instants import DAY
from orchestrator.stream.clock import ManualClock
from orchestrator.stream.processor import Processor
from orchestrator.stream.rounds import JournalRecord
from orchestrator.stream.sqlite_log import Log
from orchestrator.stream.store import LogStore, commit_round

GROUP: Final = "patients"
STAGES: Final = (10_000, 100_000, 1_000_000)
QUICK_STAGES: Final = (1_000, 10_000)
MOST: Final = 1.2
WARDS: Final = 1_000
EVENTS: Final = 4_000
REPEATS: Final = 5
ROUND: Final = 500  # as in `embedded.Pace`
CHUNK: Final = 2_000  # patients written in one transaction


def figures(
    stages: Sequence[int] = STAGES,
    *,
    events: int = EVENTS,
    repeats: int = REPEATS,
    on_progress: Callable[[int], None] = lambda _: None,
) -> list[Figure]:
    """
    Both ways at each stage, and how the last compares with the first.

    Args:
        on_progress: Called with the patients that are in the store so far.
    """
    costs: dict[str, list[float]] = {"same wards": [], "all strangers": []}
    found: list[Figure] = []
    with TemporaryDirectory(prefix="care-bench-") as folder:
        log = Log.open(
            Path(folder), owner=True, create=True, partitions=1, clock=ManualClock(START)
        )
        with log:
            # Events are numbered on from those of the copies.
            journal, copies = Journal(stages[-1]), Copies()
            before = 0
            for stage in stages:
                _populate(log, copies, before, stage, on_progress)
                before = stage
                for way, taken in costs.items():
                    cost = _cost(log, journal, stage, way, events, repeats)
                    taken.append(cost)
                    name = f"{way}, {stage:,} patients"
                    found.append(Figure(GROUP, name, cost * 1e6, "µs CPU/event"))
    span = f"{stages[-1]:,} against {stages[0]:,} patients"
    for way, taken in costs.items():
        found.append(ratio(GROUP, f"{way}, {span}", taken[-1] / taken[0], MOST))
    return found


def _populate(
    log: Log, copies: Copies, first: int, last: int, on_progress: Callable[[int], None]
) -> None:
    log.connection.execute("PRAGMA synchronous=OFF")
    for start in range(first, last, CHUNK):
        patients = range(start, min(start + CHUNK, last))
        commit_round(log, copies.round(patients), 0)
        on_progress(patients.stop)
    log.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    log.connection.execute("PRAGMA synchronous=FULL")


def _cost(log: Log, journal: Journal, patients: int, way: str, events: int, repeats: int) -> float:
    """CPU-seconds of one event, decided and committed; the best of *repeats*."""
    rng = Random(f"{way}|{patients}")
    strangers = way == "all strangers"
    processor = Processor(
        LogStore(log), RULES, feed.FACILITIES, patients_in_memory=1 if strangers else 20_000
    )
    ward = [rng.randrange(patients) for _ in range(min(WARDS, patients))]
    at = START + DAY

    def drawn() -> Iterator[JournalRecord]:
        for turn in range(events):
            patient = rng.randrange(patients) if strangers else rng.choice(ward)
            yield after_discharge(journal, patient, at + turn, rng.randrange(1_000_000) * 4 + turn)

    def run() -> None:
        for chunk in prepared:
            commit_round(log, processor.process(0, chunk), chunk[-1].offset + 1)

    taken = []
    for repeat in range(repeats + 1):
        prepared = list(chunks(drawn(), ROUND))
        seconds = once(run)
        if repeat:  # the first one fills the memory
            taken.append(seconds / events)
    return min(taken)
