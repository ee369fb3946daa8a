"""What the OpenAPI document lets one say is said, by people of every role: schemathesis.

No answer is a 5xx, and each has a status, a form and members that the document tells; the document
allows no others, so it is complete.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import httpx
import pytest
import pytest_asyncio
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from orchestrator.worklist.access.roles import ROLES
from orchestrator.worklist.api import reading
from tests.worklist.world import World, world

pytestmark = pytest.mark.asyncio(loop_scope="module")

EXAMPLES: Final = 8  # of each operation
ENDLESS: Final = "/api/v1/stream"  # has its own tests
CHECKS: Final = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# FHIR has its own document, the CapabilityStatement, and its own validation against R4's schema.
FHIR_CHECKS: Final = CHECKS[:2]
TOKENS: Final = [f"demo-{role}" for role in ROLES]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with world(tmp_path_factory.mktemp("schema-run"), patients=3) as made:
        yield made


class Run:
    """One run over the document of a worklist; in a thread, while its loop answers."""

    def __init__(self, made: World, document: dict[str, Any], known: dict[str, list[str]]) -> None:
        self._made = made
        self._known = known
        self._loop = asyncio.get_running_loop()
        self.document = schemathesis.openapi.from_dict(document)
        self.statuses: dict[str, Counter[int]] = {}

    def operations(self) -> Iterator[Any]:
        for found in self.document.get_all_operations():
            told: Any = found
            operation = told.ok()
            if operation.path != ENDLESS:
                yield operation

    def check(self, operation: Any) -> None:
        """Say what may be said of *operation*, and look at each answer."""
        label = f"{operation.method.upper()} {operation.path}"
        seen = self.statuses.setdefault(label, Counter())
        checks = FHIR_CHECKS if operation.path.startswith("/fhir") else CHECKS

        @seed(label)
        @settings(
            max_examples=EXAMPLES,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(), token=st.sampled_from(TOKENS), draw=st.randoms())
        def run(case: Any, token: str, draw: Any) -> None:
            if draw.random() < 0.7:
                self._point_at_something(case, draw)
            token = draw.choice(["demo-supervisor", token])
            response = self._answer(case, token)
            seen[response.status_code] += 1
            if response.status_code >= 500:
                assert _is_written_down(case, response), response.text
            case.validate_response(response, checks=checks)

        run()

    def _point_at_something(self, case: Any, draw: Any) -> None:
        """What is drawn at random hits nothing that is there."""
        for name in case.path_parameters or {}:
            if name in self._known:
                case.path_parameters[name] = draw.choice(self._known[name])

    def _answer(self, case: Any, token: str) -> httpx.Response:
        said = case.as_transport_kwargs(base_url="http://test")
        known = {k: v for k, v in said.items() if k != "timeout"}
        made: Any = requests.Request(**known).prepare()
        headers = {**made.headers, "Authorization": f"Bearer {token}"}
        headers.pop("Content-Length", None)
        sent = httpx.Request(made.method, made.url, headers=headers, content=made.body or b"")
        answering = asyncio.run_coroutine_threadsafe(self._send(sent), self._loop)
        return answering.result(60)

    async def _send(self, request: httpx.Request) -> httpx.Response:
        async with self._made.client(None) as client:
            return await client.send(request)


def _is_written_down(case: Any, response: httpx.Response) -> bool:
    """The one 5xx of a log that can be written: a version that never comes (3.1)."""
    asked = "min_version" in (case.query or {})
    return asked and (response.status_code, response.json()["reason"]) == (503, "unavailable")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def run(shared: World) -> Run:
    async with shared.client(None) as client:
        document = (await client.get("http://test/openapi.json")).json()
    tasks = (await shared.get("/tasks"))["items"]
    gaps = (await shared.get("/gaps"))["items"]
    known = {
        "task_id": [one["task_id"] for one in tasks],
        "gap_id": [one["gap_id"] for one in gaps],
        "transition_id": [one["transition_id"] for one in tasks],
        "key": [one["patient_key"] for one in tasks],
        "version": ["P0"],
        "reason": ["malformed"],
        "name": ["care.task.v1"],
    }
    return Run(shared, document, known)


async def test_whatever_the_document_allows_is_answered_as_it_says(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All operations, all roles, a few hundred requests: nothing breaks, nothing undocumented."""
    monkeypatch.setattr(reading, "VERSION_WAIT_S", 0.05)
    faults: list[str] = []

    def everything() -> None:
        for operation in run.operations():
            try:
                run.check(operation)
            except (Exception, BaseExceptionGroup) as fault:  # noqa: BLE001 - told together
                faults.append(f"{operation.method} {operation.path}: {fault}")

    await asyncio.to_thread(everything)
    asked = Counter[int]()
    for seen in run.statuses.values():
        asked.update(seen)

    assert faults == []
    assert len(run.statuses) > 40
    assert {200, 400, 403, 404} <= set(asked)
