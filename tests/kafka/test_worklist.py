"""The worklist over a real broker: what care teams do goes in and comes back, and is kept once."""

import asyncio
import base64
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import orjson
from aiokafka import AIOKafkaProducer

from orchestrator.stream.clock import RealClock
from orchestrator.stream.kafka.connection import Kafka
from orchestrator.stream.keys import patient_key
from orchestrator.worklist.access.tokens import DemoTokens
from orchestrator.worklist.app import application
from orchestrator.worklist.log.feed import AUDIT
from orchestrator.worklist.log.kafka import KafkaFeed, KafkaPlaces, KafkaSender
from orchestrator.worklist.model import tables
from orchestrator.worklist.model.projector import Projection
from orchestrator.worklist.serving import Plan, opened
from schemas.topics import topic_of
from tests.kafka import world
from tests.stream.fakes import SITE_KEY
from tests.worklist.test_projection import rows
from tests.worklist.world import ANSWERS, discharged

PATIENTS = 4
WAIT_S = 60.0


def key_of(subject: str) -> str:
    return patient_key(SITE_KEY, subject)


def plan(folder: Path, kafka: Kafka, group: str) -> Plan:
    return Plan(
        folder=folder,
        feed=lambda: KafkaFeed(kafka, group, SITE_KEY),
        sender=lambda: KafkaSender(kafka, 10.0),
        places=lambda: KafkaPlaces(kafka, 10.0),
        authenticator=lambda _store: DemoTokens(),
        key_of=key_of,
        log_now=RealClock().now,
        action_wait=WAIT_S,
    )


async def test_a_call_is_completed_through_the_broker(kafka: Kafka, tmp_path: Path) -> None:
    """Discharge in, task out, accept, complete, done; audited; and the rebuilt model is equal."""
    events = [event for n in range(PATIENTS) for event in discharged(n)]
    sent = [(topic, event) for event in events if (topic := topic_of(event["type"]))]
    await world.publish(kafka, sent)
    data = tmp_path / "data"
    async with world.workers(kafka, tmp_path) as workers:
        async with opened(plan(data, kafka, workers.group)) as site:
            transport = httpx.ASGITransport(application(site, version="test"))
            headers = {"Authorization": "Bearer demo-supervisor"}
            async with httpx.AsyncClient(
                transport=transport, base_url="http://test/api/v1", headers=headers, timeout=WAIT_S
            ) as client:
                found = await _until(
                    client, "/tasks?kind=CALL_48H", lambda f: f["total"] == PATIENTS
                )
                task = found["items"][0]
                accepted = await _act(client, task, "accept", None, task["version"])
                version = accepted["task"]["version"]
                body = {"outcome": "ok", "reached": "patient", "answers": ANSWERS}
                done = await _act(client, task, "complete", body, version)
                fresh = await _until(
                    client, "/freshness", lambda f: f["state"] == "current", seconds=120
                )
        await workers.caught_up()
        workers.stop()
        group = workers.group

    # Inside the cluster all is at rest: what was followed and what is read anew must agree.
    for name in ("data", "anew"):
        await asyncio.to_thread(_to_the_end, tmp_path / name / tables.FILE, kafka, group)
    audited = [
        orjson.loads(r.value) for rs in (await world.read(kafka, AUDIT)).values() for r in rs
    ]

    assert (accepted["task"]["owner"], done["task"]["status"]) == ("demo-supervisor", "completed")
    assert fresh["data_until"] is not None
    assert rows(data / tables.FILE) == rows(tmp_path / "anew" / tables.FILE)
    assert [r["outcome"] for r in audited if r["action"] == "act"] == ["success", "success"]


async def test_a_dead_letter_goes_back_through_the_broker(kafka: Kafka, tmp_path: Path) -> None:
    """As it lay, with its headers; then mended, and the patient's tasks are there."""
    *_, whole = discharged(90)
    data = {name: said for name, said in whole["data"].items() if name != "visit_number"}
    headers = [(f"ce_{name}", str(said).encode()) for name, said in whole.items() if name != "data"]
    producer = AIOKafkaProducer(**kafka.client())
    await producer.start()
    try:
        await producer.send_and_wait("care.discharge.v1", orjson.dumps(data), headers=headers)
    finally:
        await producer.stop()
    async with (
        world.workers(kafka, tmp_path) as workers,
        opened(plan(tmp_path / "data", kafka, workers.group)) as site,
    ):
        transport = httpx.ASGITransport(application(site, version="test"))
        signed = {"Authorization": "Bearer demo-data-steward"}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://test/api/v1", headers=signed, timeout=WAIT_S
        ) as client:
            listed = "/ops/dead-letters?reason=missing-visit"
            found = await _until(client, listed, lambda f: f["items"])
            path = f"/ops/dead-letters/{found['items'][0]['id']}"
            as_it_was = (await client.post(f"{path}/retry")).json()
            mended = base64.b64encode(orjson.dumps(whole)).decode()
            taken = (await client.post(f"{path}/retry", json={"replacement_base64": mended})).json()
            known = await _until(client, path, lambda f: f["status"] == "retried")

    # Without what stood in its headers it would not even be an event.
    assert (as_it_was["result"], as_it_was["reason"]) == ("refused", "missing-visit")
    assert (taken["result"], taken["tasks_changed"] >= 3) == ("accepted", True)
    assert (known["tries"], len(known["edits"])) == (2, 1)


def _to_the_end(path: Path, kafka: Kafka, group: str) -> None:
    with (
        closing(KafkaFeed(kafka, group, SITE_KEY)) as feed,
        closing(Projection(path, feed, key_of)) as one,
    ):
        while one.left():
            one.step(wait_s=0.5)


async def _act(
    client: httpx.AsyncClient, task: dict[str, Any], action: str, body: Any, version: int
) -> dict[str, Any]:
    headers = {"Idempotency-Key": action, "If-Match": f'"{version}"'}
    response = await client.post(f"/tasks/{task['task_id']}/{action}", json=body, headers=headers)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def _until(client: httpx.AsyncClient, path: str, holds: Any, seconds: float = 60) -> Any:
    found: Any = None

    async def asked() -> bool:
        nonlocal found
        response = await client.get(path)
        assert response.status_code == 200, response.text
        found = response.json()
        return bool(holds(found))

    await world.until(asked, path, seconds)
    return found
