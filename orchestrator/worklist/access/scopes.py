"""SMART on FHIR v2 scopes: how far a token's ``scope`` claim narrows what its roles may do.

It never widens.  A token without resource scopes (``openid profile`` of a sign-in) is as wide as
its roles; from one that we cannot keep exactly (a query behind ``?``, a ``patient/`` scope
without a launch) it gets nothing.
"""

import re
from collections.abc import Iterable
from typing import Any, Final, TypeVar

_RESOURCE: Final = re.compile(r"(patient|user|system)/.*")
_SCOPE: Final = re.compile(r"(?:user|system)/(\*|[A-Z][A-Za-z]{1,60})\.(read|write|\*|c?r?u?d?s?)")
_VERSION_1: Final = {"read": "rs", "write": "cud", "*": "cruds"}

# Permission -> the resource and interactions of which one must be within the scope.
_NEEDS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "tasks": (("Task", "r"), ("Task", "s")),
    "act": (("Task", "u"),),
    "act-for-others": (("Task", "u"),),
    "bulk": (("Task", "u"),),
    "export": (("Task", "s"),),
    "gaps": (("Flag", "r"), ("Flag", "s"), ("DetectedIssue", "r"), ("DetectedIssue", "s")),
    "patients": (("Patient", "r"), ("Patient", "s"), ("CarePlan", "r"), ("CarePlan", "s")),
    "break-glass": (("Patient", "r"),),
    "audit": (("AuditEvent", "r"), ("AuditEvent", "s")),
}
# About nobody: who asks, and how fresh the data is.
_FREE: Final = frozenset({"self"})


W = TypeVar("W", bound=str)


def scopes_of(claim: Any) -> frozenset[str] | None:
    """The resource scopes of a ``scope`` claim; ``None``: it has none, and narrows nothing."""
    words = claim.split() if isinstance(claim, str) else claim if isinstance(claim, list) else []
    found = frozenset(w for w in words if isinstance(w, str) and _RESOURCE.fullmatch(w))
    return found or None


def allows(scopes: Iterable[str] | None, resource: str, letter: str) -> bool:
    """
    Whether *scopes* let *resource* be used so.

    Args:
        letter: ``c r u d s``, as SMART v2 has it.
    """
    if scopes is None:
        return True
    for scope in scopes:
        found = _SCOPE.fullmatch(scope)
        if found is None or found[1] not in ("*", resource):
            continue
        if letter in _VERSION_1.get(found[2], found[2]):
            return True
    return False


def narrowed(may: frozenset[W], scopes: Iterable[str] | None) -> frozenset[W]:
    """What *scopes* leave of what the roles *may* do."""
    if scopes is None:
        return may
    known = tuple(scopes)
    return frozenset(word for word in may if word in _FREE or _reached(word, known))


def _reached(permission: str, scopes: tuple[str, ...]) -> bool:
    # What no FHIR resource stands for (operations, policy) takes a scope over all of them.
    needs = _NEEDS.get(permission, (("*", "r"),))
    return any(allows(scopes, resource, letter) for resource, letter in needs)
