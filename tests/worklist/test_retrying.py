"""A dead letter is sent again, mended, or put away, and what became of it is told."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
import pytest_asyncio

from orchestrator.core.instants import HOUR, SECOND, written
from orchestrator.stream import resend
from orchestrator.stream.clock import RealClock
from orchestrator.stream.sqlite_log import Log
from orchestrator.worklist.access.roles import Principal, principal
from tests.worklist.world import WAIT_S, World, discharged, world

pytestmark = pytest.mark.asyncio(loop_scope="module")

STEWARD = "demo-data-steward"
OPERATOR = "demo-operator"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with world(tmp_path_factory.mktemp("retrying"), patients=1) as made:
        yield made


def discharge(number: int, **said: Any) -> dict[str, Any]:
    """The discharge of a patient whom nobody knows yet."""
    *_, event = discharged(number)
    return {**event, **said}


def without_visit(number: int) -> dict[str, Any]:
    event = discharge(number)
    data = {name: value for name, value in event["data"].items() if name != "visit_number"}
    return {**event, "data": data}


async def letter_of(made: World, event: dict[str, Any], headers: Any = None) -> dict[str, Any]:
    """The letter that *event* becomes."""
    raw = orjson.dumps(event)
    with Log.open(made.folder) as log:
        _, offset = log.append("care.discharge.v1", None, raw, headers)
    found = await made.until(
        "/ops/dead-letters?limit=500",
        lambda found: any(one["offset"] == str(offset) for one in found["items"]),
        OPERATOR,
    )
    (one,) = [one for one in found["items"] if one["offset"] == str(offset)]
    return dict(one)


async def asked(
    made: World, path: str, body: Any = None, token: str = STEWARD, status: int = 200
) -> Any:
    async with made.client(token) as client:
        response = await client.post(path, json=body)
    assert response.status_code == status, response.text
    return response.json()


async def retried(made: World, letter: dict[str, Any], event: Any = None, **more: Any) -> Any:
    body = None
    if event is not None:
        body = {"replacement_base64": base64.b64encode(orjson.dumps(event)).decode()}
    return await asked(made, f"/ops/dead-letters/{letter['id']}/retry", body, **more)


async def state_of(made: World, letter: dict[str, Any], status: str) -> dict[str, Any]:
    """The letter, once it is told to be so."""
    path = f"/ops/dead-letters/{letter['id']}"
    found = await made.until(path, lambda found: found["status"] == status, OPERATOR)
    return dict(found)


async def gap_of(made: World, number: int, status: str) -> dict[str, Any]:
    """The patient's gap about what was parked, once it is so."""
    key = made.site.key_of(discharge(number)["subject"])
    found = await made.until(
        f"/gaps?code=EVENT_PARKED&patient_key={key}",
        lambda found: [gap["status"] for gap in found["items"]] == [status],
    )
    return dict(found["items"][0])


async def test_a_mended_message_is_taken_and_the_gap_closes(shared: World) -> None:
    """Original, edit and editor are kept; the patient's tasks are there; it is on record."""
    letter = await letter_of(shared, without_visit(20))
    await gap_of(shared, 20, "open")
    mended = discharge(20)
    outcome = await retried(shared, letter, mended)
    known = await state_of(shared, letter, "retried")

    assert (letter["reason"], letter["status"], letter["tries"]) == ("missing-visit", "open", 0)
    assert outcome["result"] == "accepted"
    assert outcome["tasks_changed"] >= 3
    assert (known["tries"], known["decided_by"]) == (1, STEWARD)
    (edit,) = known["edits"]
    raw = await asked(
        shared, f"/ops/dead-letters/{edit['id']}/raw", {"purpose": "looking what was changed"}
    )
    assert orjson.loads(base64.b64decode(raw["value_base64"])) == mended
    assert edit["by"] == STEWARD
    gap = await gap_of(shared, 20, "closed")
    assert gap["close_reason"] == "RESOLVED"
    (record,) = [
        one
        for one in shared.audit()
        if f"dead-letter/{letter['id']}" in one["objects"] and one["action"] == "retry"
    ]
    assert (record["actor"], record["outcome"]) == (STEWARD, "success")
    assert record["patient_keys"] == [shared.site.key_of(discharge(20)["subject"])]


