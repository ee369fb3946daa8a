"""What this door can do, as an R4 CapabilityStatement: said of the same tables that do it."""

from collections.abc import Mapping
from typing import Any, Final

from orchestrator.worklist.fhir import names
from orchestrator.worklist.fhir.kind import Kind
from orchestrator.worklist.fhir.kinds import KINDS
from orchestrator.worklist.fhir.params import Parameter
from orchestrator.worklist.problems import FHIR_MEDIA

PATCH_MEDIA: Final = "application/json-patch+json"
_OAUTH_URIS: Final = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
_EVERYTHING: Final = "http://hl7.org/fhir/OperationDefinition/Patient-everything"
_COMMON: Final = ("_id", "_lastUpdated")
# Where R4 defines one parameter for several types.
_SHARED: Final = {
    ("patient", "Flag"): "clinical-patient",
    ("patient", "DetectedIssue"): "clinical-patient",
    ("patient", "CarePlan"): "clinical-patient",
    ("date", "Flag"): "clinical-date",
    ("date", "CarePlan"): "clinical-date",
    ("identifier", "DetectedIssue"): "clinical-identifier",
    ("identifier", "CarePlan"): "clinical-identifier",
    ("birthdate", "Patient"): "individual-birthdate",
}
_POSTED: Final = "Only in the form of a POST to _search: addresses are logged."
WRITING: Final = (
    "One change at a time, with If-Match: the status (accepted; requested gives the task back;"
    " in-progress records an attempt; completed; rejected), the owner, or an added note; outcomes"
    " in output (outcome, reached, answers.<name>). Anything else is 422 and named. Rules make"
    " tasks: there is no create and no delete."
)


def capability(
    version: str, date: str, base: str, smart: Mapping[str, str] | None
) -> dict[str, Any]:
    """
    The statement.

    Args:
        base: The address of ``/fhir``.
        smart: The addresses of the identity provider, where there is one.
    """
    return {
        "resourceType": "CapabilityStatement",
        "name": "CareOrchestratorWorklist",
        "title": "Follow-up after discharge",
        "status": "active",
        "date": date,
        "kind": "instance",
        "software": {"name": "care-orchestrator", "version": version},
        "implementation": {"description": "Follow-up tasks after discharge", "url": base},
        "fhirVersion": "4.0.1",
        "format": [FHIR_MEDIA, "json"],
        "patchFormat": [PATCH_MEDIA],
        "rest": [
            {
                "mode": "server",
                "documentation": "Unknown parameters are refused, unless Prefer: handling=lenient."
                " All that was received before a Bundle's meta.lastUpdated is in it.",
                "security": _security(smart),
                "resource": [_resource(kind) for kind in KINDS.values()],
            }
        ],
    }


def _security(smart: Mapping[str, str] | None) -> dict[str, Any]:
    made: dict[str, Any] = {
        "cors": False,
        "service": [{"coding": [{"system": names.SECURITY_SERVICE, "code": "OAuth"}]}],
        "description": "Bearer tokens (RFC 6750); SMART v2 scopes narrow what their roles may do.",
    }
    if smart:
        made["service"] = [
            {"coding": [{"system": names.SECURITY_SERVICE, "code": "SMART-on-FHIR"}]}
        ]
        uris = {"authorize": "authorization_endpoint", "token": "token_endpoint"}
        parts = [
            {"url": url, "valueUri": smart[name]} for url, name in uris.items() if name in smart
        ]
        made["extension"] = [{"url": _OAUTH_URIS, "extension": parts}]
    return made


def _resource(kind: Kind) -> dict[str, Any]:
    is_task = kind.name == names.TASK
    codes = ["read", "search-type", *(["update", "patch"] if is_task else [])]
    made: dict[str, Any] = {
        "type": kind.name,
        "interaction": [{"code": code} for code in codes],
        "versioning": "versioned-update" if is_task else "versioned",
        "readHistory": False,
        "updateCreate": False,
        "conditionalCreate": False,
        "conditionalRead": "full-support",
        "conditionalUpdate": False,
        "conditionalDelete": "not-supported",
        "searchParam": [_parameter(kind, *one) for one in kind.parameters.items()],
    }
    if is_task:
        made["documentation"] = WRITING
    if kind.includes:
        made["searchInclude"] = list(kind.includes)
    if kind.name == names.PATIENT:
        made["operation"] = [{"name": "everything", "definition": _EVERYTHING}]
    return made


def _parameter(kind: Kind, name: str, parameter: Parameter) -> dict[str, Any]:
    made: dict[str, Any] = {"name": name, "type": parameter.type}
    if name in _COMMON:
        made["definition"] = f"http://hl7.org/fhir/SearchParameter/Resource-{name[1:]}"
    elif parameter.ours is None:
        known = _SHARED.get((name, kind.name), f"{kind.name}-{name}")
        made["definition"] = f"http://hl7.org/fhir/SearchParameter/{known}"
    said = parameter.ours or (_POSTED if parameter.posted else None)
    return {**made, "documentation": said} if said else made
