"""Whom to call: the patient view in lists, in search, and gone when nothing is open."""

from collections.abc import AsyncIterator
from typing import Any, Final

import orjson
import pytest
import pytest_asyncio

from orchestrator.core.instants import written
from orchestrator.stream.clock import RealClock
from orchestrator.stream.sqlite_log import Log
from orchestrator.worklist.access.roles import principal
from tests.worklist.fhir import post
from tests.worklist.world import World, world

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with world(tmp_path_factory.mktemp("patients")) as made:
        yield made


PERSON: Final = {
    "name": {"family": "O'Neill", "given": ["Maria", "José"]},
    "birth_date": "1950-02-01",
    "phones": ["202-555-0147"],
    "language": "es",
}


def said(made: World, subject: str, what: str, **data: Any) -> None:
    """What the hospital tells about a person."""
    now = RealClock().now()
    event = {
        "specversion": "1.0",
        "id": f"{subject}-{what}-{now}",
        "source": "hospital/adt",
        "type": f"care.patient.{what}.v1",
        "time": written(now),
        "subject": subject,
        "facility": subject.partition("|")[0],
        "data": data,
    }
    made.send(event)


async def told(made: World, number: int) -> dict[str, Any]:
    """A task whose patient's name the hospital has told."""
    task: dict[str, Any] = (await made.get("/tasks", kind="CALL_48H"))["items"][number]
    if not (task["contact"] or {}).get("name"):
        said(made, task["patient"], "updated", **PERSON)
        hours = {"from": "09:00", "to": "12:00"}
        said(made, task["patient"], "preference_changed", outreach="accept", hours=hours)
    path = f"/tasks/{task['task_id']}"
    found: dict[str, Any] = await made.until(
        path, lambda found: ((found["contact"] or {}).get("preferences") or {}).get("hours")
    )
    return found


async def search(made: World, token: str = "demo-supervisor", **body: str) -> list[Any]:
    async with made.client(token) as client:
        response = await client.post("/patients/search", json=body)
    assert response.status_code == 200
    found: list[Any] = response.json()["items"]
    return found


async def test_a_task_says_whom_to_call(shared: World) -> None:
    """Name, phones, language and wishes stand on the task itself: no second look is needed."""
    contact = (await told(shared, 0))["contact"]

    assert {name: contact[name] for name in PERSON} == PERSON
    assert contact["preferences"]["hours"] == {"from": "09:00", "to": "12:00"}
    assert contact["caregivers"] == []


async def test_what_the_hospital_corrects_is_corrected(shared: World) -> None:
    """Another number tomorrow: the next look has it, in each list and on the card."""
    task = await told(shared, 3)
    said(shared, task["patient"], "updated", phones=["202-555-0199"])
    path = f"/tasks/{task['task_id']}"
    await shared.until(path, lambda found: found["contact"]["phones"] == ["202-555-0199"])
    card = await shared.get(f"/patients/{task['patient_key']}")

    assert card["contact"]["phones"] == ["202-555-0199"]
    assert card["contact"]["name"] == PERSON["name"]


async def test_a_search_finds_only_whom_the_caller_may_see(shared: World) -> None:
    """By name as by identifier: another facility's patient is nobody."""
    task = await told(shared, 0)
    elsewhere = "GEN" if task["facility"] == "MID" else "MID"
    for name, facility in (("here", task["facility"]), ("there", elsewhere)):
        shared.people.known[name] = principal(
            name, frozenset({"rn"}), frozenset({"nurse-outreach"}), frozenset({facility})
        )
    by_name = {"name": "O'Neill Maria", "birth_date": "1950-02-01"}
    by_identifier = {"identifier": task["patient"]}
    found = {
        (token, way): [one["patient_key"] for one in await search(shared, token, **body)]
        for token in ("here", "there")
        for way, body in (("name", by_name), ("identifier", by_identifier))
    }

    assert task["patient_key"] in found["here", "name"]
    assert found["here", "identifier"] == [task["patient_key"]]
    assert task["patient_key"] not in found["there", "name"]
    assert found["there", "identifier"] == []


async def test_a_search_finds_whom_only_another_team_has_work_for(shared: World) -> None:
    """Who may open a patient finds them, be what is open another team's: API, page and FHIR."""
    task = await told(shared, 0)
    key, facility = task["patient_key"], frozenset({task["facility"]})
    for role in ("rn", "scheduler"):
        shared.people.known[f"idle-{role}"] = principal(
            f"idle-{role}", frozenset({role}), frozenset({"idle"}), facility
        )
    by_name = {"name": "O'Neill Maria", "birth_date": "1950-02-01"}
    found = [
        card
        for body in (by_name, {"identifier": task["patient"]})
        for card in await search(shared, "idle-rn", **body)
        if card["patient_key"] == key
    ]
    async with shared.browser("idle-rn") as browser:
        page = await browser.post("/patients/search", q=task["patient"])
    form = {"identifier": task["patient"]}
    bundle = (await post(shared, "/Patient/_search", form, "idle-rn")).json()

    assert [card["open_tasks"] for card in found] == [0, 0]
    assert f'href="/patients/{key}"' in page.text
    assert [entry["resource"]["id"] for entry in bundle["entry"]] == [key]
    # Whose patients are those of their team's tasks may not open them, and does not find them.
    assert await search(shared, "idle-scheduler", identifier=task["patient"]) == []