async def test_what_is_wrong_still_is_refused_and_stays(shared: World) -> None:
    """Nothing is appended, the try is counted."""
    letter = await letter_of(shared, without_visit(21))
    with Log.open(shared.folder) as log:
        before = log.end_offsets("care.discharge.v1")
    outcome = await retried(shared, letter, token=OPERATOR)
    path = f"/ops/dead-letters/{letter['id']}"
    known = await shared.until(path, lambda found: found["tries"] == 1, OPERATOR)
    with Log.open(shared.folder) as log:
        after = log.end_offsets("care.discharge.v1")

    assert (outcome["result"], outcome["reason"]) == ("refused", "missing-visit")
    assert known["status"] == "open"
    assert before == after


async def test_what_was_ahead_of_its_time_is_taken_when_that_has_come(shared: World) -> None:
    """Sent again as it is, without anybody seeing a byte of it."""
    ahead = written(RealClock().now() + 24 * HOUR + 3 * SECOND)
    letter = await letter_of(shared, discharge(22, time=ahead))
    end = time.monotonic() + WAIT_S
    while (outcome := await retried(shared, letter, token=OPERATOR))["result"] == "refused":
        assert outcome["reason"] == "bad-time"
        assert time.monotonic() < end
        await asyncio.sleep(0.5)

    assert letter["reason"] == "bad-time"
    assert outcome["result"] == "accepted"
    assert (await state_of(shared, letter, "retried"))["decided_by"] == OPERATOR
    await gap_of(shared, 22, "closed")


async def test_what_stood_in_headers_is_sent_again_too(shared: World) -> None:
    """A letter holds the bytes alone; in CloudEvents' binary mode the rest lay beside them."""
    ahead = written(RealClock().now() + 24 * HOUR + 3 * SECOND)
    event = discharge(23, time=ahead)
    headers = {f"ce_{name}": value for name, value in event.items() if name != "data"}
    letter = await letter_of(shared, event["data"], headers)
    end = time.monotonic() + WAIT_S
    while (outcome := await retried(shared, letter, token=OPERATOR))["result"] == "refused":
        assert time.monotonic() < end
        await asyncio.sleep(0.5)

    assert outcome["result"] == "accepted"
    await gap_of(shared, 23, "closed")


async def test_a_clash_of_ids_comes_back_as_a_new_letter(shared: World) -> None:
    """Only deciding can find it; the answer names the letter that it became."""
    first = discharge(24)
    shared.send(*discharged(24))
    other = {**first, "data": {**first["data"], "disposition": {"code": "06"}}}
    key = shared.site.key_of(first["subject"])
    await shared.until(f"/tasks?patient_key={key}", lambda found: found["items"])
    shared.send(other)
    found = await shared.until(
        "/ops/dead-letters?reason=duplicate-id-different-content",
        lambda found: found["items"],
        OPERATOR,
    )
    (letter,) = found["items"]
    outcome = await retried(shared, letter, {**other, "id": f"{first['id']}-mended"})

    assert letter["stage"] == "decide"
    assert outcome["result"] == "accepted"
    await gap_of(shared, 24, "closed")


async def test_a_letter_is_put_away_with_a_reason(shared: World) -> None:
    """By a data steward alone; it can be read, and not sent again."""
    letter = await letter_of(shared, without_visit(25))
    path = f"/ops/dead-letters/{letter['id']}/discard"
    await asked(shared, path, {"reason": "a test message"}, token=OPERATOR, status=403)
    await asked(shared, path, {"reason": " "}, status=422)
    await asked(shared, path, {"reason": "a test message"})
    known = await state_of(shared, letter, "discarded")
    again = await retried(shared, letter, token=OPERATOR, status=409)
    open_now = await shared.get("/ops/dead-letters?limit=500", OPERATOR)
    away = await shared.get("/ops/dead-letters?status=discarded", OPERATOR)

    assert (known["purpose"], known["decided_by"]) == ("a test message", STEWARD)
    assert again["reason"] == "not-possible-now"
    assert letter["id"] not in {one["id"] for one in open_now["items"]}
    assert [one["id"] for one in away["items"]] == [letter["id"]]


async def test_who_may_not_see_may_not_mend(shared: World) -> None:
    """An operator sends again as it is; a nurse does neither."""
    letter = await letter_of(shared, without_visit(26))
    await retried(shared, letter, discharge(26), token=OPERATOR, status=403)
    await retried(shared, letter, token="demo-rn", status=403)
    body = {"filter": {}, "dry_run": True}
    await asked(shared, "/ops/dead-letters/retry", body, token="demo-rn", status=403)

    assert (await state_of(shared, letter, "open"))["tries"] == 0


async def ended(made: World, job: dict[str, Any], token: str = OPERATOR) -> dict[str, Any]:
    path = f"/jobs/{job['id']}"
    return dict(await made.until(path, lambda found: found["state"] != "running", token))


