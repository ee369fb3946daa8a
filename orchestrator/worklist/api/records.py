"""``GET /audit`` and ``/policy``: who saw or did what, and the rules in force."""

import sqlite3
from typing import Annotated, Any, Final, Literal

import orjson
from fastapi import Path, Query, Response
from pydantic import Field

from orchestrator.worklist.access.roles import Principal
from orchestrator.worklist.api.answers import freshness, json_response
from orchestrator.worklist.api.guard import CallOf, rule
from orchestrator.worklist.api.queries import Cursor, Instant, PatientKey, Word
from orchestrator.worklist.api.queries import Query as NoQuery
from orchestrator.worklist.instants import micros
from orchestrator.worklist.model.audits import as_read, audits_of
from orchestrator.worklist.model.filters import (
    BadCursor,
    Key,
    Where,
    after,
    cursor_of,
    list_name,
    order_sql,
    read_cursor,
)
from orchestrator.worklist.opened import BREAK_GLASS
from orchestrator.worklist.problems import Problem

NEWEST_FIRST: Final = (Key("at", descending=True), Key("audit_id", descending=True))
Deed = Literal[
    "read", "search", "act", "export", "raw", "retry", "discard", "break-glass", "sign-in", "config"
]
# What the record of a look says while a grant is open (`opened`).
LOOKED_BY_FORCE: Final = f'"purpose":"{BREAK_GLASS}"'.encode()
Outcome = Literal["success", "forbidden", "not-found", "conflict", "stale", "refused"]


class AuditQuery(NoQuery):
    actor: list[Word] = Field(default=[])
    action: list[Deed] = Field(default=[])
    outcome: list[Outcome] = Field(default=[])
    patient_key: PatientKey | None = None
    break_glass: bool = False
    since: Instant | None = None
    until: Instant | None = None
    limit: Annotated[int, Field(ge=1, le=500)] = 100
    cursor: Cursor = None

    def where(self, who: Principal) -> Where:
        where = audits_of(who)
        for column in ("actor", "action", "outcome"):
            if chosen := getattr(self, column):
                where.among(column, set(chosen))
        if self.since is not None:
            where.add("at >= ?", micros(self.since))
        if self.until is not None:
            where.add("at < ?", micros(self.until))
        if self.break_glass:
            where.add("(action = ? OR instr(value, ?))", BREAK_GLASS, LOOKED_BY_FORCE)
        if self.patient_key is not None:
            # Rare, and over a stretch of time: an index of every key in every answer would be
            # larger than the answers.
            where.add("instr(value, ?)", self.patient_key.encode())
        return where


@rule("audit", "search")
async def audit(call: CallOf, query: Annotated[AuditQuery, Query()]) -> Response:
    """Who saw or did what, newest first; looking is recorded too."""
    where = query.where(call.who)
    name = list_name("audit", where.sql, [str(value) for value in where.values])

    def read(db: sqlite3.Connection) -> dict[str, Any]:
        if query.cursor is not None:
            try:
                after(NEWEST_FIRST, read_cursor(query.cursor, name, len(NEWEST_FIRST)), where)
            except BadCursor:
                raise Problem("malformed", "The cursor is not one of this list.") from None
        rows = db.execute(
            f"SELECT value, at, audit_id FROM audit WHERE {where.sql}"
            f" ORDER BY {order_sql(NEWEST_FIRST)} LIMIT ?",
            (*where.values, query.limit + 1),
        ).fetchall()
        shown = rows[: query.limit]
        return {
            "items": [as_read(db, call.who, orjson.loads(row[0])) for row in shown],
            "next": cursor_of(name, shown[-1][1:]) if len(rows) > query.limit else None,
            "freshness": freshness(call, db),
        }

    found = await call.site.reader.ask(read)
    call.account.rows = len(found["items"])
    call.account.query_hash = call.site.key_of(f"query|audit|{query.model_dump_json()}")
    return json_response(found)


@rule("policy")
async def policies(call: CallOf, query: Annotated[NoQuery, Query()]) -> Response:
    """The versions of the rules, the one in force last."""
    del query
    known = call.site.policies
    now = call.site.log_now()
    in_force = [p["version"] for p in known if micros(p["effective_from"]) <= now]
    versions = [{name: p[name] for name in ("version", "effective_from")} for p in known]
    return json_response({"in_force": in_force[-1] if in_force else None, "versions": versions})


@rule("policy")
async def policy(
    call: CallOf,
    version: Annotated[str, Path(min_length=1, max_length=64)],
    query: Annotated[NoQuery, Query()],
) -> Response:
    """One version, whole."""
    del query
    for known in call.site.policies:
        if known["version"] == version:
            return json_response(known)
    raise Problem("not-found")
