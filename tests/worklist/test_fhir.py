"""FHIR R4 out: tasks are found as R4 says, look as R4 says, and fail as R4 says."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import httpx
import jsonschema_rs
import orjson
import pytest
import pytest_asyncio

from orchestrator.worklist import edge
from orchestrator.worklist.access.roles import principal
from tests.worklist.world import ANSWERS, PATIENTS, World, world

R4: Final = jsonschema_rs.Draft6Validator(
    orjson.loads((Path(__file__).parent / "data" / "fhir-r4.schema.json").read_bytes())
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with world(tmp_path_factory.mktemp("fhir")) as made:
        yield made


async def ask(
    made: World, path: str, token: str | None = "demo-supervisor", **params: Any
) -> httpx.Response:
    async with made.client(token) as client:
        return await client.get(f"http://test/fhir{path}", params=params or None)


async def found(made: World, token: str = "demo-supervisor", **params: Any) -> list[Any]:
    """The matches of a search."""
    response = await ask(made, "/Task", token, **params)
    assert response.status_code == 200, response.text
    bundle = response.json()
    entries = bundle.get("entry", [])
    assert bundle["total"] == len([e for e in entries if e["search"]["mode"] == "match"])
    return [entry["resource"] for entry in entries]


async def test_a_task_is_an_r4_task(shared: World) -> None:
    """The same task as by REST, under R4's names; its end is inclusive, as R4 has it."""
    task = await shared.call()
    response = await ask(shared, f"/Task/{task['task_id']}")
    made = response.json()

    assert response.headers["content-type"] == "application/fhir+json"
    assert response.headers["etag"] == f'W/"{task["version"]}"'
    assert (made["resourceType"], made["id"], made["intent"]) == ("Task", task["task_id"], "order")
    assert made["status"] == task["status"]
    assert made["meta"]["versionId"] == str(task["version"])
    assert made["for"] == {"reference": f"Patient/{task['patient_key']}"}
    assert made["statusReason"]["text"] == task["why"]
    end = made["restriction"]["period"]["end"]
    assert edge_of(end) + 1_000_000 == edge_of(task["due_at"])


def edge_of(text: str) -> int:
    from orchestrator.worklist.instants import micros

    return micros(text)


async def test_the_schema_would_notice() -> None:
    """It is the validator that R4's codes and elements are held to, not a formality."""
    good = {"resourceType": "Task", "status": "requested", "intent": "order"}

    assert R4.is_valid(good)
    assert not R4.is_valid({**good, "status": "open"})
    assert not R4.is_valid({**good, "due": "2026-01-01"})


async def ask_url(made: World, path: str, token: str) -> httpx.Response:
    async with made.client(token) as client:
        return await client.get(f"http://test/fhir{path}")


async def test_metadata_is_for_everybody(shared: World) -> None:
    """The first thing that a FHIR client asks; it names what there is and no more."""
    response = await ask(shared, "/metadata", None)
    made = response.json()

    assert (made["resourceType"], made["fhirVersion"]) == ("CapabilityStatement", "4.0.1")
    assert {r["type"] for r in made["rest"][0]["resource"]} == {"Task", "Patient"}


async def test_every_search_parameter_that_is_told_is_understood(shared: World) -> None:
    """What the CapabilityStatement promises, the search keeps."""
    (task, *_) = [
        r
        for r in (await ask(shared, "/metadata", None)).json()["rest"][0]["resource"]
        if r["type"] == "Task"
    ]
    values = {"date": "2026-01-01", "token": "x", "reference": "x"}
    for param in task["searchParam"]:
        response = await ask(shared, "/Task", **{param["name"]: values[param["type"]]})
        assert response.status_code == 200, param


@pytest.mark.parametrize(
    ("params", "number"),
    [
        ({}, 3 * PATIENTS),
        ({"code": "CALL_48H"}, PATIENTS),
        ({"code": "urn:care:task-kind|CALL_48H"}, PATIENTS),
        ({"code": "urn:other|CALL_48H"}, 0),
        ({"code": "CALL_48H,MED_REC"}, 2 * PATIENTS),
        ({"status": "requested"}, 3 * PATIENTS),
        ({"status": "completed"}, 0),
        ({"priority": "routine"}, 3 * PATIENTS),
        ({"priority": "stat,urgent"}, 0),
        ({"performer": "scheduling"}, PATIENTS),
        ({"business-status": "overdue"}, 0),
        ({"authored-on": "ge2020-01-01"}, 3 * PATIENTS),
        ({"authored-on": "lt2020-01-01"}, 0),
        ({"due": "gt2020-01-01T00:00:00Z"}, 3 * PATIENTS),
        ({"_lastUpdated": "le2020-01-01T00:00:00+01:00"}, 0),
        ({"owner": "nobody"}, 0),
    ],
)
async def test_a_search_finds_what_it_asks_for(
    shared: World, params: dict[str, str], number: int
) -> None:
    """Commas mean or, parameters mean and, systems count."""
    assert len(await found(shared, **params)) == number