async def test_all_with_one_reason_are_looked_at_and_then_sent(shared: World) -> None:
    """The dry run appends nothing and leaves them open; the real one tells of each."""
    ahead = written(RealClock().now() + 24 * HOUR + 3 * SECOND)
    good = [await letter_of(shared, discharge(n, time=ahead)) for n in (27, 28)]
    body = {"filter": {"reason": "bad-time"}, "dry_run": True}
    end = time.monotonic() + WAIT_S
    while True:
        job = await asked(shared, "/ops/dead-letters/retry", body, OPERATOR, 202)
        dry = await ended(shared, job)
        if dry["result"]["accepted"] == 2:
            break
        assert time.monotonic() < end
        await asyncio.sleep(0.5)
    for letter in good:
        assert (await state_of(shared, letter, "open"))["tries"] == 0
    job = await asked(shared, "/ops/dead-letters/retry", {**body, "dry_run": False}, OPERATOR, 202)
    done = await ended(shared, job)
    async with shared.client("demo-operator-2") as other:
        stranger = await other.get(f"/jobs/{job['id']}")

    assert (dry["state"], dry["progress"], dry["result"]["dry_run"]) == ("done", 1, True)
    assert done["result"]["accepted"] == 2
    assert {item["id"] for item in done["result"]["items"]} == {one["id"] for one in good}
    assert all(item["changes"] >= 1 for item in done["result"]["items"])
    assert stranger.status_code in (401, 404)
    for letter in good:
        await state_of(shared, letter, "retried")


async def test_a_misspelt_filter_sends_nothing(shared: World) -> None:
    """It would be all of them."""
    body = {"filter": {"raeson": "bad-time"}, "dry_run": False}
    problem = await asked(shared, "/ops/dead-letters/retry", body, OPERATOR, 422)

    assert problem["errors"]


async def test_a_message_of_the_largest_size_can_be_mended(shared: World) -> None:
    """1 MiB, and so more than any other body may have; one byte more is refused."""
    letter = await letter_of(shared, without_visit(29))
    whole = orjson.dumps(discharge(29))
    pad = 1024 * 1024 - len(whole)
    largest = whole.replace(b"{", b"{" + b" " * pad, 1)
    path = f"/ops/dead-letters/{letter['id']}/retry"
    body = {"replacement_base64": base64.b64encode(largest + b" ").decode()}
    await asked(shared, path, body, status=413)
    body = {"replacement_base64": base64.b64encode(largest).decode()}
    outcome = await asked(shared, path, body)

    assert outcome["result"] == "accepted"


async def test_a_letter_of_a_joined_record_closes_the_survivor_s_gap(shared: World) -> None:
    """The number was retired since; what is sent again under it finds its patient."""
    letter = await letter_of(shared, without_visit(30))
    await gap_of(shared, 30, "open")
    (*_, other) = events = discharged(32)
    merge = {
        **other,
        "id": "join-30-32",
        "type": "care.patient.merged.v1",
        "data": {"retired": discharge(30)["subject"]},
    }
    shared.send(*events, merge)
    key = shared.site.key_of(other["subject"])
    path = f"/gaps?code=EVENT_PARKED&patient_key={key}"
    (gap,) = (await shared.until(path, lambda found: found["items"]))["items"]
    outcome = await retried(shared, letter, discharge(30))
    found = await shared.until(path, lambda found: found["items"][0]["status"] == "closed")

    assert gap["status"] == "open"
    assert outcome["result"] == "accepted"
    assert [one["gap_id"] for one in found["items"]] == [gap["gap_id"]]


async def test_what_is_mended_stays_what_it_was(shared: World) -> None:
    """Of the steward's facility and the same patient; who is whom, and no nurse's report."""
    letter = await letter_of(shared, without_visit(34))
    who = principal("steward-gen", frozenset({"data-steward"}), frozenset(), frozenset({"MID"}))
    shared.people.known["steward-gen"] = who
    elsewhere = {**discharge(34), "facility": "GEN"}
    problem = await retried(shared, letter, elsewhere, token="steward-gen", status=403)
    command = {
        **discharge(34),
        "type": "care.task.completed.v1",
        "data": {"task_id": "t", "actor": "demo-rn", "role": "rn"},
    }
    await retried(shared, letter, command, status=422)
    await retried(shared, letter, {**command, "lane": "backfill"}, status=422)
    merge = {
        **discharge(34),
        "type": "care.patient.merged.v1",
        "data": {"retired": discharge(4)["subject"]},
    }
    await retried(shared, letter, merge, token="steward-gen", status=403)
    await retried(shared, letter, discharge(4), token="steward-gen", status=403)

    assert problem["reason"] == "facility-not-allowed"
    assert (await state_of(shared, letter, "open"))["edits"] == []


