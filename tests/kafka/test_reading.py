"""``topics read`` on a broker: what is committed, once, in the order of its stamps."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.structs import TopicPartition

from orchestrator.stream.export import line
from orchestrator.stream.kafka import reading
from orchestrator.stream.kafka.broker import BrokerAway
from orchestrator.stream.kafka.connection import Kafka
from orchestrator.stream.kafka.reading import NoTopic, Place
from schemas.topics import JOURNAL
from tests.kafka.commands import publish_settings, run

TASK: Final = "care.task.v1"


async def write(kafka: Kafka, topic: str, rows: list[tuple[int, bytes | None, int]]) -> None:
    """Append (partition, value, stamp in ms), one after the other."""
    producer = AIOKafkaProducer(**kafka.client(), acks="all")
    await producer.start()
    for partition, value, stamp in rows:
        await producer.send_and_wait(
            topic, value, b"k", partition=partition, timestamp_ms=stamp or None
        )
    await producer.stop()


async def transacted(kafka: Kafka, values: list[bytes], *, keep: bool) -> None:
    """One transaction on partition 0 of the journal."""
    producer = AIOKafkaProducer(**kafka.client(), transactional_id="test-reading")
    await producer.start()
    await producer.begin_transaction()
    for value in values:
        await producer.send_and_wait(JOURNAL, value, b"0" * 32, partition=0)
    await (producer.commit_transaction() if keep else producer.abort_transaction())
    await producer.stop()


async def all_of(places: AsyncIterator[Place]) -> list[Place]:
    return [place async for place in places]


async def test_partitions_are_merged_and_stamps_never_fall(kafka: Kafka) -> None:
    """A sender's clock that went back does not bring a partition's records out of order."""
    first = [(0, b"a", 5_000), (0, b"b", 9_000), (0, b"c", 2_000), (0, b"d", 9_500)]
    await write(kafka, TASK, [*first, (1, b"x", 6_000), (1, None, 9_200), (2, b"y", 1_000)])

    found = [place.record for place in await all_of(reading.records(kafka, TASK))]

    assert [record.value for record in found] == [b"y", b"a", b"x", b"b", b"c", None, b"d"]
    assert [record.stamp for record in found] == [
        ms * 1000 for ms in (1_000, 5_000, 6_000, 9_000, 9_000, 9_200, 9_500)
    ]


async def test_more_than_is_buffered_comes_whole(
    kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long partition waits for a short one, and is not lost or doubled by waiting."""
    monkeypatch.setattr(reading, "BUFFERED", 10)
    rows: list[tuple[int, bytes | None, int]] = [(0, b"%d" % n, 1_000 + n) for n in range(300)]
    await write(kafka, TASK, [*rows, (1, b"late", 1_299), (1, b"later", 2_000)])

    found = [place.record.value for place in await all_of(reading.records(kafka, TASK))]

    assert found == [*(b"%d" % n for n in range(300)), b"late", b"later"]


async def test_only_what_was_committed_and_holes_are_said(kafka: Kafka) -> None:
    """What a transaction gave up is not shown; what lies behind it says what came before it."""
    await transacted(kafka, [b"1", b"2"], keep=True)
    await transacted(kafka, [b"never", b"nor this"], keep=False)
    await transacted(kafka, [b"3"], keep=True)

    places = await all_of(reading.records(kafka, JOURNAL))

    assert [place.record.value for place in places] == [b"1", b"2", b"3"]
    assert [(place.record.offset, place.after) for place in places] == [(0, -1), (1, 0), (6, 1)]
    lines = [orjson.loads(line(place.record, place.after)) for place in places]
    assert [row.get("after") for row in lines] == [None, None, 1]
    later = await all_of(reading.records(kafka, JOURNAL, start=1))
    assert [(place.record.offset, place.after) for place in later] == [(1, None), (6, 1)]


async def test_a_transaction_that_is_open_holds_nobody_up(kafka: Kafka) -> None:
    """Reading ends where the committed ends, also while a worker is in the middle of something."""
    await write(kafka, TASK, [(0, b"there", 1_000)])
    producer = AIOKafkaProducer(**kafka.client(), transactional_id="test-open")
    await producer.start()
    await producer.begin_transaction()
    await producer.send_and_wait(TASK, b"not yet", b"k", partition=0)

    found = [place.record.value for place in await all_of(reading.records(kafka, TASK))]

    await producer.abort_transaction()
    await producer.stop()
    assert found == [b"there"]


async def test_following_goes_on_with_what_comes(kafka: Kafka) -> None:
    """What was there, then what is written while it waits."""
    await write(kafka, TASK, [(0, b"old", 1_000)])
    found = []
    async with aclosing(reading.records(kafka, TASK, follow=True)) as following:
        async for place in following:
            found.append(place.record.value)
            if len(found) == 1:
                await write(kafka, TASK, [(3, b"new", 2_000)])
            else:
                break
    assert found == [b"old", b"new"]


async def test_an_export_that_lacks_records_is_refused(kafka: Kafka, tmp_path: Path) -> None:
    """A line that is gone, or a journal whose beginning retention took, is not decided on."""
    settings = publish_settings(kafka)
    for value in (b"1", b"2", b"3"):
        await transacted(kafka, [b'{"kind":"mark","n":%b}' % value], keep=True)
    whole = (await run("topics", "read", JOURNAL, "--json", **settings)).out.splitlines()
    export = tmp_path / "journal"
    export.write_text("\n".join(whole))
    assert (await run("replay", "--journal", export)).code == 0

    export.write_text("\n".join([whole[0], whole[2]]))
    lacking = await run("replay", "--journal", export)
    assert (lacking.code, "goes on with offset 4 after 0" in lacking.err) == (2, True)

    await _delete_before(kafka, 2)
    export.write_text((await run("topics", "read", JOURNAL, "--json", **settings)).out)
    pruned = await run("replay", "--journal", export)
    assert (pruned.code, "goes on with offset 2 after -1" in pruned.err) == (2, True)


async def _delete_before(kafka: Kafka, offset: int) -> None:
    client = AIOKafkaAdminClient(**kafka.client())
    await client.start()
    await client.delete_records({TopicPartition(JOURNAL, 0): RecordsToDelete(offset)})
    await client.close()


async def test_a_topic_that_is_not_there_is_a_mistake(kafka: Kafka) -> None:
    """The names of those that are there are said."""
    with pytest.raises(NoTopic, match=r"care\.tsk\.v1 is no topic .* care\.task\.v1"):
        await all_of(reading.records(kafka, "care.tsk.v1"))


async def test_brokers_that_do_not_answer_are_named() -> None:
    """Away is not empty."""
    with pytest.raises(BrokerAway, match=r"127\.0\.0\.1:1: nobody answers"):
        await all_of(reading.records(Kafka("127.0.0.1:1"), TASK))


async def test_the_list_of_topics_says_what_each_holds(kafka: Kafka) -> None:
    """Offsets by partition, as programs want them, and a line each for people."""
    await write(kafka, TASK, [(0, b"a", 1_000), (0, b"b", 1_000), (3, b"c", 1_000)])
    settings = publish_settings(kafka)

    listed: dict[str, Any] = (await run("topics", "list", "--json", **settings)).json
    told = (await run("topics", "list", **settings)).out

    (row,) = [row for row in listed["topics"] if row["topic"] == TASK]
    assert row == {"topic": TASK, "partitions": 4, "first": [0] * 4, "next": [2, 0, 0, 1]}
    assert "           3     4  care.task.v1" in told.splitlines()
