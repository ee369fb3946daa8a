"""What care teams do: done once, answered with its own effect, refused with the state as it is."""

import asyncio
from collections import Counter
from typing import Any, Final

import orjson
import pytest

from orchestrator.stream.sqlite_log import Log
from orchestrator.worklist import edge
from orchestrator.worklist.access.store import Action as Begun
from tests.worklist.world import ANSWERS, World


async def test_a_completed_call_closes_its_gap(running: World) -> None:
    """The walk of the product: see it, do it, and the gap is gone in the same answer's wake."""
    task = await running.call()
    accepted = await running.act(task, "accept")
    version = accepted.json()["task"]["version"]
    done = await running.act(
        task,
        "complete",
        {"outcome": "ok", "reached": "patient", "answers": ANSWERS},
        version=version,
    )
    now = done.json()["task"]

    assert (accepted.status_code, done.status_code) == (200, 200)
    assert (now["status"], now["tcm_contact_status"], now["outcome"]) == ("completed", "MET", "ok")
    assert done.headers["etag"] == f'"{now["version"]}"'
    assert await running.get(f"/tasks/{task['task_id']}") == now


async def test_the_actor_reads_their_own_write(running: World) -> None:
    """After 200 every list has it: no refresh shows the state from before."""
    task = await running.call()
    await running.act(task, "accept")
    mine = await running.get("/tasks", owner="me")

    assert [one["task_id"] for one in mine["items"]] == [task["task_id"]]


async def test_the_same_key_is_the_same_action(running: World) -> None:
    """A client that heard nothing sends it again: one effect, the same answer."""
    task = await running.call()
    first = await running.act(task, "attempt", {"reached": "no-answer"}, key="once")
    again = await running.act(task, "attempt", {"reached": "no-answer"}, key="once")
    history = (await running.get(f"/tasks/{task['task_id']}/history"))["items"]

    assert first.json() == again.json()
    assert sum(c["task"]["attempts"] == 1 for c in history) == 1


async def test_a_key_used_for_something_else_is_refused(running: World) -> None:
    """Another body under the same key is a client's mistake, not an action."""
    task = await running.call()
    await running.act(task, "attempt", {"reached": "no-answer"}, key="once")
    other = await running.act(task, "attempt", {"reached": "voicemail"}, key="once")

    assert (other.status_code, other.json()["reason"]) == (422, "idempotency-key-reused")


async def test_a_key_is_required(running: World) -> None:
    """Without one a repeat could not be told from a second action."""
    task = await running.call()
    async with running.client() as client:
        response = await client.post(f"/tasks/{task['task_id']}/note", json={"note": "x"})

    assert (response.status_code, response.json()["reason"]) == (400, "idempotency-key-missing")


async def test_the_version_seen_is_required_where_it_matters(running: World) -> None:
    """Who completes what they have not seen might complete something else (428)."""
    task = await running.call()
    async with running.client() as client:
        response = await client.post(
            f"/tasks/{task['task_id']}/accept", headers={"Idempotency-Key": "a"}
        )

    assert (response.status_code, response.json()["reason"]) == (428, "precondition-required")


@pytest.mark.parametrize("action", ["attempt", "note"])
async def test_attempts_and_notes_commute(running: World, action: str) -> None:
    """Two people may both write that they tried: no version is asked for."""
    task = await running.call()
    body = {"note": "left a message"} if action == "note" else {"reached": "voicemail"}
    async with running.client() as client:
        response = await client.post(
            f"/tasks/{task['task_id']}/{action}", json=body, headers={"Idempotency-Key": "a"}
        )

    assert response.status_code == 200


async def test_what_is_over_cannot_be_done(running: World) -> None:
    """409 with the state as it is now, before the version is looked at."""
    task = await running.call()
    await running.act(task, "complete", {"outcome": "ok", "reached": "patient", "answers": ANSWERS})
    late = await running.act(task, "reject", {"reason": "not ours"})
    body = late.json()

    assert (late.status_code, body["reason"]) == (409, "not-possible-now")
    assert body["current"]["status"] == "completed"
    assert body["why"]