async def test_another_sender_s_event_of_the_same_id_closes_nothing(shared: World) -> None:
    """Ids are each sender's own; and nobody but us can say what a message stands for."""
    bad = {**without_visit(36), "id": "42"}
    await letter_of(shared, bad)
    gap = await gap_of(shared, 36, "open")
    other = {**discharged(36)[0], "id": "42", "source": "lab/other"}
    claims = {"retries": orjson.dumps(["42"]).decode()}
    with Log.open(shared.folder) as log:
        log.append("care.admission.v1", None, orjson.dumps(other), claims)
    key = gap["patient_key"]
    timeline = f"/patients/{key}/timeline"
    await shared.until(timeline, lambda found: "42" in orjson.dumps(found["items"]).decode())

    assert (await gap_of(shared, 36, "open"))["version"] == gap["version"]


async def test_a_repeat_that_is_sent_again_closes_the_gap(shared: World) -> None:
    """The steward finds that what came first was right, and sends that: it has had its effect."""
    (*_, first) = events = discharged(38)
    shared.send(*events)
    key = shared.site.key_of(first["subject"])
    await shared.until(f"/tasks?patient_key={key}", lambda found: found["items"])
    shared.send({**first, "data": {**first["data"], "disposition": {"code": "06"}}})
    await gap_of(shared, 38, "open")
    found = await shared.get("/ops/dead-letters?limit=500", OPERATOR)
    (letter,) = [one for one in found["items"] if one["stage"] == "decide"]
    outcome = await retried(shared, letter, first)

    assert outcome["result"] == "accepted"
    await gap_of(shared, 38, "closed")


async def test_mended_to_another_number_the_gap_of_the_first_closes(shared: World) -> None:
    """It named the wrong patient: there is nothing to look at there any more."""
    letter = await letter_of(shared, without_visit(40))
    await gap_of(shared, 40, "open")
    outcome = await retried(shared, letter, {**discharge(42), "id": "for-42"})

    assert outcome["result"] == "accepted"
    await gap_of(shared, 40, "closed")


async def test_what_was_dropped_a_moment_ago_is_not_sent(shared: World) -> None:
    """The rows follow the audit; until they tell of it, whoever did it knows."""
    letter = await letter_of(shared, without_visit(44))
    await asked(shared, f"/ops/dead-letters/{letter['id']}/discard", {"reason": "a test message"})
    problem = await retried(shared, letter, discharge(44), status=409)

    assert problem["reason"] == "not-possible-now"
    assert (await state_of(shared, letter, "discarded"))["edits"] == []


async def test_a_job_is_told_to_nobody_with_other_rights(shared: World) -> None:
    """The same name, another role since: what the job found was for the first."""

    def eve(role: str) -> Principal:
        return principal("eve", frozenset({role}), frozenset(), frozenset({"*"}))

    shared.people.known["eve"] = eve("data-steward")
    body = {"filter": {}, "dry_run": True}
    job = await asked(shared, "/ops/dead-letters/retry", body, "eve", 202)
    await ended(shared, job, "eve")
    shared.people.known["eve"] = eve("operator")
    async with shared.client("eve") as client:
        response = await client.get(f"/jobs/{job['id']}")

    assert response.status_code == 404


async def test_a_letter_that_cannot_be_looked_at_holds_up_no_other(
    shared: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused, as the bug that it is; the job goes on, and one alone is no 500."""
    bad = await letter_of(shared, without_visit(46))
    good = await letter_of(shared, without_visit(48))
    again = resend.again

    def fails(letter: Any, *more: Any, **said: Any) -> Any:
        if letter.headers["offset"] == bad["offset"]:
            raise RecursionError
        return again(letter, *more, **said)

    monkeypatch.setattr(resend, "again", fails)
    alone = await retried(shared, bad)
    body = {"filter": {"reason": "missing-visit"}, "dry_run": True}
    job = await asked(shared, "/ops/dead-letters/retry", body, OPERATOR, 202)
    found = {item["id"]: item for item in (await ended(shared, job))["result"]["items"]}

    assert (alone["result"], alone["reason"]) == ("refused", "handler-failed")
    assert found[bad["id"]]["reason"] == "handler-failed"
    assert found[good["id"]]["reason"] == "missing-visit"
