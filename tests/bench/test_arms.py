"""The arms of the comparison on Kafka do the same work."""

import pytest

from bench.kafka.arms.light import KINDS
from bench.kafka.arms.work import PARTITIONS, WORKS
from bench.kafka.arms.written import meta_of, outputs_of, rows_of
from orchestrator.stream.kafka.state import State
from orchestrator.stream.kafka.topic_settings import STATE
from orchestrator.stream.keys import partition_of
from orchestrator.stream.rounds import JournalRecord


@pytest.mark.parametrize("name", WORKS)
def test_polls_and_single_records_come_to_the_same(name: str) -> None:
    """Whoever hands over whole polls and whoever hands over one event: same tasks, same state."""
    work = WORKS[name]
    journal: dict[int, list[JournalRecord]] = {p: [] for p in range(PARTITIONS)}
    for key, value in work.rows(400):
        rows = journal[partition_of(key, PARTITIONS)]
        rows.append(JournalRecord(partition_of(key, PARTITIONS), len(rows), 1, key, value))

    told, states = [], []
    for size in (1, 50):
        state, tasks = State(PARTITIONS), []
        processor = work.processor(state)
        for partition, records in journal.items():
            part = state.part(partition)
            for at in range(0, len(records), size):
                poll = records[at : at + size]
                decided = processor.process(partition, poll)
                meta = meta_of(decided, poll)
                written = rows_of(part, decided, meta)
                assert written[STATE.name, partition]
                tasks += outputs_of(decided)["care.task.v1", partition]
                part.commit(decided, meta, 0)
        told.append(sorted(tasks, key=repr))
        states.append(sorted((key, state.head(key)) for key, _ in work.rows(400)))

    assert told[0]
    assert told[0] == told[1]
    assert states[0] == states[1]


def test_the_light_work_has_repeats_and_every_kind() -> None:
    """As the figures say."""
    rows = list(WORKS["light"].rows(2000))
    assert 5 < len(rows) - len({value for _, value in rows}) < 50
    assert all(any(kind.encode() in value for _, value in rows) for kind in KINDS)
