"""What each view hides of what is published (``interfaces.md`` 3.2), and what consent withholds.

A field that is hidden is null and named in ``hidden``, whether or not there was anything: a hole
that shows only where something is would tell that it is there.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

View = Literal["clinical", "minimal", "pseudonymous"]

_HIDDEN: Final[dict[str, dict[View, tuple[str, ...]]]] = {
    "task": {
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
    },
    "gap": {
        "clinical": (),
        "minimal": ("evidence",),
        "pseudonymous": ("evidence", "patient", "scope", "subject", "contact"),
    },
    "transition": {
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
    },
}
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
# What one hides by law of a masked thing (42 CFR Part 2), whatever the view.
_MASKED: Final = ("visit_number", "scope", "evidence", "outcome", "appointment_id", "disposition")
# Of a gap the subject is a visit, an appointment, a medicine; of an overdue task its kind.
_MASKED_GAP: Final = (*_MASKED, "subject")
RESTRICTED: Final = "Details are restricted by law. Call, and do not name the unit."
NOTICE: Final = (
    "42 CFR Part 2 prohibits unauthorized use or disclosure of these records."  # § 2.32(a)(2)
)


def seen(
    kind: str, published: Mapping[str, Any], why: str | None, view: View, *, part2: bool
) -> dict[str, Any]:
    """
    A task, gap or transition in *view*, with ``why`` and ``hidden``.

    Args:
        kind: ``task``, ``gap`` or ``transition``.
        part2: The reader may see what consent withholds from others.
    """
    thing = dict(published)
    hidden = [name for name in _HIDDEN[kind][view] if name != "contact" or name in thing]
    if kind == "gap" and view == "minimal" and thing["code"] in _CLINICAL_WORDS:
        hidden.append("subject")  # names the medicine or the list
    masked = bool(thing.get("masked")) and not part2
    if masked:
        betrays = _MASKED if kind != "gap" or thing["code"] == "TASK_OVERDUE" else _MASKED_GAP
        hidden += [name for name in betrays if name in thing and name not in hidden]
    if thing.get("masked"):
        thing["notice"] = NOTICE  # goes along with every disclosure, to whoever it is made
    for name in hidden:
        thing[name] = None
    thing["why"] = RESTRICTED if masked else _sentence(thing, why, view)
    thing["hidden"] = sorted(hidden)
    return thing


def withheld(view: Mapping[str, Any], *, part2: bool) -> tuple[dict[str, Any], list[str]]:
    """
    A patient view as the law lets it be read, and which of its fields it withholds.

    Of appointments the times stay, and who the primary-care provider is: the work goes on.
    """
    shown, names = dict(view), [] if part2 else list(view.get("masks") or ())
    for name in names:
        shown[name] = (
            [_plain_slot(one) for one in view.get(name) or ()] if name == "appointments" else None
        )
    return shown, names


def _plain_slot(appointment: Mapping[str, Any]) -> dict[str, Any]:
    provider = appointment.get("provider") or {}
    pcp = provider if provider.get("is_pcp") else None
    return {**appointment, "service": None, "provider": pcp}


def _sentence(thing: Mapping[str, Any], why: str | None, view: View) -> str | None:
    if view == "clinical":
        return why
    if view == "minimal":
        word = thing.get("code") or thing.get("kind")
        return _CLINICAL_WORDS.get(str(word), why)
    return thing.get("rule")
