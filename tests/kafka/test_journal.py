"""The journal that a state follows from, and what Rounds append to it."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any, Final

import orjson
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from orchestrator.stream import export
from orchestrator.stream.kafka.broker import admin
from orchestrator.stream.kafka.connection import Kafka
from orchestrator.stream.kafka.leaving import FAILED
from orchestrator.stream.kafka.topic_settings import wanted
from orchestrator.stream.memory_store import MemoryStore
from schemas.topics import DEAD_LETTER, JOURNAL
from tests.kafka import world
from tests.kafka.test_worker import some_events
from tests.stream.fakes import PARTITIONS, product

# All others are appended by Rounds.
FROM_OUTSIDE: Final = frozenset(
    {"event", "parked", "mended", "alive", "unmapped", "clock", "clock-mark", "clock-confirm"}
)
KILLS: Final = (
    "decide.some=kill@3",
    "decide.outputs=kill@4",
    "decide.commit=kill:0.002@3",
    "decide.committed=kill@3",
)

Appended = Counter[tuple[str, bytes]]


async def appended(kafka: Kafka) -> Appended:
    """What Rounds appended, by key and value."""
    rows = [row for rows in (await world.read(kafka, JOURNAL)).values() for row in rows]
    return Counter(
        (row.key.decode(), row.value)
        for row in rows
        if orjson.loads(row.value)["kind"] not in FROM_OUTSIDE
    )


def owed(lines: list[bytes]) -> Appended:
    """What the Rounds of an undisturbed run append."""
    store = MemoryStore()
    processor = product(store)
    found: Appended = Counter()
    for record in export.journal(lines):
        rnd = processor.process(record.partition, [record])
        found.update(rnd.journal)
        store.commit(rnd)
    return found


async def test_what_a_round_appends_to_other_partitions_is_there_once(
    kafka: Kafka, tmp_path: Path
) -> None:
    """Killed around the commit again and again: each record once, and read past the markers."""
    async with world.workers(kafka, tmp_path) as workers:
        for turn, point in enumerate(KILLS):
            workers.kill("decide", "a")
            workers.start("decide", "a", failpoints=point)
            await world.publish(kafka, some_events(turn, 60, first=1000 * turn))

            async def died(turn: int = turn) -> bool:
                workers.revive()
                return len(workers.ends) > turn

            await world.until(died, f"{point} was not met", 180)
        # Rounds append what the next Rounds decide on: twice, so that nothing is on its way.
        await workers.caught_up()
        await asyncio.sleep(1)
        await workers.caught_up()
        workers.stop()
        decided = await workers.decided()

    there = await appended(kafka)
    assert len({key for key, _ in there}) > PARTITIONS
    assert there == owed(await world.journal_lines(kafka, decided))


async def test_another_journal_is_refused(kafka: Kafka, tmp_path: Path) -> None:
    """The topic was made anew, with as many records as before: no state may be built on it."""
    async with world.workers(kafka, tmp_path) as workers:
        await world.publish(kafka, some_events(1, 60))
        await workers.caught_up()
        assert workers.stop() == [0, 0]
        client = AIOKafkaAdminClient(bootstrap_servers=kafka.servers)
        await client.start()
        await client.delete_topics([JOURNAL])

        async def gone() -> bool:
            return JOURNAL not in await client.list_topics()

        await world.until(gone, "deleted")
        await client.close()
        async with admin(kafka) as broker:
            await broker.create(wanted(PARTITIONS, 1), 1)
        await world.publish(kafka, [(JOURNAL, {"kind": "clock-mark"})] * 2000)
        workers.start("decide", "a")
        assert workers.running["decide", "a"].wait(60) == FAILED
    assert "journal-replaced" in (tmp_path / "decide-a.log").read_text()


async def test_a_journal_that_lost_records_is_refused(kafka: Kafka, tmp_path: Path) -> None:
    """Somebody deleted what was not decided on yet: events are missing, and nobody would know."""
    async with world.workers(kafka, tmp_path) as workers:
        await world.publish(kafka, some_events(1, 60))
        await workers.caught_up()
        workers.kill("decide", "a")
        await world.publish(kafka, some_events(2, 60, first=1000))
        tps = [TopicPartition(JOURNAL, p) for p in range(PARTITIONS)]
        decided = await workers.decided()

        async def taken_in() -> bool:
            async with admin(kafka) as broker:
                return sum((await broker.ends(tps)).values()) >= sum(decided.values()) + 60

        await world.until(taken_in, "taken in")
        client = AIOKafkaAdminClient(bootstrap_servers=kafka.servers)
        await client.start()
        await client.delete_records({tp: RecordsToDelete(before_offset=-1) for tp in tps})
        await client.close()
        workers.start("decide", "a")
        assert workers.running["decide", "a"].wait(60) == FAILED
    assert "journal-lost-records" in (tmp_path / "decide-a.log").read_text()


async def test_a_record_in_another_partition_than_its_keys_is_parked(
    kafka: Kafka, tmp_path: Path
) -> None:
    """Copied there, it would give its patient a second owner: a dead letter, and nothing else."""
    async with world.workers(kafka, tmp_path) as workers:
        await world.publish(kafka, some_events(1, 60))
        await workers.caught_up()
        home, copied = await one_event(kafka)
        away = (home + 1) % PARTITIONS
        producer = AIOKafkaProducer(bootstrap_servers=kafka.servers)
        await producer.start()
        await producer.send_and_wait(JOURNAL, copied.value, key=copied.key, partition=away)
        await producer.send_and_wait(JOURNAL, b"no JSON", key=copied.key, partition=away)
        await producer.stop()
        await workers.caught_up()
        assert workers.stop() == [0, 0]
        decided = await workers.decided()

    letters = [row for rows in (await world.read(kafka, DEAD_LETTER)).values() for row in rows]
    said = [dict(row.headers) for row in letters]
    assert [one["error"] for one in said] == [f"its key belongs to partition {home}".encode()] * 2
    assert [one["stage"] for one in said] == [b"decide"] * 2
    assert [row.key for row in letters] == [copied.key] * 2
    assert orjson.loads(letters[0].value)["id"] == orjson.loads(copied.value)["event"]["id"]
    assert letters[1].value == b"no JSON"
    lines = await world.journal_lines(kafka, decided, but=(away, copied.key))
    published = await world.published(kafka)
    del published[DEAD_LETTER, 0]
    assert published == world.replayed(lines)


async def one_event(kafka: Kafka) -> tuple[int, Any]:
    """Some event of a patient in the journal, and its partition."""
    for partition, rows in (await world.read(kafka, JOURNAL)).items():
        for row in rows:
            if orjson.loads(row.value)["kind"] == "event":
                return partition, row
    raise AssertionError("no event")
