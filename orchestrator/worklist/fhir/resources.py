"""Tasks and patients as R4 resources, made of what the caller's view lets through.

What a view hides is left out: an R4 element is absent or has a value.
"""

from typing import Any, Final

from orchestrator.worklist.instants import SECOND, micros, text_of

TASK_KIND: Final = "urn:care:task-kind"
TEAM: Final = "urn:care:team"
ACTOR: Final = "urn:care:actor"
FACILITY: Final = "urn:care:facility"
TRANSITION: Final = "urn:care:transition"
BUSINESS: Final = "urn:care:business-status"
TASK_ID: Final = "urn:care:task"


def task(item: dict[str, Any], updated_at: int) -> dict[str, Any]:
    """
    An R4 Task.

    Args:
        item: In the caller's view.
        updated_at: When its version came.
    """
    business = [
        code
        for code, holds in (
            ("overdue", item["overdue"]),
            ("born-overdue", item["born_overdue"]),
            ("attempts-met", item["tcm_contact_status"] == "ATTEMPTS_MET"),
        )
        if holds
    ]
    made: dict[str, Any] = {
        "resourceType": "Task",
        "id": item["task_id"],
        "meta": {"versionId": str(item["version"]), "lastUpdated": text_of(updated_at)},
        "identifier": [{"system": TASK_ID, "value": item["task_id"]}],
        "basedOn": [{"reference": f"CarePlan/{item['transition_id']}"}],
        "groupIdentifier": {"system": TRANSITION, "value": item["transition_id"]},
        "status": item["status"],
        "statusReason": _text(item["why"]),
        "businessStatus": {"coding": [{"system": BUSINESS, "code": code} for code in business]}
        if business
        else None,
        "intent": "order",
        "priority": item["priority"],
        "code": {"coding": [{"system": TASK_KIND, "code": item["kind"]}]},
        "for": {"reference": f"Patient/{item['patient_key']}"} if item["patient_key"] else None,
        "authoredOn": item["opened_at"],
        "lastModified": text_of(updated_at),
        "requester": {"identifier": {"system": FACILITY, "value": item["facility"]}},
        "performerType": [{"coding": [{"system": TEAM, "code": item["team"]}]}],
        "owner": {"identifier": {"system": ACTOR, "value": item["owner"]}}
        if item["owner"]
        else None,
        # R4 ends are inclusive; ours is the first instant that is too late.
        "restriction": {"period": {"end": text_of(micros(item["due_at"]) - SECOND)}},
        "output": [{"type": {"text": "outcome"}, "valueString": item["outcome"]}]
        if item["outcome"]
        else None,
    }
    return {name: value for name, value in made.items() if value is not None}


def patient(key: str, identifier: str | None, view: dict[str, Any] | None) -> dict[str, Any]:
    """
    An R4 Patient.

    Args:
        identifier: ``authority|value``; ``None``: not for this caller.
        view: Contact and name, as far as they are known and the caller may know them.
    """
    made: dict[str, Any] = {"resourceType": "Patient", "id": key}
    if identifier is not None:
        authority, _, value = identifier.partition("|")
        made["identifier"] = [{"system": f"urn:care:authority:{authority}", "value": value}]
    if view is None:
        return made
    name = view.get("name")
    if isinstance(name, dict):
        human = {part: name[part] for part in ("family", "given", "text") if name.get(part)}
        made["name"] = [human] if human else None
    elif isinstance(name, str):
        made["name"] = [{"text": name}]
    made["birthDate"] = view.get("birth_date")
    phones = [phone for phone in view.get("phones") or [] if isinstance(phone, str)]
    made["telecom"] = [{"system": "phone", "value": phone} for phone in phones]
    language = view.get("language")
    if language:
        made["communication"] = [{"language": _text(language)}]
    return {name_: value for name_, value in made.items() if value}


def _text(text: str | None) -> dict[str, str] | None:
    return {"text": text} if text else None


def capability(version: str, date: str) -> dict[str, Any]:
    """What this door can do, as an R4 CapabilityStatement."""

    def resource(name: str, interactions: list[str], params: dict[str, str]) -> dict[str, Any]:
        made: dict[str, Any] = {
            "type": name,
            "interaction": [{"code": code} for code in interactions],
            "versioning": "versioned-update" if name == "Task" else "versioned",
        }
        if params:
            made["searchParam"] = [{"name": n, "type": kind} for n, kind in params.items()]
        if name == "Task":
            made["searchInclude"] = ["Task:patient"]
        return made

    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": date,
        "kind": "instance",
        "software": {"name": "care-orchestrator", "version": version},
        "implementation": {"description": "Follow-up tasks after discharge"},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json"],
        "rest": [
            {
                "mode": "server",
                "security": {"description": "Bearer token; SMART scopes narrow a token's roles."},
                "resource": [
                    resource("Task", ["read", "update", "patch", "search-type"], TASK_PARAMS),
                    resource("Patient", ["read"], {}),
                ],
            }
        ],
    }


TASK_PARAMS: Final = {
    "_id": "token",
    "_lastUpdated": "date",
    "patient": "reference",
    "subject": "reference",
    "owner": "reference",
    "performer": "token",
    "status": "token",
    "code": "token",
    "priority": "token",
    "authored-on": "date",
    "modified": "date",
    "business-status": "token",
    "group-identifier": "token",
    "based-on": "reference",
    "identifier": "token",
    "due": "date",
}
