"""Bytes of state per patient: while a transition is open, and once all of it is sealed."""

from collections import Counter
from statistics import mean
from typing import Final

import orjson

from bench import feed
from bench.measure import Figure
from bench.people import SITE_KEY
from bench.speed import RULES
from orchestrator.core.instants import DAY, read, written
from orchestrator.stream.keys import patient_key
from orchestrator.stream.memory_store import MemoryStore
from orchestrator.stream.processor import Processor
from orchestrator.stream.rounds import JournalRecord, Round

GROUP: Final = "state"
# Day 90, sixty days more, and the news that came in between.
SEALED_AFTER: Final = 400


class Weighed(MemoryStore):
    """A store that knows how much lies in it, by patient."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes: dict[tuple[str, str, str], int] = {}
        self.remembered: list[int] = []
        self.open: set[str] = set()  # patients with an open transition

    def commit(self, rnd: Round) -> None:
        super().commit(rnd)
        self.published.clear()
        for (key, kind, name), (value, _) in rnd.cells.items():
            self.bytes[key, kind, name] = len(value)
            if kind == "ledger":
                rows = orjson.loads(value)[1]
                active = any(row["status"] != "closed" for row in rows)
                (self.open.add if active else self.open.discard)(key)
        for key, (value, _) in rnd.heads.items():
            self.bytes[key, "head", ""] = len(value)
        self.remembered += [
            len(key) + len(name) + len(v) for (key, name), (v, _) in rnd.seen.items()
        ]

    def per_patient(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for (key, _, _), size in self.bytes.items():
            found[key] += size
        return found


def figures(count: int) -> list[Figure]:
    """Over the patients of about *count* events."""
    events = feed.accepted(feed.happenings(count))
    store = Weighed()
    processor = Processor(store, RULES, feed.FACILITIES, SITE_KEY)

    def take(key: str, at: int, value: object) -> None:
        record = JournalRecord(0, 0, at, key, orjson.dumps(value))
        store.commit(processor.process(0, [record]))

    for event in events:
        key = patient_key(SITE_KEY, event["subject"])
        take(key, read(event["receivedtime"]), {"kind": "event", "event": event})
    sizes = store.per_patient()
    in_work = [sizes[key] for key in store.open]
    until = read(events[-1]["receivedtime"])
    for day in range(1, SEALED_AFTER):
        at = until + day * DAY
        take("clock", at, {"kind": "clock", "at": written(at)})
    sealed = store.per_patient()
    note = "head, cells and ledger, mean"
    return [
        Figure(GROUP, "a patient with an open transition", mean(in_work), "bytes", note=note),
        Figure(GROUP, "the same at the 95th percentile", _percentile(in_work), "bytes"),
        Figure(GROUP, "a patient all of whose stays are sealed", mean(sealed.values()), "bytes"),
        Figure(GROUP, "an event remembered for 30 days", mean(store.remembered), "bytes"),
    ]


def _percentile(values: list[int]) -> float:
    return float(sorted(values)[len(values) * 95 // 100])
