"""What of a task, gap or change a caller sees: the role's view, and what consent withholds.

What is hidden is ``null`` and named in ``hidden``, whether or not there was anything: a hole that
shows only where something is would tell that it is there.
"""

from typing import Any, Final

import orjson

from orchestrator.worklist.access.roles import Principal, View

# Fields that a view hides, beside those that a wider one does.
_TASK: Final[dict[View, tuple[str, ...]]] = {
    "clinical": (),
    "minimal": ("outcome", "evidence"),
    "pseudonymous": (
        "outcome",
        "evidence",
        "patient",
        "subject",
        "visit_number",
        "appointment_id",
        "contact",
        "owner",
    ),
}
_GAP: Final[dict[View, tuple[str, ...]]] = {
    "clinical": (),
    "minimal": ("evidence",),
    "pseudonymous": ("evidence", "patient", "scope", "subject", "contact"),
}
_TRANSITION: Final[dict[View, tuple[str, ...]]] = {
    "clinical": (),
    "minimal": ("disposition", "tcm_candidate_codes", "hrrp_index", "navigation_difficulty"),
    "pseudonymous": (
        "disposition",
        "tcm_candidate_codes",
        "hrrp_index",
        "navigation_difficulty",
        "patient",
        "subject",
        "visit_number",
        "accountable_owner",
    ),
}
_OF: Final = {"task": _TASK, "gap": _GAP, "transition": _TRANSITION}

# Gaps and tasks whose sentence may name a drug or a result: a minimal view gets a plain one.
_CLINICAL_WORDS: Final[dict[str, str]] = {
    "MED_LIST_MISSING": "A medication list is missing.",
    "MED_LISTS_DISAGREE": "Two medication lists disagree.",
    "MED_DISCREPANCY": "Two medication lists disagree.",
    "MED_HIGH_ALERT": "Two medication lists disagree.",
    "MED_CHANGED_AFTER_RECONCILIATION": "The medication lists have changed again.",
    "RX_NOT_FILLED": "A prescription was not collected.",
    "PENDING_RESULT_AT_DISCHARGE": "A result is still to come.",
    "PENDING_RESULT": "A result is still to come.",
    "CLINICAL_RED_FLAG": "A clinician is asked to call.",
    "CLINICAL_ESCALATION": "A clinician is asked to call.",
}
# What one hides by law of a masked item (42 CFR Part 2), whatever the view.
_MASKED: Final = ("visit_number", "evidence", "outcome", "appointment_id", "disposition")
RESTRICTED: Final = "Details are restricted by law. Call, and do not name the unit."
NOTICE: Final = (
    "42 CFR Part 2 prohibits unauthorized use or disclosure of these records."  # § 2.32(a)(2)
)


def item(
    kind: str, value: bytes | dict[str, Any], why: str | None, who: Principal
) -> dict[str, Any]:
    """A task, gap or transition as *who* sees it, with ``why`` and ``hidden``."""
    thing: dict[str, Any] = orjson.loads(value) if isinstance(value, bytes) else dict(value)
    hidden = list(_OF[kind][who.view or "pseudonymous"])
    if kind != "transition":
        thing["contact"] = None
    masked = bool(thing.get("masked")) and not who.part2
    if kind == "gap" and who.view == "minimal" and thing["code"] in _CLINICAL_WORDS:
        hidden.append("subject")  # names the medicine or the list
    if masked:
        hidden += [name for name in _MASKED if name in thing and name not in hidden]
        thing["notice"] = NOTICE
    for name in hidden:
        thing[name] = None
    thing["why"] = RESTRICTED if masked else _sentence(thing, why, who)
    thing["hidden"] = sorted(hidden)
    return thing


def _sentence(thing: dict[str, Any], why: str | None, who: Principal) -> str | None:
    if who.view == "clinical":
        return why
    if who.view == "minimal":
        word = thing.get("code") or thing.get("kind")
        return _CLINICAL_WORDS.get(str(word), why)
    return thing.get("rule")


def change(value: bytes, who: Principal) -> dict[str, Any]:
    """A change as *who* sees it."""
    plain: dict[str, Any] = orjson.loads(value)
    hides_patient = who.view not in ("clinical", "minimal")
    hidden = ["patient", "subject"] if hides_patient else []
    inner: dict[str, Any] | None = None
    for kind in ("task", "gap", "transition"):
        if plain.get(kind) is not None:
            inner = item(kind, plain[kind], plain["why"], who)
            plain[kind] = inner
            plain["why"] = inner["why"]
    if inner is None and hides_patient:
        hidden += [name for name in ("event", "notice", "command") if plain.get(name) is not None]
        hidden.append("why")
    for name in hidden:
        plain[name] = None
    plain["hidden"] = sorted(hidden)
    return plain
