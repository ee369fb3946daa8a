"""Small parts that R4 resources have in common."""

from collections.abc import Mapping
from typing import Any

from orchestrator.worklist.fhir import names
from orchestrator.worklist.instants import text_of

Resource = dict[str, Any]


def filled(members: Mapping[str, Any]) -> Resource:
    """*members* without those that have no value: an R4 element is absent or has one."""
    return {name: value for name, value in members.items() if value not in (None, [], {})}


def meta(version: str, updated_at: int, item: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Version and age; labels where the law restricts what may be passed on."""
    made: dict[str, Any] = {"versionId": version, "lastUpdated": text_of(updated_at)}
    if item is not None and item.get("notice"):
        # DS4P: which law, how confidential, and what the reader must not do.
        made["security"] = [
            {"system": names.ACT_CODE, "code": "42CFRPart2"},
            {"system": names.CONFIDENTIALITY, "code": "R"},
            {"system": names.ACT_CODE, "code": "NORDSCLCD", "display": item["notice"]},
        ]
    return made


def text(words: str | None) -> dict[str, str] | None:
    """A CodeableConcept of words alone."""
    return {"text": words} if words else None


def concept(system: str, code: str | None, words: str | None = None) -> dict[str, Any] | None:
    """A CodeableConcept of one code."""
    if code is None:
        return text(words)
    made: dict[str, Any] = {"coding": [{"system": system, "code": code}]}
    return {**made, "text": words} if words else made


def patient(key: str | None) -> dict[str, str] | None:
    """A reference to a patient."""
    return {"reference": f"Patient/{key}"} if key else None


def facility(code: str | None) -> dict[str, Any] | None:
    """A logical reference: facilities are not read here."""
    if code is None:
        return None
    return {"type": "Organization", "identifier": {"system": names.FACILITY, "value": code}}
