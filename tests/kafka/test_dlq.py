"""Dead letters at a terminal, straight on Kafka: found, sent again mended, and put away."""

import asyncio
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
from aiokafka import AIOKafkaProducer

from orchestrator.core.instants import HOUR, SECOND
from orchestrator.stream.clock import RealClock
from orchestrator.stream.kafka.connection import Kafka
from orchestrator.worklist.log.feed import AUDIT, LETTERS
from orchestrator.worklist.log.kafka import KafkaFeed, KafkaPlaces
from tests.cli.dlq import NAME, NUMBER, discharge, without_visit
from tests.kafka import world
from tests.kafka.commands import Ran, publish_settings, run, worker

BY = ("--by", "anna")
DISCHARGES = "care.discharge.v1"
MILLISECOND = 1_000


async def sent(
    kafka: Kafka,
    topic: str,
    values: Sequence[bytes],
    headers: Sequence[tuple[str, bytes]] = (),
    at: int | None = None,
) -> None:
    """Append *values* to partition 0, as if at *at*."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka.servers, acks="all")
    await producer.start()
    try:
        for value in values:
            stamp = None if at is None else at // MILLISECOND
            await producer.send_and_wait(
                topic, value, partition=0, timestamp_ms=stamp, headers=list(headers)
            )
    finally:
        await producer.stop()


async def listed(settings: dict[str, str], *words: str) -> list[dict[str, Any]]:
    ran = await run("dlq", "list", "--json", *words, **settings)
    assert ran.code == 0, ran.err
    found: list[dict[str, Any]] = ran.json["items"]
    return found


async def test_a_letter_is_understood_mended_and_taken(kafka: Kafka, tmp_path: Path) -> None:
    """What intake refused waits, is refused again as it is, and taken when it is mended."""
    settings = publish_settings(kafka) | {"CARE_GROUP": "dlq-mended"}
    mended = tmp_path / "mended.json"
    mended.write_bytes(orjson.dumps(discharge(1)))
    looking = {name: said for name, said in settings.items() if name != "CARE_SITE_KEY"}
    async with worker(tmp_path / "worker.err", **settings):
        told = [("x-patient", NAME.encode())]
        await sent(kafka, DISCHARGES, [orjson.dumps(without_visit(1))], told)
        await world.until(lambda: _waits(looking, 1), "a dead letter", 120, every=1)
        (letter,) = await listed(looking)
        shown = await run("dlq", "show", letter["id"], **looking)
        as_it_is = await run("dlq", "retry", letter["id"], *BY, **settings)
        taken = await _taken(letter["id"], mended, settings)
        raw = await run(
            "dlq", "show", letter["id"], "--raw", "--purpose", "for this test", *BY, **looking
        )
    audited = [
        orjson.loads(row.value)
        for rows in (await world.read(kafka, AUDIT)).values()
        for row in rows
    ]

    assert (letter["reason"], letter["stage"], letter["topic"]) == (
        "missing-visit",
        "intake",
        DISCHARGES,
    )
    assert shown.code == 0
    assert NAME not in shown.out
    assert NUMBER not in shown.out
    assert (as_it_is.code, as_it_is.out.split(":")[0]) == (1, "refused")
    assert taken["tasks_changed"] >= 3
    assert orjson.loads(raw.out) == without_visit(1) | {"time": orjson.loads(raw.out)["time"]}
    assert await listed(looking) == []
    (retried,) = await listed(looking, "--status", "retried")
    assert (retried["id"], retried["tries"]) == (letter["id"], 2)
    deeds = sorted((one["action"], one["outcome"]) for one in audited)
    assert deeds == [("raw", "success"), ("retry", "refused"), ("retry", "success")]


async def _waits(settings: dict[str, str], number: int) -> bool:
    return len(await listed(settings)) == number


async def _taken(place: str, mended: Path, settings: dict[str, str]) -> dict[str, Any]:
    ran = await run("dlq", "retry", place, "--replacement", mended, "--json", *BY, **settings)
    assert (ran.code, ran.json["result"]) == (0, "accepted"), ran
    found: dict[str, Any] = ran.json
    return found


async def test_many_are_looked_at_and_one_is_put_away(kafka: Kafka) -> None:
    """Without any worker; nothing is appended by a dry run, and what was put away is told."""
    settings = publish_settings(kafka)
    headers = [("reason", b"malformed"), ("stage", b"publish"), ("error", b"is not JSON")]
    await sent(kafka, LETTERS, [orjson.dumps(discharge(n)) for n in range(5)], headers)
    looked = await run("dlq", "retry", "--all", "--dry-run", "--json", **settings)
    dropped = await _dropped(f"{LETTERS}-0-3", settings)

    assert (looked.code, looked.json["accepted"], looked.json["left"]) == (0, 5, 0)
    assert await world.read(kafka, DISCHARGES) == {}
    assert dropped.code == 0, dropped.err
    assert [one["id"] for one in await listed(settings)] == [
        f"{LETTERS}-0-{number}" for number in (0, 1, 2, 4)
    ]
    (gone,) = await listed(settings, "--status", "discarded")
    assert gone["purpose"] == "a test of the sender"


async def _dropped(place: str, settings: dict[str, str]) -> Ran:
    return await run("dlq", "discard", place, "--reason", "a test of the sender", *BY, **settings)


async def test_reading_begins_at_a_time_and_places_are_read_one_by_one(kafka: Kafka) -> None:
    """Years of audit records before the oldest letter are not read; where none follows, nothing."""
    now = RealClock().now()
    await sent(kafka, AUDIT, [b'{"number":0}'] * 3, at=now - 48 * HOUR)
    await sent(kafka, AUDIT, [b'{"number":1}'] * 2, at=now - HOUR)

    def looked() -> list[int]:
        with closing(KafkaFeed(kafka, "nobody", None, (AUDIT,), clocks=False)) as feed:
            spans = (now - 72 * HOUR, now - 2 * HOUR, now + 60 * SECOND)
            return [feed.since(AUDIT, at)[AUDIT, 0] for at in spans]

    begins = await asyncio.to_thread(looked)
    places = KafkaPlaces(kafka, 30.0)
    try:
        found = await asyncio.gather(*(places.record(AUDIT, 0, offset) for offset in range(6)))
    finally:
        await places.close()

    assert begins == [0, 3, 5]
    assert [None if one is None else one.offset for one in found] == [0, 1, 2, 3, 4, None]
