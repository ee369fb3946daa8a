"""What is sent from a task's page: attempt, completion, note, draft, or that it cannot be done."""

import asyncio
import sqlite3
from typing import Any, Final

import orjson
from fastapi import Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError

from orchestrator.worklist import commands, edge
from orchestrator.worklist.acting import Outcome
from orchestrator.worklist.api.action_bodies import Attempt, Complete, Note, Reject
from orchestrator.worklist.api.bodies import Body
from orchestrator.worklist.api.guard import rule
from orchestrator.worklist.model import lists
from orchestrator.worklist.model.filters import tasks_of
from orchestrator.worklist.model.work import escalation
from orchestrator.worklist.pages import gap_words, rows, script, wording
from orchestrator.worklist.pages.acts import (
    CAUGHT_UP,
    Id,
    asked_of,
    back_of,
    carried_out,
    refused_words,
    said,
)
from orchestrator.worklist.pages.faults import not_saved
from orchestrator.worklist.pages.guard import HTML, PageCall, PageCallOf
from orchestrator.worklist.pages.patient import view_of
from orchestrator.worklist.pages.script import Said
from orchestrator.worklist.pages.task import REASONS, matrix_of, shown
from orchestrator.worklist.problems import REASONS as REASONS_KNOWN
from orchestrator.worklist.problems import Problem

LONGEST_REASON: Final = 500
AGAIN_MAX: Final = 50  # refused actions that one form is sent again for


@rule("act", "act", limit="actions", media=HTML)
async def report(call: PageCallOf, task_id: Id) -> Response:
    """An attempt, a completion or a note, as the button says."""
    typed, do = script.from_form(call.form), said(call, "do")
    task = await _task(call, task_id)
    if do == "discard":
        # Differences that were accepted one by one are no words of this form.
        await _keep(call, task_id, Said())
        return RedirectResponse(f"/tasks/{task_id}", 303)
    await _keep(call, task_id, typed)
    if do == "note":
        return await _note(call, task_id, typed)
    if do == "attempt":
        return await _attempt(call, task, typed)
    if do == "complete":
        return await _complete(call, task, typed)
    raise Problem("malformed", "No button was pressed.")


async def _task(call: PageCall, task_id: str) -> dict[str, Any]:
    def read(db: Any) -> dict[str, Any] | None:
        row = lists.one(db, "tasks", task_id, tasks_of(call.who))
        return None if row is None else rows.plain(row)

    found = await call.site.reader.ask(read)
    if found is None:
        call.account.objects.append(f"task/{task_id}")
        raise Problem("not-found")
    return found


async def _note(call: PageCall, task_id: str, typed: Said) -> Response:
    if not typed.note:
        return await shown(call, task_id, typed, 422, errors=(("note", "Write the note."),))
    return await _sent(call, task_id, "note", Note(note=typed.note), typed, "Note saved.")


async def _attempt(call: PageCall, task: dict[str, Any], typed: Said) -> Response:
    is_call = task["kind"] in script.CALLS
    if is_call and not typed.reached:
        errors = (("reached-patient", "Choose whom you reached, or that nobody answered."),)
        return await shown(call, task["task_id"], typed, 422, errors=errors)
    if (wrong := script.contradiction(typed)) is not None:
        return await shown(call, task["task_id"], typed, 422, errors=(wrong,))
    body = _body(Attempt, typed, rows.policy_of(call.site, task))
    return await _sent(call, task["task_id"], "attempt", body, typed, "Attempt logged.")


async def _complete(call: PageCall, task: dict[str, Any], typed: Said) -> Response:
    name, policy = task["task_id"], rows.policy_of(call.site, task)
    more: dict[str, Any] = {}
    if task["kind"] in script.CALLS:
        if not typed.reached:
            errors = (("reached-patient", "Choose whom you reached, or that nobody answered."),)
            return await shown(call, name, typed, 422, errors=errors)
        if (wrong := script.contradiction(typed)) is not None:
            return await shown(call, name, typed, 422, errors=(wrong,))
        short = script.shortfall(typed, script.questions(policy), policy)
        if short is not None:
            return await shown(call, name, typed, 422, confirm=short)
    if task["kind"] == "CLINICAL_ESCALATION" and not typed.note:
        # It closes a red flag: not by one click.
        errors = (("note", "Write what was found and done."),)
        return await shown(call, name, typed, 422, errors=errors)
    if task["kind"] == "MED_REC":
        grave, accepted = await _differences(call, task)
        if grave and said(call, "unverified") != "yes":
            return await shown(call, name, typed, 422, confirm_unverified=True)
        more["accepted_discrepancies"] = accepted or None
    if typed.appointment:
        more["appointment_id"] = typed.appointment
    typed.outcome = typed.outcome or "ok"
    body = _body(Complete, typed, policy, **more)
    return await _sent(call, name, "complete", body, typed, "Done.")


