"""A journal of several patients, and the processor driven over it in any batches, crashes included.

Facts come in the order of their receipt; clock records stand where they are true: everything
received up to T precedes clock(T).
"""

import copy
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from events.canonical import decode
from orchestrator.core.policy import Rules
from orchestrator.stream.keys import patient_key
from orchestrator.stream.memory_store import MemoryStore
from orchestrator.stream.processor import Processor
from orchestrator.stream.rounds import JournalRecord, Out
from orchestrator.stream.rules import rules as made_rules
from schemas.facilities import Facilities
from schemas.policy import load_policies
from tests.simulation.differential import FACILITIES_YAML
from tests.simulation.histories import Events, History
from tests.simulation.model.calendar import instant, text

SITE_KEY = b"a key of the simulation"
SETTINGS = Facilities.parse(FACILITIES_YAML)
RULES: Rules = made_rules(tuple(load_policies(None)), SETTINGS)
Plain = dict[str, Any]


def accepted(events: Events) -> Events:
    """The events as intake journals them, in the order of their receipt."""
    out: Events = []
    for event in events:
        raw = json.dumps(event).encode()
        found = decode(raw, SETTINGS)
        found.setdefault("receivedtime", found["time"])
        out.append(found)
    return sorted(out, key=lambda e: (instant(e["receivedtime"]), e["id"]))


def micros(at: str) -> int:
    seconds = instant(at).timestamp()
    return round(seconds * 1_000_000)


def journal(told: Iterable[History], rng: Random, clocks: int = 12) -> list[JournalRecord]:
    """One partition's journal: all events, and clock records at some instants that matter."""
    told = list(told)
    events = accepted([e for h in told for e in h.events])
    last = max(instant(e["receivedtime"]) for e in events)
    pool = [at for h in told for at in (*h.instants, h.last_receipt())]
    marks = sorted({text(at) for at in rng.choices(pool, k=clocks)} | {text(last)})
    lines = [(micros(e["receivedtime"]), 0, e) for e in events]
    lines += [(micros(at), 1, {"at": at}) for at in marks]
    records: list[JournalRecord] = []
    for stamp, is_clock, value in sorted(lines, key=lambda line: line[:2]):
        plain = {"kind": "clock"} | value if is_clock else {"kind": "event", "event": value}
        key = "clock" if is_clock else patient_key(SITE_KEY, value["subject"])
        records.append(JournalRecord(0, len(records), stamp, key, json.dumps(plain).encode()))
    return records


def is_clock(record: JournalRecord) -> bool:
    return record.key == "clock"


def batches(records: list[JournalRecord], rng: Random) -> Iterator[list[JournalRecord]]:
    """The journal cut anywhere, in batches of one to twenty records."""
    start = 0
    while start < len(records):
        size = rng.choice([1, 1, 2, 3, 5, 8, 20])
        yield records[start : start + size]
        start += size


@dataclass
class Worker:
    """A processor over a store, which may lose everything but what was committed."""

    store: MemoryStore = field(default_factory=MemoryStore)
    patients_in_memory: int = 20_000
    published: list[Out] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self.processor = Processor(
            self.store, RULES, SETTINGS, SITE_KEY, patients_in_memory=self.patients_in_memory
        )

    def run(self, batch: list[JournalRecord]) -> None:
        """Decide one batch and commit it."""
        rnd = self.processor.process(0, batch)
        self.store.commit(rnd)
        self.published += rnd.outputs

    def crash(self, batch: list[JournalRecord], *, published: int) -> None:
        """Decide one batch, let the first so many records out, and die before the commit."""
        rnd = self.processor.process(0, batch)
        self.published += rnd.outputs[:published]
        self._start()

    def snapshot(self) -> MemoryStore:
        return copy.deepcopy(self.store)


def run_all(records: list[JournalRecord], **settings: Any) -> list[Out]:
    """What the journal publishes when nothing goes wrong, record by record."""
    worker = Worker(**settings)
    for record in records:
        worker.run([record])
    return worker.published


# What only the ledger knows: how often, since when we knew, and by which record.
HISTORY = ("version", "occurrence", "opened_at", "closed_at")


def standing(changes: Iterable[Plain]) -> dict[str, Plain]:
    """What change records leave standing, by id: the live things without their history."""
    out: dict[str, Plain] = {}
    for change in changes:
        for thing in ("task", "gap", "transition"):
            if thing in change:
                content = change[thing]
                name = f"{thing} {content[f'{thing}_id']}"
                out[name] = {k: v for k, v in content.items() if k not in HISTORY}
    over = ("completed", "cancelled", "failed", "entered-in-error", "closed")
    return {name: content for name, content in out.items() if content["status"] not in over}


def changes_of(outs: Iterable[Out]) -> list[Plain]:
    return [json.loads(o.value) for o in outs if o.topic == "care.change.v1" and o.value]
