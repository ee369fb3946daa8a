"""A task as a row of a list: everything that its line says, for one reader, from one state."""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any, Final

import orjson

from orchestrator.worklist.api.answers import items
from orchestrator.worklist.api.guard import Call
from orchestrator.worklist.instants import SECOND, micros
from orchestrator.worklist.model import lists, work
from orchestrator.worklist.model.filters import tasks_of
from orchestrator.worklist.model.lists import Row
from orchestrator.worklist.pages import calling, waiting, whom, wording
from orchestrator.worklist.pages.store import Wait
from orchestrator.worklist.pages.wording import Due
from orchestrator.worklist.site import Site
from schemas.tasks import TERMINAL

FLAGS_SHOWN: Final = 3
BACK: Final = "Back: the original due time stands."
STOPS: Final = {
    "EXPIRED": "{facility} reports that the patient has died. All outreach is withdrawn; do not"
    " call the home.",
    "HOSPICE": "{facility} reports hospice care. All outreach is withdrawn.",
    "DECLINED": "The patient has declined all outreach. Do not call.",
}


@dataclass(slots=True)
class Line:
    """
    One row.

    Attributes:
        dom: The id of its part of the page; a row number is short and names nobody.
        said: What has just happened to it (`taken by someone else`), told once.
        pending: The reader's action on it is stored, but not here yet.
        withdrawn: Taken out of the reader's hands; stays until they have said `Got it`.
        refused: What the reader did, was told to be saved, and was refused later.
    """

    number: int
    task: dict[str, Any]
    due: Due
    person: calling.Person
    owner: str
    mine: bool
    flags: tuple[str, ...]
    more_flags: int
    stop: str | None
    withdrawn: bool
    moved: str | None
    may_release: bool
    pending: bool = False
    refused: tuple[waiting.Refusal, ...] = ()
    said: str | None = None

    @property
    def dom(self) -> str:
        return f"t-{self.number}"

    @property
    def open(self) -> bool:
        return self.task["status"] not in TERMINAL

    @property
    def gone(self) -> bool:
        """Nothing of the patient is open any more: neither names nor numbers are published."""
        return not self.open and whom.is_gone(self.task)

    @property
    def understood(self) -> str:
        """What `Got it` says of this row: the version, and what was refused, as it was shown."""
        return " ".join([str(self.task["version"]), *(one.event for one in self.refused)])


def lines(
    call: Call,
    db: sqlite3.Connection,
    rows: Sequence[Row],
    now: int,
    *,
    opened: Mapping[str, int] | None = None,
    said: Mapping[int, str] | None = None,
    seen: whom.People | None = None,
) -> list[Line]:
    """
    The lines of *rows*; told to the audit.

    Args:
        opened: By task, the version in which the reader opened it last.
        said: By row number, what has just happened.
        seen: By task, the patient that stands on the reader's screen.
    """
    tasks = items(call, db, "task", rows)
    people = whom.of(call, tasks, now, seen or {})
    waits = call.site.pages.waits(call.who.actor)
    return [
        _line(
            call,
            row,
            task,
            person,
            now,
            waited=waited_of(call, db, task, waits.get(task["task_id"], ())),
            moved=_moved(db, task, now, (opened or {}).get(task["task_id"], 0)),
            said=(said or {}).get(row.number),
        )
        for row, task, person in zip(rows, tasks, people, strict=True)
    ]


def _line(
    call: Call,
    row: Row,
    task: dict[str, Any],
    person: calling.Person,
    now: int,
    *,
    waited: waiting.Waited,
    moved: str | None,
    said: str | None,
) -> Line:
    who, owner = call.who, task["owner"]
    due = wording.due(task, now)
    if (back := team_back(call.site, task, now)) is not None:
        due = due._replace(more=(*due.more, back))
    flags = [wording.flag(one) for one in task["flags"]]
    if task["masked"]:
        flags.insert(0, "Restricted")
    mine = owner is not None and owner == who.actor
    return Line(
        number=row.number,
        task=task,
        due=due,
        person=person,
        owner="you" if mine else owner or "-",
        mine=mine,
        flags=tuple(flags[:FLAGS_SHOWN]),
        more_flags=max(0, len(flags) - FLAGS_SHOWN),
        stop=stop_of(task),
        withdrawn=task["status"] in wording.WITHDRAWN,
        moved=moved,
        may_release=owner is not None and (mine or "act-for-others" in who.may),
        pending=waited.pending,
        refused=waited.refused,
        said=said,
    )


def team_back(site: Site, task: Mapping[str, Any], now: int) -> str | None:
    """
    ``escalates Tue 08:00 when the team is back``, where nobody works on the day it is due.

    As the gap of an overdue task is judged (ruling 24).
    """
    facility = site.facilities.get(task["facility"])
    zone, due = str(task["zone"]), micros(task["due_at"])
    if facility.weekend_staffing or task["status"] in TERMINAL:
        return None
    day = wording.local(due, zone).date()
    if facility.is_business_day(day):
        return None
    while not facility.is_business_day(day):
        day += timedelta(days=1)
    policies = {one["version"]: one for one in site.policies}
    policy = policies.get(task["policy_version"]) or {}
    start = wording.start_of_day(due, zone, (day - wording.local(due, zone).date()).days)
    at = start + int(policy.get("weekend_escalation_hour", 8)) * 3600 * SECOND
    if now >= at:
        return None
    return f"escalates {wording.day(at, zone)} {wording.clock(at, zone)} when the team is back"


