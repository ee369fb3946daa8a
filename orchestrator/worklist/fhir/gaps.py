"""Gaps as R4 Flag; those of medication also as DetectedIssue, R4's own form for them.

Both carry the gap's id as identifier: who reads both kinds sees which two are one.
"""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from orchestrator.worklist.api.answers import items
from orchestrator.worklist.api.guard import Call
from orchestrator.worklist.fhir import elements, names
from orchestrator.worklist.fhir.elements import Resource
from orchestrator.worklist.fhir.kind import Kind, Resources, rows_of
from orchestrator.worklist.fhir.params import Parameter, dates, identifiers, patients, ways
from orchestrator.worklist.model.filters import Where, gaps_of

MEDICATION: Final = (
    "MED_LIST_MISSING",
    "MED_LISTS_DISAGREE",
    "MED_DISCREPANCY",
    "MED_HIGH_ALERT",
    "MED_CHANGED_AFTER_RECONCILIATION",
    "RX_NOT_FILLED",
)
_CATEGORY: Final = dict.fromkeys(MEDICATION, "drug") | {
    "CLINICAL_RED_FLAG": "clinical",
    "PENDING_RESULT_AT_DISCHARGE": "lab",
    "DATA_QUALITY": "admin",
    "EVENT_PARKED": "admin",
    "FEED_SILENT": "admin",
}
_SEVERITY: Final = {
    "critical": "high",
    "high": "high",
    "medium": "moderate",
    "low": "low",
    "info": "low",
}
# What was taken back was never so.
_RETRACTED: Final = (
    "id IN (SELECT id FROM gaps_said WHERE json_extract(value, '$.close_reason') = 'RETRACTED')"
)
_FLAG_STATUS: Final = {
    "active": "status = 'open'",
    "entered-in-error": f"(status = 'closed' AND {_RETRACTED})",
    "inactive": f"(status <> 'open' AND NOT (status = 'closed' AND {_RETRACTED}))",
}
# An issue is found once and for all; what became of it stands under `mitigation`.
_ISSUE_STATUS: Final = {
    "final": f"NOT (status = 'closed' AND {_RETRACTED})",
    "entered-in-error": f"(status = 'closed' AND {_RETRACTED})",
}


def flag(item: dict[str, Any], updated_at: int) -> Resource:
    """An R4 Flag of a gap in the caller's view."""
    retracted = item["close_reason"] == "RETRACTED"
    inactive = "entered-in-error" if retracted else "inactive"
    return elements.filled(
        {
            "resourceType": names.FLAG,
            "id": item["gap_id"],
            "meta": elements.meta(str(item["version"]), updated_at, item),
            "identifier": [{"system": names.GAP_ID, "value": item["gap_id"]}],
            "status": "active" if item["status"] == "open" else inactive,
            "category": [
                elements.concept(names.FLAG_CATEGORY, _CATEGORY.get(item["code"], "admin")),
                elements.concept(names.SEVERITY, item["severity"]),
            ],
            "code": elements.concept(names.GAP_CODE, item["code"], item["why"]),
            # A gap of a facility has no patient.
            "subject": elements.patient(item["patient_key"])
            or elements.facility(item["facility"])
            or {"display": "not known"},
            "period": elements.filled({"start": item["since"], "end": item["closed_at"]}),
            "author": elements.facility(item["facility"]),
        }
    )


def issue(item: dict[str, Any], updated_at: int) -> Resource:
    """An R4 DetectedIssue of a medication gap in the caller's view."""
    retracted = item["close_reason"] == "RETRACTED"
    ended = item["status"] != "open" and not retracted
    mitigation = {
        "action": elements.concept(names.CLOSE_REASON, item["close_reason"] or item["status"]),
        "date": item["closed_at"],
    }
    which = item["subject"]  # a medicine, or a list
    return elements.filled(
        {
            "resourceType": names.ISSUE,
            "id": item["gap_id"],
            "meta": elements.meta(str(item["version"]), updated_at, item),
            "identifier": [{"system": names.GAP_ID, "value": item["gap_id"]}],
            "status": "entered-in-error" if retracted else "final",
            "code": elements.concept(names.GAP_CODE, item["code"], item["why"]),
            "severity": _SEVERITY[item["severity"]],
            "patient": elements.patient(item["patient_key"]),
            "identifiedDateTime": item["since"],
            "author": elements.facility(item["facility"]),
            "implicated": [{"display": which}] if which else None,
            "detail": item["why"],
            "mitigation": [elements.filled(mitigation)] if ended else None,
        }
    )


def _of(make: Callable[[dict[str, Any], int], Resource]) -> Resources:
    def resources(call: Call, db: sqlite3.Connection, ids: Sequence[str]) -> list[Resource]:
        rows, updated = rows_of(db, "gaps", ids)
        seen = items(call, db, "gap", rows)
        return [make(item, updated[row.number]) for row, item in zip(rows, seen, strict=True)]

    return resources


def _flags(call: Call) -> Where:
    return gaps_of(call.who)


def _issues(call: Call) -> Where:
    where = gaps_of(call.who)
    where.among("code", MEDICATION)
    where.add("patient_key IS NOT NULL")
    return where


_PARAMETERS: Final = {
    "_id": Parameter("token", identifiers("gap_id")),
    "_lastUpdated": Parameter("date", dates("updated_at")),
    "patient": Parameter("reference", patients("patient_key")),
    "identifier": Parameter("token", identifiers("gap_id", names.GAP_ID)),
}
_CODE: Final = Parameter("token", identifiers("code", names.GAP_CODE))
_ORDERS: Final = {"_lastUpdated": ("updated_at", False)}

FLAG: Final = Kind(
    name=names.FLAG,
    permission="gaps",
    path="gap_id",
    unique="gap_id",
    source="gaps",
    visible=_flags,
    resources=_of(flag),
    account="gap",
    parameters={
        **_PARAMETERS,
        "subject": Parameter("reference", patients("patient_key")),
        "date": Parameter("date", dates("since")),
        "status": Parameter("token", ways(_FLAG_STATUS, names.FLAG_STATUS), ours="Flag.status"),
        "code": replace(_CODE, ours="The code of the gap."),
    },
    orders={**_ORDERS, "date": ("since", False), "severity": ("rank", True)},
    order="-severity,date",
    includes=("Flag:patient", "Flag:subject"),
    summary=("status", "category", "code", "subject", "period", "author", "identifier"),
    required=("status", "code", "subject"),
)
ISSUE: Final = replace(
    FLAG,
    name=names.ISSUE,
    visible=_issues,
    resources=_of(issue),
    parameters={
        **_PARAMETERS,
        "identified": Parameter("date", dates("since")),
        "code": _CODE,
        "status": Parameter(
            "token", ways(_ISSUE_STATUS, names.ISSUE_STATUS), ours="DetectedIssue.status"
        ),
    },
    orders={**_ORDERS, "identified": ("since", False), "severity": ("rank", True)},
    order="-severity,identified",
    includes=("DetectedIssue:patient",),
    summary=("identifier", "status", "code", "severity", "patient", "identifiedDateTime", "author",
             "implicated"),
    required=("status",),
)  # fmt: skip
