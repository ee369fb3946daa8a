"""Errors as callers see them: problem details (RFC 9457) with one of our reasons.

None carries a value from the input, only names of fields.
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from fastapi import HTTPException, Response
from fastapi.exceptions import RequestValidationError

# Reason -> status, title, whether the same bytes may be sent again.
REASONS: Final[dict[str, tuple[int, str, bool]]] = {
    "malformed": (400, "The request cannot be read", False),
    "unprocessable": (422, "The request breaks a rule", False),
    "too-large": (413, "The request is too large", False),
    "not-found": (404, "There is no such thing, or it may not be seen", False),
    "method-not-allowed": (405, "Not this way", False),
    "not-acceptable": (406, "Not in this form", False),
    "request-timeout": (408, "The request took too long to arrive", True),
    "headers-too-large": (431, "The head of the request is too large", False),
    "unsupported-media-type": (415, "This form is not read here", False),
    "unauthenticated": (401, "Who asks is not known", False),
    "forbidden": (403, "This role may not do it", False),
    "facility-not-allowed": (403, "Not at this facility", False),
    "cross-site": (403, "The form is not one of ours", False),
    "not-possible-now": (409, "Not possible any more", False),
    "stale-version": (412, "It has changed since it was read", False),
    "precondition-required": (428, "If-Match is missing", False),
    "idempotency-key-missing": (400, "Idempotency-Key is missing", False),
    "idempotency-key-reused": (422, "The key was used for something else", False),
    "idempotency-key-in-progress": (409, "The same request is being answered", True),
    "gone": (410, "The page has run out; search again", False),
    "rate-limited": (429, "Too much at once", True),
    "unavailable": (503, "The log cannot be written at the moment", True),
    "busy": (503, "Too much is being answered", True),
    "starting": (503, "Not ready yet", True),
    "audit-unavailable": (503, "Nothing is shown that cannot be recorded", True),
    "internal": (500, "A fault of ours", True),
}
RETRY_AFTER_S: Final = 5
MEDIA: Final = "application/problem+json"


class Problem(HTTPException):
    """
    Ends a request.

    Args:
        reason: One of `REASONS`.
        detail: A sentence without values of the input.
        errors: Which fields, by JSON pointer.
        more: Further members, such as the current state of what could not be changed.
    """

    def __init__(
        self,
        reason: str,
        detail: str = "",
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        status, title, _ = REASONS[reason]
        extra = dict(headers or {})
        if status in (429, 503):
            extra.setdefault("Retry-After", str(RETRY_AFTER_S))
        if status in (401, 403):
            extra.setdefault("WWW-Authenticate", _challenge(reason))
        super().__init__(status, detail or title, extra)
        self.reason = reason
        self.errors = list(errors)
        self.more = more


def _challenge(reason: str) -> str:
    if reason == "unauthenticated":
        return 'Bearer realm="care-orchestrator"'
    return 'Bearer realm="care-orchestrator", error="insufficient_scope"'


def answer(problem: Problem, scope: Mapping[str, Any]) -> Response:
    """The response that *problem* is: FHIR's own form below ``/fhir``."""
    request_id = scope["care.request_id"]
    if scope["path"].startswith("/fhir/"):
        return outcome(problem)
    _, title, retry = REASONS[problem.reason]
    body = {
        "type": f"/problems/{problem.reason}",
        "title": title,
        "status": problem.status_code,
        "detail": problem.detail,
        "instance": f"urn:uuid:{_uuid_of(request_id)}",
        "reason": problem.reason,
        "retry": retry,
        "errors": problem.errors,
        "dead_letter": None,
        **problem.more,
    }
    return Response(
        orjson.dumps(body),
        problem.status_code,
        media_type=MEDIA,
        headers=dict(problem.headers or {}),
    )


# R4 IssueType by our reason (interfaces.md 1.5); others are told apart by their status.
_ISSUES: Final = {
    "malformed": "structure",
    "unprocessable": "invalid",
    "too-large": "too-long",
    "not-found": "not-found",
    "unauthenticated": "login",
    "not-possible-now": "conflict",
    "stale-version": "conflict",
    "rate-limited": "throttled",
    "gone": "expired",
    "internal": "exception",
}
_ISSUE_OF_STATUS: Final = {403: "forbidden", 503: "transient"}
FHIR_MEDIA: Final = "application/fhir+json"


def outcome(problem: Problem) -> Response:
    """The same as an R4 OperationOutcome."""
    status = problem.status_code
    issue: dict[str, Any] = {
        "severity": "error",
        "code": _ISSUES.get(problem.reason) or _ISSUE_OF_STATUS.get(status, "not-supported"),
        "details": {
            "coding": [{"system": "urn:care:reason", "code": problem.reason}],
            "text": problem.detail,
        },
    }
    if problem.errors:
        # A path of FHIR where an element is meant, else where in the request it stood.
        issue["expression"] = [one.get("expression") or one["pointer"] for one in problem.errors]
    body = {"resourceType": "OperationOutcome", "issue": [issue]}
    headers = dict(problem.headers or {})
    return Response(orjson.dumps(body), status, headers, media_type=FHIR_MEDIA)


def _uuid_of(request_id: str) -> str:
    try:
        return str(uuid.UUID(request_id))
    except ValueError:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, request_id))


def of_validation(fault: RequestValidationError) -> Problem:
    """
    What the framework found wrong, without what stood there.

    A query that cannot be read is 400: a misspelt filter must not widen a list of patients.  An id
    of a form that no id has is nobody's: 404, as every other that is not known.
    """
    if all(one["loc"][0] == "path" for one in fault.errors()):
        return Problem("not-found")
    errors = []
    in_body = False
    for one in fault.errors():
        place, *path = one["loc"]
        in_body = in_body or place == "body"
        pointer = "/".join(str(part).replace("~", "~0").replace("/", "~1") for part in path)
        errors.append(
            {
                "pointer": f"#/{pointer}" if place == "body" else f"{place}:{pointer}",
                "code": str(one["type"]),
                "detail": _sentence(str(one["type"])),
            }
        )
    return Problem("unprocessable" if in_body else "malformed", errors=errors)


def _sentence(kind: str) -> str:
    # pydantic's own texts may repeat the input.
    return {
        "missing": "is missing",
        "extra_forbidden": "is not known here",
        "json_invalid": "is not JSON",
    }.get(kind, "has the wrong form")


def of_status(fault: HTTPException) -> Problem:
    """What the framework answers by itself."""
    if isinstance(fault, Problem):
        return fault
    reason = {
        400: "malformed",
        404: "not-found",
        405: "method-not-allowed",
        415: "unsupported-media-type",
    }.get(fault.status_code, "internal")
    return Problem(reason, headers=fault.headers)
