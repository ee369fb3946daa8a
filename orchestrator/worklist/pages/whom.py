"""Whom a task is about, also when nothing of the patient is published any more.

Names are published while something is open, and a withdrawal is often the end of all of it.
Whoever holds the withdrawn task must still know which call not to make: the name that they have
seen is kept for them alone, until they say `Got it`, or the task ends otherwise.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from orchestrator.worklist import edge
from orchestrator.worklist.api.answers import contacts
from orchestrator.worklist.api.guard import Call
from orchestrator.worklist.model import lists
from orchestrator.worklist.model.filters import tasks_of
from orchestrator.worklist.pages import calling, wording
from orchestrator.worklist.pages.calling import Person
from schemas.tasks import TERMINAL

# By task.
People = Mapping[str, Person]


def of(call: Call, tasks: Sequence[Mapping[str, Any]], now: int, seen: People) -> list[Person]:
    """
    The patient of each of *tasks*, as far as the reader may know.

    Args:
        seen: What stands on the reader's screen.
    """
    pages, actor = call.site.pages, call.who.actor
    mine = [task["task_id"] for task in tasks if task["owner"] == actor]
    kept = pages.people(actor, mine) if mine else {}
    found = []
    for task in tasks:
        name = task["task_id"]
        found.append(person_of(task, now, seen.get(name) or person_from(kept.get(name))))
        held = task["owner"] == actor and task["status"] not in TERMINAL
        named = to_keep(task) if held else None
        if named is not None and named != kept.get(name):
            pages.keep_person(actor, name, named, edge.now())
    return found


def keep(call: Call, db: sqlite3.Connection, names: Iterable[str]) -> None:
    """Note whom the tasks are about that the reader has just taken: the next page may not."""
    for name in names:
        row = lists.one(db, "tasks", name, tasks_of(call.who))
        task = None if row is None else orjson.loads(row.value)
        if task is None or task["owner"] != call.who.actor:
            continue
        key = task["patient_key"]
        named = to_keep({"contact": contacts(db, [key], call.who).get(key)})
        if named is not None:
            call.site.pages.keep_person(call.who.actor, name, named, edge.now())


def person_of(task: Mapping[str, Any], now: int, seen: Person | None = None) -> Person:
    """Whom a task is about; *seen*, or the number, where nothing is published any more."""
    if seen is not None and task["status"] in wording.WITHDRAWN and is_gone(task):
        return seen
    today = wording.local(now, str(task["zone"])).date()
    return calling.person(task["contact"], nameless(task), today)


def is_gone(thing: Mapping[str, Any]) -> bool:
    """Whether a reader who may have names has none to see: they are no longer kept."""
    return thing["contact"] is None and "contact" not in thing["hidden"]


def nameless(thing: Mapping[str, Any]) -> str:
    """Whom something is about where no name is kept, or none may be told: ``Patient 0147``."""
    _, _, number = str(thing["patient"] or "").rpartition("|")
    return f"Patient {number or str(thing['patient_key'])[:6]}"


def to_keep(task: Mapping[str, Any]) -> dict[str, str] | None:
    """Of the contact what tells one patient from another; no way to reach them."""
    contact = task["contact"] or {}
    name = calling.name_words(contact.get("name"))
    if name is None:
        return None
    born = contact.get("birth_date")
    return {"name": name, **({"birth_date": born} if isinstance(born, str) else {})}


def person_from(kept: Mapping[str, str] | None) -> Person | None:
    if kept is None:
        return None
    born = calling.born(kept.get("birth_date"))
    return Person(kept["name"], None, None, (), (), None, born)