def _body(kind: type[Body], typed: Said, policy: dict[str, Any], **more: Any) -> Body:
    answers, note = script.told(typed, policy)
    try:
        return kind.model_validate(
            {
                "reached": typed.reached or None,
                "outcome": typed.outcome or None,
                "note": note or None,
                "answers": answers or None,
                **more,
            }
        )
    except ValidationError:
        raise Problem("unprocessable", "The form has a value that is not one of its own.") from None


async def _differences(call: PageCall, task: dict[str, Any]) -> tuple[str | None, list[str]]:
    """What grave thing would stay open, and what was accepted."""
    draft = call.site.pages.draft(call.who.actor, task["task_id"])
    view, _ = await call.site.reader.ask(lambda db: view_of(db, call.who, str(task["patient_key"])))
    table = matrix_of(view, call.who, draft)
    if table is None:
        return None, []
    return table.open_grave, [one.id for one in table.differences if one.accepted is not None]


async def _sent(
    call: PageCall, task_id: str, action: commands.Action, body: Body, typed: Said, done: str
) -> Response:
    actor, pages = call.who.actor, call.site.pages
    draft = pages.draft(actor, task_id)
    try:
        outcome = await carried_out(call, asked_of(call, action, task_id, body), draft)
    except Problem as problem:
        return await _again(call, task_id, problem, typed)
    await asyncio.to_thread(pages.drop_draft, actor, task_id)
    for event in said(call, "again").split()[:AGAIN_MAX]:
        pages.came(actor, event)
    text = await _told(call, action, typed, outcome, done)
    pages.flash(actor, {"text": text, "undo": None})
    stays = action != "complete" or not _ended(outcome)
    return RedirectResponse(f"/tasks/{task_id}" if stays else back_of(call), 303)


async def _again(
    call: PageCall, task_id: str, problem: Problem, typed: Said | None, **more: Any
) -> Response:
    """The form once more, every word in it, and what is wrong above it."""
    status, headers = problem.status_code, problem.headers
    if problem.reason == "not-found":
        raise problem
    if problem.reason == "stale-version" and typed is not None and not more:
        words = await refused_words(call, task_id, problem)
        return await shown(call, task_id, typed, status, stale=words)
    retry = REASONS_KNOWN[problem.reason][2]
    if problem.reason in ("not-possible-now", "stale-version"):
        words = await refused_words(call, task_id, problem)
    elif problem.reason == "idempotency-key-reused":
        words = "This form was sent once before, with other words. Send these too if they are new."
    elif retry:
        words = f"{not_saved(problem)} Request {call.request_id}."
    else:
        words = problem.detail
    # What may be sent again as it is must be the same action: it is never done twice.
    key = said(call, "key").removesuffix("-x") if retry else None
    errors = (("report" if typed is not None else "", words),)
    return await shown(
        call, task_id, typed, status, errors=errors, key=key, headers=headers, **more
    )


def _ended(outcome: Outcome) -> bool:
    return outcome.thing is None or outcome.thing["status"] == "completed"


async def _told(call: PageCall, action: str, typed: Said, outcome: Outcome, done: str) -> str:
    if outcome.thing is None:
        return CAUGHT_UP
    task = outcome.thing
    text = done
    if action == "complete" and task["status"] != "completed":
        text = "Saved. It counts as an attempt."
    elif action == "complete":
        closed = await call.site.reader.ask(lambda db: _closed(db, outcome.event_id))
        if closed:
            text += f" Gap{'s' if len(closed) > 1 else ''} closed: {', '.join(closed)}."
    if action != "note" and script.has_red_flag(typed, rows.policy_of(call.site, task)):
        due = await call.site.reader.ask(lambda db: escalation(db, task["transition_id"]))
        text = "Saved. A red flag, and no task asks a clinician: tell one yourself, now."
        if due is not None:
            text = f"Saved. A clinician is asked to call by {wording.clock(due, task['zone'])}."
    if task.get("tcm_contact_status") == "ATTEMPTS_MET":
        text += f" {task['attempts']} attempts on separate days: documentation met, keep trying."
    return text


