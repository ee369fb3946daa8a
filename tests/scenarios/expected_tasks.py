"""What a clause about a task says: `accepted by nurse1`, `due end of Mon 10-12 EDT`."""

import re
from datetime import datetime, timedelta
from typing import Any, Final

from tests.scenarios.instants import StoryError, read_instant

ANY: Final = "?"
CORE: Final = ("CALL_48H", "PCP_VISIT_7D", "MED_REC")
TEAMS: Final = {
    "CALL_48H": "nurse-outreach",
    "PCP_VISIT_7D": "scheduling",
    "MED_REC": "pharmacy",
    "SNF_HANDOFF": "case-management",
    "RESCHEDULE": "scheduling",
    "CLINICAL_ESCALATION": "nurse-outreach",
}

Fields = dict[str, Any]


def new_task(kind: str, edits: list[str], at: datetime) -> Fields:
    """A task as the contract issues it, with what the clause says beyond that."""
    task: Fields = {
        "status": "requested",
        "team": TEAMS[kind],
        "priority": "routine",
        "owner": None,
        "overdue": False,
        "born_overdue": False,
        "lateness": None,
        "attribution": None,
        "attempts": 0,
        "contact": None,
        "contact_by": None,
        "flags": set(),
        "appointment": None,
        "status_reason": None,
        "opened_at": at,
        "closed_at": None,
    }
    edit_task(task, edits, at)
    if "due_at" not in task:
        raise StoryError("an issued task says when it is due")
    return task


def edit_task(task: Fields, edits: list[str], at: datetime) -> None:
    """
    Apply the words of one clause to one task.

    Args:
        task: Changed in place.
        edits: The parts between the commas.
        at: The row's instant: when we knew.
    """
    for edit in [edit for edit in edits if edit]:
        words = edit.split()
        if not (_status(task, words, at) or _clock(task, words) or _field(task, words)):
            raise StoryError(f"no such word for a task: {edit!r}")


def _status(task: Fields, words: list[str], at: datetime) -> bool:
    match words:
        case ["accepted", "by", owner]:
            _reopen(task)
            task |= {"status": "accepted", "owner": owner}
        case ["accepted", "for", appointment]:
            _reopen(task)
            task |= {"status": "accepted", "owner": None, "appointment": appointment}
        case ["requested"]:
            _reopen(task)
            task |= {"status": "requested", "owner": None, "appointment": None}
        case ["in", "progress"]:
            task["status"] = "in-progress"
        case ["completed"]:
            _close(task, at)
            task |= {"status": "completed", "status_reason": None}
        case [("cancelled" | "failed") as status, reason]:
            _close(task, at)
            task |= {"status": status, "status_reason": reason}
        case _:
            return False
    return True


def _close(task: Fields, at: datetime) -> None:
    """Contract §3: `overdue` while not terminal, `attribution` null while not overdue."""
    task |= {"closed_at": at, "overdue": False, "attribution": None}


def _reopen(task: Fields) -> None:
    """A withdrawn task returns: whether `opened_at` is its first or second time is not said."""
    if task["closed_at"] is not None:
        task["opened_at"] = ANY
    task |= {"closed_at": None, "status_reason": None}


def _clock(task: Fields, words: list[str]) -> bool:
    match words:
        case ["due", *when] if when != [ANY]:
            task["due_at"] = read_instant(" ".join(when))
        case ["contact", "by", *when]:
            task["contact_by"] = read_instant(" ".join(when))
        case ["contact", status]:
            task["contact"] = status if status != "none" else None
        case ["born", "overdue", attribution]:
            task |= {"overdue": True, "born_overdue": True, "attribution": attribution}
            task["priority"] = "urgent"  # ruling 20
        case ["overdue", attribution]:
            task |= {"overdue": True, "attribution": attribution}
        case ["not", "overdue"]:
            task |= {"overdue": False, "attribution": None}
        case ["late", hours]:
            task["lateness"] = _hours(hours)
        case _:
            return False
    return True


def _field(task: Fields, words: list[str]) -> bool:
    match words:
        case ["attempts", count] if count != ANY:
            task["attempts"] = int(count)
        case ["for", appointment]:
            task["appointment"] = appointment
        case ["owner", owner]:
            task["owner"] = owner if owner != "nobody" else None
        case ["team", team]:
            task["team"] = team
        case [("urgent" | "routine") as priority]:
            task["priority"] = priority
        case ["flags", "none"]:
            task["flags"] = set()
        case ["flag", flag]:
            task["flags"] = task["flags"] | {flag}
        case [name, "?"] if name in task:
            task[name] = ANY
        case _:
            return False
    return True


def _hours(text: str) -> timedelta:
    """`72h`, `3h30m`, `47h59m59s`."""
    match = re.fullmatch(r"(\d+)h(?:(\d+)m)?(?:(\d+)s)?", text)
    if match is None:
        raise StoryError(f"not a lateness: {text!r}")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)
