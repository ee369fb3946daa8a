"""Cost of a fact as one patient's history grows, from 50 facts to 5,000.

Each shape is a way to get old.  What is measured is what a fact costs the processor: the step,
and the bytes of the cells, the ledger and the head that it changed.  Two kinds of shape: those
whose *pace* is that of a patient who is very often seen, where 5,000 facts take many years; and
*pile-ups*, where they take two years, so that a hundred and fifty days hold more than a thousand
of them, which may not be put away yet.
"""

import gc
import time
from collections.abc import Callable, Iterator
from typing import Final

from bench import feed
from bench.measure import Figure, ratio
from bench.people import SITE_KEY, START, Journal, booking, discharge
from bench.speed import RULES
from orchestrator.core.instants import DAY, HOUR, MINUTE, written
from orchestrator.stream.memory_store import MemoryStore
from orchestrator.stream.processor import Processor
from orchestrator.stream.rounds import JournalRecord

GROUP: Final = "one patient"
YOUNG: Final = 50
OLD: Final = 5_000
QUICK_OLD: Final = 500
MEASURED: Final = 60  # facts, over whole cycles of every shape
MOST: Final = 2.0
Shape = Callable[[Journal], Iterator[JournalRecord]]


def updates(journal: Journal) -> Iterator[JournalRecord]:
    """One long stay, an A08 every quarter of an hour."""
    at = START
    data = {"visit_number": "V1", "class": "INPATIENT"}
    yield journal.event(1, "admission.opened", at, data)
    while True:
        at += 15 * MINUTE
        yield journal.event(1, "admission.updated", at, data)


def seen_in_the_ed(journal: Journal, every: int = 5 * DAY) -> Iterator[JournalRecord]:
    """An ED visit every five days for years: registered, updated, sent home."""
    at, visit = START, 0
    while True:
        visit += 1
        data = {"visit_number": f"V{visit}", "class": "EMERGENCY"}
        yield journal.event(1, "admission.opened", at, data)
        yield journal.event(1, "admission.updated", at + HOUR, data)
        home = {"discharged_at": written(at + 5 * HOUR), "disposition": {"code": "01"}}
        yield journal.event(1, "discharge.recorded", at + 5 * HOUR, data | home)
        at += every


def ed_pile_up(journal: Journal) -> Iterator[JournalRecord]:
    """The same twice a day."""
    return seen_in_the_ed(journal, 12 * HOUR)


def appointments(journal: Journal, every: int = 3 * DAY) -> Iterator[JournalRecord]:
    """Discharged once a month; an appointment every three days, booked and kept."""
    at, number, left = START, 0, 0
    while True:
        if at >= left + 30 * DAY:
            left = at
            yield discharge(journal, 1, left, f"V{number}")
        number += 1
        starts = at + 26 * HOUR
        yield booking(journal, 1, at + HOUR, number, starts)
        data = {"appointment_id": f"1-{number}"}
        yield journal.event(1, "appointment.fulfilled", starts, data)
        at += every


def appointment_pile_up(journal: Journal) -> Iterator[JournalRecord]:
    """The same with four a day."""
    return appointments(journal, 6 * HOUR)


def stays(journal: Journal) -> Iterator[JournalRecord]:
    """In hospital every three weeks for years, ten facts each time."""
    at, visit = START, 0
    while True:
        visit += 1
        data = {"visit_number": f"V{visit}", "class": "INPATIENT", "admit_type": "E"}
        yield journal.event(1, "admission.opened", at, data)
        for day in range(6):
            yield journal.event(1, "admission.updated", at + day * 12 * HOUR + HOUR, data)
        left = at + 4 * DAY
        yield discharge(journal, 1, left, f"V{visit}")
        yield booking(journal, 1, left + HOUR, visit, left + 3 * DAY)
        done = {"appointment_id": f"1-{visit}"}
        yield journal.event(1, "appointment.fulfilled", left + 3 * DAY, done)
        at += 21 * DAY


PACED: Final[tuple[Shape, ...]] = (updates, seen_in_the_ed, appointments, stays)
PILE_UPS: Final[tuple[Shape, ...]] = (ed_pile_up, appointment_pile_up)


def figures(old: int = OLD, repeats: int = 5) -> list[Figure]:
    """Per shape the cost at both ages, and how they compare."""
    found = []
    for shape in PACED + PILE_UPS:
        name = shape.__name__.replace("_", " ")
        young, aged = _cost(shape, YOUNG, repeats), _cost(shape, old, repeats)
        found.append(Figure(GROUP, f"{name}, {YOUNG} facts", young * 1e6, "µs CPU/fact"))
        found.append(Figure(GROUP, f"{name}, {old:,} facts", aged * 1e6, "µs CPU/fact"))
        found.append(ratio(GROUP, f"{name}, {old:,} against {YOUNG}", aged / young, MOST))
    return found


def _cost(shape: Shape, facts: int, repeats: int) -> float:
    """CPU-seconds of one more fact for a patient who has *facts* already."""
    journal = Journal()
    records = _with_clocks(shape(journal), journal)
    store = MemoryStore()
    processor = Processor(store, RULES, feed.FACILITIES, SITE_KEY)
    told = 0
    while told < facts:
        record = next(records)
        told += record.key != "clock"
        store.commit(processor.process(0, [record]))
        store.published.clear()

    stretches = []
    for _ in range(repeats):
        gc.collect()
        seconds, measured = 0.0, 0
        while measured < MEASURED:
            record = next(records)
            before = time.process_time()
            store.commit(processor.process(0, [record]))
            if record.key != "clock":
                seconds += time.process_time() - before
                measured += 1
        stretches.append(seconds / measured)
    return min(stretches)


def _with_clocks(facts: Iterator[JournalRecord], journal: Journal) -> Iterator[JournalRecord]:
    """A clock a day between them."""
    last = START
    for fact in facts:
        while fact.stamp >= last + DAY:
            last += DAY
            yield journal.clock(last)
        yield fact
