"""Patients with something open as R4 Patient: whom the work is about.

By identifier, name and birth date they are found only in the form of a ``_search``, and only by
who may know them; the address names a patient by the key.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

import orjson

from orchestrator.worklist.api.answers import contacts
from orchestrator.worklist.api.guard import Call
from orchestrator.worklist.fhir import elements, names
from orchestrator.worklist.fhir.elements import Resource
from orchestrator.worklist.fhir.kind import Kind
from orchestrator.worklist.fhir.params import (
    BadValue,
    Parameter,
    alternatives,
    dates,
    days,
    identifiers,
    starts,
    token,
)
from orchestrator.worklist.fhir.versions import digest
from orchestrator.worklist.instants import micros
from orchestrator.worklist.model.filters import Where, sees_patient

NAMED: Final = ("clinical", "minimal")
_UPDATED: Final = "CAST(strftime('%s', json_extract(value, '$.updated_at')) AS INTEGER) * 1000000"


def patient(
    key: str, identifier: str | None, view: dict[str, Any] | None, updated_at: int
) -> Resource:
    """
    An R4 Patient.

    Args:
        identifier: ``authority|value``; ``None``: not for this caller.
        view: Contact and name, as far as they are known and the caller may know them.
    """
    known = view or {}
    made: dict[str, Any] = {"resourceType": names.PATIENT, "id": key}
    if identifier is not None:
        authority, _, value = identifier.partition("|")
        made["identifier"] = [{"system": names.AUTHORITY + authority, "value": value}]
    made |= {
        "active": True,
        "name": [_name(known["name"])] if known.get("name") else None,
        "telecom": [one for phone in known.get("phones") or [] if (one := _phone(phone))],
        "birthDate": known.get("birth_date"),
        "contact": [one for kin in known.get("caregivers") or [] if (one := _contact(kin))],
        "communication": _language(known.get("language")),
    }
    made = elements.filled(made)
    made["meta"] = elements.meta(digest(made), updated_at)
    return made


def _name(said: Any) -> dict[str, Any] | None:
    """A HumanName; publishers send a text or its parts."""
    if isinstance(said, str):
        return {"text": said}
    if not isinstance(said, dict):
        return None
    given = said.get("given")
    first = [given] if isinstance(given, str) else given if isinstance(given, list) else []
    return elements.filled(
        {
            "text": _text(said.get("text")),
            "family": _text(said.get("family")),
            "given": [part for part in first if isinstance(part, str) and part],
        }
    )


def _phone(said: Any) -> dict[str, str] | None:
    value = said.get("number") or said.get("value") if isinstance(said, dict) else said
    return {"system": "phone", "value": value} if isinstance(value, str) and value else None


def _contact(said: Any) -> dict[str, Any] | None:
    if isinstance(said, str):
        return {"name": {"text": said}} if said else None
    if not isinstance(said, dict):
        return None
    phone = _phone(said.get("phone"))
    relation = _text(said.get("relation") or said.get("relationship"))
    return elements.filled(
        {
            "relationship": [elements.text(relation)] if relation else None,
            "name": _name(said.get("name")),
            "telecom": [phone] if phone else None,
        }
    )


def _language(said: Any) -> list[dict[str, Any]] | None:
    code, words = (said.get("code"), said.get("text")) if isinstance(said, dict) else (said, None)
    if not _text(code) and not _text(words):
        return None
    made = elements.concept("urn:ietf:bcp:47", _text(code), _text(words))
    return [{"language": made}]


def _text(said: Any) -> str | None:
    return said if isinstance(said, str) and said else None


def _resources(call: Call, db: sqlite3.Connection, ids: Sequence[str]) -> list[Resource]:
    known = contacts(db, ids, call.who)
    found = []
    for key in ids:
        identifier, updated = _identity(db, key)
        shown = identifier if call.who.view in NAMED else None
        found.append(patient(key, shown, known.get(key), updated))
    call.account.patient_keys.update(ids)
    call.account.rows = (call.account.rows or 0) + len(found)
    return found


def _identity(db: sqlite3.Connection, key: str) -> tuple[str | None, int]:
    """The surviving identifier of a patient, and when something about them changed last."""
    row = db.execute("SELECT value FROM patients WHERE patient_key = ?", (key,)).fetchone()
    if row is not None and row[0] is not None:
        view = orjson.loads(row[0])
        return view.get("patient"), micros(view["updated_at"]) if "updated_at" in view else 0
    # Nothing is open any more, and the view is gone; the tasks still tell whose they were.
    row = db.execute(
        "SELECT json_extract(value, '$.patient'), updated_at FROM tasks JOIN tasks_said USING (id)"
        " WHERE patient_key = ? ORDER BY updated_at DESC, task_id LIMIT 1",
        (key,),
    ).fetchone()
    return (None, 0) if row is None else (row[0], row[1])


def _visible(call: Call) -> Where:
    where = Where()
    condition, values = sees_patient(call.who, "patients.patient_key")
    where.add(condition, *values)
    return where


def _identified(where: Where, value: str) -> None:
    """Identifiers of any name that the patient had; the authority with or without its prefix."""
    clauses, values = [], []
    for one in alternatives(value):
        system, number = token(one)
        if not number:
            raise BadValue
        if system is None:
            clauses.append("substr(subject, instr(subject, '|') + 1) = ?")
            values.append(number)
        else:
            clauses.append("subject = ?")
            values.append(f"{system.removeprefix(names.AUTHORITY)}|{number}")
    where.add(
        f"patient_key IN (SELECT patient_key FROM subjects WHERE {' OR '.join(clauses)})", *values
    )


KIND: Final = Kind(
    name=names.PATIENT,
    permission="patients",
    path="key",
    unique="patient_key",
    source="patients",
    visible=_visible,
    resources=_resources,
    account=None,
    parameters={
        "_id": Parameter("token", identifiers("patient_key")),
        "_lastUpdated": Parameter("date", dates(_UPDATED)),
        "identifier": Parameter("token", _identified, posted=True),
        "name": Parameter("string", starts("name"), posted=True),
        "birthdate": Parameter("date", days("birth_date"), posted=True),
    },
    orders={"_id": ("patient_key", False)},
    order="_id",
    summary=("identifier", "active", "name", "telecom", "birthDate"),
    required=(),
)
