"""The page of a call: what is asked, what is sent of it, and what it says afterwards."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from orchestrator.worklist.access.roles import principal
from tests.worklist.test_my_work import SCRIPT, page, words
from tests.worklist.world import WAIT_S, World, discharged, happened, world

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with world(tmp_path_factory.mktemp("calls"), patients=6) as made:
        yield made


async def called(made: World, task: str, key: str, **more: Any) -> Any:
    """A completed call, and the answer of the page."""
    form = {"do": "complete", "version": "1", "key": key, "reached": "patient", **SCRIPT, **more}
    async with made.browser("demo-rn") as nurse:
        told = await nurse.post(f"/tasks/{task}/report", **form)
        if told.status_code != 303:
            return told
        return await nurse.get(told.headers["location"])


async def test_several_symptoms_are_one_red_flag_and_all_in_the_note(shared: World) -> None:
    """A rule judges one of them, the one that is grave; whoever reads on sees them all."""
    task = (await shared.call(owner="none"))["task_id"]
    symptoms = ["other", "bleeding", "worse"]
    said = {"answer-symptoms": symptoms, "note": "And an itch"}
    told = words(await called(shared, task, "many", **said))
    assert re.search(r"Saved\. A clinician is asked to call by \d\d:\d\d\.", told)
    done = words(await page(shared, f"/tasks/{task}"))
    assert "Symptoms Bleeding" in done
    items = (await shared.get("/tasks", kind="CLINICAL_ESCALATION"))["items"]
    mine = (await shared.get(f"/tasks/{task}"))["transition_id"]
    (asks,) = (one["task_id"] for one in items if one["transition_id"] == mine)
    clinician = words(await page(shared, f"/tasks/{asks}"))
    assert "Symptoms Bleeding" in clinician  # who is asked to call sees why
    assert "And an itch" in clinician
    form = {"do": "complete", "version": "1", "key": "one-click", "outcome": "ok"}
    async with shared.browser("demo-rn") as nurse:
        asked = await nurse.post(f"/tasks/{asks}/report", **form)
        closed = await nurse.post(f"/tasks/{asks}/report", **form, note="Sent to the ED")
    assert (asked.status_code, closed.status_code) == (422, 303)
    assert "Write what was found and done." in asked.text
    assert "Note Symptoms: Other, Bleeding, Worse than at discharge. And an itch" in done


@pytest.mark.parametrize(
    ("symptoms", "told", "field"),
    [
        (["none", "bleeding"], "None and another symptom do not go together.", "q-symptoms"),
        (["other"], "Write into the note which other symptom it is.", "note"),
    ],
)
async def test_symptoms_that_say_nothing_are_asked_again(
    shared: World, symptoms: list[str], told: str, field: str
) -> None:
    """With a link to the field; what was chosen stays chosen."""
    task = (await shared.call(owner="none"))["task_id"]
    asked = await called(shared, task, "odd", **{"answer-symptoms": symptoms})
    assert asked.status_code == 422
    assert f"There is a problem {told}" in words(asked)
    assert f'<a href="#{field}">' in asked.text
    assert f'id="{field}"' in asked.text
    for one in symptoms:
        assert f'name="answer-symptoms" value="{one}" checked' in asked.text


async def test_what_a_caller_needs_stands_beside_the_script(shared: World) -> None:
    """Numbers that a telephone dials, the practice, and from when to when the patient was there;
    where the role may not know of stays, it says so; once withdrawn, no number is a link."""
    shared.send(*discharged(67))
    pcp = {"name": "Dr Hazel", "organization": "West Clinic"}
    said = {"pcp": pcp, "phones": [{"number": "202-555-0167", "use": "home"}]}
    shared.send(*happened("GEN", 67, ("patient.updated", 1, said)))
    key = shared.site.key_of("GEN|MRN67")
    calls = f"/tasks?kind=CALL_48H&patient_key={key}"
    found = await shared.until(
        calls, lambda told: told["total"] and (told["items"][0]["contact"] or {}).get("phones")
    )
    path = f"/tasks/{found['items'][0]['task_id']}"
    told = await page(shared, path)
    assert '<a href="tel:2025550167">202-555-0167</a> (home)' in told.text
    assert "PCP Dr Hazel, West Clinic" in words(told)
    assert re.search(r"Stay GEN, inpatient: .* to .* Earlier", words(told))
    teams = frozenset({"nurse-outreach"})
    who = principal("m", frozenset({"scheduler"}), teams, frozenset({"*"}))
    shared.people.known["m"] = who
    assert "Stay Hidden for your role" in words(await page(shared, path, "m"))
    story = await page(shared, f"/patients/{key}")
    assert 'href="tel:2025550167"' in story.text
    assert "PCP Dr Hazel, West Clinic" in words(story)
    shared.send(*happened("GEN", 67, ("discharge.cancelled", 0, {"visit_number": "V67"})))
    await shared.until(path, lambda one: one["status"] == "cancelled")
    assert "tel:" not in (await page(shared, path)).text


async def test_words_of_another_time_are_marked_as_such(shared: World) -> None:
    """What comes back was never sent, and says so; it can be dropped; a new form says nothing."""
    found = await shared.get("/tasks", kind="CALL_48H", status="requested")
    task = found["items"][-1]["task_id"]  # of which no other test has begun to write
    said = "What you wrote under 1 min ago is in the form again. It has not been sent."
    async with shared.browser("demo-rn") as nurse:
        assert said not in words(await nurse.get(f"/tasks/{task}"))
        await nurse.post(f"/tasks/{task}/draft", outcome="ok", note="")
        assert said not in words(await nurse.get(f"/tasks/{task}"))
        await nurse.post(f"/tasks/{task}/draft", outcome="ok", note="Half a sentence")
        again = await nurse.get(f"/tasks/{task}")
        assert said in words(again)
        assert "Half a sentence" in again.text
        # What is shown again because it cannot be taken was not restored: it was just typed.
        form = {"do": "attempt", "version": "1", "key": "half", "note": "Half a sentence"}
        assert said not in words(await nurse.post(f"/tasks/{task}/report", **form))
        dropped = await nurse.post(f"/tasks/{task}/report", do="discard")
        assert dropped.headers["location"] == f"/tasks/{task}"
        after = await nurse.get(f"/tasks/{task}")
    assert said not in words(after)
    assert "Half a sentence" not in after.text


async def test_a_gap_that_closes_is_named(shared: World) -> None:
    """`Done.` alone would not tell that what was missing is there."""
    shared.send(*discharged(61, hours_ago=50))
    calls = "/tasks?kind=CALL_48H&overdue=true"
    found = await shared.until(calls, lambda told: told["total"])
    gaps = f"/gaps?patient_key={found['items'][0]['patient_key']}&code=TASK_OVERDUE"
    await shared.until(gaps, lambda told: told["total"])
    told = await called(shared, found["items"][0]["task_id"], "closes")
    assert "Done. Gap closed: Overdue." in words(told)


async def test_a_page_names_whom_it_is_about(shared: World) -> None:
    """The provider by name; of a patient without a name the number, in words, also afterwards."""
    visit = {"visit_number": "V63"}
    shared.send(*discharged(63))
    shared.send(*happened("GEN", 63, ("patient.updated", 1, {"pcp": {"name": "Dr Hazel"}})))
    key = shared.site.key_of("GEN|MRN63")
    calls = f"/tasks?kind=CALL_48H&patient_key={key}"
    found = await shared.until(calls, lambda told: told["total"])
    task = found["items"][0]["task_id"]
    # A view has no version to wait for.
    before = ""
    for _ in range(int(10 * WAIT_S)):
        before = words(await page(shared, f"/tasks/{task}"))
        if "PCP Dr Hazel" in before:
            break
        await asyncio.sleep(0.1)
    assert "PCP Dr Hazel" in before
    shared.send(*happened("GEN", 63, ("discharge.cancelled", 0, visit)))
    await shared.until(f"/tasks/{task}", lambda one: one["status"] == "cancelled")
    after = words(await page(shared, f"/tasks/{task}"))
    for text in (before, after):
        assert "48-hour call – Patient MRN63" in text
        assert "GEN|MRN63" not in text


async def test_what_comes_back_says_so_until_it_is_opened(shared: World) -> None:
    """Back in hospital by mistake: told in the row, until the task has been opened once."""
    shared.send(*discharged(65))
    key = shared.site.key_of("GEN|MRN65")
    calls = f"/tasks?kind=CALL_48H&patient_key={key}"
    task = (await shared.until(calls, lambda told: told["total"]))["items"][0]["task_id"]
    visit = {"visit_number": "V65B"}
    again = ("admission.opened", 0.5, {**visit, "class": "INPATIENT"})
    (opened,) = happened("GEN", 65, again)
    shared.send({**opened, "id": "back-in-hospital"})
    await shared.until(f"/tasks/{task}", lambda one: one["status"] == "cancelled")
    shared.send(*happened("GEN", 65, ("admission.cancelled", 0, visit)))
    await shared.until(f"/tasks/{task}", lambda one: one["status"] == "requested")
    async with shared.browser("demo-rn") as nurse:
        listed = words(await nurse.get("/work?kind=CALL_48H"))
        once = words(await nurse.get(f"/tasks/{task}"))
        later = words(await nurse.get("/work?kind=CALL_48H"))
    assert "Back: the original due time stands." in listed
    assert "event GEN-65-admission.cancelled" in once
    assert "Back:" not in later
