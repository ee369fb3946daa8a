"""Cost of an event as the number of patients grows: core and durable store.

A store for each number of patients; each of them was discharged home the day before and has an
open transition, the dearest state to have.  The same kinds of events are decided and committed in
each, by turns, in two ways:

- *same wards*: the events concern a thousand patients drawn from all;
- *all strangers*: each concerns another patient, and none is in memory.

Between the stores compare like with like; between the two ways is the price of reading a patient
from the store.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from bench import feed
from bench.copies import Copies
from bench.measure import Figure, once, ratio
from bench.people import SITE_KEY, START, Journal, after_discharge, chunks
from bench.speed import RULES
from orchestrator.core.instants import DAY
from orchestrator.stream.clock import ManualClock
from orchestrator.stream.processor import PATIENTS_IN_MEMORY, Processor
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
    Both ways at each number of patients, and how the last compares with the first.

    Args:
        on_progress: Called with the patients that the store at hand has so far.
    """
    with ExitStack() as stack:
        copies = Copies()
        sites = [
            Site(stack.enter_context(new_log()), stage, Journal(stages[-1])) for stage in stages
        ]
        for site in sites:
            populate(site, copies, on_progress)
        found = []
        for way in ("same wards", "all strangers"):
            best = _costs(sites, way, events, repeats)
            found += [
                Figure(GROUP, f"{way}, {site.patients:,} patients", cost * 1e6, "µs CPU/event")
                for site, cost in zip(sites, best, strict=True)
            ]
            span = f"{stages[-1]:,} against {stages[0]:,} patients"
            found.append(ratio(GROUP, f"{way}, {span}", best[-1] / best[0], MOST))
    return found


class Site(NamedTuple):
    """A store with so many patients."""

    log: Log
    patients: int
    journal: Journal  # events are numbered on from those of the copies


@contextmanager
def new_log() -> Iterator[Log]:
    with (
        TemporaryDirectory(prefix="care-bench-") as folder,
        Log.open(
            Path(folder), owner=True, create=True, partitions=1, clock=ManualClock(START)
        ) as log,
    ):
        yield log


def populate(site: Site, copies: Copies, on_progress: Callable[[int], None]) -> None:
    connection = site.log.connection
    connection.execute("PRAGMA synchronous=OFF")
    for start in range(0, site.patients, CHUNK):
        patients = range(start, min(start + CHUNK, site.patients))
        commit_round(site.log, copies.round(patients), 0)
        on_progress(patients.stop)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.execute("PRAGMA synchronous=FULL")


def _costs(sites: Sequence[Site], way: str, events: int, repeats: int) -> list[float]:
    """Per site the CPU-seconds of one event, decided and committed: the best, taken in turns."""
    runs = [_runs(site, way, events) for site in sites]
    for run in runs:
        next(run)  # fills the memory
    taken = [[next(run) for run in runs] for _ in range(repeats)]
    return [min(costs) for costs in zip(*taken, strict=True)]


def _runs(site: Site, way: str, events: int) -> Iterator[float]:
    log, patients, journal = site
    rng = Random(f"{way}|{patients}")
    strangers = way == "all strangers"
    memory = 1 if strangers else PATIENTS_IN_MEMORY
    processor = Processor(
        LogStore(log), RULES, feed.FACILITIES, SITE_KEY, patients_in_memory=memory
    )
    ward = rng.sample(range(patients), min(WARDS, patients))

    def drawn() -> Iterator[JournalRecord]:
        for turn in range(events):
            patient = rng.randrange(patients) if strangers else rng.choice(ward)
            number = rng.randrange(1_000_000) * 4 + turn
            yield after_discharge(journal, patient, START + DAY + turn, number)

    def run(rounds: list[list[JournalRecord]]) -> None:
        for records in rounds:
            commit_round(log, processor.process(0, records), records[-1].offset + 1)

    while True:
        prepared = list(chunks(drawn(), ROUND))
        yield once(partial(run, prepared)) / events
