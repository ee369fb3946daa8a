"""What people do with a task from a page: the same actions as the API's, asked for by a form.

With script the row that was meant comes back, changed in place; without, the page is shown again
and says what happened.
"""

import asyncio
import sqlite3
from collections.abc import Mapping
from typing import Annotated, Any, Final, cast

from fastapi import Path, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError

from orchestrator.worklist import commands, edge
from orchestrator.worklist.acting import Asked, Outcome
from orchestrator.worklist.api.action_bodies import BULK_MAX, Accept, Bulk, Reassign, Release
from orchestrator.worklist.api.actions import many, perform
from orchestrator.worklist.api.bodies import Body
from orchestrator.worklist.api.guard import rule
from orchestrator.worklist.model import lists
from orchestrator.worklist.model.filters import tasks_of
from orchestrator.worklist.pages import filters, rows, whom, wording
from orchestrator.worklist.pages.frame import fragment, html
from orchestrator.worklist.pages.guard import HTML, PageCall, PageCallOf, own_path
from orchestrator.worklist.pages.store import Wait
from orchestrator.worklist.problems import Problem

Id = Annotated[str, Path(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9._:-]+$")]
CAUGHT_UP: Final = "Saved. It will show when the system has caught up."
UNDO: Final = "accept"  # what can be taken back at once
GOT_MAX: Final = 50  # refusals of one task that are understood at once


def said(call: PageCall, name: str) -> str:
    """One field of the form, without spaces around it."""
    return str(call.form.get(name, "")).strip()


def back_of(call: PageCall, usual: str = "/work") -> str:
    """The page to go back to: one of ours."""
    return own_path(said(call, "back")) or usual


def asked_of(call: PageCall, action: commands.Action, task_id: str, body: Body) -> Asked:
    """
    The action that a form asks for.

    Raises:
        Problem: The form is not one of ours.
    """
    version, key = said(call, "version"), said(call, "key")
    if not key or len(key) > 128 or not key.isascii() or not key.isprintable():
        raise Problem("idempotency-key-missing")
    if version and not (version.isascii() and version.isdigit() and len(version) < 18):
        raise Problem("malformed", "The version is not a number.")
    return Asked(
        action,
        "task",
        task_id,
        f"page:{key}"[:128],
        int(version) if version and commands.ACTIONS[action].versioned else None,
        body.model_dump(exclude_none=True),
    )


async def carried_out(
    call: PageCall, asked: Asked, fields: Mapping[str, Any] | None = None
) -> Outcome:
    """
    Do it; what is stored but not here yet is remembered for the reader's rows.

    Args:
        fields: What was typed for it, to be sent again should it be refused behind their back.

    Raises:
        Problem: It is not possible.
    """
    call.account.objects.append(f"task/{asked.name}")
    outcome = await perform(call, asked, call.site.action_wait)
    if outcome.thing is None:
        wait = Wait(
            outcome.event_id, asked.name, asked.action, call.site.log_now(), dict(fields or {})
        )
        await asyncio.to_thread(call.site.pages.wait_for, call.who.actor, wait, edge.now())
    elif outcome.thing["owner"] != call.who.actor or outcome.thing["status"] == "completed":
        await asyncio.to_thread(call.site.pages.drop_person, call.who.actor, asked.name)
    else:
        await call.site.reader.ask(lambda db: whom.keep(call, db, [asked.name]))
    return outcome


@rule("act", "act", limit="actions", media=HTML)
async def accept(call: PageCallOf, task_id: Id) -> Response:
    """Take a task that nobody has."""
    return await _of_row(call, "accept", task_id, Accept(), "Accepted.")


@rule("act", "act", limit="actions", media=HTML)
async def release(call: PageCallOf, task_id: Id) -> Response:
    """Give a task back to its team."""
    return await _of_row(call, "release", task_id, Release(), "Released.")


@rule("act", "act", limit="actions", media=HTML)
async def reassign(call: PageCallOf, task_id: Id) -> Response:
    """Pass a task on to a team or a person."""
    try:
        body = Reassign(to=said(call, "to"), reason=said(call, "reason") or None)
    except ValidationError:
        raise Problem("unprocessable", "Choose a team or a person.") from None
    return await _of_row(call, "reassign", task_id, body, f"Passed on to {body.to}.")


async def _of_row(
    call: PageCall, action: commands.Action, task_id: str, body: Body, done: str
) -> Response:
    told: str | None = None
    try:
        outcome = await carried_out(call, asked_of(call, action, task_id, body))
    except Problem as problem:
        if problem.reason not in ("not-possible-now", "stale-version"):
            raise
        told = await refused_words(call, task_id, problem)
        result, version = told, None
    else:
        pending = outcome.thing is None
        result = CAUGHT_UP if pending else done
        version = None if outcome.thing is None else outcome.thing["version"]
        if version is not None and action == "accept":
            lost = await call.site.reader.ask(lambda db: _taken_since(db, task_id, call.who.actor))
            if lost:
                result, version = "Taken by someone else meanwhile.", None
                told = result
    undoes = action == UNDO and version is not None
    if call.htmx and said(call, "list"):
        return await _row_again(call, task_id, told, result, version if undoes else None)
    undo = None
    if undoes:
        fields = {"version": version, "key": edge.new_id(), "back": back_of(call)}
        undo = {"action": f"/tasks/{task_id}/release", "fields": fields}
    call.site.pages.flash(call.who.actor, {"text": result, "undo": undo})
    return RedirectResponse(back_of(call), 303)


def _taken_since(db: sqlite3.Connection, task_id: str, actor: str) -> bool:
    """Of a form that was sent again: whether the task is another's by now."""
    row = db.execute("SELECT owner FROM tasks WHERE task_id = ?", (task_id,)).fetchone()
    return row is not None and row[0] not in (None, actor)


async def refused_words(call: PageCall, task_id: str, problem: Problem) -> str:
    """Why it could not be done, as it reads in the row."""
    current: Mapping[str, Any] | None = problem.more.get("current")
    if current is None:
        return str(problem.detail)
    owner, mine = current["owner"], current["owner"] == call.who.actor
    if current["status"] in wording.STATUS and current["status"] in (
        "cancelled",
        "entered-in-error",
        "completed",
        "failed",
    ):
        return str(current["why"] or problem.detail)
    at = await call.site.reader.ask(lambda db: _changed_at(db, task_id))
    clock = "" if at is None else f" at {wording.clock(at, current['zone'])}"
    if owner is not None and not mine:
        return f"Taken by someone else{clock}."
    if mine and problem.reason == "not-possible-now":
        return "You have it already."
    seen = said(call, "version")
    before = await call.site.reader.ask(lambda db: _due_in(db, task_id, seen))
    if before is not None and before != current["due_at"]:
        return rows.moved_words(current, before, call.site.log_now())
    return f"Changed{clock}, after this page was shown. Look again before you go on."


def _due_in(db: sqlite3.Connection, task_id: str, version: str) -> str | None:
    """When the task was due in the version that the reader saw."""
    row = db.execute(
        "SELECT json_extract(value, '$.task.due_at') FROM changes WHERE thing = ?"
        " AND kind = 'task' AND json_extract(value, '$.task.version') = ?",
        (task_id, int(version) if version.isascii() and version.isdigit() else 0),
    ).fetchone()
    return None if row is None else str(row[0])


def _changed_at(db: sqlite3.Connection, task_id: str) -> int | None:
    row = db.execute("SELECT updated_at FROM tasks WHERE task_id = ?", (task_id,)).fetchone()
    return None if row is None else int(row[0])


async def _row_again(
    call: PageCall, task_id: str, told: str | None, result: str, undo: int | None
) -> Response:
    """The row as it stands now, and what happened to it in words."""
    now = call.site.log_now()
    query = filters.query_of(back_of(call))

    def read(db: sqlite3.Connection) -> tuple[rows.Line | None, str]:
        tabs = fragment("rows.html", "refused_count", rows.refused(call, db).count)
        if query is not None:
            counted = filters.tabs_of(call.site, db, call.who, query)
            tabs += fragment("rows.html", "owner_tabs_part", query, counted)
        row = lists.one(db, "tasks", task_id, tasks_of(call.who))
        if row is None:
            return None, tabs
        marks = {row.number: told} if told else {}
        return rows.lines(call, db, [row], now, said=marks)[0], tabs

    line, tabs = await call.site.reader.ask(read)
    bulk = said(call, "list") == "bulk"
    parts = [fragment("rows.html", "new_key", edge.new_id()), tabs]
    if line is not None:
        parts.append(fragment("rows.html", "partial", line, bulk, 7 if bulk else 6))
    else:
        result = f"{result} It is not in your queue any more."
    if result:
        parts.append(fragment("rows.html", "told", result, task_id if undo else None, undo))
    return html(call.request, "".join(parts))


@rule("tasks", media=HTML)
async def got_it(call: PageCallOf, task_id: Id) -> Response:
    """A withdrawal, or a refusal, is understood: it need not be told any more."""
    version, *events = said(call, "version").split()[:GOT_MAX] or [""]
    actor, pages = call.who.actor, call.site.pages
    waits = pages.waits(actor).get(task_id, [])
    refused = [one for one in waits if one.event in events]

    def find(db: sqlite3.Connection) -> lists.Row | None:
        return lists.one(db, "tasks", task_id, tasks_of(call.who))

    row = await call.site.reader.ask(find)
    if row is None and not refused:
        raise Problem("not-found")
    for one in refused:
        pages.came(actor, one.event)
        if one.fields and pages.draft(actor, task_id) == one.fields:
            await asyncio.to_thread(pages.drop_draft, actor, task_id)
    seen = int(version) if version.isascii() and version.isdigit() else 0
    await asyncio.to_thread(pages.got_it, actor, task_id, seen, edge.now())
    if not call.htmx or row is None:
        return RedirectResponse(back_of(call), 303)
    if rows.plain(row)["status"] not in wording.WITHDRAWN:
        return await _row_again(call, task_id, None, "", None)
    left, still = await call.site.reader.ask(
        lambda db: (len(rows.held(call, db)), rows.refused(call, db).count)
    )
    parts = [
        fragment("rows.html", "gone", f"t-{row.number}"),
        fragment("rows.html", "withdrawn_count", left),
        fragment("rows.html", "refused_count", still),
    ]
    return html(call.request, "".join(parts))


@rule("bulk", "act", limit="actions", media=HTML)
async def bulk(call: PageCallOf) -> Response:
    """One action on many tasks, each judged for itself."""
    action, items = said(call, "action"), call.form.getlist("item")
    actor, pages = call.who.actor, call.site.pages
    body = _bulk_body(call, action, [str(one) for one in items])
    if isinstance(body, str):
        pages.flash(actor, {"text": body, "undo": None})
        return RedirectResponse(back_of(call), 303)
    more = body.model_dump(exclude_none=True, exclude={"action", "items"})
    if action == "accept":
        more.pop("reason", None)
    key = said(call, "key") or edge.new_id()
    asked = [
        Asked(
            cast(commands.Action, body.action),
            "task",
            one.task_id,
            f"bulk:{key}"[:128],
            one.version,
            more,
        )
        for one in body.items
    ]
    results = await many(call, asked, call.site.action_wait)
    for result in results:
        if result["status"] == 202:
            name, event = result["task_id"], result["event_id"]
            wait = Wait(event, name, body.action, call.site.log_now(), {})
            await asyncio.to_thread(pages.wait_for, actor, wait, edge.now())
    if body.action == "accept":
        taken = [result["task_id"] for result in results if result["status"] == 200]
        await call.site.reader.ask(lambda db: whom.keep(call, db, taken))
    pages.flash(actor, {"text": _bulk_words(body.action, results), "undo": None})
    return RedirectResponse(back_of(call), 303)


def _bulk_body(call: PageCall, action: str, items: list[str]) -> Bulk | str:
    """The body, or what is missing in the form."""
    if not items:
        return "Nothing was selected."
    if len(items) > BULK_MAX:
        return f"At most {BULK_MAX} at once."
    to = said(call, "to") or None
    if action == "reassign" and to is None:
        return "Choose to whom to reassign."
    pairs = [one.rpartition(":") for one in items]
    try:
        return Bulk.model_validate(
            {
                "action": action,
                "items": [{"task_id": name, "version": int(seen)} for name, _, seen in pairs],
                "to": to if action == "reassign" else None,
            }
        )
    except ValueError:
        raise Problem("malformed") from None


def _bulk_words(action: str, results: list[dict[str, Any]]) -> str:
    words = {"accept": "accepted", "release": "released", "reassign": "passed on"}[action]
    done = sum(result["status"] == 200 for result in results)
    waiting = sum(result["status"] == 202 for result in results)
    text = f"{done} {words}."
    if waiting:
        text += f" {waiting} saved; they will show when the system has caught up."
    failed = len(results) - done - waiting
    if failed:
        reasons = sorted({str(one["detail"]) for one in results if one["status"] >= 300})
        text += f" {failed} not: {' '.join(reasons[:3])}"
    return text


ROUTES: Final = (
    ("/tasks/{task_id}/accept", ["POST"], accept),
    ("/tasks/{task_id}/release", ["POST"], release),
    ("/tasks/{task_id}/reassign", ["POST"], reassign),
    ("/tasks/{task_id}/got-it", ["POST"], got_it),
    ("/work/bulk", ["POST"], bulk),
)
