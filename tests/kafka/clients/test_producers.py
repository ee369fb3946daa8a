"""What hospitals' own programs write is taken in or parked, whatever client they chose."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from orchestrator.stream.kafka.broker import admin
from orchestrator.stream.kafka.connection import Kafka
from orchestrator.stream.kafka.topic_settings import wanted
from schemas.topics import DEAD_LETTER, JOURNAL, MAX_MESSAGE_BYTES
from tests.kafka import world
from tests.kafka.clients.envelopes import MODES, TOPIC, binary, discharged, plain
from tests.kafka.clients.foreign import CODECS, Headers, Java, Librdkafka, Sent
from tests.stream.fakes import PARTITIONS

# Neither as many as the journal has nor all alike.
COUNTS: Final = {TOPIC: 7, "care.admission.v1": 1, "care.outcome.v1": 3}
KEYS: Final = (None, b"GEN|somebody else", b"\xff\x00")
Letter = tuple[bytes | None, bytes | None, Headers]


@pytest.fixture
async def kafka(nobodys: str) -> Kafka:
    """A broker where hospitals made the public topics as they liked."""
    found = Kafka(nobodys)
    await world.no_topics(found)
    async with admin(found) as broker:
        topics = wanted(PARTITIONS, 1)
        counts = {topic.name: COUNTS.get(topic.name, topic.partitions) for topic in topics}
        await broker.create([replace(one, partitions=counts[one.name]) for one in topics], 1)
    return found


async def with_a_task(kafka: Kafka) -> set[str]:
    """The patients to whom a task was given."""
    rows = (await world.read(kafka, "care.change.v1")).values()
    changes = [orjson.loads(row.value) for part in rows for row in part]
    return {change["subject"] for change in changes if change["change"] == "task.requested"}


async def letters(kafka: Kafka) -> list[Any]:
    """What was parked."""
    return [row for rows in (await world.read(kafka, DEAD_LETTER)).values() for row in rows]


async def test_any_client_codec_mode_key_and_partition(kafka: Kafka, tmp_path: Path) -> None:
    """Java with a partitioner of its own and librdkafka with its default: all are taken in."""
    clients = (Java(kafka.bootstrap), Librdkafka(kafka.bootstrap))
    sent = set()
    for client in clients:
        for codec in CODECS:
            records = []
            for number, key in enumerate(KEYS):
                for mode in MODES:
                    name = f"{client.name}-{codec}-{mode.__name__}-{number}"
                    sent.add(f"GEN|{name}")
                    records.append(mode(discharged(name), key))
            client.write(records, codec)

    async with world.workers(kafka, tmp_path) as workers:
        await workers.caught_up()

    assert await letters(kafka) == []
    assert await with_a_task(kafka) == sent


async def test_transactions_of_a_java_producer(kafka: Kafka, tmp_path: Path) -> None:
    """Committed ones count, aborted ones were never there, and their markers hold no deadline."""
    Java(kafka.bootstrap).write(
        [
            *(plain(discharged(f"first-{n}"), b"%d" % n) for n in range(10)),
            "commit",
            *(plain(discharged(f"aborted-{n}"), None) for n in range(10)),
            "abort",
            *(plain(discharged(f"last-{n}"), None) for n in range(10)),
        ],
        "lz4",
        transactional_id="hospital",
    )

    async with world.workers(kafka, tmp_path) as workers:
        await workers.caught_up()

        async def clocks() -> bool:
            rows = (await world.read(kafka, JOURNAL)).values()
            return len(rows) == PARTITIONS and all(
                any(b'"clock"' in row.value for row in part) for part in rows
            )

        await world.until(clocks, "a clock in each partition", 60)

    expected = {f"GEN|{when}-{n}" for when in ("first", "last") for n in range(10)}
    assert await with_a_task(kafka) == expected


async def test_what_cannot_be_read_is_kept_as_it_came(kafka: Kafka, tmp_path: Path) -> None:
    """Bytes, key and headers of a dead letter are the sender's, down to null and doubled ones."""
    clients = (Java(kafka.bootstrap), Librdkafka(kafka.bootstrap))
    bad = bad_records()
    for client in clients:
        client.write(bad, "zstd")
        client.write([plain(discharged(f"after-{client.name}"), None)])

    async with world.workers(kafka, tmp_path) as workers:
        await workers.caught_up()

    found = [_as_sent(letter) for letter in await letters(kafka)]
    expected = [(one.key, one.value, tuple(one.headers)) for one in bad] * len(clients)
    assert Counter(found) == Counter(expected)
    assert await with_a_task(kafka) == {f"GEN|after-{client.name}" for client in clients}


async def test_records_as_large_as_the_topic_allows(kafka: Kafka, tmp_path: Path) -> None:
    """Nothing that a broker took from a sender may stop its partition."""
    half = MAX_MESSAGE_BYTES // 2
    large = [
        Sent(TOPIC, None, b"{" + b" " * (MAX_MESSAGE_BYTES - 200)),  # too long to be an event
        Sent(TOPIC, b"k" * (half - 100), b"{" + b" " * (half - 100)),
        Sent(TOPIC, None, b"{" + b" " * (half - 100), [("feed", b"h" * (half - 100))]),
    ]
    Java(kafka.bootstrap).write(large)
    Java(kafka.bootstrap).write([plain(discharged("after"), None)])

    async with world.workers(kafka, tmp_path) as workers:
        await workers.caught_up()
        assert workers.ends == [], "it ended, and would again"

    parked = await letters(kafka)
    assert len(parked) == len(large)
    assert {dict(letter.headers)["reason"] for letter in parked} == {b"too-large", b"malformed"}
    assert await with_a_task(kafka) == {"GEN|after"}


def bad_records() -> list[Sent]:
    """Each for another reason."""
    attributes = list(binary(discharged("X"), None).headers)
    data = orjson.dumps(discharged("X")["data"])
    return [
        Sent(TOPIC, None, b'{"half": '),
        Sent(TOPIC, b"tombstone", None),
        Sent(TOPIC, None, b""),
        Sent(TOPIC, b"", b"\xff\xfe", [("feed", b"7"), ("feed", b"\xfe"), ("empty", b"")]),
        Sent(TOPIC, b"\xff", b"[]", [("null", None)]),
        Sent(TOPIC, None, b"{}", [("reason", b"theirs"), ("topic", b"theirs, too")]),
        # Whose is it?
        Sent(TOPIC, None, data, [*attributes, ("ce_subject", b"GEN|Y")]),
        Sent(TOPIC, None, data, [*attributes, ("CE_SUBJECT", b"GEN|Y")]),
        # A replacement character would pass for a name.
        Sent(TOPIC, None, data, [*attributes[:-1], ("ce_feed", b"\xfe")]),
    ]


def _as_sent(letter: Any) -> Letter:
    """A dead letter without what we say of it, which comes last."""
    ours = {"reason", "stage", "topic", "partition", "offset", "error"}
    assert ours == {name for name, _ in letter.headers[-len(ours) :]}
    return letter.key, letter.value, tuple(letter.headers[: -len(ours)])