@pytest.mark.parametrize("name", ["O'Neill, Maria", "maria o'neill", "JOSÉ O'NEILL", "o'neill"])
async def test_a_patient_is_found_by_name_and_birth_date(shared: World, name: str) -> None:
    """In any order and case; the birth date must be right, for names are shared."""
    task = await told(shared, 0)
    found = await search(shared, name=name, birth_date="1950-02-01")
    other_day = await search(shared, name=name, birth_date="1950-02-02")

    assert task["patient_key"] in [one["patient_key"] for one in found]
    assert other_day == []


async def test_a_pseudonymous_view_has_no_contact(shared: World) -> None:
    """An operator's gaps say that contact is hidden, and hold none of it."""
    await told(shared, 0)
    found = await shared.get("/gaps", "demo-operator", limit=500)

    assert all(gap["contact"] is None and "contact" in gap["hidden"] for gap in found["items"])
    assert "O'Neill" not in str(found)


async def test_medicines_are_for_the_clinical_view(shared: World) -> None:
    """A scheduler learns that there is something, not what."""
    task = await told(shared, 4)
    key = task["patient_key"]
    view = {**PERSON, "version": 99, "medications": {"metoprolol": {}}, "medication_issues": []}
    with Log.open(shared.folder) as log, log.transaction() as transaction:
        transaction.append("care.patient-view.v1", key, orjson.dumps(view))
    path = f"/patients/{key}/medications"
    clinical = await shared.until(path, lambda found: found["medications"])
    minimal = await shared.get(path, "demo-scheduler")

    assert "metoprolol" in clinical["medications"]
    assert (minimal["medications"], minimal["hidden"]) == (None, ["issues", "medications"])


async def test_when_nothing_is_open_contact_is_gone(shared: World) -> None:
    """A tombstone takes name and phone out of the read model, and out of search."""
    task = await told(shared, 1)
    said(shared, task["patient"], "died", died_at=written(RealClock().now()))
    gone = await shared.until(f"/tasks/{task['task_id']}", lambda found: found["contact"] is None)

    assert gone["task_id"] == task["task_id"]
    found = await search(shared, name="O'Neill", birth_date="1950-02-01")
    assert task["patient_key"] not in [one["patient_key"] for one in found]


async def test_an_answer_to_an_action_has_the_contact_too(shared: World) -> None:
    """The row that replaces the one on the screen shows whom to call like that one did."""
    task = await told(shared, 2)
    done = await shared.act(task, "attempt", {"reached": "no-answer"})

    assert done.json()["task"]["contact"] == task["contact"]


async def test_auditors_read_who_saw_whom(shared: World) -> None:
    """By actor, deed and patient, newest first, in pages; no name among it."""
    task = await told(shared, 0)
    async with shared.client("demo-rn") as client:
        await client.get(f"/tasks/{task['task_id']}")
    path = f"/audit?actor=demo-rn&action=read&patient_key={task['patient_key']}"
    found = await shared.until(path, lambda f: f["items"], "demo-auditor")
    pages = await shared.get("/audit", "demo-auditor", limit=2)
    second = await shared.get("/audit", "demo-auditor", limit=2, cursor=pages["next"])

    assert all(task["patient_key"] in record["patient_keys"] for record in found["items"])
    assert {record["actor"] for record in found["items"]} == {"demo-rn"}
    times = [record["at"] for record in (*pages["items"], *second["items"])]
    assert len(times) == 4
    assert times == sorted(times, reverse=True)
    assert "O'Neill" not in str(found)


async def test_the_rules_can_be_read(shared: World) -> None:
    """Which version is in force, and what it says."""
    told_ = await shared.get("/policy")
    whole = await shared.get(f"/policy/{told_['in_force']}")

    assert told_["in_force"] == "P0"
    assert whole["calls"]["attempts_for_tcm"] == 2


@pytest.mark.parametrize("name", ["  ", "\t \t"])
async def test_a_name_without_letters_finds_nobody(shared: World, name: str) -> None:
    """Else everybody of a birth date would be listed."""
    async with shared.client() as client:
        said = {"name": name, "birth_date": "1950-02-01"}
        response = await client.post("/patients/search", json=said)
    assert response.status_code == 422
