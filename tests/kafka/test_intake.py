"""What hospitals write to the public topics themselves, and what must not hold a deadline."""

import asyncio
from pathlib import Path
from typing import Any

import orjson
from aiokafka import AIOKafkaProducer

from events.canonical import MAX_BYTES
from orchestrator.core.instants import HOUR, SECOND, written
from orchestrator.stream.clock import RealClock
from orchestrator.stream.kafka.connection import Kafka
from tests.kafka import world
from tests.stream.hospital_events import ANSWERS


def discharged(at: int, number: str) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"D-{number}",
        "source": "hospital/GEN/adt",
        "type": "care.discharge.recorded.v1",
        "time": written(at),
        "subject": f"GEN|MRN-{number}",
        "facility": "GEN",
        "data": {"visit_number": f"V-{number}", "disposition": {"code": "01"}},
    }


def called(at: int, number: str) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"C-{number}",
        "source": "team/nurse",
        "type": "care.task.completed.v1",
        "time": written(at),
        "subject": f"GEN|MRN-{number}",
        "facility": "GEN",
        "data": {
            "visit_number": f"V-{number}",
            "kind": "CALL_48H",
            "actor": "n1",
            "role": "rn",
            "outcome": "ok",
            "reached": "patient",
            "answers": {**ANSWERS, "symptoms": "none"},
        },
    }


async def changes_about(kafka: Kafka, subject: str) -> list[dict[str, Any]]:
    rows = (await world.read(kafka, "care.change.v1")).values()
    changes = [orjson.loads(row.value) for part in rows for row in part]
    return [change for change in changes if change["subject"] == subject]


async def test_any_key_any_partition_any_mode_and_transactions(
    kafka: Kafka, tmp_path: Path
) -> None:
    """CloudEvents in both modes, keyed at will; aborted ones are never seen, bad ones parked."""
    at = RealClock().now() // SECOND * SECOND - HOUR
    envelope = discharged(at, "BINARY")
    attributes = {name: envelope[name] for name in envelope if name != "data"}
    binary = [(f"ce_{name}", str(value).encode()) for name, value in attributes.items()]
    binary.append(("content-type", b"application/json"))
    structured = [("content-type", b"application/cloudevents+json")]
    topic = "care.discharge.v1"
    producer = AIOKafkaProducer(bootstrap_servers=kafka.servers, transactional_id="hospital")
    await producer.start()
    async with producer.transaction():
        body = orjson.dumps(discharged(at, "PLAIN"))
        await producer.send(topic, body, key=b"\xff\xfe", partition=3)
        await producer.send(topic, orjson.dumps(envelope["data"]), partition=1, headers=binary)
        body = orjson.dumps(discharged(at, "STRUCTURED"))
        await producer.send(topic, body, partition=2, headers=structured)
        await producer.send(
            topic, b'{"half": ', key=b"\xff", partition=0, headers=[("feed", b"7"), ("x", b"\xfe")]
        )
    await producer.begin_transaction()
    await producer.send(topic, orjson.dumps(discharged(at, "ABORTED")), partition=3)
    await producer.flush()
    await producer.abort_transaction()
    await producer.stop()

    async with world.workers(kafka, tmp_path) as workers:
        await workers.caught_up()  # past the markers, too, or no clock would ever fire

        async def clocks() -> bool:
            rows = (await world.read(kafka, "care.journal.v1")).values()
            return all(any(b'"clock"' in row.value for row in part) for part in rows)

        await world.until(clocks, "a clock in each partition", 20)

    for name in ("PLAIN", "BINARY", "STRUCTURED"):
        changes = await changes_about(kafka, f"GEN|MRN-{name}")
        assert "task.requested" in {change["change"] for change in changes}, name
    assert await changes_about(kafka, "GEN|MRN-ABORTED") == []
    ((letter,),) = (await world.read(kafka, "care.dead-letter.v1")).values()
    headers = dict(letter.headers)
    assert (letter.key, letter.value) == (b"\xff", b'{"half": ')
    assert (headers["reason"], headers["stage"]) == (b"malformed", b"intake")
    assert (headers["feed"], headers["x"]) == (b"7", b"\xfe")


async def test_records_as_large_as_they_may_be_stop_nobody(kafka: Kafka, tmp_path: Path) -> None:
    """At the limit, beyond it, escaped to six times its size, with headers beside it: all go on."""
    at = RealClock().now() // SECOND * SECOND - HOUR
    largest = discharged(at, "LARGEST")
    largest["data"]["note"] = ""
    room = MAX_BYTES - len(orjson.dumps(largest))
    largest["data"]["note"] = "\u0001" * (room // 6)
    plain = discharged(at, "PLAIN-LARGE")
    plain["data"]["note"] = ""
    plain["data"]["note"] = "n" * (MAX_BYTES - len(orjson.dumps(plain)))
    garbage = b"{" * 900_001
    headers = [(f"h{n}", b"x" * 500_000) for n in range(2)]
    topic = "care.discharge.v1"
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka.servers,
        max_request_size=2 * MAX_BYTES,
        max_batch_size=2 * MAX_BYTES,
    )
    await producer.start()
    for value in (orjson.dumps(largest), orjson.dumps(plain), garbage):
        await producer.send_and_wait(topic, value, partition=0)
    await producer.send_and_wait(topic, garbage, key=b"k" * 100_000, partition=0, headers=headers)
    await producer.send_and_wait(topic, orjson.dumps(discharged(at, "AFTER")), partition=0)
    await producer.stop()

    async with world.workers(kafka, tmp_path) as workers:
        await workers.caught_up()
        assert workers.stop() == [0, 0]
        assert workers.ends == []

    for name in ("LARGEST", "PLAIN-LARGE", "AFTER"):
        assert await changes_about(kafka, f"GEN|MRN-{name}"), name
    (letters,) = (await world.read(kafka, "care.dead-letter.v1")).values()
    assert [letter.value for letter in letters] == [garbage, garbage]
    assert {dict(letter.headers)["reason"] for letter in letters} == {b"malformed"}


async def test_a_lagging_intake_holds_the_deadline(kafka: Kafka, tmp_path: Path) -> None:
    """The call was recorded before it was due; intake reads it late; nobody is told of a gap."""
    async with world.workers(kafka, tmp_path) as workers:
        due = RealClock().now() // SECOND * SECOND + 8 * SECOND
        await world.publish(kafka, [("care.discharge.v1", discharged(due - 48 * HOUR, "LAG"))])
        await workers.caught_up()
        workers.kill("intake", "a")
        await world.publish(kafka, [("care.outcome.v1", called(due - 2 * SECOND, "LAG"))])
        await asyncio.sleep((due - RealClock().now()) / SECOND + 3)
        before = await changes_about(kafka, "GEN|MRN-LAG")
        workers.revive()
        await workers.caught_up()
        await asyncio.sleep(4)
        after = await changes_about(kafka, "GEN|MRN-LAG")

    assert RealClock().now() > due
    assert "task.completed" not in {change["change"] for change in before}
    assert "task.completed" in {change["change"] for change in after}
    assert not [change for change in after if change["change"] == "task.overdue"]
    assert not [
        change
        for change in (*before, *after)
        if change["change"] == "gap.opened" and change["gap"]["code"] == "TASK_OVERDUE"
    ]
