"""Everything that a run left behind, read once: the checker's only input, and plain data.

A planted fault is a change to one of these lists, so that the checker can be proven without a
broker.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, NamedTuple

import orjson

from orchestrator.stream import export
from orchestrator.stream.kafka.connection import Kafka
from orchestrator.stream.kafka.state import PartitionState
from orchestrator.stream.kafka.topic_settings import STATE
from orchestrator.stream.sqlite_log import Record
from schemas.topics import DEAD_LETTER, INPUTS, JOURNAL
from tests.kafka.chaos.sender import HEADER, Attempt, sha
from tests.kafka.world import OUTPUTS, Said, read

Plain = dict[str, Any]
CHANGES: Final = "care.change.v1"


class Landed(NamedTuple):
    """One record of a public topic."""

    topic: str
    partition: int
    offset: int
    stamp: int  # of the broker, microseconds
    attempt: str
    sha: str
    event: str = ""  # what it names, where it names something


class Row(NamedTuple):
    """One record of the journal."""

    partition: int
    offset: int
    stamp: int  # never falls within a partition
    key: str
    value: bytes

    @property
    def plain(self) -> Plain:
        """Its value, read."""
        found: Plain = orjson.loads(self.value)
        return found


class Letter(NamedTuple):
    """One dead letter."""

    headers: dict[str, str]
    sha: str


class StateRow(NamedTuple):
    """One row of the changelog."""

    key: bytes
    value: bytes | None


class Sight(NamedTuple):
    """What a follower saw, and when."""

    at: int  # microseconds
    crc: int


@dataclass
class Recorded:
    """
    What a run left.

    Attributes:
        decided: By partition the journal offset up to which the state stands.
        committed: The same as the consumer group has it, for display; past markers, perhaps.
        outputs: What the workers published, by topic and partition; dead letters excepted.
        offsets: Of the change log's records, by partition, in order.
        seen: What a follower was shown of the change log while it ran, by partition and offset.
        looked: Until when it looked, microseconds; 0: nobody followed.
    """

    attempts: dict[str, Attempt]
    landed: list[Landed]
    journal: dict[int, list[Row]]
    decided: dict[int, int]
    outputs: dict[tuple[str, int], list[Said]]
    letters: list[Letter]
    offsets: dict[int, list[int]]
    state: dict[int, list[StateRow]] = field(default_factory=dict)
    committed: dict[int, int] = field(default_factory=dict)
    seen: dict[int, dict[int, Sight]] = field(default_factory=dict)
    looked: int = 0

    @cached_property
    def changes(self) -> dict[int, list[Plain]]:
        """The change log, by partition."""
        return {
            partition: [orjson.loads(value or b"{}") for _, value, _ in rows]
            for (topic, partition), rows in sorted(self.outputs.items())
            if topic == CHANGES
        }

    def lines(self) -> list[bytes]:
        """The journal as an export, as far as it was decided on."""
        return [
            export.line(
                Record(JOURNAL, row.partition, row.offset, row.stamp, row.key, row.value, {})
            )
            for partition, rows in sorted(self.journal.items())
            for row in rows
            if row.offset < self.decided.get(partition, 0)
        ]


async def recorded(
    kafka: Kafka, attempts: dict[str, Attempt], committed: dict[int, int]
) -> Recorded:
    """Read all topics at ``read_committed``, as every consumer should."""
    letters = []
    for rows in (await read(kafka, DEAD_LETTER)).values():
        for row in rows:
            headers = {name: value.decode("utf-8", "replace") for name, value in row.headers}
            letters.append(Letter(headers, sha(row.value)))
    outputs, offsets = await _outputs(kafka)
    state = {
        partition: [StateRow(row.key, row.value) for row in rows]
        for partition, rows in (await read(kafka, STATE.name)).items()
    }
    return Recorded(
        attempts,
        await _landed(kafka),
        await _journal(kafka),
        {partition: _following(rows) for partition, rows in state.items()},
        outputs,
        letters,
        offsets,
        state,
        committed,
    )


def _following(rows: list[StateRow]) -> int:
    part = PartitionState()
    part.restore(len(rows) - 1, rows)
    return part.meta.following


def named(value: bytes | None) -> str:
    """Subject, source and id of an event, as one text; empty: it is none."""
    try:
        event = orjson.loads(value or b"")
        return name_of(event)
    except (ValueError, TypeError, KeyError):
        return ""


def name_of(event: Plain) -> str:
    """The same of an event that was read."""
    return f"event {event['subject']} {event['source']} {event['id']}"


async def _landed(kafka: Kafka) -> list[Landed]:
    found = []
    for topic in INPUTS:
        for partition, rows in (await read(kafka, topic)).items():
            for row in rows:
                names = [value.decode() for name, value in row.headers if name == HEADER]
                name = names[0] if names else ""
                stamp = row.timestamp * 1000
                place = (topic, partition, row.offset, stamp, name)
                found.append(Landed(*place, sha(row.value), named(row.value)))
    return found


async def _journal(kafka: Kafka) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = {}
    for partition, rows in (await read(kafka, JOURNAL)).items():
        stamp = 0
        found[partition] = []
        for row in rows:
            stamp = max(stamp, row.timestamp * 1000)
            key = (row.key or b"").decode()
            found[partition].append(Row(partition, row.offset, stamp, key, row.value or b""))
    return found


async def _outputs(kafka: Kafka) -> tuple[dict[tuple[str, int], list[Said]], dict[int, list[int]]]:
    found: dict[tuple[str, int], list[Said]] = {}
    offsets: dict[int, list[int]] = {}
    for topic in OUTPUTS:
        if topic == DEAD_LETTER:
            continue
        for partition, rows in (await read(kafka, topic)).items():
            if topic == CHANGES:
                offsets[partition] = [row.offset for row in rows]
            found[topic, partition] = [
                (
                    (row.key or b"").decode(),
                    row.value,
                    tuple(sorted((name, value.decode()) for name, value in row.headers)),
                )
                for row in rows
            ]
    return found, offsets
