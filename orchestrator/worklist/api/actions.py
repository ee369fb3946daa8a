"""``POST /tasks/{id}/{action}``, bulk and acknowledgement: what a caller does (3.3)."""

import asyncio
import re
from collections.abc import Sequence
from typing import Annotated, Any, Final, NamedTuple

from fastapi import Depends, Header, Path, Query, Response

from orchestrator.worklist import commands, views
from orchestrator.worklist.acting import Asked, Outcome, Refusal
from orchestrator.worklist.api.action_bodies import (
    Accept,
    Acknowledge,
    Attempt,
    Bulk,
    Complete,
    Note,
    Reassign,
    Reject,
    Release,
)
from orchestrator.worklist.api.answers import contacts, etag, json_response
from orchestrator.worklist.api.bodies import Body
from orchestrator.worklist.api.guard import Call, CallOf, rule
from orchestrator.worklist.api.queries import Query as NoQuery
from orchestrator.worklist.instants import micros
from orchestrator.worklist.model.filters import gaps_of, tasks_of
from orchestrator.worklist.problems import Problem

WAIT_MAX_S: Final = 30.0

Id = Annotated[str, Path(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9._:-]+$")]
IdempotencyKey = Annotated[str | None, Header()]
Prefer = Annotated[str | None, Header()]


class Said(NamedTuple):
    """The headers of an action."""

    if_match: str | None
    idempotency_key: str | None
    prefer: str | None


def _said(
    query: Annotated[NoQuery, Query()],
    if_match: Annotated[str | None, Header()] = None,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Said:
    del query
    return Said(if_match, idempotency_key, prefer)


SaidOf = Annotated[Said, Depends(_said)]


async def _act(
    call: Call, action: commands.Action, task_id: str, body: Body, headers: Said
) -> Response:
    call.account.objects.append(f"task/{task_id}")
    said = body.model_dump(exclude_none=True)
    _check_behalf(call, said)
    _check_time(call, said)
    key = _key(headers.idempotency_key)
    seen = version_of if commands.ACTIONS[action].versioned else _maybe_version
    asked = Asked(action, "task", task_id, key, seen(headers.if_match), said, call.trace)
    return await _answer(call, asked, wait_of(call, headers.prefer))


async def _answer(call: Call, asked: Asked, wait_s: float) -> Response:
    return await _response(call, asked, await perform(call, asked, wait_s))


async def perform(call: Call, asked: Asked, wait_s: float) -> Outcome:
    """
    Do it, for any door.

    Raises:
        Problem: It is not possible; shows the current state in the caller's view.
    """
    visible = tasks_of(call.who) if asked.kind == "task" else gaps_of(call.who)
    try:
        return await call.site.acting.act(call.who, asked, visible, wait_s)
    except Refusal as refusal:
        raise await _shown(call, asked.kind, refusal) from None


async def again(call: Call, task_id: str, key: str, wait_s: float) -> Outcome | None:
    """
    What became of an earlier request under *key*; ``None``: there was none.

    Raises:
        Problem: It was refused; as `perform`.
    """
    try:
        return await call.site.acting.again(call.who, task_id, key, tasks_of(call.who), wait_s)
    except Refusal as refusal:
        raise await _shown(call, "task", refusal) from None


async def _response(call: Call, asked: Asked, outcome: Outcome) -> Response:
    if outcome.thing is None:
        where = f"/api/v1/actions/{outcome.event_id}"
        pending = {"event_id": outcome.event_id, "state": "pending"}
        return json_response(pending, 202, {"Location": where})
    thing = {k: v for k, v in outcome.thing.items() if k not in ("changed_at", "why")}
    item = await _seen(call, asked.kind, thing, outcome.why)
    content: dict[str, Any] = {"event_id": outcome.event_id, "state": "applied", asked.kind: item}
    return json_response(content, 200, {"ETag": etag(thing["version"])})


async def _seen(call: Call, kind: str, thing: dict[str, Any], why: str | None) -> dict[str, Any]:
    item = views.item(kind, thing, why, call.who)
    key = item.get("patient_key")
    if key:
        call.account.patient_keys.add(key)
        known = await call.site.reader.ask(lambda db: contacts(db, [key], call.who))
        item["contact"] = known.get(key)
    return item


async def _shown(call: Call, kind: str, refusal: Refusal) -> Problem:
    """The refusal with the current state in the caller's view."""
    thing = refusal.thing
    current = None if thing is None else await _seen(call, kind, thing, refusal.why)
    headers = {} if thing is None else {"ETag": etag(thing["version"])}
    why, detail = refusal.why, refusal.detail
    if current is not None and not views.sees_words(call.who, masked=bool(current.get("masked"))):
        why, detail = current["why"], ""  # one view for all that is said of it
    return Problem(refusal.reason, detail, headers=headers, current=current, why=why)


def _key(said: str | None) -> str:
    if said is None or not said.strip():
        raise Problem("idempotency-key-missing")
    # The IETF draft has a quoted string; many clients send it bare.
    key = said.strip()
    if len(key) > 1 and key.startswith('"') and key.endswith('"'):
        key = key[1:-1]
    if not 1 <= len(key) <= 128 or not key.isascii() or not key.isprintable():
        raise Problem("malformed", "Idempotency-Key is at most 128 printable ASCII characters.")
    return key


def version_of(if_match: str | None) -> int:
    found = _maybe_version(if_match)
    if found is None:
        raise Problem("precondition-required")
    return found


def _maybe_version(if_match: str | None) -> int | None:
    if if_match is None:
        return None
    match = re.fullmatch(r'(?:W/)?"([1-9][0-9]{0,17})"', if_match.strip())
    if match is None:
        raise Problem("malformed", "If-Match is one version in quotation marks.")
    return int(match[1])


def wait_of(call: Call, prefer: str | None) -> float:
    """How long the caller wants to wait (RFC 7240)."""
    words = [word.strip().lower() for word in (prefer or "").split(",")]
    for word in words:
        name, _, value = word.partition("=")
        if name == "wait" and value.isascii() and value.isdigit():
            return min(float(value[:6]), WAIT_MAX_S)
    return 0.0 if "respond-async" in words else call.site.action_wait


def _check_behalf(call: Call, said: dict[str, Any]) -> None:
    if "on_behalf_of" in said and "care-system" not in call.who.roles:
        raise Problem("forbidden", "Only a team's own system acts for a person.")


def _check_time(call: Call, said: dict[str, Any]) -> None:
    if "at" in said and micros(said["at"]) > call.site.log_now():
        errors = [{"pointer": "#/at", "code": "future", "detail": "is in the future"}]
        raise Problem("unprocessable", errors=errors)


@rule("act", "act", limit="actions")
async def accept(call: CallOf, task_id: Id, said: SaidOf, body: Accept | None = None) -> Response:
    """Take a task that nobody has."""
    return await _act(call, "accept", task_id, body or Accept(), said)


@rule("act", "act", limit="actions")
async def release(call: CallOf, task_id: Id, said: SaidOf, body: Release | None = None) -> Response:
    """Give a task back to its team."""
    return await _act(call, "release", task_id, body or Release(), said)


@rule("act", "act", limit="actions")
async def attempt(call: CallOf, task_id: Id, said: SaidOf, body: Attempt) -> Response:
    """Record that it was tried."""
    return await _act(call, "attempt", task_id, body, said)


@rule("act", "act", limit="actions")
async def complete(call: CallOf, task_id: Id, said: SaidOf, body: Complete) -> Response:
    """Record that it is done, overdue or not."""
    return await _act(call, "complete", task_id, body, said)


@rule("act", "act", limit="actions")
async def reject(call: CallOf, task_id: Id, said: SaidOf, body: Reject) -> Response:
    """Say that it cannot be done; the supervisor is told."""
    return await _act(call, "reject", task_id, body, said)


@rule("act", "act", limit="actions")
async def reassign(call: CallOf, task_id: Id, said: SaidOf, body: Reassign) -> Response:
    """Pass a task on to a team or a person."""
    return await _act(call, "reassign", task_id, body, said)


@rule("act", "act", limit="actions")
async def note(call: CallOf, task_id: Id, said: SaidOf, body: Note) -> Response:
    """Write a note on a task."""
    return await _act(call, "note", task_id, body, said)


@rule("bulk", "act", limit="actions")
async def bulk(
    call: CallOf,
    body: Bulk,
    query: Annotated[NoQuery, Query()],
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Response:
    """One action on many tasks, each judged for itself; none is completed so."""
    del query
    key = _key(idempotency_key)
    _check_behalf(call, body.model_dump(exclude_none=True))
    if (body.action == "reassign") != (body.to is not None):
        errors = [{"pointer": "#/to", "code": "missing", "detail": "goes with reassign alone"}]
        raise Problem("unprocessable", errors=errors)
    said = body.model_dump(exclude_none=True, exclude={"action", "items"})
    if body.action == "accept":
        said.pop("reason", None)
    wait_s = wait_of(call, prefer)
    asked = [
        Asked(body.action, "task", one.task_id, f"bulk:{key}", one.version, said, call.trace)
        for one in body.items
    ]
    async with call.site.acting.together(call.who, key, body.model_dump()):
        results = await many(call, asked, wait_s)
    whole = all(result["status"] == 200 for result in results)
    return json_response({"items": results}, 200 if whole else 207)


async def many(call: Call, asked: Sequence[Asked], wait_s: float) -> list[dict[str, Any]]:
    """What became of each, in the order of *asked*."""
    call.account.objects += [f"task/{one.name}" for one in asked]
    # Together: one after the other, each would wait for the round of the one before.
    return await asyncio.gather(*(_one_of_many(call, one, wait_s) for one in asked))


async def _one_of_many(call: Call, asked: Asked, wait_s: float) -> dict[str, Any]:
    result: dict[str, Any] = {"task_id": asked.name}
    try:
        outcome = await call.site.acting.act(call.who, asked, tasks_of(call.who), wait_s)
    except Refusal as refusal:
        problem = await _shown(call, "task", refusal)
    except Problem as found:
        problem = found
    else:
        if outcome.thing is None:
            return {**result, "status": 202, "event_id": outcome.event_id, "state": "pending"}
        thing = {k: v for k, v in outcome.thing.items() if k not in ("changed_at", "why")}
        item = await _seen(call, "task", thing, outcome.why)
        more = {"event_id": outcome.event_id, "state": "applied", "task": item}
        return {**result, "status": 200, **more}
    return {
        **result,
        "status": problem.status_code,
        "reason": problem.reason,
        "detail": problem.detail,
        **problem.more,
    }


@rule("act", "act", limit="actions")
async def acknowledge(
    call: CallOf,
    gap_id: Id,
    query: Annotated[NoQuery, Query()],
    body: Acknowledge | None = None,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Response:
    """Say that a gap was seen, where that is what closes it."""
    del query
    call.account.objects.append(f"gap/{gap_id}")
    said = (body or Acknowledge()).model_dump(exclude_none=True)
    _check_behalf(call, said)
    asked = Asked("note", "gap", gap_id, _key(idempotency_key), None, said, call.trace)
    return await _answer(call, asked, wait_of(call, prefer))


@rule("act")
async def action_state(call: CallOf, event_id: Id, query: Annotated[NoQuery, Query()]) -> Response:
    """What became of an action that was still pending."""
    del query
    return json_response(await call.site.acting.state(call.who, event_id))
