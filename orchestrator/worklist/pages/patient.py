"""``/patients/{key}``: one patient's whole story, and why."""

import sqlite3
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import orjson
from fastapi import Path, Query, Response
from fastapi.responses import RedirectResponse
from pydantic import Field

from orchestrator.worklist.access.roles import Principal
from orchestrator.worklist.api.answers import account_changes, changes_seen, freshness, items
from orchestrator.worklist.api.guard import rule
from orchestrator.worklist.api.queries import GapQuery, TaskQuery
from orchestrator.worklist.api.queries import Query as NoQuery
from orchestrator.worklist.instants import micros
from orchestrator.worklist.model import lists, stories
from orchestrator.worklist.model.filters import Where, gaps_of, tasks_of
from orchestrator.worklist.opened import BREAK_GLASS, admitted
from orchestrator.worklist.pages import calling, gap_words, patient_story, wording
from orchestrator.worklist.pages.frame import page, zone_of
from orchestrator.worklist.pages.gaps import since
from orchestrator.worklist.pages.guard import HTML, PageCall, PageCallOf
from orchestrator.worklist.pages.rows import STOPS
from orchestrator.worklist.pages.whom import nameless
from orchestrator.worklist.problems import Problem
from schemas import views

Key = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
AT_ONCE: Final = 200
OPEN_MAX: Final = 500
ACCESSES: Final = 50
# Of a patient view, what only clinical roles see.
_CLINICAL: Final = ("stays", "medications", "medication_issues", "scores")
LAWFUL: Final = "Restricted by law"


class StoryQuery(NoQuery):
    show: Literal["all", "care", "tasks", "gaps", "medicines", "access"] = "all"
    cursor: Annotated[int, Field(ge=1, lt=2**53)] | None = None


@rule("patients", "read", media=HTML)
async def patient(call: PageCallOf, key: Key, query: Annotated[StoryQuery, Query()]) -> Response:
    """The whole story."""
    try:
        survivor = await admitted(call, key)
    except Problem:
        if BREAK_GLASS in call.who.may:
            return RedirectResponse(f"/patients/{key}/break-glass", 303)
        raise
    if survivor != key:
        return RedirectResponse(f"/patients/{survivor}", 307)
    found = await call.site.reader.ask(lambda db: _read(call, db, key, query))
    return await page(
        call.request,
        "patient.html",
        "Patient",
        fresh=found.pop("fresh"),
        patient_key=key,
        query=query,
        may_act="act" in call.who.may,
        **found,
    )


def _read(call: PageCall, db: sqlite3.Connection, key: str, query: StoryQuery) -> dict[str, Any]:
    now = call.site.log_now()
    view, hidden = view_of(db, call.who, key)
    transitions = _transitions(call, db, key)
    tasks, gaps = _open(call, db, key)
    facility = (transitions or tasks or gaps or [{"facility": None}])[0]["facility"]
    zone = zone_of(call.site, facility)
    told = stories.timeline(db, call.who, key, query.cursor, AT_ONCE + 1)
    changes = changes_seen(call, db, told[:AT_ONCE])
    shown = [(one.number, change) for one, change in zip(told, changes, strict=False)]
    account_changes(call, [change for _, change in shown])
    policies = {one["version"]: one for one in call.site.policies}
    story = patient_story.entries(shown, zone, now, policies)
    past = [one for one in story if query.show in ("all", one.kind)]
    audited = "audit" in call.who.may
    if audited and query.show == "access":
        past = _accesses(db, key, zone, now)
    person = calling.person(view, _fallback(call.who, transitions, key), _today(now, zone))
    active = [one for one in transitions if one["status"] != "closed"]
    return {
        "fresh": freshness(call, db),
        "person": person,
        "view": view,
        "pcp": calling.provider_words((view or {}).get("pcp"))
        or ("on file" if (view or {}).get("pcp") else "none on file"),
        "hidden": hidden,
        "active": active,
        "windows": [
            shape
            for one in active
            if (shape := patient_story.window(one, _of(one, tasks), zone, now)) is not None
        ],
        "ahead": patient_story.ahead(tasks, active, (view or {}).get("appointments", []), zone, now)
        if query.show in ("all", "tasks")
        else [],
        "past": past,
        "following": told[AT_ONCE - 1].number if len(told) > AT_ONCE else None,
        "tasks": [(one, wording.kind(one["kind"]), wording.due(one, now)) for one in tasks],
        "gaps": [
            (
                one,
                gap_words.name(one["code"]),
                gap_words.severity(one["severity"]),
                since(one, now, zone_of(call.site, one["facility"])),
            )
            for one in gaps
        ],
        "stop": _stop(transitions, view, zone, now),
        "stays": _stays(call, view, now),
        "kinds": ("all", *patient_story.KINDS, *(("access",) if audited else ())),
        "restricted": any(one["masked"] for one in (*transitions, *tasks)) and not call.who.part2,
        "lawful": LAWFUL,
    }


