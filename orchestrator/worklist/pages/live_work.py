"""``/live/work``: rows of My work that change where they stand; what is new or has moved, counted.

What a task was when the page was made stands in the change log; whether it was in the list then is
asked of the same condition as whether it is now.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

import orjson
from fastapi import Query, Response
from pydantic import Field

from orchestrator.worklist.api.answers import contacts
from orchestrator.worklist.api.guard import rule
from orchestrator.worklist.api.stream import MEDIA
from orchestrator.worklist.instants import micros
from orchestrator.worklist.model import lists, work
from orchestrator.worklist.model.filters import Where, sees_change, tasks_of
from orchestrator.worklist.model.fold import RANK, Seen, hurry
from orchestrator.worklist.pages import rows, whom, wording
from orchestrator.worklist.pages.calling import Person
from orchestrator.worklist.pages.filters import WorkQuery, days_of, where_of
from orchestrator.worklist.pages.frame import fragment
from orchestrator.worklist.pages.guard import PageCall, PageCallOf
from orchestrator.worklist.pages.live import PlaceText, Span, streamed
from schemas.tasks import TERMINAL

Numbers = Annotated[str, Field(max_length=8000, pattern=r"^[0-9,]*$")]


class LiveWork(WorkQuery):
    """The filters of the page, where it was made, and the rows that it shows."""

    at: PlaceText
    rows: Numbers = ""


@rule("tasks", "read", media=MEDIA, touches=False)
async def live_work(call: PageCallOf, query: Annotated[LiveWork, Query()]) -> Response:
    """What changes in a page of My work."""
    shown = frozenset(int(number) for number in query.rows.split(",") if number)
    filters = WorkQuery.model_validate(query.model_dump(exclude={"at", "rows"}))
    names, people = await call.site.reader.ask(lambda db: _on_screen(call, db, shown))
    changes = _Changes(call, filters, shown, names, people)
    return streamed(call, query.at, changes.told, changes.concern)


def _on_screen(
    call: PageCall, db: sqlite3.Connection, shown: frozenset[int]
) -> tuple[frozenset[str], dict[str, Person]]:
    """The tasks that are shown, and whom each of them is about."""
    marks, numbers = ", ".join("?" * len(shown)), sorted(shown)
    names = db.execute(f"SELECT task_id FROM tasks WHERE id IN ({marks})", numbers).fetchall()
    own = tasks_of(call.who)
    own.add(f"id IN ({marks})", *numbers)
    found = db.execute(
        f"SELECT value FROM tasks JOIN tasks_said USING (id) WHERE {own.sql}", own.values
    )
    tasks = [orjson.loads(value) for (value,) in found]
    known = contacts(db, [task["patient_key"] for task in tasks], call.who)
    now = call.site.log_now()
    people = {
        task["task_id"]: whom.person_of({**task, "contact": contact}, now)
        for task in tasks
        if (contact := known.get(task["patient_key"])) is not None
    }
    return frozenset(str(name) for (name,) in names), people


@dataclass(slots=True)
class _Changes:
    call: PageCall
    query: WorkQuery
    shown: frozenset[int]
    names: frozenset[str]  # of what is shown
    people: whom.People = field(default_factory=dict)
    new: set[str] = field(default_factory=set)
    moved: set[str] = field(default_factory=set)
    bar: tuple[int, int] = (0, 0)
    stopped: bool = False  # something of the reader's was withdrawn

    def concern(self, seen: Seen) -> bool:
        """Whether a change may alter a row or the bar: also one that takes a task out of sight."""
        if seen.thing in self.names or seen.thing in self.new or seen.thing in self.moved:
            return True
        who = self.call.who
        if seen.kind == "task":
            return bool(sees_change(who, seen.kind, seen.team, seen.facility))
        return seen.kind == "command" and seen.thing in self.call.site.pages.waits(who.actor)

    def told(self, db: sqlite3.Connection, span: Span) -> str:
        """The rows that changed in *span*, and the bar if its numbers did."""
        now = self.call.site.log_now()
        where = where_of(self.call.site, db, self.call.who, self.query, owners=True)
        days = days_of(self.call.site, now)
        things = db.execute(
            "SELECT DISTINCT thing FROM changes WHERE id > ? AND id <= ? AND kind = 'task'",
            (span.begin, span.end),
        ).fetchall()
        parts: list[str] = []
        judged = self._judged(db, span)
        if judged:
            things += [(thing,) for thing in judged if (thing,) not in things]
            parts.append(fragment("rows.html", "refused_count", rows.refused(self.call, db).count))
        for (thing,) in things:
            row = db.execute("SELECT id FROM tasks WHERE task_id = ?", (thing,)).fetchone()
            if row is None:
                continue
            number = int(row[0])
            self._count(db, span, str(thing), number, where, days)
            if number in self.shown:
                parts.append(self._row(db, span, str(thing), number, now))
        if self.stopped:
            self.stopped = False
            left = len(rows.held(self.call, db))
            parts.append(fragment("rows.html", "withdrawn_count", left))
        bar = (len(self.new), len(self.moved))
        if bar != self.bar:
            self.bar = bar
            parts.append(fragment("rows.html", "news_part", *bar, f"/work?{self.query.text(())}"))
        return "".join(parts)

    def _judged(self, db: sqlite3.Connection, span: Span) -> list[str]:
        """Tasks about which the reader waits, and of which a verdict has come alone."""
        waits = self.call.site.pages.waits(self.call.who.actor)
        if not waits:
            return []
        marks = ", ".join("?" * len(waits))
        found = db.execute(
            "SELECT DISTINCT thing FROM changes WHERE id > ? AND id <= ? AND kind = 'command'"
            f" AND thing IN ({marks})",
            (span.begin, span.end, *waits),
        ).fetchall()
        return [str(thing) for (thing,) in found]

    def _count(
        self,
        db: sqlite3.Connection,
        span: Span,
        thing: str,
        number: int,
        where: Where,
        days: list[work.Days],
    ) -> None:
        self.new.discard(thing)
        self.moved.discard(thing)
        after = work.group_of(db, number, where, days)
        if after is None:
            return
        was = state_at(db, thing, span.page)
        before = None if was is None else _group_then(db, was, where, days)
        if before is None:
            self.new.add(thing)
        elif was is not None:
            (due,) = db.execute("SELECT due_at FROM tasks WHERE id = ?", (number,)).fetchone()
            if (before, micros(was["due_at"])) != (after, due):
                self.moved.add(thing)

    def _row(self, db: sqlite3.Connection, span: Span, thing: str, number: int, now: int) -> str:
        call = self.call
        columns = 7 if "bulk" in call.who.may else 6
        row = lists.one(db, "tasks", thing, tasks_of(call.who))
        if row is None:
            return fragment("rows.html", "left", f"t-{number}", columns)
        actor = call.who.actor
        opened = call.site.pages.opened_versions(actor, [thing])
        was = state_at(db, thing, span.begin)
        (line,) = rows.lines(call, db, [row], now, opened=opened, seen=self.people)
        self.stopped = self.stopped or (line.withdrawn and line.mine)
        line.said = said_of(was, line.task, actor, _changed(db, number))
        return fragment("rows.html", "partial", line, "bulk" in call.who.may, columns)


def _changed(db: sqlite3.Connection, number: int) -> int:
    (at,) = db.execute("SELECT updated_at FROM tasks WHERE id = ?", (number,)).fetchone()
    return int(at)


def state_at(db: sqlite3.Connection, thing: str, place: int) -> dict[str, Any] | None:
    """The task as the change log had it at *place*; ``None``: not yet there."""
    row = db.execute(
        "SELECT value FROM changes WHERE thing = ? AND kind = 'task' AND id <= ?"
        " ORDER BY id DESC LIMIT 1",
        (thing, place),
    ).fetchone()
    if row is None:
        return None
    task: dict[str, Any] | None = orjson.loads(row[0]).get("task")
    return task


# The columns of a task that conditions and groups ask for.
_COLUMNS: Final = (
    "patient_key",
    "subject",
    "transition_id",
    "facility",
    "team",
    "kind",
    "status",
    "open",
    "rank",
    "due_at",
    "owner",
    "overdue",
    "born_overdue",
    "attribution",
    "flags",
    "task_id",
)


def _group_then(
    db: sqlite3.Connection, task: Mapping[str, Any], where: Where, days: list[work.Days]
) -> str | None:
    """In which group a task that was so stood; ``None``: it was not in the list."""
    values = {
        **{name: task.get(name) for name in _COLUMNS},
        "open": task["status"] not in TERMINAL,
        "rank": RANK[task["priority"]],
        "hurry": hurry(task),
        "due_at": micros(task["due_at"]),
        "flags": "".join(f"|{flag}|" for flag in task["flags"]),
    }
    return work.group_then(db, values, where, days)


def said_of(
    was: Mapping[str, Any] | None, task: Mapping[str, Any], actor: str, at: int
) -> str | None:
    """What has just happened to a task that somebody looks at."""
    if was is None or task["status"] in wording.WITHDRAWN:
        return None
    clock = wording.clock(at, str(task["zone"]))
    owner = task["owner"]
    if was["status"] in wording.WITHDRAWN:
        return rows.BACK
    if task["status"] == "completed" and was["status"] != "completed":
        return None if was["owner"] == actor else f"Done at {clock}."
    if owner != was["owner"]:
        if owner is None:
            return f"Released at {clock}."
        return None if owner == actor else f"Taken by someone else at {clock}."
    if task["overdue"] and not was["overdue"]:
        return "Overdue now."
    if task["attempts"] != was["attempts"] and owner != actor:
        return f"Attempt logged at {clock}."
    return None


ROUTES: Final = (("/live/work", ["GET"], live_work),)
