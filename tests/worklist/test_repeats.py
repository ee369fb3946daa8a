"""The same request again has the same answer, whatever has become of the task meanwhile."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from orchestrator.worklist.access.roles import principal
from tests.worklist.fhir import BASE, ask, put
from tests.worklist.world import World, world

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with world(tmp_path_factory.mktemp("repeats"), patients=16) as made:
        yield made


def nurse(made: World, name: str, *teams: str) -> str:
    made.people.known[name] = principal(
        name, frozenset({"rn"}), frozenset(teams or ("nurse-outreach",)), frozenset({"*"})
    )
    return name


def same(first: httpx.Response, second: httpx.Response) -> bool:
    tags = first.headers.get("etag") == second.headers.get("etag")
    return first.status_code == second.status_code and first.json() == second.json() and tags


@pytest.mark.parametrize("team", ["case-management", "restricted"])
async def test_who_passed_a_task_on_hears_the_same_again(
    shared: World, calls: Iterator[Any], team: str
) -> None:
    """It is out of their sight by then; the answer to their own deed is not."""
    task = next(calls)
    name = nurse(shared, f"n-{team}")
    if team == "restricted":
        shared.people.known[name] = principal(
            name, frozenset({"rn"}), frozenset({"nurse-outreach"}), frozenset({"*"}), part2=True
        )
    mine = (await shared.act(task, "accept", token=name)).json()["task"]
    first = await shared.act(mine, "reassign", {"to": team}, token=name)
    async with shared.client(name) as client:
        hidden = await client.get(f"/tasks/{task['task_id']}")
    second = await shared.act(mine, "reassign", {"to": team}, token=name)

    assert (first.status_code, hidden.status_code) == (200, 404)
    assert same(first, second)


async def test_each_earlier_deed_keeps_its_answer(shared: World, calls: Iterator[Any]) -> None:
    """Acceptance, note and attempt, asked again after the task was passed on and has ended."""
    task = next(calls)
    name = nurse(shared, "n-earlier")
    deeds: list[tuple[str, Any]] = [
        ("accept", None),
        ("note", {"note": "prefers mornings"}),
        ("attempt", {"reached": "voicemail"}),
    ]
    at, firsts = task, []
    for action, body in deeds:
        answer = await shared.act(at, action, body, token=name)
        firsts.append((at, action, body, answer))
        at = answer.json()["task"]
    await shared.act(at, "reassign", {"to": "case-management"}, token=name)

    for seen, action, body, first in firsts:
        assert first.status_code == 200
        assert same(first, await shared.act(seen, action, body, token=name)), action


async def test_another_body_is_told_apart_out_of_sight_too(
    shared: World, calls: Iterator[Any]
) -> None:
    """A key stands for one request, also once the task is somebody else's."""
    task = next(calls)
    name = nurse(shared, "n-other")
    mine = (await shared.act(task, "accept", token=name)).json()["task"]
    await shared.act(mine, "reassign", {"to": "case-management"}, token=name)
    other = await shared.act(mine, "reassign", {"to": "pharmacy"}, token=name)

    assert (other.status_code, other.json()["reason"]) == (422, "idempotency-key-reused")


async def test_a_refusal_shows_nothing_that_is_out_of_sight(
    shared: World, calls: Iterator[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who lost the race hears so again, without the state of a task that is not theirs to see."""
    task = next(calls)
    name = nurse(shared, "n-lost")
    await shared.act(task, "accept", key="winner")
    monkeypatch.setattr(shared.site.acting, "_check", _nothing)  # lost only at the log
    first = await shared.act(task, "accept", token=name, version=99)
    monkeypatch.undo()
    now = await shared.get(f"/tasks/{task['task_id']}")
    await shared.act(now, "reassign", {"to": "case-management"})
    second = await shared.act(task, "accept", token=name, version=99)

    assert (first.status_code, second.status_code) == (409, 409)
    assert first.json()["current"]["task_id"] == task["task_id"]
    assert second.json()["current"] is None


def _nothing(*_: object) -> None:
    """Nothing is checked before the log is asked."""


async def test_the_same_fhir_put_after_the_task_went_away(
    shared: World, calls: Iterator[Any]
) -> None:
    """Passed on out of sight: nothing to show, the second time as the first."""
    task = next(calls)
    name = nurse(shared, "n-fhir")
    made = (await ask(shared, f"/Task/{task['task_id']}", token=name)).json()
    owner = {"identifier": {"system": "urn:care:team", "value": "case-management"}}
    mine = await put(shared, {**made, "status": "accepted"}, Authorization=f"Bearer {name}")
    wanted = {**mine.json(), "owner": owner, "status": "requested"}
    first = await put(shared, wanted, Authorization=f"Bearer {name}")
    gone = await ask(shared, f"/Task/{task['task_id']}", token=name)
    second = await put(shared, wanted, Authorization=f"Bearer {name}")

    assert mine.status_code == 200, mine.text
    assert (first.status_code, gone.status_code, second.status_code) == (204, 404, 204)
    assert BASE not in second.text


async def _bulk(made: World, key: str, **body: Any) -> httpx.Response:
    async with made.client() as client:
        return await client.post("/tasks/bulk", json=body, headers={"Idempotency-Key": key})


async def test_a_key_for_many_stands_for_one_body(shared: World, calls: Iterator[Any]) -> None:
    """The same again, the same answer; other tasks under the same key are refused whole."""
    found = [next(calls) for _ in range(3)]
    items = [{"task_id": t["task_id"], "version": t["version"]} for t in found]
    first = await _bulk(shared, "b", action="accept", items=items[:2])
    second = await _bulk(shared, "b", action="accept", items=items[:2])
    other = await _bulk(shared, "b", action="accept", items=items[2:])
    fewer = await _bulk(shared, "b", action="accept", items=items[:1])
    third = await shared.get(f"/tasks/{items[2]['task_id']}")

    assert first.status_code == 200, first.text
    assert same(first, second)
    for answer in (other, fewer):
        assert (answer.status_code, answer.json()["reason"]) == (422, "idempotency-key-reused")
    assert third["owner"] is None


async def test_a_task_stands_once_among_many(shared: World) -> None:
    """Twice the same in one request is no request."""
    item = {"task_id": "t-1", "version": 1}
    answer = await _bulk(shared, "twice", action="accept", items=[item, item])

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "#/items"