async def test_an_older_version_is_told_so(running: World) -> None:
    """412: still possible, but the caller saw an older one; the answer has the newer."""
    task = await running.call()
    noted = await running.act(task, "attempt", {"reached": "no-answer"})
    stale = await running.act(task, "reject", {"reason": "not ours"})

    assert (stale.status_code, stale.json()["reason"]) == (412, "stale-version")
    assert stale.json()["current"]["version"] == noted.json()["task"]["version"]


async def test_of_many_who_accept_at_once_one_has_it(running: World) -> None:
    """The log decides the order; everybody else reads who was faster, nobody an error page."""
    task = await running.call()
    answers = await asyncio.gather(
        *(running.act(task, "accept", token=_token(running, n), key=f"{n}") for n in range(20))
    )
    reasons = Counter(answer.json().get("reason", "applied") for answer in answers)
    owner = (await running.get(f"/tasks/{task['task_id']}"))["owner"]
    winner = next(answer for answer in answers if answer.status_code == 200)
    audited = [r for r in running.audit() if f"task/{task['task_id']}" in r["objects"]]

    assert reasons == {"applied": 1, "not-possible-now": 19}
    assert winner.json()["task"]["owner"] == owner
    assert {
        answer.json()["current"]["owner"] for answer in answers if answer.status_code == 409
    } == {owner}
    assert Counter(record["outcome"] for record in audited if record["action"] == "act") == {
        "success": 1,
        "conflict": 19,
    }


def _token(running: World, number: int) -> str:
    from orchestrator.worklist.access.roles import principal

    name = f"nurse-{number}"
    running.people.known[name] = principal(
        name, frozenset({"rn"}), frozenset({"nurse-outreach"}), frozenset({"*"})
    )
    return name


async def test_only_its_owner_and_supervisors_give_a_task_back(running: World) -> None:
    """What another has taken stays theirs."""
    task = await running.call()
    taken = (await running.act(task, "accept", token=_token(running, 1))).json()["task"]
    by_other = await running.act(taken, "release", token=_token(running, 2))
    by_supervisor = await running.act(taken, "release")

    assert (by_other.status_code, by_other.json()["reason"]) == (403, "forbidden")
    assert (by_supervisor.status_code, by_supervisor.json()["task"]["owner"]) == (200, None)


async def test_a_role_that_policy_does_not_name_cannot_complete(running: World) -> None:
    """`MED_REC` is for prescribers, pharmacists and nurses; the deciding process says no."""
    task = await running.call(kind="MED_REC")
    response = await running.act(task, "complete", {"outcome": "ok"})

    assert (response.status_code, response.json()["reason"]) == (403, "forbidden")


async def test_a_call_that_reached_nobody_is_an_attempt(running: World) -> None:
    """A voicemail completes nothing: 200, and the task goes on (rulings 21 to 23)."""
    task = await running.call()
    response = await running.act(task, "complete", {"outcome": "ok", "reached": "voicemail"})

    assert response.status_code == 200
    assert response.json()["task"]["status"] == "in-progress"


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("accept", {"colour": "red"}),
        ("attempt", {"reached": "ghost"}),
        ("attempt", {"at": "2099-01-01T00:00:00Z"}),
        ("attempt", {"at": "yesterday"}),
        ("complete", {"answers": {"symptoms": 3}}),
        ("complete", {"status": "completed", "owner": "me", "due_at": "2099-01-01T00:00:00Z"}),
        ("reject", {}),
        ("reassign", {}),
        ("note", {"note": ""}),
        ("note", {"note": "x" * 4001}),
        ("note", []),
        ("note", "text"),
    ],
)
async def test_a_body_of_the_wrong_form_is_refused_by_its_field(
    running: World, action: str, body: Any
) -> None:
    """Unknown members too: what is misspelt would be lost in silence."""
    response = await running.act(await running.call(), action, body)

    assert (response.status_code, response.json()["reason"]) == (422, "unprocessable")
    assert response.json()["errors"]


