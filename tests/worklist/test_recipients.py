"""A task is passed on to a team that there is, or to somebody who is known, and never to a slip."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from orchestrator.worklist.access.modes import Access, access_of
from orchestrator.worklist.access.roles import principal
from orchestrator.worklist.access.store import AccessStore
from tests.worklist.fhir import ask, put
from tests.worklist.world import World, world

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with world(tmp_path_factory.mktemp("recipients")) as made:
        yield made


@pytest.mark.parametrize(
    "to", ["case-managment", "Pharmacy", "nurse outreach", "cardiology", "somebody", "demo-nobody"]
)
async def test_nobody_is_given_a_task(shared: World, to: str) -> None:
    """A misspelt team, or a stranger: 422 with the field, one by one and among many."""
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


async def test_who_has_been_here_is_known(shared: World) -> None:
    """Somebody of a team's own system, known by what they have asked for."""
    name = "epic-inbasket-7"
    before = await shared.act(await shared.call(), "reassign", {"to": name}, key="stranger")
    shared.people.known[name] = principal(
        name, frozenset({"rn"}), frozenset({"nurse-outreach"}), frozenset({"*"})
    )
    await shared.get("/tasks", name)
    del shared.people.known[name]
    await shared.until("/audit?actor=" + name, lambda found: found["items"], "demo-auditor")
    after = await shared.act(await shared.call(), "reassign", {"to": name}, key="known")

    assert (before.status_code, after.status_code) == (422, 200)
    assert after.json()["task"]["owner"] == name


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
        ("urn:care:actor", "nobody-at-all", 422),
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


async def test_people_of_a_local_site_are_who_was_added_or_given_a_token(tmp_path: Path) -> None:
    """And nobody who was taken off again."""
    store = AccessStore(tmp_path)
    access: Access = access_of(store, "local")
    store.put_user("nora", "x", '{"roles": ["rn"], "facilities": ["*"]}', 0)
    store.issued("jti-1", "inbasket", 1)
    store.issued("jti-2", "gone", 1)
    store.disable("gone", 0)
    known = [access.knows(name) for name in ("nora", "inbasket", "gone", "stranger")]
    store.close()

    assert known == [True, True, False, False]
    assert not access.names_anybody


async def test_only_the_provider_knows_its_people(tmp_path: Path) -> None:
    """Anybody may be meant then, but for a slip in a team's name."""
    async with world(tmp_path, patients=2, access=lambda store: access_of(store, "oidc")) as made:
        stranger = await made.act(await made.call(), "reassign", {"to": "auth0|5f7c"}, key="a")
        slip = await made.act(await made.call(), "reassign", {"to": "pharmcy"}, key="b")

    assert (stranger.status_code, slip.status_code) == (200, 422)