def view_of(
    db: sqlite3.Connection, who: Principal, key: str
) -> tuple[dict[str, Any] | None, list[str]]:
    """The patient view as *who* may see it, and which of its fields are hidden; none: not kept."""
    row = db.execute("SELECT value FROM patients WHERE patient_key = ?", (key,)).fetchone()
    if row is None or row[0] is None or who.view not in ("clinical", "minimal"):
        return None, []
    view, withheld = views.withheld(orjson.loads(row[0]), part2=who.part2)
    hidden = [] if who.view == "clinical" else list(_CLINICAL)
    for name in hidden:
        view[name] = None
    return view, [*hidden, *withheld]


def _transitions(call: PageCall, db: sqlite3.Connection, key: str) -> list[dict[str, Any]]:
    own = Where()
    own.among("facility", call.who.facilities)
    own.add("patient_key = ?", key)
    rows = db.execute(
        "SELECT id, value, why FROM transitions JOIN transitions_said USING (id)"
        f" WHERE {own.sql} ORDER BY status = 'closed', updated_at DESC, transition_id",
        own.values,
    ).fetchall()
    return items(call, db, "transition", [lists.Row(*row) for row in rows])


def _open(
    call: PageCall, db: sqlite3.Connection, key: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    tasks, gaps = tasks_of(call.who), gaps_of(call.who)
    tasks.add("patient_key = ? AND open = 1", key)
    gaps.add("patient_key = ? AND status = 'open'", key)
    open_tasks = lists.every(db, "tasks", tasks, TaskQuery().order(), OPEN_MAX)
    open_gaps = lists.every(db, "gaps", gaps, GapQuery().order(), OPEN_MAX)
    return items(call, db, "task", open_tasks), items(call, db, "gap", open_gaps)


def _of(transition: Mapping[str, Any], tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in tasks if one["transition_id"] == transition["transition_id"]]


def _fallback(who: Principal, transitions: list[dict[str, Any]], key: str) -> str:
    named = next((one["patient"] for one in transitions if one.get("patient")), None)
    shown = None if who.view == "pseudonymous" else named
    return nameless({"patient": shown, "patient_key": key})


def _today(now: int, zone: str) -> Any:
    return wording.local(now, zone).date()


def _stop(
    transitions: list[dict[str, Any]], view: Mapping[str, Any] | None, zone: str, now: int
) -> str | None:
    """Death, hospice, a refusal of everything: it outranks the rest."""
    died = (view or {}).get("died_at")
    for one in transitions:
        # A reason of an earlier stay says nothing of a later one.
        if one["status"] != "closed":
            break
        text = STOPS.get(str(one["close_reason"]))
        if text is not None:
            return text.format(facility=one["facility"])
    if died is not None:
        when = wording.moment(micros(died), zone, now)
        return f"The patient died on {when}. All outreach is withdrawn; do not call the home."
    return None


def _stays(call: PageCall, view: Mapping[str, Any] | None, now: int) -> list[dict[str, Any]]:
    found = []
    for stay in (view or {}).get("stays") or ():
        zone = zone_of(call.site, stay["facility"])
        told = {
            name: None if stay.get(name) is None else wording.moment(micros(stay[name]), zone, now)
            for name in ("admitted_at", "discharged_at")
        }
        found.append({**stay, **told})
    return found


def _accesses(db: sqlite3.Connection, key: str, zone: str, now: int) -> list[patient_story.Entry]:
    """Who has looked, for who may know."""
    rows = db.execute(
        "SELECT id, at, actor, action, outcome, value FROM audit WHERE instr(value, ?)"
        " ORDER BY at DESC, audit_id DESC LIMIT ?",
        (key.encode(), ACCESSES),
    ).fetchall()
    found = []
    for number, at, actor, action, outcome, value in rows:
        purpose = orjson.loads(value).get("purpose")
        found.append(
            patient_story.Entry(
                number=number,
                at=at,
                when=wording.moment(at, zone, now),
                kind="access",
                text=f"{actor}: {action}, {outcome}",
                why=purpose or "",
                told="",
                facts=(),
                is_event=False,
            )
        )
    return found


ROUTES: Final = (("/patients/{key}", ["GET"], patient),)
