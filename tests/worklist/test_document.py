"""The OpenAPI document tells what is there, and its links lead somewhere."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from orchestrator.worklist.problems import REASONS
from tests.worklist.world import World, world

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with world(tmp_path_factory.mktemp("document"), patients=1) as made:
        yield made


async def test_the_document_names_who_may_and_how_it_fails(shared: World) -> None:
    """Each operation says its permission, asks for a bearer token, and fails with problems."""
    async with shared.client(None) as client:
        told = (await client.get("http://test/openapi.json")).json()
    operations = [op for path in told["paths"].values() for op in path.values()]
    guarded = [op for op in operations if op["security"]]

    assert told["openapi"].startswith("3.")
    assert len(guarded) > 25
    assert all(op["security"] == [{"bearer": []}] and op["x-permission"] for op in guarded)
    for operation in operations:
        for status, answer in operation["responses"].items():
            if (status == "default" or int(status) >= 400) and "content" in answer:
                assert list(answer["content"]) == ["application/problem+json"]


async def test_an_answer_has_the_fields_that_are_told(shared: World) -> None:
    """The shape of a task in a list is the one of the document, no field more or less."""
    async with shared.client(None) as client:
        told = (await client.get("http://test/openapi.json")).json()
    shape = told["components"]["schemas"]["TaskItem"]["properties"]
    (first, *_) = (await shared.get("/tasks"))["items"]

    assert set(first) == set(shape) - {"notice"}, "that is there only where something is masked"


@pytest.mark.parametrize("reason", REASONS)
async def test_each_problem_type_leads_to_what_it_means(shared: World, reason: str) -> None:
    """`type` is an address, and it answers without a token."""
    async with shared.client(None) as client:
        found = await client.get(f"http://test/problems/{reason}")

    assert (found.status_code, found.json()["reason"]) == (200, reason)


@pytest.mark.parametrize("name", ["care.task.v1", "care.change.v1.json", "care.event.v1"])
async def test_published_schemas_are_served(shared: World, name: str) -> None:
    """Who consumes the topics finds their form here."""
    async with shared.client(None) as client:
        found = await client.get(f"http://test/schemas/{name}")

    assert found.json()["$schema"].endswith("2020-12/schema")


@pytest.mark.parametrize(
    "path",
    [
        "/schemas/nothing", "/problems/nothing", "/redoc", "/problems/SECRET", "/problems/a b",
        f"/problems/{'x' * 200}", "/schemas/SECRET",
    ],
)  # fmt: skip
async def test_what_is_not_there_is_a_problem(shared: World, path: str) -> None:
    """A form or a reason that does not exist, in whatever letters; the framework's own pages."""
    async with shared.client(None) as client:
        found = await client.get(f"http://test{path}")

    assert (found.status_code, found.json()["reason"]) == (404, "not-found")


async def test_the_document_can_be_read_by_people(shared: World) -> None:
    """`/docs`, without a token: each operation and each shape, nothing from another host."""
    async with shared.client(None) as client:
        told = (await client.get("http://test/openapi.json")).json()
        found = await client.get("http://test/docs")

    assert found.headers["content-type"].startswith("text/html")
    assert all(path in found.text for path in told["paths"])
    assert all(name in found.text for name in told["components"]["schemas"])
    assert "http://" not in found.text
    assert "https://" not in found.text