def _closed(db: sqlite3.Connection, event: str) -> list[str]:
    """The gaps that an action has closed, in words."""
    found = db.execute(
        "SELECT c.value FROM caused JOIN changes c ON c.id = caused.change_id"
        " WHERE caused.event = ? AND c.kind = 'gap' ORDER BY c.id",
        (event,),
    )
    changes = [orjson.loads(value) for (value,) in found]
    return [gap_words.name(one["gap"]["code"]) for one in changes if one["change"] == "gap.closed"]


@rule("act", "act", limit="actions", media=HTML)
async def reject(call: PageCallOf, task_id: Id) -> Response:
    """It cannot be done: back to the queue, and the supervisor is told."""
    reason, why = said(call, "reason"), said(call, "why")[: script.NOTE_MAX]
    cannot = (reason, why)
    if reason not in dict(REASONS):
        errors = (("reason-not-ours", "Choose why it cannot be done."),)
        return await shown(call, task_id, None, 422, errors=errors, cannot=cannot)
    body = Reject(reason=reason, note=why or None)
    try:
        outcome = await carried_out(
            call, asked_of(call, "reject", task_id, body), {"why": body.note}
        )
    except Problem as problem:
        return await _again(call, task_id, problem, None, cannot=cannot)
    text = CAUGHT_UP if outcome.thing is None else "Given back to the queue; a supervisor is told."
    call.site.pages.flash(call.who.actor, {"text": text, "undo": None})
    return RedirectResponse(back_of(call), 303)


@rule("act", media=HTML)
async def draft(call: PageCallOf, task_id: Id) -> Response:
    """Keep what is typed until it is sent."""
    await _task(call, task_id)
    await _keep(call, task_id, script.from_form(call.form))
    return Response(status_code=204)


async def _keep(call: PageCall, task_id: str, typed: Said) -> None:
    actor, pages = call.who.actor, call.site.pages
    before = pages.draft(actor, task_id)
    if typed == Said() and not before.get("accepted"):
        await asyncio.to_thread(pages.drop_draft, actor, task_id)
        return
    fields = {**before, **typed.plain()}
    await asyncio.to_thread(pages.keep_draft, actor, task_id, fields, edge.now())


@rule("act", media=HTML)
async def accept_difference(call: PageCallOf, task_id: Id) -> Response:
    """One difference between two lists is as it should be, for a reason."""
    await _task(call, task_id)
    actor, pages = call.who.actor, call.site.pages
    before = pages.draft(actor, task_id)
    name, reason = said(call, "difference")[:128], said(call, "reason")[:LONGEST_REASON]
    if not name or not reason:
        errors = ((f"why-{name}", "Write why this difference is right."),)
        return await shown(call, task_id, script.from_draft(before), 422, errors=errors)
    fields = {**before, "accepted": {**(before.get("accepted") or {}), name: reason}}
    await asyncio.to_thread(pages.keep_draft, actor, task_id, fields, edge.now())
    return RedirectResponse(f"/tasks/{task_id}#medicines", 303)


@rule("tasks", media=HTML)
async def its_page(call: PageCallOf, task_id: Id) -> Response:
    """What a form is sent to has no page of its own: the task's is shown."""
    await _task(call, task_id)  # a name that is none of ours is not repeated
    return RedirectResponse(f"/tasks/{task_id}", 303)


SENT_TO: Final = (
    "report",
    "reject",
    "draft",
    "difference",
    "accept",
    "release",
    "reassign",
    "got-it",
)
ROUTES: Final = (
    *((f"/tasks/{{task_id}}/{name}", ["GET"], its_page) for name in SENT_TO),
    ("/tasks/{task_id}/report", ["POST"], report),
    ("/tasks/{task_id}/reject", ["POST"], reject),
    ("/tasks/{task_id}/draft", ["POST"], draft),
    ("/tasks/{task_id}/difference", ["POST"], accept_difference),
)
