"""Tasks are changed through FHIR: one change at a time of what was seen, or refused by name."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
import pytest_asyncio

from orchestrator.worklist.log.feed import OUTCOMES, LogAway
from tests.worklist.fhir import BASE, ask, faults, output, patch, put
from tests.worklist.world import ANSWERS, World, world

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with world(tmp_path_factory.mktemp("fhir"), patients=24) as made:
        yield made


async def test_a_task_is_worked_off_by_fhir_alone(shared: World) -> None:
    """Accept by PUT, note and completion by PATCH: each answer is the task as it now stands."""
    task = await shared.call()
    made = (await ask(shared, f"/Task/{task['task_id']}")).json()
    accepted = (await put(shared, {**made, "status": "accepted"})).json()
    noted = await patch(
        shared, accepted, {"op": "add", "path": "/note", "value": [{"text": "called"}]}
    )
    outputs = [
        output(name, value)
        for name, value in {
            "outcome": "ok",
            "reached": "patient",
            **{f"answers.{name}": value for name, value in ANSWERS.items()},
        }.items()
    ]
    done = await patch(
        shared,
        noted.json(),
        {"op": "test", "path": "/status", "value": "accepted"},
        {"op": "replace", "path": "/status", "value": "completed"},
        {"op": "add", "path": "/output", "value": outputs},
    )

    assert (accepted["status"], accepted["owner"]["identifier"]["value"]) == (
        "accepted",
        "demo-supervisor",
    )
    assert done.status_code == 200, done.text
    assert (done.json()["status"], done.json()["output"][0]["valueString"]) == ("completed", "ok")
    assert done.headers["etag"] == f'W/"{done.json()["meta"]["versionId"]}"'


async def test_the_same_put_twice_is_one_change(shared: World) -> None:
    """A client that heard nothing sends it again and hears what became of it."""
    task = await shared.call()
    made = (await ask(shared, f"/Task/{task['task_id']}")).json()
    wanted = {**made, "status": "accepted"}
    first, second = await put(shared, wanted), await put(shared, wanted)

    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json() == second.json()


async def test_a_task_is_passed_on_by_its_owner(shared: World) -> None:
    """A new owner is a reassignment; a team is one, too."""
    task = await shared.call()
    made = (await ask(shared, f"/Task/{task['task_id']}")).json()
    owner = {"identifier": {"system": "urn:care:actor", "value": "demo-rn"}}
    given = (await put(shared, {**made, "owner": owner})).json()

    assert (given["owner"], given["status"]) == (owner, "accepted")


async def test_an_older_version_is_412_and_none_is_428(shared: World) -> None:
    """Who changes what they have not seen is told so."""
    task = await shared.call()
    made = (await ask(shared, f"/Task/{task['task_id']}")).json()
    await shared.act(task, "attempt", {"reached": "no-answer"})
    stale = await put(shared, {**made, "status": "rejected"})
    async with shared.client() as client:
        none = await client.put(
            f"{BASE}/Task/{made['id']}",
            content=orjson.dumps(made),
            headers={"content-type": "application/fhir+json"},
        )

    assert (stale.status_code, none.status_code) == (412, 428)
    assert stale.json()["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"priority": "stat"}, "Task.priority"),
        ({"restriction": {"period": {"end": "2099-01-01T00:00:00Z"}}}, "Task.restriction"),
        ({"for": {"reference": "Patient/x"}}, "Task.for"),
        ({"status": "cancelled"}, "Task.status"),
        ({"status": ["accepted"]}, "Task.status"),
        ({"owner": {"reference": "Practitioner/1"}}, "Task.owner"),
        ({"id": "other"}, "Task.id"),
        ({"resourceType": "Patient"}, "Task"),
        (
            {"status": "completed", "output": [{"type": {"text": "x"}, "valueString": "y"}]},
            "Task.output",
        ),
        ({"status": "completed", "output": "done"}, "Task.output"),
        (
            {
                "status": "in-progress",
                "output": [{"type": {"text": "reached"}, "valueString": "ghost"}],
            },
            "Task.output",
        ),
        ({"note": [{"time": "x"}]}, "Task.note"),
        ({"extension": [{"url": "x"}]}, "Task.extension"),
        ({"status": "rejected"}, "Task.statusReason"),
        ({"status": "rejected", "statusReason": {}}, "Task.statusReason"),
        ({}, None),
    ],
)
async def test_what_no_action_changes_is_refused_by_name(
    shared: World, change: dict[str, Any], where: str | None
) -> None:
    """422 with the element: nobody believes they have moved a due date."""
    task = await shared.call()
    made = (await ask(shared, f"/Task/{task['task_id']}")).json()
    url_id = made["id"]
    async with shared.client() as client:
        response = await client.put(
            f"{BASE}/Task/{url_id}",
            content=orjson.dumps({**made, **change}),
            headers={"content-type": "application/fhir+json", "If-Match": f'W/"{task["version"]}"'},
        )
    issue = response.json()["issue"][0]

    assert response.status_code == 422
    assert issue.get("expression") == ([where] if where else None)


@pytest.mark.parametrize(
    "operations",
    [
        [],
        {},
        [{"op": "move", "from": "/status", "path": "/priority"}],
        [{"op": "replace", "path": "/restriction/period/end", "value": "2099-01-01T00:00:00Z"}],
        [{"op": "test", "path": "/status", "value": "completed"}],
        [{"op": "remove", "path": "/code"}],
        ["status"],
        [{"op": "add"}],
    ],
)
async def test_a_patch_does_nothing_else(shared: World, operations: Any) -> None:
    """Only what a PUT may change."""
    task = await shared.call()
    headers = {
        "content-type": "application/json-patch+json",
        "If-Match": f'W/"{task["version"]}"',
    }
    async with shared.client() as client:
        response = await client.patch(
            f"{BASE}/Task/{task['task_id']}",
            content=orjson.dumps(operations),
            headers=headers,
        )

    assert response.status_code == 422


async def test_a_patch_leads_wherever_rfc_6902_leads(shared: World) -> None:
    """Below the top level, by index, with escapes: what counts is the task that comes of it."""
    task = await shared.call()
    made = (await ask(shared, f"/Task/{task['task_id']}")).json()
    accepted = await patch(
        shared,
        made,
        {"op": "test", "path": "/code/coding/0/code", "value": "CALL_48H"},
        {"op": "copy", "from": "/status", "path": "/description"},
        {"op": "remove", "path": "/description"},
        {"op": "replace", "path": "/status", "value": "accepted"},
    )
    tried = await patch(
        shared,
        accepted.json(),
        {"op": "replace", "path": "/status", "value": "in-progress"},
        {"op": "add", "path": "/output/-", "value": output("reached", "voicemail")},
        {"op": "add", "path": "/note/-", "value": {"text": "left word"}},
    )

    assert (accepted.status_code, tried.status_code) == (200, 200), tried.text
    assert tried.json()["status"] == "in-progress"


async def test_a_task_is_released_rejected_and_passed_to_a_team(shared: World) -> None:
    """Each status that may be written is the action that the API calls so."""
    task = await shared.call()
    made = (await ask(shared, f"/Task/{task['task_id']}")).json()
    accepted = (await put(shared, {**made, "status": "accepted"})).json()
    released = (await put(shared, {**accepted, "status": "requested"})).json()
    again = (await put(shared, {**released, "status": "accepted"})).json()
    rejected = (
        await put(shared, {**again, "status": "rejected", "statusReason": {"text": "no phone"}})
    ).json()
    team = {"identifier": {"system": "urn:care:team", "value": "case-management"}}
    passed = (await put(shared, {**rejected, "owner": team})).json()

    assert (released["status"], "owner" in released) == ("requested", False)
    assert rejected["status"] == "requested"
    assert passed["performerType"][0]["coding"][0]["code"] == "case-management"


async def test_a_note_may_say_why_a_task_is_given_back(shared: World) -> None:
    """A client without `statusReason` adds a note; one of both is needed, both may be said."""
    task = await shared.call()
    made = (await ask(shared, f"/Task/{task['task_id']}")).json()
    first = await put(shared, {**made, "status": "rejected", "note": [{"text": "moved away"}]})
    both = await put(
        shared,
        {
            **first.json(),
            "status": "rejected",
            "statusReason": {"text": "no phone"},
            "note": [*first.json()["note"], {"text": "none on file"}],
        },
    )

    assert (first.status_code, both.status_code) == (200, 200), both.text
    assert [note["text"] for note in both.json()["note"]][-2:] == [
        "moved away",
        "no phone\nnone on file",
    ]


async def test_who_wants_little_gets_little(shared: World) -> None:
    """`Prefer: return=minimal`: the version alone."""
    task = await shared.call()
    made = (await ask(shared, f"/Task/{task['task_id']}")).json()
    answer = await put(shared, {**made, "status": "accepted"}, Prefer="return=minimal")

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["etag"] == f'W/"{task["version"] + 1}"'


async def test_what_is_not_possible_any_more_is_409(shared: World) -> None:
    """A task that has ended, whatever version is named; the outcome says why."""
    task = await shared.call()
    made = (await ask(shared, f"/Task/{task['task_id']}")).json()
    done = {"outcome": "ok", "reached": "patient", "answers": ANSWERS}
    await shared.act(task, "complete", done)
    answer = await put(shared, {**made, "status": "accepted"})
    issue = answer.json()["issue"][0]

    assert (answer.status_code, issue["code"]) == (409, "conflict")
    assert faults(answer.json()) == []
    assert issue["details"]["text"]


@pytest.mark.parametrize(
    ("method", "kind", "status"),
    [
        ("PUT", "application/json-patch+json", 415),
        ("PATCH", "application/fhir+json", 415),
        ("PATCH", "application/merge-patch+json", 415),
        ("PUT", "application/fhir+xml", 415),
    ],
)
async def test_other_forms_are_not_read(shared: World, method: str, kind: str, status: int) -> None:
    """XML and other patches: 415."""
    async with shared.client() as client:
        headers = {"content-type": kind, "If-Match": 'W/"1"'}
        answer = await client.request(method, f"{BASE}/Task/x", content=b"{}", headers=headers)

    assert answer.status_code == status
    assert faults(answer.json()) == []


async def test_a_write_takes_no_parameters(shared: World) -> None:
    """A conditional update, or a misspelt one, is not taken for a plain one."""
    async with shared.client() as client:
        headers = {"content-type": "application/fhir+json", "If-Match": 'W/"1"'}
        answer = await client.put(
            f"{BASE}/Task/x?identifier=y", content=orjson.dumps({}), headers=headers
        )

    assert answer.status_code == 400


async def test_only_the_log_away_is_503_and_the_repeat_is_one_change(
    shared: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stored or not stored is told apart; who repeats the same bytes doubles nothing."""
    task = await shared.call()
    made = (await ask(shared, f"/Task/{task['task_id']}")).json()
    wanted = {**made, "status": "accepted"}
    send, away = shared.site.sender.send, True

    async def failing(topic: str, key: str | None, value: bytes) -> None:
        if away and topic == OUTCOMES:
            raise LogAway
        await send(topic, key, value)

    monkeypatch.setattr(shared.site.sender, "send", failing)
    first = await put(shared, wanted)
    away = False
    second = await put(shared, wanted)

    assert (first.status_code, second.status_code) == (503, 200)
    assert first.json()["issue"][0]["code"] == "transient"
    assert second.json()["meta"]["versionId"] == str(task["version"] + 1)


async def test_a_second_attempt_is_told_by_its_output_alone(shared: World) -> None:
    """The status is in-progress already: what is new is whom it reached."""
    task = await shared.call()
    made = (await ask(shared, f"/Task/{task['task_id']}")).json()
    first = await patch(
        shared,
        made,
        {"op": "replace", "path": "/status", "value": "in-progress"},
        {"op": "add", "path": "/output", "value": [output("reached", "no-answer")]},
    )
    stands = first.json()
    again = await patch(
        shared, stands, {"op": "add", "path": "/output", "value": [output("reached", "voicemail")]}
    )
    assert (first.status_code, again.status_code) == (200, 200), again.text