def held(call: Call, db: sqlite3.Connection) -> list[Row]:
    """What was withdrawn from the reader's hands, until they have said that they got it."""
    found = work.withdrawn(db, tasks_of(call.who), call.who.actor)
    seen = [plain(row) for row in found]
    got = call.site.pages.got(call.who.actor, [task["task_id"] for task in seen]) if seen else {}
    # One that came back and was withdrawn again has to be understood again.
    return [
        row
        for row, task in zip(found, seen, strict=True)
        if got.get(task["task_id"], 0) < task["version"]
    ]


@dataclass(frozen=True, slots=True)
class Refused:
    """What was refused of the reader's actions after they had been told that it is saved."""

    rows: list[Row]
    # About tasks that the reader does not see any more: by task.
    unseen: dict[str, tuple[waiting.Refusal, ...]]

    @property
    def count(self) -> int:
        return len(self.rows) + len(self.unseen)


def refused(call: Call, db: sqlite3.Connection) -> Refused:
    """All of it, until the reader has said that they got it."""
    found = Refused([], {})
    for name, waits in call.site.pages.waits(call.who.actor).items():
        row = lists.one(db, "tasks", name, tasks_of(call.who))
        if row is not None:
            if waited_of(call, db, {**plain(row), "why": row.why}, waits).refused:
                found.rows.append(row)
            continue
        told = waiting.waited(
            db,
            waits,
            zone=call.site.facilities.get("default").zone,
            policy=call.site.policies[-1] if call.site.policies else {},
            task=None,
            who=call.who.actor,
        )
        waiting.gone(call.site, call.who.actor, told.applied)
        if told.refused:
            found.unseen[name] = told.refused
    return found


def plain(row: Row) -> dict[str, Any]:
    """The task of a row as it was published; nothing of it is shown."""
    task: dict[str, Any] = orjson.loads(row.value)
    return task


def name_of(row: Row) -> str:
    """The task id of a row."""
    return str(orjson.loads(row.value)["task_id"])


def stop_of(task: Mapping[str, Any]) -> str | None:
    """What outranks everything else about a withdrawn task, in a sentence."""
    if task["status"] not in wording.WITHDRAWN:
        return None
    text = STOPS.get(str(task["status_reason"]))
    return None if text is None else text.format(facility=task["facility"])


def waited_of(
    call: Call, db: sqlite3.Connection, task: Mapping[str, Any], waits: Sequence[Wait]
) -> waiting.Waited:
    """What the reader still waits for; what has come is waited for no longer."""
    if not waits:
        return waiting.Waited()
    found = waiting.waited(
        db,
        waits,
        zone=str(task["zone"]),
        policy=policy_of(call.site, task),
        task=task,
        who=call.who.actor,
    )
    waiting.gone(call.site, call.who.actor, found.applied)
    return found


def policy_of(site: Site, task: Mapping[str, Any]) -> dict[str, Any]:
    """The rules under which a task was made."""
    by_version = {one["version"]: one for one in site.policies}
    return by_version.get(task["policy_version"]) or (site.policies[-1] if site.policies else {})


def _moved(db: sqlite3.Connection, task: Mapping[str, Any], now: int, opened: int) -> str | None:
    """
    ``Due 13:10, was 14:00: …``, or that the task is back, until the reader has opened it so.
    """
    if task["version"] < 2 or task["version"] <= opened or task["status"] in TERMINAL:
        return None
    found = db.execute(
        "SELECT json_extract(value, '$.task.version'), json_extract(value, '$.task.due_at'),"
        " json_extract(value, '$.task.status') FROM changes"
        " WHERE thing = ? AND kind = 'task' ORDER BY seq DESC LIMIT 20",
        (task["task_id"],),
    ).fetchall()
    for (version, due, _), (_, before, was) in pairwise(found):
        if version <= opened:
            break
        if due != before:
            return moved_words(task, before, now)
        if was in wording.WITHDRAWN:
            return BACK
    return None


def moved_words(task: Mapping[str, Any], before: str, now: int) -> str:
    """What a due time was, and whose word moved it."""
    zone = str(task["zone"])
    new, old = micros(str(task["due_at"])), micros(before)
    why = f"{task['facility']} corrected what it had told"
    if task["kind"] == "MED_REC":
        why = "the primary-care visit sets the day"
    same_day = wording.local(new, zone).date() == wording.local(old, zone).date()
    if same_day and not wording.is_end_of_day(new, zone) and not wording.is_end_of_day(old, zone):
        return f"Due {wording.clock(new, zone)}, was {wording.clock(old, zone)}: {why}"
    return f"Due {wording.due_at(new, zone, now)}, was {wording.due_at(old, zone, now)}: {why}"
