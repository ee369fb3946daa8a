"""The durable runtime: the same answers, and nothing left where a chart moved away."""

from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest

from orchestrator.core.instants import DAY, HOUR, read, written
from orchestrator.stream.embedded import Pace, Runtime
from orchestrator.stream.memory_store import MemoryStore
from orchestrator.stream.processor import Processor
from orchestrator.stream.replay import replay_events
from orchestrator.stream.rounds import JournalRecord, Store
from orchestrator.stream.sqlite_log import Log
from schemas.topics import JOURNAL, topic_of
from tests.stream.fakes import new_log
from tests.stream.identity.compare import live
from tests.stream.identity.histories import START, Teller
from tests.stream.identity.site import FACILITIES_YAML, RULES, SETTINGS, SITE_KEY


def processor(store: Store) -> Processor:
    return Processor(store, RULES, SETTINGS, SITE_KEY, patients_in_memory=3)


def runtime_of(log: Log) -> Runtime:
    return Runtime(log, processor, SETTINGS, SITE_KEY, Pace(decide_records=3))


def settle(runtime: Runtime) -> None:
    while runtime.turn():
        pass


@pytest.mark.parametrize("seed", range(6))
def test_what_stands_is_the_refold(tmp_path: Path, seed: int) -> None:
    """Over the SQLite log, started again on the way; the journal gives the same bytes."""
    rng = Random(seed)
    log, clock = new_log(tmp_path, START)
    teller = Teller(rng, commands=False)
    runtime = runtime_of(log)
    for _ in range(25):
        event = dict(teller.next(list))
        receipt = read(event["receivedtime"])
        clock.advance(max(0, receipt - clock.now()))
        topic = topic_of(event["type"], "live")
        assert topic is not None
        with log.transaction() as transaction:
            transaction.append(topic, "", orjson.dumps(event))
        settle(runtime)
        if rng.random() < 0.2:
            runtime = runtime_of(log)
    clock.advance(rng.choice((HOUR, DAY, 5 * DAY)))
    for _ in range(8):
        clock.advance(1_000)
        settle(runtime)

    journal = [orjson.loads(r.value or b"") for r in _journal(log)]
    events = [value["event"] for value in journal if value["kind"] == "event"]
    clocks = max(read(value["at"]) for value in journal if value["kind"] == "clock")
    answer = replay_events(events, as_of=written(clocks), facilities=FACILITIES_YAML)
    wanted = [
        thing
        for patient in answer["patients"]
        for kind in ("tasks", "gaps", "transitions")
        for thing in patient[kind]
    ]
    published = [
        r.value
        for p in range(log.partitions)
        for r in log.read("care.change.v1", p, 0, 100_000)
        if r.value is not None
    ]
    assert live(_newest(published)) == live(wanted)
    assert sorted(published) == sorted(_replayed(log))
    _no_chart_twice(log)


def _journal(log: Log) -> list[JournalRecord]:
    return [
        JournalRecord(p, r.offset, r.stamp, r.key or "", r.value or b"")
        for p in range(log.partitions)
        for r in log.read(JOURNAL, p, 0, 100_000)
    ]


def _replayed(log: Log) -> list[bytes]:
    store = MemoryStore()
    alone = processor(store)
    for record in _journal(log):
        store.commit(alone.process(record.partition, [record]))
    return [o.value for o in store.published if o.topic == "care.change.v1" and o.value]


def _newest(changes: list[bytes]) -> list[dict[str, Any]]:
    newest: dict[str, dict[str, Any]] = {}
    for value in changes:
        change = orjson.loads(value)
        for kind in ("task", "gap", "transition"):
            if kind in change and change["patient"] is not None:
                thing = change[kind]
                held = newest.get(thing[f"{kind}_id"])
                if held is None or held["version"] < thing["version"]:
                    newest[thing[f"{kind}_id"]] = thing
    return list(newest.values())


def _no_chart_twice(log: Log) -> None:
    """Rows of a chart lie where its desk says, and nowhere else."""
    rows = log.connection.execute("SELECT key, value FROM cells WHERE kind = 'desk'").fetchall()
    lies = {
        key if name == plain[1] else f"{key}.{processor(MemoryStore()).key_of(name)}"
        for key, value in rows
        for plain in [orjson.loads(value)]
        for name in plain[5]
    }
    desks = {key for key, _ in rows}
    charts = log.connection.execute("SELECT DISTINCT key FROM cells WHERE kind = 'ledger'")
    strays = {key for (key,) in charts if "." in key or key in desks} - lies
    assert strays == set()
