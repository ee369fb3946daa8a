"""Transitions as R4 CarePlan; its activities are the tasks that the caller may see."""

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from orchestrator.worklist.api.answers import items
from orchestrator.worklist.api.guard import Call
from orchestrator.worklist.fhir import elements, names
from orchestrator.worklist.fhir.elements import Resource
from orchestrator.worklist.fhir.kind import Kind, rows_of
from orchestrator.worklist.fhir.params import Parameter, dates, identifiers, patients, ways
from orchestrator.worklist.fhir.versions import digest
from orchestrator.worklist.model.filters import Where, sees_patient, tasks_of

# How a transition that is closed ended, where that is not "revoked".
_ENDS: Final = {
    "COMPLETED": "completed",
    "WINDOW_ENDED": "completed",
    "DISCHARGE_CANCELLED": "entered-in-error",
    "ADMIT_CANCELLED": "entered-in-error",
    "WRONG_PATIENT": "entered-in-error",
}
_REASON: Final = (
    "(SELECT json_extract(value, '$.close_reason') FROM transitions_said AS said"
    " WHERE said.id = transitions.id)"
)


def _ended(status: str) -> str:
    reasons = ", ".join(f"'{reason}'" for reason, end in _ENDS.items() if end == status)
    return f"(status = 'closed' AND {_REASON} IN ({reasons}))"


_STATUS: Final = {
    "active": "status = 'active'",
    "on-hold": "status = 'deferred'",
    "completed": _ended("completed"),
    "entered-in-error": _ended("entered-in-error"),
    "revoked": "(status = 'closed' AND coalesce("
    f"{_REASON} NOT IN ({', '.join(repr(reason) for reason in _ENDS)}), 1))",
}
_OPEN: Final = {"active": "active", "deferred": "on-hold"}
# When a plan was last another: its transition or one of its tasks.
_UPDATED: Final = (
    "max(updated_at, coalesce((SELECT max(t.updated_at) FROM tasks AS t"
    " WHERE t.transition_id = transitions.transition_id), 0))"
)
_STARTED: Final = (
    "CAST(strftime('%s', (SELECT json_extract(value, '$.index_discharge_at')"
    " FROM transitions_said AS said WHERE said.id = transitions.id)) AS INTEGER) * 1000000"
)


def care_plan(item: dict[str, Any], updated_at: int, tasks: Sequence[str]) -> Resource:
    """
    An R4 CarePlan.

    Args:
        item: The transition in the caller's view.
        tasks: Ids of its tasks that the caller may see.
    """
    made = elements.filled(
        {
            "resourceType": names.CARE_PLAN,
            "id": item["transition_id"],
            "identifier": [{"system": names.TRANSITION, "value": item["transition_id"]}],
            "status": _OPEN.get(item["status"]) or _ENDS.get(item["close_reason"], "revoked"),
            "intent": "plan",
            "category": [elements.text("Care transition after discharge")],
            "title": "Care transition after discharge",
            "description": item["why"],
            "subject": elements.patient(item["patient_key"]),
            "period": elements.filled(
                {
                    "start": item["index_discharge_at"],
                    "end": item.get("ended_at") or item["closed_at"],
                }
            ),
            "created": item["opened_at"],
            "author": elements.facility(item["facility"]),
            "activity": [{"reference": {"reference": f"Task/{task}"}} for task in tasks],
        }
    )
    # A task that comes or goes changes the plan, not the transition: the content is the version.
    made["meta"] = elements.meta(digest(made, item["version"]), updated_at, item)
    return made


def _resources(call: Call, db: sqlite3.Connection, ids: Sequence[str]) -> list[Resource]:
    rows, _ = rows_of(db, "transitions", ids)
    seen = items(call, db, "transition", rows)
    shown = [item["transition_id"] for item in seen]
    marks = ", ".join("?" * len(shown))
    updated = dict(
        db.execute(
            f"SELECT transition_id, {_UPDATED} FROM transitions WHERE transition_id IN ({marks})",
            shown,
        )
    )
    where = tasks_of(call.who)
    tasks: dict[str, list[str]] = {}
    for transition, task in db.execute(
        f"SELECT transition_id, task_id FROM tasks WHERE transition_id IN ({marks})"
        f" AND {where.sql} ORDER BY opened_at, task_id",
        [*shown, *where.values],
    ):
        tasks.setdefault(transition, []).append(task)
    return [
        care_plan(item, updated[name], tasks.get(name, []))
        for name, item in zip(shown, seen, strict=True)
    ]


def _visible(call: Call) -> Where:
    where = Where()
    where.among("facility", call.who.facilities)
    condition, values = sees_patient(call.who, "transitions.patient_key")
    where.add(condition, *values)
    return where


KIND: Final = Kind(
    name=names.CARE_PLAN,
    permission="patients",
    path="transition_id",
    unique="transition_id",
    source="transitions",
    visible=_visible,
    resources=_resources,
    account="transition",
    parameters={
        "_id": Parameter("token", identifiers("transition_id")),
        "_lastUpdated": Parameter("date", dates(_UPDATED)),
        "patient": Parameter("reference", patients("patient_key")),
        "subject": Parameter("reference", patients("patient_key")),
        "identifier": Parameter("token", identifiers("transition_id", names.TRANSITION)),
        "status": Parameter("token", ways(_STATUS, names.PLAN_STATUS)),
        "date": Parameter("date", dates(_STARTED)),
    },
    orders={"_id": ("transition_id", False)},
    order="_id",
    includes=("CarePlan:patient", "CarePlan:subject"),
    summary=("identifier", "status", "intent", "category", "title", "description", "subject",
             "period", "created", "author"),
    required=("status", "intent", "subject"),
)  # fmt: skip
