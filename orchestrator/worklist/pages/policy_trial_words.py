"""What a policy would change, in words: ``412 tasks the same, 9 due earlier, 3 new, 1 gone``."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from orchestrator.worklist.instants import micros
from orchestrator.worklist.jobs import Job
from orchestrator.worklist.pages import wording
from orchestrator.worklist.what_if import MOST_DAYS, BadDay
from schemas.yaml_node import FieldFault

_WAYS: Final = {
    "earlier": "due earlier",
    "later": "due later",
    "new": "new",
    "gone": "gone",
    "changed": "changed otherwise",
}
_FIELDS: Final = {
    "team": "team",
    "priority": "priority",
    "status": "status",
    "status_reason": "reason",
    "tcm_contact_by": "TCM contact by",
}
_DAYS: Final = {
    "form": "A day is missing or is none.",
    "order": "The last day must not be before the first.",
    "length": f"The days must be at most {MOST_DAYS}.",
}
_REASONS: Final = {
    "unavailable": "The journal could not be read. Nothing was published; try again.",
    "audit-unavailable": "Who was shown could not be recorded, so nothing is shown; try again.",
}


class Side(NamedTuple):
    """One task under one of the policies; ``due`` empty: there is none."""

    due: str
    more: tuple[str, ...]
    rule: str
    why: str


class Line(NamedTuple):
    """One task that differs."""

    kind: str
    facility: str
    task_id: str
    patient_key: str
    there: bool  # whether the task is, and not only would be
    notice: str
    was: Side
    now: Side


class Group(NamedTuple):
    """All that differ in one way."""

    way: str
    title: str
    total: int
    lines: list[Line]


class Answer(NamedTuple):
    """The page."""

    version: str
    sentence: str
    gaps: str
    scope: str
    notes: list[str]
    groups: list[Group]


def answer(result: Mapping[str, Any], zone: str, now: int) -> Answer:
    """What the job found, in words."""
    counts = result["tasks"]
    ways = [f"{counts[way]:,} {words}" for way, words in _WAYS.items() if counts[way]]
    first, last = micros(result["from"]), micros(result["to"])
    many = "discharge" if result["transitions"] == 1 else "discharges"
    return Answer(
        version=result["version"],
        sentence=", ".join([f"{tasks(counts['same'])} the same", *ways]) + ".",
        gaps=_gaps(result["gaps"]),
        scope=f"{result['transitions']:,} {many} from {wording.day(first, zone)}"
        f" to {wording.day(last, zone)},"
        f" as of {wording.moment(micros(result['as_of']), zone)}.",
        notes=_notes(result, zone),
        groups=[_group(result, way, now) for way in _WAYS if counts[way]],
    )


def tasks(count: int) -> str:
    return f"{count:,} {'task' if count == 1 else 'tasks'}"


def _gaps(counts: Mapping[str, int]) -> str:
    ways = [f"{counts[way]:,} {_WAYS[way]}" for way in ("new", "gone", "changed") if counts[way]]
    return "Gaps: " + ", ".join([f"{counts['same']:,} the same", *ways]) + "."


def _notes(result: Mapping[str, Any], zone: str) -> list[str]:
    begins = result["journal_from"]
    notes = []
    if begins is None:
        notes.append("The journal holds nothing yet.")
    elif micros(begins) > micros(result["from"]):
        day = wording.day(micros(begins), zone)
        notes.append(f"The journal begins on {day}: what was received before is not known here.")
    if result["failed"]:
        notes.append(
            f"{result['failed']:,} patients could not be decided; that is a fault of ours."
        )
    return notes


def _group(result: Mapping[str, Any], way: str, now: int) -> Group:
    lines = [_line(one, now) for one in result["items"] if one["change"] == way]
    return Group(way, f"{result['tasks'][way]:,} {_WAYS[way]}", result["tasks"][way], lines)


def _line(one: Mapping[str, Any], now: int) -> Line:
    return Line(
        kind=wording.kind(one["kind"]),
        facility=one["facility"],
        task_id=one["task_id"],
        patient_key=one["patient_key"],
        there=one["was"]["due_at"] is not None,
        notice=one["notice"] or "",
        was=_side(one["was"], one["fields"], one["zone"], now),
        now=_side(one["now"], one["fields"], one["zone"], now),
    )


def _side(side: Mapping[str, Any], fields: list[str], zone: str, now: int) -> Side:
    if side["due_at"] is None:
        return Side("", (), "", side["why"] or "No such task.")
    more = []
    for name, words in _FIELDS.items():
        if name in fields:
            said = side[name] or "none"
            text = wording.moment(micros(said), zone, now) if name.endswith("_by") else said
            more.append(f"{words} {text}")
    due = wording.due_at(micros(side["due_at"]), zone, now)
    return Side(due, tuple(more), side["rule"], "" if side["why"] == side["rule"] else side["why"])


def ended(job: Job) -> str:
    """Why there is no answer; empty where there is one."""
    if job.state == "stopped":
        return "Stopped. Nothing was decided, and nothing published."
    if job.state == "failed":
        return _REASONS.get(job.reason or "", "It failed; that is a fault of ours.")
    return ""


def fault(found: FieldFault) -> str:
    """What is wrong with a file: line, field, what is allowed."""
    return f"The policy cannot be used. {str(found)[0].upper()}{str(found)[1:]}."


def bad_day(found: BadDay) -> str:
    """What is wrong with a day."""
    return _DAYS[found.trouble]
