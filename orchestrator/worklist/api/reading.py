"""``/tasks``, ``/gaps``, ``/transitions``: lists and single things."""

import sqlite3
from typing import Annotated, Any

from fastapi import Path, Query, Request, Response

from orchestrator.worklist.api.answers import (
    changes_seen,
    etag,
    freshness,
    items,
    json_response,
)
from orchestrator.worklist.api.guard import Call, CallOf, rule
from orchestrator.worklist.api.queries import GapQuery, Paging, TaskFilter, TaskQuery
from orchestrator.worklist.api.queries import Query as NoQuery
from orchestrator.worklist.model import lists, stories
from orchestrator.worklist.model.filters import BadCursor, Where, gaps_of, tasks_of
from orchestrator.worklist.problems import Problem

# A version that another replica's answer named may not be here yet.
VERSION_WAIT_S = 5.0

Id = Annotated[str, Path(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9._:-]+$")]


class Versioned(NoQuery):
    min_version: int | None = None


@rule("tasks", "search")
async def list_tasks(
    request: Request, call: CallOf, query: Annotated[TaskQuery, Query()]
) -> Response:
    """Tasks of the caller's teams and facilities."""
    return await _list(request, call, "task", query, query)


@rule("gaps", "search")
async def list_gaps(
    request: Request, call: CallOf, query: Annotated[GapQuery, Query()]
) -> Response:
    """Gaps of the caller's facilities."""
    return await _list(request, call, "gap", query, query)


async def _list(
    request: Request, call: Call, kind: str, said: TaskFilter | Any, paging: Paging
) -> Response:
    where, keys = said.where(call.who), said.order()
    call.account.query_hash = call.site.key_of(
        f"query|{kind}|{said.model_dump_json(exclude={'cursor', 'limit'})}"
    )

    def read(db: sqlite3.Connection) -> dict[str, Any]:
        try:
            page = lists.page(db, f"{kind}s", where, keys, paging.limit, paging.cursor)
        except BadCursor:
            raise Problem("malformed", "The cursor is not one of this list.") from None
        return {
            "items": items(call, db, kind, page.rows),
            "next": page.next,
            "total": page.total,
            "freshness": freshness(call, db),
        }

    content = await call.site.reader.ask(read)
    response = json_response(content)
    if content["next"] is not None:
        following = request.url.include_query_params(cursor=content["next"])
        path = f"{following.path}?{following.query}"
        response.headers["Link"] = f'<{path}>; rel="next"'
    return response


@rule("tasks", "read")
async def read_task(
    request: Request, call: CallOf, task_id: Id, query: Annotated[Versioned, Query()]
) -> Response:
    """One task, with the sentence that says why it is as it is."""
    return _versioned(request, await task_of(call, task_id, query.min_version))


def _versioned(request: Request, found: dict[str, Any]) -> Response:
    """The thing with its version; nothing where the caller has that one."""
    tag = etag(found["version"])
    if _is_known(tag, request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers={"ETag": tag})
    return json_response(found, headers={"ETag": tag})


def _is_known(tag: str, said: str) -> bool:
    """Whether ``If-None-Match`` names *tag*; weakly compared (RFC 9110, 13.1.2)."""
    words = {word.strip().removeprefix("W/") for word in said.split(",")}
    return tag in words or "*" in words


async def task_of(call: Call, task_id: str, min_version: int | None = None) -> dict[str, Any]:
    """
    The task as the caller sees it.

    Args:
        min_version: Wait until it is at least this.

    Raises:
        Problem: ``not-found``, or ``unavailable`` when that version does not come.
    """
    where = tasks_of(call.who)

    def read(db: sqlite3.Connection) -> dict[str, Any] | None:
        row = lists.one(db, "tasks", task_id, where)
        return None if row is None else items(call, db, "task", [row])[0]

    left = VERSION_WAIT_S
    while True:
        found = await call.site.reader.ask(read)
        if min_version is None or (found is not None and found["version"] >= min_version):
            break
        if left <= 0:
            raise Problem("unavailable", "That version has not been seen here yet.")
        before = call.site.now().elapsed
        await call.site.hub.tick(left)
        left -= call.site.now().elapsed - before
    if found is None:
        raise Problem("not-found")
    return found


@rule("tasks", "read")
async def task_history(call: CallOf, task_id: Id, query: Annotated[NoQuery, Query()]) -> Response:
    """Each version of one task and each note on it, oldest first, with what was said."""
    del query

    def read(db: sqlite3.Connection) -> dict[str, Any] | None:
        if lists.one(db, "tasks", task_id, tasks_of(call.who)) is None:
            return None
        told = stories.history(db, task_id, "task", "command")
        changes = changes_seen(call, db, told)
        return {"items": changes, "freshness": freshness(call, db)}

    found = await call.site.reader.ask(read)
    call.account.objects.append(f"task/{task_id}")
    if found is None:
        raise Problem("not-found")
    call.account.patient_keys.update(c["patient_key"] for c in found["items"] if c["patient_key"])
    call.account.rows = len(found["items"])
    return json_response(found)


@rule("gaps", "read")
async def read_gap(
    request: Request, call: CallOf, gap_id: Id, query: Annotated[NoQuery, Query()]
) -> Response:
    """One gap."""
    del query
    where = gaps_of(call.who)

    def read(db: sqlite3.Connection) -> dict[str, Any] | None:
        row = lists.one(db, "gaps", gap_id, where)
        return None if row is None else items(call, db, "gap", [row])[0]

    return _versioned(request, await _found(call, f"gap/{gap_id}", read))


@rule("patients", "read")
async def read_transition(
    call: CallOf, transition_id: Id, query: Annotated[NoQuery, Query()]
) -> Response:
    """One transition with its tasks and gaps."""
    del query
    where = Where()
    where.among("facility", call.who.facilities)

    def read(db: sqlite3.Connection) -> dict[str, Any] | None:
        row = lists.one(db, "transitions", transition_id, where)
        if row is None:
            return None
        (found,) = items(call, db, "transition", [row])
        if not stories.may_see_patient(db, call.who, found["patient_key"]):
            return None
        tasks, gaps = tasks_of(call.who), gaps_of(call.who)
        for part in (tasks, gaps):
            part.add("transition_id = ?", transition_id)
        by_id = {"task": TaskQuery().order(), "gap": GapQuery().order()}
        for kind, part in (("task", tasks), ("gap", gaps)):
            rows = lists.every(db, f"{kind}s", part, by_id[kind], 500)
            found[f"{kind}s"] = items(call, db, kind, rows)
        return {**found, "freshness": freshness(call, db)}

    # No tag: its version tells nothing of the tasks and gaps that are shown with it.
    return json_response(await _found(call, f"transition/{transition_id}", read))


async def _found(call: Call, thing: str, read: Any) -> dict[str, Any]:
    found: dict[str, Any] | None = await call.site.reader.ask(read)
    if found is None:
        call.account.patient_keys.clear()
        call.account.objects[:] = [thing]
        raise Problem("not-found")
    return found
