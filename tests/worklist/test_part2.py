"""42 CFR Part 2: what betrays a unit for substance use is withheld, in every answer alike."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio

from orchestrator.core.instants import HOUR, written
from orchestrator.stream.clock import RealClock
from orchestrator.worklist.access.roles import Principal, principal
from schemas.facilities import Facilities
from schemas.views import NOTICE, RESTRICTED
from tests.worklist.asking import ask, ways
from tests.worklist.planted import TEAMS, found_in, text_of
from tests.worklist.test_access import ids_of
from tests.worklist.test_stream import reading
from tests.worklist.world import World, world

pytestmark = pytest.mark.asyncio(loop_scope="module")

FACILITIES: Final = Facilities.parse(
    "default: {zone: America/New_York}\nGEN: {part2_units: [DETOX]}\n"
)
UNIT: Final = "DETOX"
VISIT: Final = "VISIT-SECRET-7"
NOTE: Final = "asked about his methadone"
CLINIC: Final = "Addiction-Clinic-9"
DOCTOR: Final = "Dr-of-the-Clinic-9"
BEFORE: Final = "V-ordinary"


def told(unit_is_known_first: bool = True) -> list[dict[str, Any]]:
    """An ordinary stay, then one in such a unit, a discharge, an attempt with a note, a visit."""
    now = RealClock().now()
    visit = {"visit_number": VISIT}
    call = {**visit, "kind": "CALL_48H", "actor": "n1", "role": "rn"}
    stay: dict[str, Any] = {**visit, "class": "INPATIENT"}
    if unit_is_known_first:
        stay["location"] = {"code": UNIT}
    slot = {"appointment_id": "AP9", "starts_at": written(now + 50 * HOUR), "service": CLINIC}
    events = [
        ("discharge.recorded", {"visit_number": BEFORE, "disposition": "01"}, now - 60 * HOUR),
        ("admission.opened", stay, now - 50 * HOUR),
        ("appointment.booked", {**slot, "provider": {"name": DOCTOR}}, now - 49 * HOUR),
        ("patient.updated", {"name": {"family": "Roe"}, "phones": ["202-555-0101"]}, now - HOUR),
        ("discharge.recorded", {**visit, "disposition": "01"}, now - 2 * HOUR),
        ("task.attempted", {**call, "reached": "no-answer", "note": NOTE}, now - HOUR),
    ]
    return [event(name, data, at) for name, data, at in events]


def event(name: str, data: dict[str, Any], at: int) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"E-{name}-{len(str(data))}-{at}",
        "source": "hospital/GEN/adt",
        "type": f"care.{name}.v1",
        "time": written(at),
        "subject": "GEN|P2",
        "facility": "GEN",
        "data": data,
    }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One patient of such a unit, and six of others."""
    folder = tmp_path_factory.mktemp("part2")
    async with world(folder, facilities=FACILITIES) as made:
        made.send(*told())
        await made.until(
            "/tasks?kind=CALL_48H&facility=GEN",
            lambda found: any(item["masked"] and item["attempts"] for item in found["items"]),
        )
        yield made


def somebody(made: World, role: str, *, part2: bool) -> Principal:
    name = f"{role}-{'with' if part2 else 'without'}"
    who = principal(name, frozenset({role}), TEAMS, frozenset({"*"}), part2=part2)
    made.people.known[name] = who
    return who


async def masked_ids(made: World) -> dict[str, str]:
    """The ids of the restricted patient's things."""
    ids = await ids_of(made, "GEN")
    items = (await made.get("/tasks", facility="GEN", kind="CALL_48H"))["items"]
    task = next(item for item in items if item["masked"])
    gaps = (await made.get("/gaps", patient_key=task["patient_key"]))["items"]
    return {
        **ids,
        "task_id": task["task_id"],
        "key": task["patient_key"],
        "transition_id": task["transition_id"],
        "gap_id": gaps[0]["gap_id"],
    }


@pytest.mark.parametrize("role", ["rn", "supervisor", "scheduler", "care-system"])
async def test_nothing_betrays_the_unit_on_any_route(shared: World, role: str) -> None:
    """Neither its name, nor the visit, nor a note; lists, timeline, FHIR, pages, CSV, changes."""
    who = somebody(shared, role, part2=False)
    ids = await masked_ids(shared)
    seen = 0
    for way in ways(shared):
        if way.live:
            continue
        response = await ask(shared, way, who.actor, ids)
        assert found_in(text_of(response), (UNIT, VISIT, NOTE, CLINIC, DOCTOR)) == [], way
        seen += RESTRICTED in response.text
    assert seen > 3


async def test_a_refusal_tells_no_more_than_the_task(shared: World) -> None:
    """Neither the sentence nor the detail of a conflict; the current state is masked anyway."""
    who = somebody(shared, "rn", part2=False)
    ids = await masked_ids(shared)
    task = await shared.get(f"/tasks/{ids['task_id']}", who.actor)
    stale = await shared.act(task, "accept", token=who.actor, version=task["version"] + 7)

    assert stale.status_code in (409, 412)
    assert (stale.json()["why"], stale.json()["current"]["why"]) == (RESTRICTED, RESTRICTED)
    assert "Discharged" not in stale.text


