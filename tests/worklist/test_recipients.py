"""A task is passed on to a team that there is, or to somebody, and never to a slip."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from orchestrator.worklist.access.roles import principal
from tests.worklist.fhir import ask, put
from tests.worklist.world import World, world

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with world(tmp_path_factory.mktemp("recipients"), patients=20) as made:
        yield made


@pytest.mark.parametrize(
    "to", ["case-managment", "Pharmacy", "nurse outreach", "pharmcy", "social_work", "schedulling"]
)
async def test_a_misspelt_team_is_given_no_task(shared: World, to: str) -> None:
    """It would be taken for somebody's name: 422 with the field, alone and among many."""
    task = await shared.call()
    answer = await shared.act(task, "reassign", {"to": to}, key=f"to-{to}")
    async with shared.client() as client:
        many = await client.post(
            "/tasks/bulk",
            json={
                "action": "reassign",
                "to": to,
                "items": [{"task_id": task["task_id"], "version": task["version"]}],
            },
            headers={"Idempotency-Key": f"many-{to}"},
        )
    stands = await shared.get(f"/tasks/{task['task_id']}")

    assert (answer.status_code, answer.json()["reason"]) == (422, "unprocessable")
    assert answer.json()["errors"][0]["pointer"] == "#/to"
    assert to not in answer.text
    assert (many.status_code, many.json()["items"][0]["status"]) == (207, 422)
    assert stands["version"] == task["version"]


@pytest.mark.parametrize(
    "to", ["nurse-7", "somebody", "auth0|5f7c", "pharmacy-2", "nora@gen.example", "pharmacist"]
)
async def test_a_person_need_not_be_known(shared: World, to: str) -> None:
    """Whoever works at another system, or has never signed in here."""
    task = await shared.call()
    answer = await shared.act(task, "reassign", {"to": to}, key=f"person-{to}")

    assert answer.status_code == 200, answer.text
    assert answer.json()["task"]["owner"] == to


async def test_the_restricted_team_takes_part2(shared: World) -> None:
    """Who may not see its tasks does not make one either: 403, and nothing has changed."""
    task = await shared.call()
    refused = await shared.act(task, "reassign", {"to": "restricted"})
    name = "privileged"
    shared.people.known[name] = principal(
        name, frozenset({"supervisor"}), frozenset(), frozenset({"*"}), part2=True
    )
    taken = await shared.act(task, "reassign", {"to": "restricted"}, token=name)

    assert (refused.status_code, refused.json()["reason"]) == (403, "forbidden")
    assert (taken.status_code, taken.json()["task"]["team"]) == (200, "restricted")


@pytest.mark.parametrize(
    ("system", "value", "status"),
    [
        ("urn:care:team", "pharmacy", 200),
        ("urn:care:team", "farmacy", 422),
        ("urn:care:team", "demo-rn", 422),
        ("urn:care:actor", "pharmacy", 422),
        ("urn:care:actor", "pharmcy", 422),
        ("urn:care:actor", "nurse-7", 200),
        ("urn:care:actor", "demo-rn", 200),
    ],
)
async def test_fhir_says_which_of_both_is_meant(
    shared: World, system: str, value: str, status: int
) -> None:
    """A team's name under the system of people is a mistake, and the other way round."""
    task = await shared.call()
    made = (await ask(shared, f"/Task/{task['task_id']}")).json()
    answer = await put(
        shared, {**made, "owner": {"identifier": {"system": system, "value": value}}}
    )

    assert answer.status_code == status, answer.text
    if status == 422:
        assert answer.json()["issue"][0]["expression"] == ["Task.owner"]
