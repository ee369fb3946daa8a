"""What a colleague wrote is read by who comes after: notes, reasons, whom a call reached."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import orjson
import pytest
import pytest_asyncio

from orchestrator.core.instants import HOUR, written
from orchestrator.stream.clock import RealClock
from orchestrator.stream.sqlite_log import Log
from orchestrator.worklist.access.roles import principal
from tests.worklist.fhir import ask, got, patch
from tests.worklist.world import World, world

pytestmark = pytest.mark.asyncio(loop_scope="module")
NOTE: Final = "daughter answers after six"
WHY: Final = "speaks Tagalog only"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with world(tmp_path_factory.mktemp("words"), patients=10) as made:
        yield made


async def spoken_of(made: World, task: dict[str, Any]) -> dict[str, Any]:
    """A call that was tried, noted upon and given back."""
    tried = await made.act(task, "attempt", {"reached": "voicemail", "note": NOTE})
    at = tried.json()["task"]
    await made.act(at, "note", {"note": "second number is her son's"})
    back = await made.act(at, "reject", {"reason": WHY, "note": "ask the interpreter line"})
    found: dict[str, Any] = back.json()["task"]
    return found


def words(changes: list[Any]) -> list[tuple[str, str | None, str | None]]:
    return [
        (one["what"], one.get("reason"), one.get("note"))
        for change in changes
        for one in change["said"]
    ]


SAID: Final = [
    ("attempted", None, NOTE),
    ("noted", None, "second number is her son's"),
    ("rejected", WHY, "ask the interpreter line"),
]


async def test_history_and_timeline_tell_what_was_said(shared: World, calls: Iterator[Any]) -> None:
    """Each at the change that it brought, once, with who said it."""
    task = await spoken_of(shared, next(calls))
    history = (await shared.get(f"/tasks/{task['task_id']}/history"))["items"]
    timeline = (await shared.get(f"/patients/{task['patient_key']}/timeline"))["items"]
    changes = (await shared.get("/changes", limit=500))["items"]
    mine = [c for c in changes if c["patient_key"] == task["patient_key"]]

    assert words(history) == SAID
    assert words(timeline)[::-1] == SAID
    assert words(mine) == SAID
    assert {one["actor"] for change in history for one in change["said"]} == {"demo-supervisor"}
    assert next(c["said"][0]["reached"] for c in history if c["said"]) == "voicemail"


async def test_a_fhir_task_has_its_notes(shared: World, calls: Iterator[Any]) -> None:
    """In their order, each with its author; a client that adds one sends the others back."""
    task = await spoken_of(shared, next(calls))
    made = await got(shared, f"/Task/{task['task_id']}")
    texts = [note["text"] for note in made["note"]]
    added = await patch(
        shared,
        made,
        {"op": "add", "path": "/note/-", "value": {"text": "and"}},
        # As a client may write it that counts in milliseconds.
        {"op": "replace", "path": "/note/0/time", "value": f"{made['note'][0]['time'][:23]}Z"},
    )
    lost = await patch(shared, added.json(), {"op": "remove", "path": "/note/0"})
    alone = await patch(
        shared, added.json(), {"op": "replace", "path": "/note", "value": [{"text": "alone"}]}
    )

    assert texts == [NOTE, "second number is her son's", f"{WHY}\nask the interpreter line"]
    assert {note["authorString"] for note in made["note"]} == {"demo-supervisor"}
    assert added.status_code == 200, added.text
    assert [note["text"] for note in added.json()["note"]] == [*texts, "and"]
    assert [note["text"] for note in alone.json()["note"]] == [*texts, "and", "alone"]
    assert (lost.status_code, lost.json()["issue"][0]["expression"]) == (422, ["Task.note"])


async def test_a_note_is_not_hidden_by_a_version_that_did_not_change(
    shared: World, calls: Iterator[Any]
) -> None:
    """Noting makes no new version, yet who has that version hears of the note."""
    task = next(calls)
    async with shared.client() as client:
        url = f"http://test/fhir/Task/{task['task_id']}"
        tag = {"If-None-Match": (await client.get(url)).headers["etag"]}
        before = await client.get(url, headers=tag)
        await shared.act(task, "note", {"note": NOTE})
        after = await client.get(url, headers=tag)

    assert (before.status_code, after.status_code) == (304, 200)
    assert after.json()["note"][0]["text"] == NOTE


@pytest.mark.parametrize("role", ["scheduler", "coordinator"])
async def test_a_minimal_view_reads_no_notes(
    shared: World, calls: Iterator[Any], role: str
) -> None:
    """Null and named in `hidden`, whether or not there were any; none in FHIR."""
    task = await spoken_of(shared, next(calls))
    who = principal(f"m-{role}", frozenset({role}), frozenset({"nurse-outreach"}), frozenset({"*"}))
    shared.people.known[who.actor] = who
    history = await shared.get(f"/tasks/{task['task_id']}/history", who.actor)
    resource = await ask(shared, f"/Task/{task['task_id']}", token=who.actor)

    assert {c["said"] for c in history["items"]} == {None}
    assert all("said" in c["hidden"] for c in history["items"])
    assert resource.status_code == 200
    assert "note" not in resource.json()
    assert NOTE not in str(history) + resource.text


async def test_another_systems_words_are_read_too(shared: World, calls: Iterator[Any]) -> None:
    """A team's own system names the task by visit and kind, in CloudEvents' binary mode."""
    task = next(calls)
    envelope = {
        "ce_specversion": "1.0",
        "ce_id": "INBASKET-1",
        "ce_source": "team/inbasket",
        "ce_type": "care.task.attempted.v1",
        "ce_time": written(RealClock().now()),
        "ce_subject": task["subject"],
        "ce_facility": task["facility"],
        "content-type": "application/json",
    }
    said = {
        "visit_number": task["visit_number"],
        "kind": "CALL_48H",
        "actor": "nurse.jones",
        "role": "rn",
        "reached": "no-answer",
        "note": NOTE,
    }
    with Log.open(shared.folder) as log, log.transaction() as transaction:
        transaction.append("care.outcome.v1", "x", orjson.dumps(said), headers=envelope)
        transaction.append("care.outcome.v1", None, b"\xff not JSON")
        transaction.append("care.outcome.v1", None, b"[]")
        transaction.append("care.outcome.v1", None, b'{"id": {}, "data": []}')
    path = f"/tasks/{task['task_id']}/history"
    history = await shared.until(path, lambda found: words(found["items"]))

    assert words(history["items"]) == [("attempted", None, NOTE)]


async def test_what_was_refused_is_not_said(shared: World, calls: Iterator[Any]) -> None:
    """A command that did not count leaves no words on the task."""
    task = next(calls)
    done = await shared.act(task, "accept", key="first")
    stale = {
        "specversion": "1.0",
        "id": "STALE-1",
        "source": "team/inbasket",
        "type": "care.task.released.v1",
        "time": written(RealClock().now()),
        "subject": task["subject"],
        "facility": task["facility"],
        "data": {"task_id": task["task_id"], "if_version": 1, "actor": "x", "reason": "refused"},
    }
    shared.send({**stale, "data": {**stale["data"], "if_version": 99}})
    await shared.until("/changes?caused_by=STALE-1", lambda found: len(found["items"]) > 1)
    history = await shared.get(f"/tasks/{task['task_id']}/history")

    assert done.status_code == 200
    assert words(history["items"]) == [("accepted", None, None)]


def elsewhere(subject: str, facility: str, visit: str, at: int) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"E-{subject}-{visit}",
        "source": f"hospital/{facility}/adt",
        "type": "care.discharge.recorded.v1",
        "time": written(at),
        "subject": subject,
        "facility": facility,
        "data": {"visit_number": visit, "disposition": "01"},
    }


async def test_another_hospital_does_not_read_them(shared: World) -> None:
    """It has the patient now, and sees the patient: not what was said of our task."""
    now = RealClock().now()
    subject = "MPI|two-hospitals"
    shared.send(elsewhere(subject, "GEN", "G1", now - 20 * HOUR))
    key = shared.site.key_of(subject)
    found = await shared.until(f"/tasks?kind=CALL_48H&facility=GEN&patient_key={key}", items)
    said = await shared.act(found["items"][0], "note", {"note": NOTE})
    shared.send(elsewhere(subject, "RIV", "R1", now - 2 * HOUR))
    await shared.until(f"/tasks?kind=CALL_48H&facility=RIV&patient_key={key}", items)
    who = principal("n-riv", frozenset({"rn"}), frozenset({"nurse-outreach"}), frozenset({"RIV"}))
    shared.people.known[who.actor] = who
    event = said.json()["event_id"]

    for path in (f"/patients/{key}/timeline", f"/changes?caused_by={event}"):
        assert NOTE in str(await shared.get(path)), path
        assert NOTE not in str(await shared.get(path, who.actor)), path


async def test_who_may_not_see_the_restricted_team_does_not_read_them(
    shared: World, calls: Iterator[Any]
) -> None:
    """The task is gone for the reader, and what is said of it with it."""
    task = next(calls)
    teams = frozenset({"nurse-outreach", "restricted"})
    may = principal("s-may", frozenset({"supervisor"}), teams, frozenset({"*"}), part2=True)
    shared.people.known[may.actor] = may
    moved = await shared.act(task, "reassign", {"to": "restricted"}, token=may.actor)
    said = await shared.act(moved.json()["task"], "note", {"note": NOTE}, token=may.actor)
    event = said.json()["event_id"]

    for path in (f"/patients/{task['patient_key']}/timeline", f"/changes?caused_by={event}"):
        assert NOTE in str(await shared.get(path, may.actor)), path
        assert NOTE not in str(await shared.get(path)), path


def items(found: dict[str, Any]) -> bool:
    return bool(found["items"])


async def test_apart_again_each_has_their_own_story(shared: World) -> None:
    """What was done for one of two while they were one is told of that one alone (screens §4)."""
    now = RealClock().now()
    first, other = "GEN|apart-A", "GEN|apart-B"
    shared.send(elsewhere(first, "GEN", "A1", now - 3 * HOUR))
    shared.send(elsewhere(other, "GEN", "B1", now - 90 * HOUR))
    keys = [shared.site.key_of(name) for name in (first, other)]
    for key in keys:
        await shared.until(f"/tasks?patient_key={key}", items)
    (task,) = (await shared.get("/tasks", patient_key=keys[0], kind="CALL_48H"))["items"]

    merge = {**elsewhere(other, "GEN", "-", now - HOUR), "data": {"retired": first}}
    shared.send({**merge, "id": "together", "type": "care.patient.merged.v1"})
    joined = await shared.until(
        f"/tasks/{task['task_id']}", lambda found: found["patient_key"] == keys[1]
    )
    await shared.act(joined, "attempt", {"reached": "voicemail", "note": NOTE})
    apart = {**merge, "time": written(now)}
    shared.send({**apart, "id": "apart", "type": "care.patient.unmerged.v1"})
    await shared.until(f"/tasks/{task['task_id']}", lambda found: found["patient_key"] == keys[0])
    told = [str(await shared.get(f"/patients/{key}/timeline", limit=500)) for key in keys]

    assert [NOTE in text for text in told] == [True, False]
