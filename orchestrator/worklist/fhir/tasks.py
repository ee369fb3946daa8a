"""Tasks as R4 Task: what an item of the API looks like in R4, and what it is found by."""

import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from orchestrator.worklist import views
from orchestrator.worklist.api.answers import items
from orchestrator.worklist.api.guard import Call
from orchestrator.worklist.fhir import elements, names
from orchestrator.worklist.fhir.elements import Resource
from orchestrator.worklist.fhir.kind import Kind, rows_of
from orchestrator.worklist.fhir.params import (
    Parameter,
    codes,
    dates,
    identifiers,
    patients,
    references,
    ways,
)
from orchestrator.worklist.instants import SECOND, micros, text_of
from orchestrator.worklist.model.filters import Where, tasks_of
from orchestrator.worklist.model.fold import RANK
from orchestrator.worklist.model.said import Words, of_things

_BUSINESS: Final = {
    "overdue": "overdue = 1",
    "born-overdue": "born_overdue = 1",
    "attempts-met": "id IN (SELECT id FROM tasks_said"
    " WHERE json_extract(value, '$.tcm_contact_status') = 'ATTEMPTS_MET')",
}


def task(item: dict[str, Any], updated_at: int, words: Sequence[Words] = ()) -> Resource:
    """
    An R4 Task.

    Args:
        item: In the caller's view.
        updated_at: When its version came.
        words: What was said of it, as far as the caller may know.
    """
    business = [
        {"system": names.BUSINESS, "code": code}
        for code, holds in (
            ("overdue", item["overdue"]),
            ("born-overdue", item["born_overdue"]),
            ("attempts-met", item["tcm_contact_status"] == "ATTEMPTS_MET"),
        )
        if holds
    ]
    owner, outcome = item["owner"], item["outcome"]
    return elements.filled(
        {
            "resourceType": names.TASK,
            "id": item["task_id"],
            "meta": elements.meta(str(item["version"]), updated_at, item),
            "identifier": [{"system": names.TASK_ID, "value": item["task_id"]}],
            "basedOn": [{"reference": f"CarePlan/{item['transition_id']}"}],
            "groupIdentifier": {"system": names.TRANSITION, "value": item["transition_id"]},
            "status": item["status"],
            "statusReason": elements.text(item["why"]),
            "businessStatus": {"coding": business} if business else None,
            "intent": "order",
            "priority": item["priority"],
            "code": elements.concept(names.TASK_KIND, item["kind"]),
            "for": elements.patient(item["patient_key"]),
            "authoredOn": item["opened_at"],
            "lastModified": text_of(updated_at),
            "requester": elements.facility(item["facility"]),
            "performerType": [elements.concept(names.TEAM, item["team"])],
            "owner": {"identifier": {"system": names.ACTOR, "value": owner}} if owner else None,
            # R4 ends are inclusive; ours is the first instant that is too late.
            "restriction": {"period": {"end": text_of(micros(item["due_at"]) - SECOND)}},
            "note": [note for one in words if (note := _note(one)) is not None],
            "output": [{"type": {"text": "outcome"}, "valueString": outcome}] if outcome else None,
        }
    )


def _note(words: Words) -> Resource | None:
    """A note, or the reason of who gave the task back or on."""
    said = words.said
    reason = said.get("reason")
    if isinstance(reason, dict):  # from another system, a code
        reason = reason.get("text") or reason.get("code")
    texts = [text for text in (reason, said.get("note")) if isinstance(text, str)]
    if not texts:
        return None
    author = said.get("on_behalf_of") or said.get("actor")
    return elements.filled(
        {"authorString": author, "time": text_of(words.at), "text": "\n".join(texts)}
    )


def _resources(call: Call, db: sqlite3.Connection, ids: Sequence[str]) -> list[Resource]:
    rows, updated = rows_of(db, "tasks", ids)
    seen = items(call, db, "task", rows)
    legible = (t["task_id"] for t in seen if views.sees_words(call.who, masked=t["masked"]))
    words: dict[str, list[Words]] = defaultdict(list)
    for one in of_things(db, legible):
        words[one.thing].append(one)
    return [
        task(item, updated[row.number], words[item["task_id"]])
        for row, item in zip(rows, seen, strict=True)
    ]


def _visible(call: Call) -> Where:
    return tasks_of(call.who)


KIND: Final = Kind(
    name=names.TASK,
    permission="tasks",
    path="task_id",
    unique="task_id",
    source="tasks",
    visible=_visible,
    resources=_resources,
    account="task",
    parameters={
        "_id": Parameter("token", identifiers("task_id")),
        "_lastUpdated": Parameter("date", dates("updated_at")),
        "patient": Parameter("reference", patients("patient_key")),
        "subject": Parameter("reference", patients("patient_key")),
        "owner": Parameter("reference", identifiers("owner", names.ACTOR), ("identifier",)),
        "performer": Parameter("token", identifiers("team", names.TEAM)),
        "status": Parameter("token", identifiers("status", names.TASK_STATUS)),
        "code": Parameter("token", identifiers("kind", names.TASK_KIND)),
        "priority": Parameter("token", codes("rank", RANK, names.PRIORITY)),
        "authored-on": Parameter("date", dates("opened_at")),
        "modified": Parameter("date", dates("updated_at")),
        "business-status": Parameter("token", ways(_BUSINESS, names.BUSINESS)),
        "group-identifier": Parameter("token", identifiers("transition_id", names.TRANSITION)),
        "based-on": Parameter("reference", references("transition_id", names.CARE_PLAN)),
        "identifier": Parameter("token", identifiers("task_id", names.TASK_ID)),
        # No R4 parameter reaches the restriction.  The end that the resource shows lies one
        # second before our exclusive one.
        "due": Parameter("date", dates("due_at", SECOND), ours="When it is due at the latest."),
    },
    orders={
        "due": ("due_at", False),
        "authored-on": ("opened_at", False),
        "modified": ("updated_at", False),
        "_lastUpdated": ("updated_at", False),
        "priority": ("rank", True),
    },
    order="-priority,due",
    includes=("Task:patient", "Task:subject"),
    summary=(
        "identifier", "basedOn", "groupIdentifier", "status", "statusReason", "businessStatus",
        "intent", "code", "for", "lastModified", "requester", "owner",
    ),
    required=("status", "intent"),
)  # fmt: skip