async def test_a_task_is_found_by_what_it_shows(shared: World) -> None:
    """Each of its own values leads back to it."""
    task = await shared.call()
    made = (await ask(shared, f"/Task/{task['task_id']}")).json()
    due = made["restriction"]["period"]["end"]
    for params in (
        {"_id": made["id"]},
        {"identifier": f"urn:care:task|{made['id']}"},
        {"patient": made["for"]["reference"], "code": "CALL_48H"},
        {"subject": made["for"]["reference"].partition("/")[2], "code": "CALL_48H"},
        {"group-identifier": made["groupIdentifier"]["value"], "code": "CALL_48H"},
        {"based-on": made["basedOn"][0]["reference"], "code": "CALL_48H"},
        {"due": due, "_id": made["id"]},
    ):
        assert [one["id"] for one in await found(shared, **params)] == [made["id"]], params


async def test_pages_lead_on_until_all_was_seen(shared: World) -> None:
    """`next` is a link that is followed as it stands; each task comes once."""
    seen: list[str] = []
    path: str | None = "/fhir/Task?_count=4&_sort=due"
    async with shared.client() as client:
        while path is not None:
            bundle = (await client.get(f"http://test{path}")).json()
            seen += [entry["resource"]["id"] for entry in bundle["entry"]]
            path = next((x["url"] for x in bundle["link"] if x["relation"] == "next"), None)

    assert len(seen) == len(set(seen)) == 3 * PATIENTS


