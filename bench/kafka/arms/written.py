"""What follows from a Round, as rows by topic and partition: the same in every arm."""

from collections import defaultdict
from typing import Any

from orchestrator.stream.kafka.state import Meta, PartitionState
from orchestrator.stream.kafka.topic_settings import STATE
from orchestrator.stream.rounds import JournalRecord, Round
from orchestrator.stream.topic_layout import is_keyed

Row = tuple[bytes, bytes | None]
Place = tuple[str, int]


def records_of(partition: int, rows: list[Any]) -> list[JournalRecord]:
    """As the processor takes them."""
    return [
        JournalRecord(partition, row.offset, row.timestamp * 1000, row.key.decode(), row.value)
        for row in rows
    ]


def meta_of(decided: Round, records: list[JournalRecord]) -> Meta:
    """How far the partition is then."""
    return Meta(records[-1].offset + 1, records[-1].stamp, 0, decided.meta[1])


def outputs_of(decided: Round) -> dict[Place, list[Row]]:
    """The outputs."""
    rows: dict[Place, list[Row]] = defaultdict(list)
    for out in decided.outputs:
        where = (out.partition or 0) if is_keyed(out.topic) else 0
        rows[out.topic, where].append((out.key.encode(), out.value))
    return rows


def rows_of(part: PartitionState, decided: Round, meta: Meta) -> dict[Place, list[Row]]:
    """Outputs and state."""
    rows = outputs_of(decided)
    rows[STATE.name, decided.meta[0]] = list(part.rows(decided, meta))
    return rows
