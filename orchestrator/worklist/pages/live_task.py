"""``/live/tasks/{id}``: what changes on the page of a task, around a form that stays as it is."""

import sqlite3
from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import Query, Response

from orchestrator.worklist import edge
from orchestrator.worklist.api.guard import rule
from orchestrator.worklist.api.queries import Query as NoQuery
from orchestrator.worklist.api.stream import MEDIA
from orchestrator.worklist.model import lists
from orchestrator.worklist.model.filters import tasks_of
from orchestrator.worklist.pages import rows, script
from orchestrator.worklist.pages.acts import Id
from orchestrator.worklist.pages.frame import fragment
from orchestrator.worklist.pages.guard import PageCallOf
from orchestrator.worklist.pages.live import PlaceText, Span, streamed
from orchestrator.worklist.pages.live_work import said_of, state_at
from orchestrator.worklist.pages.patient import view_of
from orchestrator.worklist.pages.task import (
    completed_by,
    event_of,
    matrix_of,
    may_complete,
    state_words,
)
from schemas.tasks import TERMINAL


class LiveTask(NoQuery):
    at: PlaceText


@rule("tasks", "read", media=MEDIA, touches=False)
async def live_task(call: PageCallOf, task_id: Id, query: Annotated[LiveTask, Query()]) -> Response:
    """What changes in one task."""

    def told(db: sqlite3.Connection, span: Span) -> str:
        changed = db.execute(
            # A verdict on what the reader did may come alone.
            "SELECT max(id) FROM changes WHERE thing = ? AND kind IN ('task', 'command')"
            " AND id > ? AND id <= ?",
            (task_id, span.begin, span.end),
        ).fetchone()[0]
        row = lists.one(db, "tasks", task_id, tasks_of(call.who))
        if changed is None or row is None:
            return ""
        now, actor = call.site.log_now(), call.who.actor
        (line,) = rows.lines(call, db, [row], now)
        task, policy = line.task, rows.policy_of(call.site, line.task)
        was, before = state_at(db, task_id, span.page), state_at(db, task_id, span.begin)
        # Half-made choices there survive what does not change what can be done.
        same = before is not None and _who_has(before) == _who_has(task)
        matrix = None
        if task["kind"] == "MED_REC":
            view, _ = view_of(db, call.who, str(task["patient_key"]))
            matrix = matrix_of(view, call.who, call.site.pages.draft(actor, task_id))
        return fragment(
            "task_parts.html",
            "live_parts",
            line,
            state_words(line),
            _stale(db, was, task, actor, now),
            may_complete(policy, task, call.who),
            completed_by(policy, task),
            matrix,
            task["kind"] in script.CALLS,
            call.csrf,
            event_of(db, task_id),
            None if same else (call.csrf, edge.new_id(), sorted(policy.get("teams", ()))),
        )

    return streamed(call, query.at, told, lambda seen: seen.thing == task_id)


def _who_has(task: Mapping[str, Any]) -> tuple[bool, str | None]:
    return task["status"] in TERMINAL, task["owner"]


def _stale(
    db: sqlite3.Connection,
    was: Mapping[str, Any] | None,
    task: Mapping[str, Any],
    actor: str,
    now: int,
) -> str | None:
    """What somebody who writes must know before they send."""
    if was is None or task["status"] in ("cancelled", "entered-in-error"):
        return None
    if was["due_at"] != task["due_at"]:
        return rows.moved_words(task, was["due_at"], now)
    (at,) = db.execute(
        "SELECT updated_at FROM tasks WHERE task_id = ?", (task["task_id"],)
    ).fetchone()
    return said_of(was, task, actor, int(at))


ROUTES: Final = (("/live/tasks/{task_id}", ["GET"], live_task),)