async def test_who_does_not_wait_is_told_where_to_look(running: World) -> None:
    """`respond-async`: stored, 202, and the state at an address of its own."""
    task = await running.call()
    response = await running.act(task, "accept", Prefer="respond-async")
    where = response.headers.get("location")
    if response.status_code == 202:
        assert where is not None
        state = await running.until(
            where.removeprefix("/api/v1"), lambda found: found["state"] != "pending"
        )
        assert state["state"] == "applied"
    else:
        assert response.status_code == 200, "it was faster than the answer"


async def test_anothers_action_is_not_there(running: World) -> None:
    """Whose action it was may not be found out by its id."""
    task = await running.call()
    done = await running.act(task, "accept")
    async with running.client("demo-rn") as client:
        response = await client.get(f"/actions/{done.json()['event_id']}")

    assert response.status_code == 404


async def test_a_task_is_passed_on_to_a_team_or_a_person(running: World) -> None:
    """A team has it to take; a person has it."""
    task = await running.call()
    to_team = await running.act(task, "reassign", {"to": "case-management", "reason": "complex"})
    moved = to_team.json()["task"]
    to_person = await running.act(moved, "reassign", {"to": "demo-rn"}, key="second")

    assert (moved["team"], moved["status"]) == ("case-management", "requested")
    assert (to_person.json()["task"]["owner"], to_person.json()["task"]["status"]) == (
        "demo-rn",
        "accepted",
    )


async def test_many_are_accepted_together_each_for_itself(running: World) -> None:
    """207 when one of them could not: the others are done all the same."""
    tasks = (await running.get("/tasks", kind="CALL_48H", limit=3))["items"]
    await running.act(tasks[0], "accept", token=_token(running, 1))
    items = [{"task_id": t["task_id"], "version": t["version"]} for t in tasks]
    async with running.client() as client:
        response = await client.post(
            "/tasks/bulk",
            json={"action": "accept", "items": items},
            headers={"Idempotency-Key": "b"},
        )
    found = response.json()["items"]

    assert response.status_code == 207
    assert [(one["task_id"], one["status"]) for one in found] == [
        (tasks[0]["task_id"], 409),
        (tasks[1]["task_id"], 200),
        (tasks[2]["task_id"], 200),
    ]


async def test_nothing_is_completed_in_bulk(running: World) -> None:
    """Each patient deserves a look."""
    task = await running.call()
    body = {"action": "complete", "items": [{"task_id": task["task_id"], "version": 1}]}
    async with running.client() as client:
        response = await client.post("/tasks/bulk", json=body, headers={"Idempotency-Key": "b"})

    assert response.status_code == 422


async def test_a_command_that_the_log_knows_is_not_sent_twice(running: World) -> None:
    """One event per key, also when several send it at once: in progress, or the same answer."""
    task = await running.call()
    answers = await asyncio.gather(
        *(running.act(task, "note", {"note": "hello"}, key="same") for _ in range(5))
    )
    from orchestrator.stream.sqlite_log import Log

    with Log.open(running.folder) as log:
        sent = [orjson.loads(r.value or b"") for r in log.read("care.outcome.v1", 0, 0, 1000)]

    assert {a.status_code for a in answers} <= {200, 409}
    assert any(a.status_code == 200 for a in answers)
    assert len(sent) == 1


@pytest.mark.parametrize("body", [{}, {"answers": dict.fromkeys(ANSWERS, " ")}])
async def test_a_call_without_its_script_is_an_attempt(
    running: World, body: dict[str, Any]
) -> None:
    """Whoever states no outcome claims the whole script (rulings 21 to 23)."""
    task = await running.call()
    told = await running.act(task, "complete", {"reached": "patient", **body})

    assert (told.status_code, told.json()["task"]["status"]) == (200, "in-progress")


async def test_a_calls_outcome_is_one_of_four(running: World) -> None:
    """A misspelt word must not settle a call."""
    task = await running.call()
    told = await running.act(task, "complete", {"reached": "patient", "outcome": "Ok"})

    assert (told.status_code, told.json()["reason"]) == (422, "unprocessable")


