"""Actions that were stored while the deciding process was away, and what became of them.

They were answered with `Saved. It will show when the system has caught up`.  Most come back as a
change; one may be refused instead, long after its actor has left the page.  That is told until
they have said `Got it`, and what they had typed is kept for them.
"""

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from orchestrator.worklist.model import stories
from orchestrator.worklist.pages import script, wording
from orchestrator.worklist.pages.store import Wait
from orchestrator.worklist.site import Site

NOUNS: Final = {
    "accept": "acceptance",
    "release": "release",
    "attempt": "attempt",
    "complete": "completion",
    "reject": "report that it cannot be done",
    "reassign": "passing on",
    "note": "note",
}
WHY: Final = {
    "terminal": "The task was no longer open.",
    "version": "The task had changed meanwhile.",
    "role": "Policy lets another role do this.",
    "owner": "Somebody else had accepted it.",
    "unknown-task": "There is no such task any more.",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """
    An action that was refused after its actor had been told that it is saved.

    Attributes:
        words: What was typed for it, as the form asks it.
    """

    event: str
    text: str
    words: tuple[tuple[str, str], ...]
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Waited:
    """What is still waited for, of one task, and what was refused."""

    pending: bool = False
    refused: tuple[Refusal, ...] = ()
    applied: tuple[str, ...] = field(default=(), repr=False)


def waited(
    db: sqlite3.Connection,
    waits: Sequence[Wait],
    *,
    zone: str,
    policy: Mapping[str, Any],
    task: Mapping[str, Any] | None,
    who: str,
) -> Waited:
    """
    What has become of *waits*, which are all about one task.

    Args:
        task: As it stands now; ``None``: its actor does not see it any more.
    """
    pending = False
    applied: list[str] = []
    refused: list[Refusal] = []
    for one in waits:
        found = stories.verdict(db, one.event)
        if found is None:
            pending = True
            continue
        change = orjson.loads(found.value)
        if change["change"] != "command.refused" or _is_so(one, waits, applied, task, who):
            applied.append(one.event)
            continue
        reason = _why(str(change["command"]["reason"]), task, who)
        noun = NOUNS.get(one.action, "action")
        text = f"Refused: your {noun} of {wording.clock(one.sent, zone)}. {reason}"
        words = tuple(script.in_words(_said(one.fields), policy)) + tuple(
            ("Difference accepted", why) for why in (one.fields.get("accepted") or {}).values()
        )
        refused.append(Refusal(one.event, text, words, one.fields))
    return Waited(pending, tuple(refused), tuple(applied))


def _is_so(
    one: Wait,
    waits: Sequence[Wait],
    applied: Collection[str],
    task: Mapping[str, Any] | None,
    who: str,
) -> bool:
    """Whether what was refused is as its actor wanted: they had done the same twice."""
    if one.action == "accept":
        return task is not None and task["owner"] == who
    same = [other for other in waits if other.action == one.action and other.event in applied]
    return any(other.fields == one.fields for other in same)


def _why(reason: str, task: Mapping[str, Any] | None, who: str) -> str:
    if task is None:
        return f"{WHY.get(reason, '')} It is not in your queue any more.".strip()
    if task["status"] in wording.WITHDRAWN and task["why"] is not None:
        return str(task["why"])
    if task["status"] == "completed" and reason == "terminal":
        return "It had been done already."
    if task["owner"] not in (None, who) and reason in ("version", "owner"):
        return "Taken by someone else."
    return WHY.get(reason, "")


def _said(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a form under the names of an event's data, as `script.in_words` reads them."""
    outcome = fields.get("outcome")
    note = fields.get("note") or fields.get("why")
    # The form itself begins with this outcome: nobody has typed it.
    return {**fields, "outcome": None if outcome == "ok" else outcome, "note": note}


def gone(site: Site, actor: str, events: Collection[str]) -> None:
    """*actor* waits for none of *events* any more: applied, understood, or sent again."""
    for event in events:
        site.pages.came(actor, event)