async def test_a_page_runs_out(shared: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a quarter of an hour it is 410: search again, rather than read an old answer on."""
    bundle = (await ask(shared, "/Task", _count=2)).json()
    following = next(x["url"] for x in bundle["link"] if x["relation"] == "next")
    now = edge.now()
    monkeypatch.setattr(edge, "now", lambda: now + 16 * 60 * 1_000_000)
    async with shared.client() as client:
        response = await client.get(f"http://test{following}")

    assert response.status_code == 410
    assert response.json()["resourceType"] == "OperationOutcome"


async def test_patients_come_along_when_asked_for(shared: World) -> None:
    """`_include=Task:patient`: each patient once, marked as included, not counted."""
    response = await ask(shared, "/Task", code="CALL_48H", _include="Task:patient")
    bundle = response.json()
    included = [e["resource"] for e in bundle["entry"] if e["search"]["mode"] == "include"]

    assert bundle["total"] == PATIENTS
    assert {r["resourceType"] for r in included} == {"Patient"}
    assert len({r["id"] for r in included}) == len(included) == PATIENTS
    (one,) = [r for r in included if r["identifier"][0]["value"] == "MRN1"]
    assert (await ask(shared, f"/Patient/{one['id']}")).json() == one


async def test_a_count_is_only_a_number(shared: World) -> None:
    """`_summary=count`: no entry, and R4 has no empty arrays."""
    bundle = (await ask(shared, "/Task", _summary="count")).json()

    assert (bundle["total"], "entry" in bundle) == (3 * PATIENTS, False)


async def test_a_search_is_posted_where_addresses_are_logged(shared: World) -> None:
    """`_search` takes the same parameters in a form, and nothing else."""
    async with shared.client() as client:
        posted = await client.post(
            "http://test/fhir/Task/_search", data={"code": "CALL_48H", "_count": "3"}
        )
        as_json = await client.post("http://test/fhir/Task/_search", json={"code": "CALL_48H"})
    following = next(x["url"] for x in posted.json()["link"] if x["relation"] == "next")

    assert (posted.json()["total"], as_json.status_code) == (PATIENTS, 415)
    assert dict(parse_qsl(urlsplit(following).query))["code"] == "CALL_48H"


@pytest.mark.parametrize(
    "params",
    [
        {"colour": "magenta"},
        {"status:not": "completed"},
        {"due": "tomorrow"},
        {"due": "ne2026-01-01"},
        {"due": "2026-13-01"},
        {"_count": "many"},
        {"_sort": "colour"},
        {"_include": "Task:owner"},
        {"_summary": "text"},
        {"_cursor": "x"},
        {"_cursor": "1.AAAA"},
    ],
)
async def test_what_is_not_understood_is_an_outcome(shared: World, params: dict[str, str]) -> None:
    """400 or 410 with an OperationOutcome: a parameter left out would widen the answer."""
    response = await ask(shared, "/Task", **params)
    body = response.json()

    assert response.status_code in (400, 410)
    assert body["resourceType"] == "OperationOutcome"
    assert body["issue"][0]["severity"] == "error"
    assert "magenta" not in response.text
    assert "tomorrow" not in response.text


async def test_a_lenient_client_may_ask_for_what_we_do_not_know(shared: World) -> None:
    """`Prefer: handling=lenient`, said by the client itself."""
    async with shared.client() as client:
        response = await client.get(
            "http://test/fhir/Task?colour=red", headers={"Prefer": "handling=lenient"}
        )

    assert response.json()["total"] == 3 * PATIENTS


@pytest.mark.parametrize(
    ("path", "token", "status", "code"),
    [
        ("/Task/none", "demo-rn", 404, "not-found"),
        ("/Patient/" + "0" * 32, "demo-rn", 404, "not-found"),
        ("/Task", None, 401, "login"),
        ("/Task", "demo-operator", 403, "forbidden"),
        ("/Observation", "demo-rn", 404, "not-found"),
    ],
)
async def test_every_refusal_is_an_outcome(
    shared: World, path: str, token: str | None, status: int, code: str
) -> None:
    """A FHIR client reads OperationOutcome, whatever went wrong."""
    response = await ask(shared, path, token)

    assert response.status_code == status
    assert response.headers["content-type"] == "application/fhir+json"
    assert response.json()["issue"][0]["code"] == code


async def test_tasks_are_not_made_or_deleted(shared: World) -> None:
    """Rules make tasks: 405."""
    async with shared.client() as client:
        made = await client.post("http://test/fhir/Task", json={"resourceType": "Task"})
        gone = await client.delete("http://test/fhir/Task/x")

    assert (made.status_code, gone.status_code) == (405, 405)


def output(name: str, value: str) -> dict[str, Any]:
    return {"type": {"text": name}, "valueString": value}


async def put(made: World, resource: dict[str, Any], **headers: str) -> httpx.Response:
    said = {
        "content-type": "application/fhir+json",
        "If-Match": f'W/"{resource["meta"]["versionId"]}"',
        **headers,
    }
    async with made.client() as client:
        url = f"http://test/fhir/Task/{resource['id']}"
        return await client.put(url, content=orjson.dumps(resource), headers=said)


async def patch(made: World, resource: dict[str, Any], *operations: Any) -> httpx.Response:
    headers = {
        "content-type": "application/json-patch+json",
        "If-Match": f'W/"{resource["meta"]["versionId"]}"',
    }
    async with made.client() as client:
        url = f"http://test/fhir/Task/{resource['id']}"
        return await client.patch(url, content=orjson.dumps(operations), headers=headers)


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
    owner = {"identifier": {"system": "urn:care:actor", "value": "nurse-9"}}
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
            f"http://test/fhir/Task/{made['id']}",
            content=orjson.dumps(made),
            headers={"content-type": "application/fhir+json"},
        )

    assert (stale.status_code, none.status_code) == (412, 428)
    assert stale.json()["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"priority": "stat"}, "#/priority"),
        ({"restriction": {"period": {"end": "2099-01-01T00:00:00Z"}}}, "#/restriction"),
        ({"for": {"reference": "Patient/x"}}, "#/for"),
        ({"status": "cancelled"}, "#/status"),
        ({"status": ["accepted"]}, "#/status"),
        ({"owner": {"reference": "Practitioner/1"}}, "#/owner"),
        ({"id": "other"}, "#/id"),
        ({"resourceType": "Patient"}, "#/resourceType"),
        (
            {"status": "completed", "output": [{"type": {"text": "x"}, "valueString": "y"}]},
            "#/output",
        ),
        ({"status": "completed", "output": "done"}, "#/output"),
        (
            {
                "status": "in-progress",
                "output": [{"type": {"text": "reached"}, "valueString": "ghost"}],
            },
            "#/reached",
        ),
        ({"note": [{"time": "x"}]}, "#/note"),
        ({"extension": [{"url": "x"}]}, "#/extension"),
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
            f"http://test/fhir/Task/{url_id}",
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
            f"http://test/fhir/Task/{task['task_id']}",
            content=orjson.dumps(operations),
            headers=headers,
        )

    assert response.status_code == 422


async def test_everything_written_is_valid_r4(shared: World) -> None:
    """The official schema takes each resource, in each view, and each refusal."""
    await shared.act(await shared.call(), "accept")
    task = await shared.call()
    done = {"outcome": "ok", "reached": "patient", "answers": ANSWERS}
    await shared.act(task, "complete", done)
    shared.people.known["hidden"] = principal(
        "hidden", frozenset({"supervisor"}), frozenset(), frozenset({"*"}), view="pseudonymous"
    )
    for token in ("demo-supervisor", "demo-scheduler", "hidden"):
        for path in ("/Task?_include=Task:patient", "/Task?_summary=count", "/Task?colour=x"):
            written = (await ask_url(shared, path, token)).json()
            assert [fault.message for fault in R4.iter_errors(written)] == [], path
    for path in ("/metadata", f"/Task/{task['task_id']}", f"/Patient/{task['patient_key']}"):
        written = (await ask_url(shared, path, "demo-supervisor")).json()
        assert [fault.message for fault in R4.iter_errors(written)] == [], path
