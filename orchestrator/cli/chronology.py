"""``replay --changes`` for readers: each change in order, which fields it changed, and why.

A change whose name says it all (``task.completed``) repeats nothing of that; one that is only an
update says what is not as it was: ``due Thu 8 Oct 14:00 EDT → Thu 8 Oct 13:10 EDT``.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from orchestrator.cli import words
from orchestrator.cli.report import FAINT, PLAIN, Line, Thing
from orchestrator.ops import spans

# Fields that somebody acts on, as they are called on a screen.
SHOWN: Final = {
    "status": "status",
    "owner": "owner",
    "team": "team",
    "priority": "priority",
    "severity": "severity",
    "due_at": "due",
    "tcm_contact_by": "TCM contact by",
    "overdue": "overdue",
    "attempts": "attempts",
    "tcm_contact_status": "TCM contact",
    "index_discharge_at": "discharged",
    "disposition": "disposition",
    "since": "since",
    "lateness": "told late by",
    "flags": "flags",
}
# Counted, dated or derived at every change; they explain none.
_BOOKKEEPING: Final = frozenset(
    {"version", "opened_at", "closed_at", "ended_at", "caused_by", "occurrence"}
)
_INSTANTS: Final = frozenset({"due_at", "tcm_contact_by", "index_discharge_at", "since"})
_UPDATES: Final = ("updated", "changed")
_KINDS: Final = ("task", "gap", "transition")


def chronology(changes: Sequence[Thing], zone: str, as_of: str) -> Iterator[Line]:
    """
    What changed over time.

    Args:
        changes: In order.
        zone: Of the instants in front; what a task is due at is said in its own.
        as_of: Dates of another year than this carry theirs.
    """
    near = words.instant(as_of)
    newest: dict[str, Thing] = {}
    for change in changes:
        at = words.moment(words.instant(change["at"]), zone, near)
        head = f"{at}  {change['subject']}  {change['change']}  {_named(change)}".rstrip()
        kind = next((kind for kind in _KINDS if change.get(kind)), None)
        if kind is not None:
            thing = change[kind]
            before = newest.get(thing[f"{kind}_id"])
            newest[thing[f"{kind}_id"]] = thing
            if before is not None and change["change"].endswith(_UPDATES):
                told = ", ".join(differences(before, thing, thing.get("zone", zone), near))
                head += f": {told}" if told else ""
        yield head, PLAIN
        if change.get("why"):
            yield f"    {change['why']}", FAINT


def differences(before: Thing, after: Thing, zone: str, near: datetime) -> Iterator[str]:
    """Each field that is not as it was: from what to what; of lesser ones only the name."""
    changed = [name for name in after if after[name] != before.get(name)]
    for name in sorted((n for n in changed if n in SHOWN), key=list(SHOWN).index):
        old, new = (_said(name, thing, zone, near) for thing in (before, after))
        yield f"{SHOWN[name]} {old} → {new}"
    for name in changed:
        if name not in SHOWN and name not in _BOOKKEEPING:
            yield name.removesuffix("_id").removesuffix("_at").replace("_", " ")


def _said(name: str, thing: Mapping[str, Any], zone: str, near: datetime) -> str:
    value = thing.get(name)
    if value is None or value == []:
        return "none"
    if name in _INSTANTS:
        return words.due(words.instant(value), zone, near).removeprefix("due ").removeprefix("by ")
    if name == "lateness":
        from schemas.duration import parse_duration

        return spans.length(parse_duration(value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " ".join(map(str, value))
    return words.reason(value) if name == "tcm_contact_status" else str(value)


def _named(change: Thing) -> str:
    if task := change.get("task"):
        return words.task(task["kind"])
    if gap := change.get("gap"):
        return words.gap(gap["code"])
    if transition := change.get("transition"):
        return f"visit {transition['visit_number']}"
    return ""