async def test_the_claim_lets_a_reader_see_it(shared: World) -> None:
    """With `part2` the visit and the why are told, with the notice that must go along."""
    who = somebody(shared, "rn", part2=True)
    ids = await masked_ids(shared)
    task = await shared.get(f"/tasks/{ids['task_id']}", who.actor)

    assert task["masked"]
    assert task["visit_number"] == VISIT
    assert task["why"] != RESTRICTED
    assert task["notice"] == NOTICE


async def test_who_may_not_see_it_still_knows_whom_to_call(shared: World) -> None:
    """The work is owed all the same: name and number, and the sentence that says so."""
    who = somebody(shared, "rn", part2=False)
    ids = await masked_ids(shared)
    task = await shared.get(f"/tasks/{ids['task_id']}", who.actor)

    assert (
        task["why"]
        == RESTRICTED
        == "Details are restricted by law. Call, and do not name the unit."
    )
    assert task["contact"]["phones"] == ["202-555-0101"]
    assert task["visit_number"] is None
    assert {"visit_number", "outcome", "evidence"} & set(task["hidden"])


async def test_counts_do_not_differ(shared: World) -> None:
    """A hole in a list or a smaller number would tell as much as the row."""
    with_, without = (somebody(shared, "rn", part2=part2) for part2 in (True, False))
    for path in ("/tasks", "/gaps", "/tasks?kind=CALL_48H", "/tasks?facility=GEN&overdue=false"):
        told_ = [(await shared.get(path, who.actor))["total"] for who in (with_, without)]
        assert told_[0] == told_[1] > 0, path
    queues = [(await shared.get("/queues", who.actor))["items"] for who in (with_, without)]
    assert queues[0] == queues[1]


async def test_the_restricted_team_needs_the_claim() -> None:
    """Its tasks are in nobody else's lists, whatever teams a token names."""
    from orchestrator.worklist.model.filters import tasks_of

    plain = principal("x", frozenset({"rn"}), frozenset({"restricted"}), frozenset({"*"}))
    may = principal("x", frozenset({"rn"}), frozenset({"restricted"}), frozenset({"*"}), part2=True)

    assert not plain.sees_team("restricted")
    assert may.sees_team("restricted")
    assert "team <> ?" in tasks_of(plain).sql
    assert "team <> ?" not in tasks_of(may).sql


async def test_an_older_version_does_not_betray_what_became_known_later(shared: World) -> None:
    """The unit is told after the discharge: history and timeline are masked from the start."""
    who = somebody(shared, "rn", part2=False)
    now = RealClock().now()
    later = {"visit_number": "VISIT-LATER-9"}
    events = [
        event("admission.opened", {**later, "class": "INPATIENT"}, now - 60 * HOUR),
        event("discharge.recorded", {**later, "disposition": "01"}, now - 3 * HOUR),
    ]
    for one in events:
        one["subject"], one["id"] = "GEN|P3", f"{one['id']}-later"
    shared.send(*events)
    found = await shared.until(
        "/tasks?kind=CALL_48H",
        lambda found: any(item["visit_number"] == later["visit_number"] for item in found["items"]),
    )
    task = next(i for i in found["items"] if i["visit_number"] == later["visit_number"])
    unit = event("admission.updated", {**later, "location": {"code": UNIT}}, now - 59 * HOUR)
    shared.send({**unit, "subject": "GEN|P3", "id": "E-later-unit"})
    await shared.until(f"/tasks/{task['task_id']}", lambda found: found["masked"])
    history = await shared.get(f"/tasks/{task['task_id']}/history", who.actor)
    timeline = await shared.get(f"/patients/{task['patient_key']}/timeline", who.actor)
    async with reading(shared, token=who.actor) as live:
        _, _, place = await live.next("freshness")
    query = f"types=task&patient_key={task['patient_key']}"
    from_the_start = f"{place.rpartition('.')[0]}.0"
    async with reading(shared, query, token=who.actor, last=from_the_start) as live:
        resumed = [await live.next("task") for _ in range(2)]

    assert len(history["items"]) >= 2
    assert later["visit_number"] not in str(history) + str(resumed)
    assert [data["task"]["visit_number"] for _, data, _ in resumed] == [None, None]
    assert later["visit_number"] not in str(timeline)


async def test_consent_opens_it(tmp_path: Path) -> None:
    """Once the patient agrees nothing is masked any more; taken back, it is again."""
    async with world(tmp_path, patients=0, facilities=FACILITIES) as made:
        who = somebody(made, "rn", part2=False)
        made.send(*told())
        await made.until(
            "/tasks?kind=CALL_48H", lambda found: any(item["masked"] for item in found["items"])
        )
        path = f"/tasks/{(await masked_ids(made))['task_id']}"
        now = RealClock().now()
        given = {"scope": "part2", "state": "granted", "parties": ["all"]}
        made.send(event("patient.consent_changed", given, now))
        opened = await made.until(path, lambda found: not found["masked"])
        seen = await made.get(path, who.actor)
        taken = {"scope": "part2", "state": "revoked"}
        made.send(event("patient.consent_changed", taken, now + 1))
        await made.until(path, lambda found: found["masked"])
        again = await made.get(path, who.actor)

    assert opened["visit_number"] == seen["visit_number"] == VISIT
    assert again["visit_number"] is None
