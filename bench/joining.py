"""Cost of a merge as the number of patients grows, and what patients without one pay.

A merge is taken through: the directory, the retired number's chart on its way, the plan of both
together; every message is a journal record of the same partition, decided and committed one by one.
It should cost what its two patients cost, however many others there are.  Who was never merged pays
for one thing: a visit number is claimed where it is first heard of.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from random import Random
from typing import Final

import orjson

from bench import feed
from bench.copies import Copies
from bench.growth import Site, new_log, populate
from bench.measure import Figure, once, ratio
from bench.people import SITE_KEY, START, Journal, discharge
from bench.speed import RULES
from events.canonical import decode
from orchestrator.core.instants import DAY, read
from orchestrator.core.marks import Mark
from orchestrator.stream.identity import IDENTITY
from orchestrator.stream.keys import patient_key
from orchestrator.stream.memory_store import MemoryStore
from orchestrator.stream.processor import Processor
from orchestrator.stream.rounds import JournalRecord, Round
from orchestrator.stream.store import LogStore, commit_round

GROUP: Final = "joining"
STAGES: Final = (10_000, 1_000_000)
QUICK_STAGES: Final = (1_000, 10_000)
MERGES: Final = 200
MOST: Final = 1.2
MOST_BESIDE: Final = 1.05  # what best turns differ by when nothing differs


def figures(
    events: int,
    stages: Sequence[int] = STAGES,
    *,
    merges: int = MERGES,
    repeats: int = 5,
    on_progress: Callable[[int], None] = lambda _: None,
) -> list[Figure]:
    """A merge at each number of patients, how they compare, and the price of claims."""
    with ExitStack() as stack:
        copies = Copies()
        sites = [
            Site(stack.enter_context(new_log()), stage, Journal(stages[-1])) for stage in stages
        ]
        for site in sites:
            populate(site, copies, on_progress)
        runs = [_merging(site, merges) for site in sites]
        for run in runs:
            next(run)
        taken = [[next(run) for run in runs] for _ in range(repeats)]
        best = [min(costs) for costs in zip(*taken, strict=True)]
    found = [
        Figure(GROUP, f"a merge among {site.patients:,} patients", cost * 1e6, "µs CPU")
        for site, cost in zip(sites, best, strict=True)
    ]
    span = f"a merge, {stages[-1]:,} against {stages[0]:,} patients"
    found.append(ratio(GROUP, span, best[-1] / best[0], MOST))
    records = _ward(events)
    found.append(_beside(records, merges * 10, repeats))
    found.append(_claims(records, repeats))
    return found


def _merging(site: Site, merges: int) -> Iterator[float]:
    """Per turn the CPU-seconds of one merge of two patients who were never merged before."""
    rng = Random(site.patients)
    strangers = list(range(site.patients))
    rng.shuffle(strangers)
    processor = Processor(LogStore(site.log), RULES, feed.FACILITIES, SITE_KEY)
    number = 0

    def commit(rnd: Round) -> None:
        commit_round(site.log, rnd, number)

    def merge_all(pairs: list[tuple[int, int]]) -> None:
        nonlocal number
        for survivor, retired in pairs:
            number += 1
            _merge(processor, commit, survivor, retired, number)

    while True:
        pairs = [(strangers.pop(), strangers.pop()) for _ in range(merges)]
        yield once(partial(merge_all, pairs)) / merges


def _merge(
    processor: Processor, commit: Callable[[Round], None], survivor: int, retired: int, number: int
) -> None:
    """Take one merge through, every message decided and committed by itself."""
    todo = [(IDENTITY, _marks(survivor, retired, number))]
    while todo:
        key, value = todo.pop(0)
        rnd = processor.process(0, [JournalRecord(0, number, START + DAY, key, value)])
        todo += rnd.journal
        rnd.journal = []
        commit(rnd)


def _marks(survivor: int, retired: int, number: int) -> bytes:
    names = (f"GEN|{survivor:09}", f"GEN|{retired:09}")
    at = START + DAY
    mark = Mark(at, at, "hospital/GEN/adt", f"M{number}", 0, "merge", *names, receipt=at)
    return orjson.dumps({"kind": "marks", "marks": [list(mark)]})


def _ward(count: int) -> list[JournalRecord]:
    """What a ward tells of patients who are never merged."""
    accepted = [decode(line, feed.FACILITIES) for line in feed.lines(feed.happenings(count))]
    return [
        JournalRecord(
            0,
            number,
            read(event["receivedtime"]),
            patient_key(SITE_KEY, event["subject"]),
            orjson.dumps({"kind": "event", "event": event}),
        )
        for number, event in enumerate(accepted)
    ]


def _beside(records: list[JournalRecord], merged: int, repeats: int) -> Figure:
    """The same records decided beside others of whom *merged* pairs were merged, and none was."""
    costs: tuple[list[float], list[float]] = ([], [])
    others = Journal(2 * merged)
    known = [discharge(others, one, START, f"V{one:09}") for one in range(2 * merged)]
    for _ in range(repeats):
        for pairs, taken in zip((0, merged), costs, strict=True):
            store = MemoryStore()
            processor = Processor(store, RULES, feed.FACILITIES, SITE_KEY)
            _decide(processor, store, known, [])
            for number in range(pairs):
                _merge(processor, store.commit, 2 * number, 2 * number + 1, number)
            store.published.clear()
            taken.append(once(partial(_decide, processor, store, records, [])))
    ratios = sorted(one / none for none, one in zip(*costs, strict=True))
    what = f"deciding on those never merged, {merged:,} merged pairs beside them against none"
    spread = f"turn by turn {ratios[0]:.2f} to {ratios[-1]:.2f}"
    return ratio(GROUP, what, min(costs[1]) / min(costs[0]), MOST_BESIDE, spread)


def _claims(records: list[JournalRecord], repeats: int) -> Figure:
    """Of a ward's records, the share of CPU time that goes into claims of visit numbers."""
    events, claims = [], []
    for _ in range(repeats):
        store = MemoryStore()
        processor = Processor(store, RULES, feed.FACILITIES, SITE_KEY)
        told: list[tuple[str, bytes]] = []
        events.append(once(partial(_decide, processor, store, records, told)))
        follow = [JournalRecord(0, n, records[-1].stamp, *one) for n, one in enumerate(told)]
        claims.append(once(partial(_decide, processor, store, follow, [])))
    share = min(claims) / (min(events) + min(claims))
    return Figure(GROUP, "claims of visit numbers, of all deciding", share * 1000, "‰ CPU")


def _decide(
    processor: Processor,
    store: MemoryStore,
    records: list[JournalRecord],
    told: list[tuple[str, bytes]],
) -> None:
    for start in range(0, len(records), 500):
        rnd = processor.process(0, records[start : start + 500])
        store.commit(rnd)
        store.published.clear()
        told += rnd.journal
