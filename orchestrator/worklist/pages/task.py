"""``/tasks/{id}``: what is to be done, for whom, and why; read once, with all that a call needs."""

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from fastapi import Response

from orchestrator.worklist import edge, views
from orchestrator.worklist.access.roles import Principal
from orchestrator.worklist.api.answers import freshness, items
from orchestrator.worklist.api.guard import rule
from orchestrator.worklist.api.queries import GapQuery
from orchestrator.worklist.instants import micros
from orchestrator.worklist.model import lists, said
from orchestrator.worklist.model.filters import gaps_of, tasks_of
from orchestrator.worklist.pages import (
    calling,
    gap_words,
    medicines,
    rows,
    script,
    visits,
    wording,
)
from orchestrator.worklist.pages.acts import Id
from orchestrator.worklist.pages.frame import page
from orchestrator.worklist.pages.guard import HTML, PageCall, PageCallOf
from orchestrator.worklist.pages.live import place
from orchestrator.worklist.pages.patient import view_of
from orchestrator.worklist.pages.script import Said
from orchestrator.worklist.problems import Problem

EARLIER_MAX: Final = 20
VISITS: Final = frozenset({"PCP_VISIT_7D", "RESCHEDULE"})
REASONS: Final = (
    ("not-ours", "Not ours"),
    ("wrong-number", "Wrong number"),
    ("duplicate", "Duplicate"),
)


@rule("tasks", "read", media=HTML)
async def task_page(call: PageCallOf, task_id: Id) -> Response:
    """One task."""
    return await shown(call, task_id, None)


async def shown(
    call: PageCall,
    task_id: str,
    typed: Said | None,
    status: int = 200,
    *,
    errors: tuple[tuple[str, str], ...] = (),
    cannot: tuple[str, str] = ("", ""),
    key: str | None = None,
    headers: Mapping[str, str] | None = None,
    stale: str | None = None,
    confirm: str | None = None,
    confirm_unverified: bool = False,
) -> Response:
    """
    The page, with what was typed.

    Args:
        typed: What was typed; ``None``: the draft, or what was refused behind the reader's back.
        errors: Fields and what is wrong with them.
        cannot: Reason and words of `Cannot be done`.
        key: Where the same form is to be sent again as the same action.
        stale: What has changed since the form was shown; sending it again means the new version.
        confirm: Why a completion would count as an attempt only; asked before it is sent.
        confirm_unverified: A reconciliation is about to be completed with something grave open.
    """
    pages, actor = call.site.pages, call.who.actor
    draft = pages.draft(actor, task_id)
    found = await call.site.reader.ask(lambda db: _read(call, db, task_id, draft))
    kept = found.pop("draft")
    if kept != draft:
        # To be changed and sent again like any draft.
        await asyncio.to_thread(pages.keep_draft, actor, task_id, kept, edge.now())
    restored = None if typed is not None else _restored(call, task_id, script.from_draft(kept))
    typed = script.from_draft(kept) if typed is None else typed
    pages.opened(actor, task_id, found["task"]["version"], edge.now())
    return await page(
        call.request,
        "task.html",
        wording.kind(found["task"]["kind"]),
        status,
        fresh=found.pop("fresh"),
        live=f"/live/tasks/{task_id}?at={found.pop('place')}",
        said=typed,
        restored=restored,
        errors=errors,
        stale=stale,
        confirm=confirm,
        confirm_unverified=confirm_unverified,
        cannot=cannot,
        headers=headers,
        key=key or edge.new_id(),
        # What is over has no form; words that were being written when it ended are kept.
        form=found["line"].open or (typed.typed and (found["line"].withdrawn or status != 200)),
        reached=script.REACHED,
        outcomes=script.OUTCOMES,
        reasons=REASONS,
        note_max=script.NOTE_MAX,
        **found,
    )


def _restored(call: PageCall, task_id: str, typed: Said) -> str | None:
    """That the words in the form are of another time, and were never sent."""
    kept = call.site.pages.draft_kept_at(call.who.actor, task_id)
    if kept is None or not typed.typed:
        return None
    ago = wording.length(max(0, edge.now() - kept))
    return f"What you wrote {ago} ago is in the form again. It has not been sent."


