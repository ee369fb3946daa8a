"""What a log that was killed must look like: against what was sent, and against its own journal."""

from collections import Counter
from typing import Any

import orjson

from orchestrator.stream import export, inflow, log_file
from orchestrator.stream.memory_store import MemoryStore
from orchestrator.stream.rounds import Out
from orchestrator.stream.sqlite_log import Log, Record
from orchestrator.stream.store import LogStore
from schemas.topics import DEAD_LETTER, INPUTS, JOURNAL, TOPICS
from tests.stream.fakes import PARTITIONS, product
from tests.stream.sender import Sender


def assert_nothing_lost_doubled_or_changed(sender: Sender) -> None:
    """Let ``up`` come to rest, and look at everything it left."""
    sender.send(40)
    sender.settle()
    with Log.open(sender.folder) as log:
        log_file.check_pages(log.connection, log.where)
        decided = [LogStore(log).position(p) for p in range(PARTITIONS)]
        journal = list(export.records(log, JOURNAL))
        _assert_every_input_is_there_once(sender, log, journal)
        _assert_published_as_undisturbed(
            log, [r for r in journal if r.offset < decided[r.partition]]
        )
        _assert_one_content_per_version(log)
        _assert_something_happened(log)


def _assert_every_input_is_there_once(sender: Sender, log: Log, journal: list[Record]) -> None:
    events = [v["event"] for v in map(_value, journal) if v["kind"] == "event"]
    assert Counter((e["source"], e["id"]) for e in events) == sender.accepted

    letters = [r for r in _all(log, DEAD_LETTER) if r.headers["stage"] == "intake"]
    assert sorted(r.value or b"" for r in letters) == sorted(sender.unreadable)
    assert len({(r.headers["topic"], r.headers["offset"]) for r in letters}) == len(letters)

    accounts = log.accounts()
    for topic in INPUTS:
        (landed,), (taken,) = log.end_offsets(topic), log.committed(inflow.READER, topic)
        results = [n for (name, _, _), n in accounts.items() if name == topic]
        assert landed == taken == sum(results)
    by_result: Counter[str] = Counter()
    for (_, _, result), number in accounts.items():
        by_result[result] += number
    assert by_result["journalled"] == len(events)
    assert by_result["parked"] == len(sender.unreadable)
    assert by_result["ignored"] == len(sender.events) - len(events)


def _assert_published_as_undisturbed(log: Log, journal: list[Record]) -> None:
    store = MemoryStore()
    processor = product(store)
    for record in export.journal(export.line(r) for r in journal):
        store.commit(processor.process(record.partition, [record]))
    expected: dict[tuple[str, int], list[Out]] = {}
    for out in store.published:
        partition = (out.partition or 0) if TOPICS[out.topic].partitioned else 0
        expected.setdefault((out.topic, partition), []).append(out)

    # Dead letters of all partitions lie in one log, so their order is that of the commits.
    parked = expected.pop((DEAD_LETTER, 0), [])
    letters = [r for r in _all(log, DEAD_LETTER) if r.headers["stage"] == "decide"]
    assert sorted(map(_parked, parked)) == sorted(map(_parked, letters))
    assert parked, "without clashing ids the run did not test what decide parks"

    for topic in (t for t in log.topics() if t not in {*INPUTS, JOURNAL, DEAD_LETTER}):
        for partition in range(PARTITIONS):
            outs = [(o.key, o.value) for o in expected.pop((topic, partition), [])]
            found = log.read(topic, partition, 0, 1_000_000)
            assert [(r.key, r.value) for r in found] == [outs[r.offset] for r in found]
            assert log.end_offsets(topic)[partition] == len(outs)
            # Of a compacted topic the superseded may be gone, of the others nothing is.
            assert {r.key: r.value for r in found} == dict(outs)
            assert TOPICS[topic].compacted or len(found) == len(outs)
    assert expected == {}


def _assert_one_content_per_version(log: Log) -> None:
    seen: dict[tuple[str, int], bytes | None] = {}
    for name, thing in (("care.task.v1", "task_id"), ("care.gap.v1", "gap_id")):
        for record in _all(log, name):
            value = _value(record)
            assert seen.setdefault((value[thing], value["version"]), record.value) == record.value
    assert seen


def _assert_something_happened(log: Log) -> None:
    """A run in which nothing was repeated, due or withdrawn would prove nothing."""
    changes = Counter(_value(record)["change"] for record in _all(log, "care.change.v1"))
    assert changes["task.requested"] > 20
    assert changes["task.overdue"] > 0
    assert changes["gap.opened"] > 0
    events = [v["event"] for v in map(_value, _all(log, JOURNAL)) if v["kind"] == "event"]
    assert len(events) > len({(e["source"], e["id"]) for e in events}), "dedup_hits"


def _all(log: Log, topic: str) -> list[Record]:
    return [
        record for p in range(log.partitions_of(topic)) for record in log.read(topic, p, 0, 10**6)
    ]


def _value(record: Record) -> dict[str, Any]:
    value: dict[str, Any] = orjson.loads(record.value or b"")
    return value


def _parked(letter: Out | Record) -> tuple[str, bytes, list[tuple[str, str]]]:
    return letter.key or "", letter.value or b"", sorted((letter.headers or {}).items())
