"""``/me``, ``/queues``, ``/freshness``, ``/changes``: who asks, how much waits, what changed."""

import sqlite3
from typing import Annotated, Any

from fastapi import Query, Response
from pydantic import Field

from orchestrator.worklist.api.answers import (
    account_changes,
    changes_seen,
    freshness,
    json_response,
)
from orchestrator.worklist.api.guard import CallOf, rule
from orchestrator.worklist.api.queries import Query as NoQuery
from orchestrator.worklist.api.queries import Word
from orchestrator.worklist.model import lists, stories
from orchestrator.worklist.model.filters import BadCursor, cursor_of, read_cursor, tasks_of
from orchestrator.worklist.problems import Problem


class ChangeQuery(NoQuery):
    after: Annotated[str, Field(max_length=256, pattern=r"^[A-Za-z0-9_-]+$")] | None = None
    caused_by: Word | None = None
    limit: Annotated[int, Field(ge=1, le=500)] = 100


@rule("self")
async def me(call: CallOf, query: Annotated[NoQuery, Query()]) -> Response:
    """Who the caller is here, and what they may do."""
    del query
    who = call.who
    return json_response(
        {
            "actor": who.actor,
            "roles": sorted(who.roles),
            "teams": ["*"] if who.teams is None else sorted(who.teams),
            "facilities": ["*"] if who.facilities is None else sorted(who.facilities),
            "view": who.view,
            "part2": who.part2,
            "permissions": sorted(who.may),
        }
    )


@rule("tasks")
async def queues(call: CallOf, query: Annotated[NoQuery, Query()]) -> Response:
    """How much work lies with each team; numbers alone, no patient."""
    del query

    def read(db: sqlite3.Connection) -> dict[str, Any]:
        now = call.site.log_now()
        found = lists.queues(db, tasks_of(call.who), call.who.actor, now)
        return {"items": found, "freshness": freshness(call, db)}

    return json_response(await call.site.reader.ask(read))


@rule("self")
async def how_fresh(call: CallOf, query: Annotated[NoQuery, Query()]) -> Response:
    """Up to which instant all that was received is in the answers."""
    del query
    return json_response(await call.site.reader.ask(lambda db: freshness(call, db)))


@rule("patients", "search")
async def changes(call: CallOf, query: Annotated[ChangeQuery, Query()]) -> Response:
    """The change log behind a cursor, or what one event has brought about."""

    def read(db: sqlite3.Connection) -> dict[str, Any]:
        generation = stories.generation(db)
        begin = 0
        if query.after is not None:
            try:
                (begin,) = read_cursor(query.after, generation, 1)
            except BadCursor:
                detail = "The cursor is of a read model that was made anew; begin again."
                raise Problem("malformed", detail) from None
        told = stories.changes_after(db, call.who, begin, query.caused_by, query.limit)
        shown = changes_seen(call, db, told)
        account_changes(call, shown)
        last = told[-1].number if told else begin
        return {
            "items": shown,
            "next": cursor_of(generation, [last]),
            "freshness": freshness(call, db),
        }

    return json_response(await call.site.reader.ask(read))