def _read(
    call: PageCall, db: sqlite3.Connection, task_id: str, draft: Mapping[str, Any]
) -> dict[str, Any]:
    site, who, now = call.site, call.who, call.site.log_now()
    row = lists.one(db, "tasks", task_id, tasks_of(who))
    if row is None:
        call.account.objects.append(f"task/{task_id}")
        raise Problem("not-found")
    (line,) = rows.lines(call, db, [row], now)
    draft = draft or next((dict(one.fields) for one in reversed(line.refused) if one.fields), {})
    task, policy = line.task, rows.policy_of(site, line.task)
    told = [one.said for one in said.of_things(db, [task_id])]
    of_call = _call_before(db, task) if task["kind"] == "CLINICAL_ESCALATION" else []
    view, _ = (None, []) if task["masked"] else view_of(db, who, str(task["patient_key"]))
    return {
        "line": line,
        "draft": draft,
        "task": task,
        "state": state_words(line),
        "policy": policy,
        "is_call": task["kind"] in script.CALLS,
        "questions": script.questions(policy) if task["kind"] in script.CALLS else [],
        "slots": _slots(db, view, task, policy, now) if task["kind"] in VISITS else None,
        "matrix": matrix_of(view, who, draft) if task["kind"] == "MED_REC" else None,
        "may_complete": may_complete(policy, task, who),
        "completed_by": completed_by(policy, task),
        "teams": sorted(policy.get("teams", ())),
        "gaps": _gaps(call, db, task),
        "next_visit": _next_visit(view, task, now),
        "pcp": pcp_words(view),
        "stay": _stay(view, task, who, now),
        "scores": (view or {}).get("scores") or [],
        "event": event_of(db, task_id),
        "earlier": earlier([*of_call, *told], task, who, now),
        "answered": (
            answers_of(of_call, task, policy, who) if of_call else answered(told, task, policy, who)
        ),
        "fresh": freshness(call, db),
        "place": place(db),
    }


def state_words(line: rows.Line) -> str:
    """``In progress, 1 attempt``."""
    task = line.task
    words = wording.STATUS.get(task["status"], task["status"])
    if line.open and line.owner not in ("-", "you"):
        words += f" by {line.owner}"
    elif line.open and line.mine:
        words += ", yours"
    if task["attempts"]:
        words += f", {task['attempts']} attempt{'' if task['attempts'] == 1 else 's'}"
    return str(words)


def completed_by(policy: Mapping[str, Any], task: Mapping[str, Any]) -> list[str]:
    """The roles that policy lets complete a task; empty: any."""
    rules = [
        row
        for rows_ in (*policy.get("protocols", {}).values(), policy.get("caused_tasks", ()))
        for row in rows_
        if row["kind"] == task["kind"] and row["rule"] == task["rule"]
    ]
    return sorted(rules[0].get("completed_by") or ()) if rules else []


def may_complete(policy: Mapping[str, Any], task: Mapping[str, Any], who: Principal) -> bool:
    """Whether policy lets the reader's role complete this."""
    allowed = completed_by(policy, task)
    return not allowed or who.acts_as in allowed


def _slots(
    db: sqlite3.Connection,
    view: Mapping[str, Any] | None,
    task: Mapping[str, Any],
    policy: Mapping[str, Any],
    now: int,
) -> list[visits.SlotLine]:
    row = db.execute(
        "SELECT value FROM transitions_said JOIN transitions USING (id) WHERE transition_id = ?",
        (task["transition_id"],),
    ).fetchone()
    discharged = None if row is None else micros(orjson.loads(row[0])["index_discharge_at"])
    appointments = (view or {}).get("appointments") or []
    return visits.slot_lines(appointments, task, discharged, policy, now)


def matrix_of(
    view: Mapping[str, Any] | None, who: Principal, draft: Mapping[str, Any]
) -> medicines.Matrix | None:
    """The lists side by side; nothing for who may not see them."""
    if who.view != "clinical":
        return None
    view = view or {}
    return medicines.matrix(
        view.get("medications") or {},
        view.get("medication_issues") or [],
        draft.get("accepted") or {},
    )


def _gaps(call: PageCall, db: sqlite3.Connection, task: Mapping[str, Any]) -> list[str]:
    where = gaps_of(call.who)
    where.add("patient_key = ? AND status = 'open'", task["patient_key"])
    found = items(call, db, "gap", lists.every(db, "gaps", where, GapQuery().order(), 20))
    return [gap_words.name(one["code"]) for one in found]


