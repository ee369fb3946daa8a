"""A FHIR client that nobody here wrote works through its queue over real HTTP.

fhirclient is SMART's own client for Python; its models are strict R4.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import uvicorn
from fhirclient.auth import FHIRAuth
from fhirclient.client import FHIRClient
from fhirclient.models import (
    capabilitystatement,
    careplan,
    codeableconcept,
    fhirsearch,
    flag,
    operationoutcome,
    patient,
    task,
)
from fhirclient.server import FHIRNotFoundException, FHIRUnauthorizedException

from orchestrator.worklist.doors import Door, bound
from orchestrator.worklist.fhir.capability import capability
from orchestrator.worklist.serving import Server
from tests.worklist.fhir import faults
from tests.worklist.world import ANSWERS, PATIENTS, World, world


@asynccontextmanager
async def served(made: World) -> AsyncIterator[str]:
    """The address of *made* while it is served on a free port."""
    listening = asyncio.Event()
    config = uvicorn.Config(made.app, log_config=None, lifespan="off", server_header=False)
    server = Server(config, lambda _: listening.set(), made.site.closing)
    taken = bound(Door("127.0.0.1", 0))
    running = asyncio.create_task(server._serve([taken]))
    try:
        await asyncio.wait_for(listening.wait(), 60)
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/fhir"
    finally:
        server.should_exit = True
        await running


@contextmanager
def client_of(address: str, token: str | None) -> Iterator[Any]:
    """The server as fhirclient sees it, with a bearer token."""
    smart = FHIRClient(settings={"app_id": "care-tests", "api_base": address})
    assert smart.prepare()
    smart.server.auth = FHIRAuth.create("oauth2", state={"access_token": token})
    try:
        yield smart.server
    finally:
        smart.server.session.close()


@contextmanager
def if_match(server: Any, one: Any) -> Iterator[None]:
    """fhirclient leaves the version that was seen to its caller."""
    server.session.headers["If-Match"] = f'W/"{one.meta.versionId}"'
    try:
        yield
    finally:
        del server.session.headers["If-Match"]


def update(server: Any, one: Any) -> Any:
    """The task as it stands after it was sent as it should be."""
    with if_match(server, one):
        return task.Task(one.update(server))


def found(server: Any, kind: Any, **said: str) -> list[Any]:
    """All pages of a search."""
    return list(fhirsearch.FHIRSearch(kind, said).perform_resources_iter(server))


def works(address: str) -> tuple[str, str]:
    """Search, page, read, accept, be too late, attempt, complete; the task's and plan's id."""
    with client_of(address, "demo-supervisor") as server:
        assert {one.type for one in server.capabilityStatement.rest[0].resource} >= {"Task"}
        calls = found(server, task.Task, code="CALL_48H", _count="2", _sort="due")
        assert len({one.id for one in calls}) == len(calls) == PATIENTS

        seen = task.Task.read(calls[0].id, server)
        older = task.Task.read(calls[0].id, server)
        whom = patient.Patient.read_from(seen.for_fhir.reference, server)
        assert whom.identifier[0].system.startswith("urn:care:authority:")

        seen.status = "accepted"
        mine = update(server, seen)
        assert (mine.status, mine.owner.identifier.value) == ("accepted", "demo-supervisor")

        older.status = "rejected"
        with pytest.raises(requests.HTTPError) as stale:
            update(server, older)
        answer = stale.value.response
        assert answer is not None
        assert answer.status_code == 412
        assert operationoutcome.OperationOutcome(answer.json()).issue

        mine.status = "in-progress"
        mine.output = [_output("reached", "no-answer")]
        tried = update(server, mine)
        assert tried.status == "in-progress"

        tried.status = "completed"
        said = {"outcome": "ok", "reached": "patient"}
        said |= {f"answers.{name}": value for name, value in ANSWERS.items()}
        tried.output = [_output(name, value) for name, value in said.items()]
        done = update(server, tried)
        assert done.status == "completed"
        assert [one.id for one in found(server, task.Task, status="completed")] == [done.id]

        plan = careplan.CarePlan.read_from(done.basedOn[0].reference, server)
        assert f"Task/{done.id}" in {one.reference.reference for one in plan.activity}
        assert found(server, flag.Flag, patient=whom.id)
        return done.id, plan.id


def _output(name: str, value: str) -> Any:
    made = task.TaskOutput()
    made.type = codeableconcept.CodeableConcept({"text": name})
    made.valueString = value
    return made


def is_refused(address: str) -> None:
    """What the client's own exceptions say of a token, and of what is not there."""
    with client_of(address, "nobody") as server, pytest.raises(FHIRUnauthorizedException):
        found(server, task.Task)
    with client_of(address, "demo-rn") as server, pytest.raises(FHIRNotFoundException):
        task.Task.read("none", server)


async def test_a_fhir_client_works_through_its_queue(tmp_path: Path) -> None:
    """What it did stands in the API as well: one worklist, two doors."""
    async with world(tmp_path) as made, served(made) as address:
        done, _ = await asyncio.to_thread(works, address)
        await asyncio.to_thread(is_refused, address)
        told = await made.get(f"/tasks/{done}")
        deeds = [one["action"] for one in made.audit() if f"task/{done}" in one["objects"]]

    assert (told["status"], told["attempts"] > 0) == ("completed", True)
    assert deeds.count("act") == 4


def test_a_client_finds_the_identity_provider() -> None:
    """Where there is one, SMART's client reads from the statement where to sign in."""
    provider = {
        "authorization_endpoint": "https://idp.example/authorize",
        "token_endpoint": "https://idp.example/token",
    }
    told = capability("1", "2026-11-22", "https://care.example/fhir", provider)
    security = capabilitystatement.CapabilityStatement(told).rest[0].security
    auth = FHIRAuth.from_capability_security(security, {"app_id": "care-tests"})

    assert faults(told) == []
    assert auth.auth_type == "oauth2"
    assert faults(capability("1", "2026-11-22", "https://care.example/fhir", None)) == []
