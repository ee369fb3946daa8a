"""Audit records as R4 AuditEvent, for auditors."""

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

import orjson

from orchestrator.worklist.api.guard import Call
from orchestrator.worklist.fhir import elements, names
from orchestrator.worklist.fhir.elements import Resource
from orchestrator.worklist.fhir.kind import Kind
from orchestrator.worklist.fhir.params import (
    BadValue,
    Parameter,
    alternatives,
    dates,
    identifiers,
    plain,
    ways,
)
from orchestrator.worklist.instants import micros
from orchestrator.worklist.model.audits import as_read, audits_of
from orchestrator.worklist.model.filters import Where

# R4 action by what the audit calls a deed; what is not here executes something.
_ACTIONS: Final = {
    "read": "R",
    "export": "R",
    "raw": "R",
    "act": "U",
    "config": "U",
    "discard": "D",
}
_DEEDS: Final = (
    "read", "search", "act", "export", "raw", "retry", "discard", "break-glass", "sign-in",
    "config",
)  # fmt: skip
_RESOURCES: Final = {"task": "Task", "gap": "Flag", "transition": "CarePlan"}


def _action(deed: str) -> str:
    return _ACTIONS.get(deed, "E")


def _any_of(column: str, words: Sequence[str]) -> str:
    return f"{column} IN ({', '.join(repr(word) for word in words)})"


_BY_ACTION: Final = {
    letter: _any_of("action", [deed for deed in _DEEDS if _action(deed) == letter])
    for letter in ("R", "U", "D", "E")
} | {"C": "0"}
_BY_OUTCOME: Final = {"0": "outcome = 'success'", "4": "outcome <> 'success'"}


def audit_event(record: dict[str, Any]) -> Resource:
    """An R4 AuditEvent."""
    deed, at = record["action"], micros(record["at"])
    who = {"identifier": {"system": names.ACTOR, "value": record["actor"]}}
    purpose = record.get("purpose")
    return elements.filled(
        {
            "resourceType": names.AUDIT,
            "id": record["audit_id"],
            "meta": elements.meta("1", at),
            "type": {"system": names.EVENT_TYPE, "code": "rest"},
            "subtype": [{"system": names.DEED, "code": deed}],
            "action": _action(deed),
            "recorded": record["at"],
            "outcome": "0" if record["outcome"] == "success" else "4",
            "outcomeDesc": record["outcome"],
            "purposeOfEvent": [elements.text(purpose)] if purpose else None,
            "agent": [
                elements.filled(
                    {
                        "role": [
                            elements.concept(names.ROLE, role) for role in record.get("roles") or []
                        ],
                        "who": who,
                        "altId": record.get("client_id"),
                    }
                )
                | {"requestor": True}
            ],
            "source": {
                "observer": {"display": "care-orchestrator worklist"},
                "type": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/security-source-type",
                        "code": "4",  # application server
                    }
                ],
            },
            "entity": [*_patients(record), *_objects(record), *_query(record)],
        }
    )


def _patients(record: dict[str, Any]) -> list[Resource]:
    role = {"system": names.OBJECT_ROLE, "code": "1", "display": "Patient"}
    return [
        {"what": elements.patient(key), "role": role} for key in record.get("patient_keys") or []
    ]


def _objects(record: dict[str, Any]) -> list[Resource]:
    found = []
    for one in record.get("objects") or []:
        kind, _, name = one.partition("/")
        resource = _RESOURCES.get(kind)
        what = {"reference": f"{resource}/{name}"} if resource else {"display": one}
        found.append({"what": what, "role": {"system": names.OBJECT_ROLE, "code": "4"}})
    return found


def _query(record: dict[str, Any]) -> list[Resource]:
    """A query names a person: its hash alone is kept, so that equal ones are seen to be equal."""
    said = {
        "query_hash": record.get("query_hash"),
        "rows": record.get("rows"),
        "request_id": record.get("request_id"),
    }
    details = [
        {"type": name, "valueString": str(value)}
        for name, value in said.items()
        if value is not None
    ]
    role = {"system": names.OBJECT_ROLE, "code": "24", "display": "Query"}
    return [{"role": role, "detail": details}] if details else []


def _resources(call: Call, db: sqlite3.Connection, ids: Sequence[str]) -> list[Resource]:
    marks = ", ".join("?" * len(ids))
    found = dict(
        db.execute(f"SELECT audit_id, value FROM audit WHERE audit_id IN ({marks})", list(ids))
    )
    call.account.rows = (call.account.rows or 0) + len(found)
    records = [orjson.loads(found[one]) for one in ids if one in found]
    return [audit_event(as_read(db, call.who, record)) for record in records]


def _visible(call: Call) -> Where:
    return audits_of(call.who)


def _about(where: Where, value: str) -> None:
    keys = {plain(one).rpartition("/")[2] for one in alternatives(value)}
    if not all(len(key) >= 32 and key.isalnum() for key in keys):
        raise BadValue
    # Rare, and over a stretch of time: an index of every key in every answer would be larger
    # than the answers.
    where.add(
        f"({' OR '.join(['instr(value, ?)'] * len(keys))})", *(k.encode() for k in sorted(keys))
    )


KIND: Final = Kind(
    name=names.AUDIT,
    permission="audit",
    path="audit_id",
    unique="audit_id",
    source="audit",
    visible=_visible,
    resources=_resources,
    account="audit",
    parameters={
        "_id": Parameter("token", identifiers("audit_id")),
        "_lastUpdated": Parameter("date", dates("at")),
        "date": Parameter("date", dates("at")),
        "agent": Parameter("reference", identifiers("actor", names.ACTOR), ("identifier",)),
        "patient": Parameter("reference", _about),
        "action": Parameter("token", ways(_BY_ACTION, names.EVENT_ACTION)),
        "subtype": Parameter("token", identifiers("action", names.DEED)),
        "outcome": Parameter("token", ways(_BY_OUTCOME, names.EVENT_OUTCOME)),
    },
    orders={"date": ("at", False)},
    order="-date",
    summary=("type", "subtype", "action", "recorded", "outcome", "outcomeDesc", "purposeOfEvent",
             "agent", "source"),
    required=("type", "recorded", "agent", "source"),
)  # fmt: skip