async def test_a_red_flag_is_closed_by_clinicians_alone(running: World) -> None:
    """A scheduler who sees it cannot say that it was seen to."""
    task = await running.call()
    answers = {**ANSWERS, "symptoms": "chest-pain"}
    await running.act(task, "complete", {"outcome": "ok", "reached": "patient", "answers": answers})
    found = await running.until(
        "/gaps?code=CLINICAL_RED_FLAG&status=open", lambda told: told["items"]
    )
    (gap,) = found["items"]
    path = f"/gaps/{gap['gap_id']}/acknowledge"
    async with running.client("demo-scheduler") as client:
        refused = await client.post(path, headers={"Idempotency-Key": "k1"})
    async with running.client("demo-rn") as client:
        taken = await client.post(path, headers={"Idempotency-Key": "k2"})

    assert (refused.status_code, taken.status_code) == (403, 200)


async def test_a_gap_that_only_facts_close_says_so(running: World) -> None:
    """409 with the gap as it stands: no role is the right one; the sentence says what closes it."""
    (gap,) = (await running.get("/gaps", code="NO_PCP_ON_FILE", limit=1))["items"]
    path = f"/gaps/{gap['gap_id']}/acknowledge"
    async with running.client("demo-rn") as client:
        refused = await client.post(path, headers={"Idempotency-Key": "k1"})
        again = await client.post(path, headers={"Idempotency-Key": "k1"})
        unknown = await client.post("/gaps/none/acknowledge", headers={"Idempotency-Key": "k1"})

    assert (refused.status_code, refused.json()["reason"]) == (409, "not-possible-now")
    assert "closes when what is missing is there" in refused.json()["detail"]
    assert refused.json()["current"]["gap_id"] == gap["gap_id"]
    assert again.json()["detail"] == refused.json()["detail"]
    assert unknown.status_code == 404


async def test_a_task_that_was_tried_and_is_nobodys_can_be_taken(running: World) -> None:
    """In progress without an owner: refused is only what another owns (contract.md 3)."""
    task = await running.call()
    tried = await running.act(task, "attempt", {"reached": "no-answer"}, token="demo-rn")
    now = tried.json()["task"]
    taken = await running.act(now, "accept", token="demo-rn")

    assert (now["status"], now["owner"]) == ("in-progress", None)
    assert taken.status_code == 200
    assert (taken.json()["task"]["status"], taken.json()["task"]["owner"]) == (
        "accepted",
        "demo-rn",
    )


async def test_what_nobody_comes_back_to_is_dropped(running: World) -> None:
    """A draft of two months ago, and the key of an action of then; what is newer stays."""
    then = edge.now() - 60 * 24 * 3600 * 1_000_000
    running.site.pages.keep_draft("n1", "t1", {"note": "old"}, then)
    running.site.pages.keep_draft("n1", "t2", {"note": "new"}, edge.now())
    running.site.store.begin(Begun("old", "n1", "x", b"", True, "t1", "note"), then)
    await running.act(await running.call(), "accept")  # the first of this process looks

    assert running.site.pages.draft("n1", "t1") == {}
    assert running.site.pages.draft("n1", "t2") == {"note": "new"}
    assert running.site.store.action("old") is None


TRACE: Final = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_a_trace_goes_on_with_the_event(running: World) -> None:
    """What a hospital's tracing began is kept: in the answer and in the event."""
    task = await running.call()
    done = await running.act(task, "accept", traceparent=TRACE)
    forged = await running.act(done.json()["task"], "note", {"note": "x"}, traceparent="MRN1")
    with Log.open(running.folder) as log:
        events = {
            event["id"]: event
            for record in log.read("care.outcome.v1", 0, 0, 100)
            if (event := orjson.loads(record.value or b""))
        }

    assert done.headers["traceparent"] == TRACE
    assert events[done.json()["event_id"]]["traceparent"] == TRACE
    assert "traceparent" not in forged.headers
    assert "traceparent" not in events[forged.json()["event_id"]]


async def test_who_owns_nothing_passes_nothing_on(running: World) -> None:
    """Reassigning is for the owner and for supervisors."""
    task = await running.call()
    told = await running.act(task, "reassign", {"to": "pharmacy"}, token="demo-rn")

    assert told.status_code == 403
