"""``/patients``: whom the work is about, found by identifier or name, and what happened to them."""

import sqlite3
from typing import Annotated, Any, Final

import orjson
from fastapi import Path, Query, Response
from fastapi.responses import RedirectResponse
from pydantic import Field, model_validator

from orchestrator.worklist.api.answers import (
    account_changes,
    changes_seen,
    contacts,
    freshness,
    items,
    json_response,
)
from orchestrator.worklist.api.bodies import Body
from orchestrator.worklist.api.guard import Call, CallOf, rule
from orchestrator.worklist.api.queries import Cursor, GapQuery, TaskQuery
from orchestrator.worklist.api.queries import Query as NoQuery
from orchestrator.worklist.model import lists, stories
from orchestrator.worklist.model.filters import (
    BadCursor,
    Where,
    cursor_of,
    gaps_of,
    list_name,
    read_cursor,
    tasks_of,
)
from orchestrator.worklist.model.fold import folded
from orchestrator.worklist.opened import admitted, open_by_force
from orchestrator.worklist.problems import Problem

FOUND_MAX: Final = 20

Key = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]


class PatientSearch(Body):
    """By identifier, or by name and birth date; in a body, as addresses are logged."""

    identifier: (
        Annotated[str, Field(min_length=3, max_length=256, pattern=r"^[^|]+\|.+$")] | None
    ) = Field(default=None, description="authority|identifier")
    name: Annotated[str, Field(min_length=2, max_length=256)] | None = None
    birth_date: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> "PatientSearch":
        by_name = self.name is not None and self.birth_date is not None
        alone = self.name is None and self.birth_date is None
        if (self.identifier is not None) == by_name or not (by_name or alone):
            raise ValueError("either identifier, or name and birth_date")
        if by_name and not folded(self.name):
            raise ValueError("a name has letters")
        return self


class BreakGlass(Body):
    reason: Annotated[str, Field(min_length=10, max_length=1000, pattern=r"\S.*\S")]


class TimelineQuery(NoQuery):
    limit: Annotated[int, Field(ge=1, le=500)] = 100
    cursor: Cursor = None


@rule("patients", "search")
async def search(call: CallOf, body: PatientSearch, query: Annotated[NoQuery, Query()]) -> Response:
    """At most 20 patients with something open; counted is what the caller may see of it."""
    del query
    if call.who.view not in ("clinical", "minimal"):
        # Whoever may not know identifiers does not learn whose key is which by trying them.
        raise Problem("forbidden")
    call.account.query_hash = call.site.key_of(f"search|{body.model_dump_json()}")

    def read(db: sqlite3.Connection) -> dict[str, Any]:
        keys = [
            key
            for key in _candidates(call, db, body)
            if stories.may_see_patient(db, call.who, key)
            and stories.has_something_open(db, call.who, key)
        ]
        found = [_entry(call, db, key) for key in keys[:FOUND_MAX]]
        call.account.patient_keys.update(card["patient_key"] for card in found)
        call.account.rows = len(found)
        return {"items": found, "freshness": freshness(call, db)}

    return json_response(await call.site.reader.ask(read))


def _candidates(call: Call, db: sqlite3.Connection, body: PatientSearch) -> list[str]:
    if body.identifier is not None:
        return [stories.survivor(db, call.site.key_of(body.identifier))]
    wanted = (folded(body.name) or "").split()
    found = db.execute(
        "SELECT patient_key, name FROM patients WHERE birth_date = ? ORDER BY name, patient_key",
        (body.birth_date,),
    ).fetchall()
    return [key for key, name in found if set(wanted) <= set((name or "").split())]


def _entry(call: Call, db: sqlite3.Connection, key: str) -> dict[str, Any]:
    tasks, gaps = tasks_of(call.who), gaps_of(call.who)
    counts = []
    for table, where, is_open in (("tasks", tasks, "open = 1"), ("gaps", gaps, "status = 'open'")):
        (count,) = db.execute(
            f"SELECT count(*) FROM {table} WHERE patient_key = ? AND {is_open} AND {where.sql}",
            (key, *where.values),
        ).fetchone()
        counts.append(count)
    return {
        "patient_key": key,
        "contact": contacts(db, [key], call.who).get(key),
        "open_tasks": counts[0],
        "open_gaps": counts[1],
    }


