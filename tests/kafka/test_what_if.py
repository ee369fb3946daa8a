"""A policy tried out over a real broker: the journal is read as it was committed, and only read."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from orchestrator.stream.kafka.connection import Kafka
from orchestrator.worklist.app import application
from orchestrator.worklist.log.journal_kafka import KafkaJournal
from orchestrator.worklist.log.trial import Trial
from orchestrator.worklist.serving import opened
from schemas.policy import load_policies
from schemas.topics import topic_of
from tests.kafka import world
from tests.kafka.test_worklist import plan
from tests.stream.fakes import FACILITIES
from tests.worklist.test_what_if import CHANGED, days
from tests.worklist.world import discharged

PATIENTS = 3
WAIT_S = 120.0


async def test_a_policy_is_tried_out_on_what_the_broker_keeps(kafka: Kafka, tmp_path: Path) -> None:
    """The same answer as on the embedded log: calls due earlier, visits gone, the rest the same."""
    patients = range(300, 300 + PATIENTS)
    events = [event for n in patients for event in discharged(n)]
    await world.publish(kafka, [(str(topic_of(event["type"])), event) for event in events])
    async with world.workers(kafka, tmp_path) as workers:
        await workers.caught_up()
        made = plan(tmp_path / "data", kafka, workers.group)
        trial = Trial(KafkaJournal(kafka), load_policies(None), FACILITIES, tmp_path)
        async with opened(replace(made, trial=trial)) as site:
            transport = httpx.ASGITransport(application(site, version="test"))
            headers = {"Authorization": "Bearer demo-supervisor"}
            async with httpx.AsyncClient(
                transport=transport, base_url="http://test", headers=headers, timeout=WAIT_S
            ) as client:
                job = await _answered(client)
                ours = {site.key_of(event["subject"]) for event in events}

    assert job["state"] == "done", job
    found = [one for one in job["result"]["items"] if one["patient_key"] in ours]
    assert sorted(one["change"] for one in found) == ["earlier"] * PATIENTS + ["gone"] * PATIENTS
    assert job["result"]["failed"] == 0


async def _answered(client: httpx.AsyncClient) -> dict[str, Any]:
    body = {"policy": CHANGED, **days()}
    response = await client.post("/api/v1/policy/what-if", json=body)
    assert response.status_code == 202, response.text
    async with asyncio.timeout(WAIT_S):
        while True:
            job: dict[str, Any] = (await client.get(response.headers["location"])).json()
            if job["state"] != "running":
                return job
            await asyncio.sleep(0.1)
