"""Whom a withdrawn task was about: whoever holds it must know which call not to make."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from fastapi import Request

from orchestrator.core.instants import written
from orchestrator.stream.clock import RealClock
from orchestrator.worklist.api.guard import RULES
from orchestrator.worklist.model import stories
from orchestrator.worklist.pages import live_work
from orchestrator.worklist.pages.filters import WorkQuery
from orchestrator.worklist.pages.guard import PageCall
from orchestrator.worklist.pages.live import Span
from tests.worklist.test_my_work import SCRIPT, page, words
from tests.worklist.world import World, discharged, happened, world

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEPT = "Nothing is open; contact details are no longer kept here."


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with world(tmp_path_factory.mktemp("whom"), patients=1) as made:
        yield made


async def call_of(made: World, number: int) -> dict[str, Any]:
    """The call of a patient who has a name and a telephone."""
    details = {
        "name": {"family": f"Sorrel{number}", "given": ["Ines"]},
        "birth_date": "1950-02-01",
        "phones": ["202-555-0171"],
    }
    made.send(*happened("GEN", number, ("patient.updated", 3, details)), *discharged(number))
    key = made.site.key_of(f"GEN|MRN{number}")
    found = await made.until(
        f"/tasks?kind=CALL_48H&patient_key={key}",
        lambda told: told["total"] and (told["items"][0]["contact"] or {}).get("name"),
    )
    task: dict[str, Any] = found["items"][0]
    return task


async def dies(made: World, number: int, task: dict[str, Any]) -> None:
    """The patient, and with that everything that was open."""
    died = happened("GEN", number, ("patient.died", 0, {"died_at": written(RealClock().now())}))
    made.send(*died)
    await made.until(
        f"/tasks/{task['task_id']}", lambda t: t["status"] == "cancelled" and t["contact"] is None
    )


async def test_whoever_holds_a_withdrawn_task_reads_the_name(shared: World) -> None:
    """On My work and on the task, beside the stop; no number to call; until `Got it`."""
    task = await call_of(shared, 71)
    name, path = task["task_id"], f"/tasks/{task['task_id']}"
    async with shared.browser("demo-rn") as nurse:
        taken = await nurse.post(f"{path}/accept", version="1", key="take", back=path)
        assert "Ines Sorrel71" in words(await nurse.get(taken.headers["location"]))
        await dies(shared, 71, task)
        for told in (words(await nurse.get("/work")), words(await nurse.get(path))):
            assert "Ines Sorrel71" in told
            assert "reports that the patient has died" in told
            assert "202-555" not in told
        one = words(await nurse.get(path))
        assert "48-hour call – Ines Sorrel71" in one
        assert f"Born 1 Feb 1950 Record GEN MRN71 Visit V71 Contact {KEPT}" in one
        version = (await shared.get(path))["version"]
        await nurse.post(f"{path}/got-it", version=str(version))
        after = words(await nurse.get(path))
        assert "Patient MRN71" in after
        assert "Sorrel71" not in after
    assert shared.site.pages.people("demo-rn", [name]) == {}


@pytest.mark.parametrize("deed", ["release", "complete"])
async def test_a_name_is_kept_while_a_task_is_held(shared: World, deed: str) -> None:
    """Given back or done, it is no more."""
    number = 81 if deed == "release" else 83
    task = await call_of(shared, number)
    name = task["task_id"]
    form = {"do": "complete", "reached": "patient", **SCRIPT} if deed == "complete" else {}
    async with shared.browser("demo-rn") as nurse:
        # Without script the list that one comes back to may not have the task any more.
        await nurse.post(f"/tasks/{name}/accept", version="1", key=f"take-{number}")
        assert name in shared.site.pages.people("demo-rn", [name])
        path = f"/tasks/{name}/{'report' if form else deed}"
        done = await nurse.post(path, version="2", key=f"end-{number}", **form)
    assert done.status_code == 303
    assert shared.site.pages.people("demo-rn", [name]) == {}


async def test_of_many_taken_at_once_each_name_is_kept(shared: World) -> None:
    """Also where the list that one comes back to shows none of them."""
    name = (await call_of(shared, 85))["task_id"]
    async with shared.browser("demo-supervisor") as supervisor:
        back = "/work?owner=none"
        await supervisor.post(
            "/work/bulk", action="accept", item=f"{name}:1", key="many", back=back
        )
    assert shared.site.pages.people("demo-supervisor", [name])[name]["name"] == "Ines Sorrel85"


async def test_who_did_not_hold_it_reads_what_the_task_says(shared: World) -> None:
    """The record and the visit; the name is not kept for everybody who once looked."""
    task = await call_of(shared, 73)
    path = f"/tasks/{task['task_id']}"
    assert "Ines Sorrel73" in words(await page(shared, path, "demo-supervisor"))
    await dies(shared, 73, task)
    told = words(await page(shared, path, "demo-supervisor"))
    assert "Sorrel73" not in told
    assert "48-hour call – Patient MRN73" in told
    assert f"Record GEN MRN73 Visit V73 Contact {KEPT}" in told


async def test_a_row_on_screen_goes_on_saying_whom_it_is_about(shared: World) -> None:
    """Nobody holds it, and it is withdrawn under the reader: the name stays where it stands."""
    task = await call_of(shared, 75)

    def on_screen(db: Any) -> Any:
        (number,) = db.execute(
            "SELECT id FROM tasks WHERE task_id = ?", (task["task_id"],)
        ).fetchone()
        shown = frozenset([number])
        return shown, *live_work._on_screen(call, db, shown), stories.end(db)

    who = shared.people.principal("demo-rn")
    call = PageCall(
        site=shared.site,
        who=who,
        rule=RULES[live_work.live_work],
        request_id="r",
        request=Request({"type": "http", "headers": []}),
    )
    shown, names, people, begin = await shared.site.reader.ask(on_screen)
    open_page = live_work._Changes(call, WorkQuery(), shown, names, people)
    await dies(shared, 75, task)

    def told(db: Any) -> str:
        return open_page.told(db, Span(begin, begin, stories.end(db)))

    row = await shared.site.reader.ask(told)
    assert "Ines Sorrel75" in row
    assert "record GEN MRN75, visit V75" in row
    assert "has died" in row