def _next_visit(view: Mapping[str, Any] | None, task: Mapping[str, Any], now: int) -> str | None:
    """``none`` where none is known; nothing where it may not be told."""
    if view is None:
        return None
    ahead = [
        at
        for one in view.get("appointments") or ()
        if one.get("starts_at")
        and one.get("status") in visits.ALIVE
        and (at := micros(one["starts_at"])) >= now
    ]
    return wording.moment(min(ahead), str(task["zone"]), now) if ahead else "none"


def event_of(db: sqlite3.Connection, task_id: str) -> str | None:
    """What the hospital told last that made the task so; neither the clock nor people's doing."""
    row = db.execute(
        "SELECT cause.value FROM changes c, json_each(CAST(c.value AS TEXT), '$.caused_by') cause"
        " WHERE c.thing = ? AND c.kind = 'task'"
        " AND NOT EXISTS (SELECT 1 FROM said s WHERE s.event = cause.value)"
        " ORDER BY c.seq DESC LIMIT 1",
        (task_id,),
    ).fetchone()
    return None if row is None else str(row[0])


def pcp_words(view: Mapping[str, Any] | None) -> str | None:
    """The primary-care provider; ``None``: nothing is known of this patient here."""
    if view is None:
        return None
    pcp = view.get("pcp")
    return (calling.provider_words(pcp) or "on file") if pcp else "not on file"


def _stay(
    view: Mapping[str, Any] | None, task: Mapping[str, Any], who: Principal, now: int
) -> str | None:
    """From when to when, and as what, the patient was there; ``None``: it is not known."""
    if view is None:
        return None
    if view.get("stays") is None:
        return "Hidden for your role" if who.view != "clinical" else "Restricted by law"
    numbers = [one for one in view["stays"] if one["visit_number"] == task["visit_number"]]
    if not numbers:
        return None
    zone, stay = str(task["zone"]), numbers[0]
    ends = [stay.get(name) for name in ("admitted_at", "discharged_at")]
    begin, end = (None if at is None else wording.moment(micros(at), zone, now) for at in ends)
    told = f"{stay['facility']}, {str(stay.get('class') or '').lower()}".rstrip(", ")
    return f"{told}: {begin or 'not known'} to {end or 'not known'}"


TOLD: Final = ("attempted", "completed", "rejected", "noted")


def earlier(
    said: Sequence[Mapping[str, Any]], task: Mapping[str, Any], who: Principal, now: int
) -> list[str]:
    """What was tried and noted before, newest first, as far as the reader may know."""
    words = views.sees_words(who, masked=bool(task["masked"]))
    found = []
    for one in reversed([one for one in said if one["what"] in TOLD]):
        text = str(one.get("reached") or one["what"]).replace("-", " ")
        if words and one.get("note"):
            text += f", “{one['note']}”"
        when = wording.moment(micros(one["time"]), str(task["zone"]), now)
        found.append(f"{when}: {text} ({one['actor']})")
    return found[:EARLIER_MAX]


def _call_before(db: sqlite3.Connection, task: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What was said in the call for which a clinician is asked."""
    calls = db.execute(
        "SELECT task_id FROM tasks WHERE transition_id = ? AND kind = 'CALL_48H'",
        (task["transition_id"],),
    )
    return [one.said for one in said.of_things(db, [row[0] for row in calls])]


def answers_of(
    said: Sequence[Mapping[str, Any]],
    task: Mapping[str, Any],
    policy: Mapping[str, Any],
    who: Principal,
) -> list[tuple[str, str]]:
    """The answers that were given last, in words."""
    if not views.sees_words(who, masked=bool(task["masked"])):
        return [("Answers", "Hidden for your role")]
    last = next((one for one in reversed(said) if one.get("answers")), None)
    return [] if last is None else script.in_words(last, policy)


def answered(
    said: Sequence[Mapping[str, Any]],
    task: Mapping[str, Any],
    policy: Mapping[str, Any],
    who: Principal,
) -> list[tuple[str, str]] | None:
    """What was said when a call was completed, in words; ``None``: it is no completed call."""
    if task["kind"] not in script.CALLS or task["status"] != "completed":
        return None
    done = [one for one in said if one["what"] == "completed"]
    return answers_of(done, task, policy, who)


ROUTES: Final = (("/tasks/{task_id}", ["GET"], task_page),)