async def _seen(call: Call, key: str, suffix: str = "") -> Response | None:
    """
    The redirect to the surviving record, or nothing when *key* is it.

    Raises:
        Problem: ``not-found``, also for who may not see the patient.
    """
    survivor = await admitted(call, key)
    if survivor != key:
        return RedirectResponse(f"/api/v1/patients/{survivor}{suffix}", 307)
    return None


@rule("break-glass", "break-glass", limit="actions")
async def break_glass(
    call: CallOf, key: Key, body: BreakGlass, query: Annotated[NoQuery, Query()]
) -> Response:
    """See one patient for an hour without belonging to their care team; it is recorded and told."""
    del query
    survivor, until = await open_by_force(call, key, body.reason)
    return json_response({"patient_key": survivor, "until": until})


@rule("patients", "read")
async def card(call: CallOf, key: Key, query: Annotated[NoQuery, Query()]) -> Response:
    """Whom to call, and what is open."""
    del query
    elsewhere = await _seen(call, key)
    if elsewhere is not None:
        return elsewhere

    def read(db: sqlite3.Connection) -> dict[str, Any]:
        own = Where()
        own.among("facility", call.who.facilities)
        own.add("patient_key = ?", key)
        transitions = db.execute(
            f"SELECT id, value, why FROM transitions JOIN transitions_said USING (id)"
            f" WHERE {own.sql} ORDER BY updated_at DESC, transition_id",
            own.values,
        ).fetchall()
        tasks, gaps = tasks_of(call.who), gaps_of(call.who)
        tasks.add("patient_key = ? AND open = 1", key)
        gaps.add("patient_key = ? AND status = 'open'", key)
        open_tasks = lists.every(db, "tasks", tasks, TaskQuery().order(), 500)
        open_gaps = lists.every(db, "gaps", gaps, GapQuery().order(), 500)
        return {
            "patient_key": key,
            "contact": contacts(db, [key], call.who).get(key),
            "transitions": items(call, db, "transition", [lists.Row(*r) for r in transitions]),
            "tasks": items(call, db, "task", open_tasks),
            "gaps": items(call, db, "gap", open_gaps),
            "freshness": freshness(call, db),
        }

    return json_response(await call.site.reader.ask(read))


@rule("patients", "read")
async def timeline(call: CallOf, key: Key, query: Annotated[TimelineQuery, Query()]) -> Response:
    """All that happened, newest first."""
    elsewhere = await _seen(call, key, "/timeline")
    if elsewhere is not None:
        return elsewhere

    def read(db: sqlite3.Connection) -> dict[str, Any]:
        name = list_name("timeline", stories.generation(db), key)
        before = None
        if query.cursor is not None:
            try:
                (before,) = read_cursor(query.cursor, name, 1)
            except BadCursor:
                raise Problem("malformed", "The cursor is not one of this list.") from None
        told = stories.timeline(db, call.who, key, before, query.limit + 1)
        shown = told[: query.limit]
        changes = changes_seen(call, db, shown)
        account_changes(call, changes)
        following = cursor_of(name, [shown[-1].number]) if len(told) > query.limit else None
        return {"items": changes, "next": following, "freshness": freshness(call, db)}

    return json_response(await call.site.reader.ask(read))


@rule("patients", "read")
async def medications(call: CallOf, key: Key, query: Annotated[NoQuery, Query()]) -> Response:
    """The agreement matrix of the medication lists, as far as the patient view tells it."""
    del query
    elsewhere = await _seen(call, key, "/medications")
    if elsewhere is not None:
        return elsewhere

    def read(db: sqlite3.Connection) -> dict[str, Any]:
        row = db.execute("SELECT value FROM patients WHERE patient_key = ?", (key,)).fetchone()
        view = {} if row is None else orjson.loads(row[0])
        clinical = call.who.view == "clinical"
        return {
            "patient_key": key,
            "medications": view.get("medications", {}) if clinical else None,
            "issues": view.get("medication_issues", []) if clinical else None,
            "hidden": [] if clinical else ["issues", "medications"],
            "freshness": freshness(call, db),
        }

    return json_response(await call.site.reader.ask(read))
