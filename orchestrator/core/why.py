"""The sentences a nurse reads: who said what when, then what follows.

At most 140 characters, no code, no blame (``screens.md`` §0).  They never enter a comparison: the
same change gives the same sentence, and a sentence alone is no change.
"""

from collections.abc import Callable
from functools import partial

from orchestrator.core.calendar import spoken, spoken_end
from orchestrator.core.instants import HOUR
from orchestrator.core.policy import Disposition

KIND_WORDS = {
    "PCP_VISIT_7D": "a primary-care visit is owed within 7 days",
    "MED_REC": "the medication lists must be brought together",
    "SNF_HANDOFF": "a hand-off to the receiving facility is owed",
    "RESCHEDULE": "a new visit must be booked",
    "CLINICAL_ESCALATION": "a clinician is asked to call",
}

WITHDRAWN = {
    "DISCHARGE_CANCELLED": ("{who} cancelled the discharge on {when}. Nothing needs to be done."),
    "ADMIT_CANCELLED": ("{who} cancelled the admission on {when}. Nothing needs to be done."),
    "READMITTED": "back in hospital since {when}; the next discharge starts anew.",
    "PLANNED_READMISSION": (
        "back in hospital as planned since {when}; the next discharge starts anew."
    ),
    "TRANSFERRED": "in another facility's care; its discharge starts anew.",
    "SUPERSEDED": "a later discharge on {when} starts anew.",
    "EXPIRED": "{who} reports that the patient has died. Do not call the home.",
    "HOSPICE": "in hospice care since {when}.",
    "DECLINED": "the patient declined.",
    "WINDOW_ENDED": "the window ended on {when}.",
    "NOT_APPLICABLE": "the facts were corrected; it no longer applies.",
    "MERGED": "two records were joined; the later discharge on {when} stands.",
    "WRONG_PATIENT": (
        "this visit belonged to another patient. If you have called, tell your supervisor."
    ),
}


def says(template: str, zone: str = "UTC", **parts: object) -> Callable[[], str]:
    """
    A sentence made only when it is published.

    Args:
        template: With the names of *parts*.
        zone: Of the times in it.
        parts: An instant named ``at…`` is spoken as a time, one named ``end…`` as the day that
            ends there, anything else stands as it is.
    """
    return partial(_said, template, zone, parts)


def _said(template: str, zone: str, parts: dict[str, object]) -> str:
    spoken_parts = {
        name: spoken(part, zone)
        if name.startswith("at") and isinstance(part, int)
        else spoken_end(part, zone)
        if name.startswith("end") and isinstance(part, int)
        else part
        for name, part in parts.items()
    }
    return clipped(template.format(**spoken_parts))


def clipped(text: str) -> str:
    """At most 140 characters."""
    return text if len(text) <= 140 else text[:139] + "…"


def discharged(facility: str, at: int, zone: str, disposition: Disposition) -> str:
    """``Discharged home from GEN on Tue 6 Oct 14:00``."""
    where = "home" if disposition.says_home else "to other care"
    if not disposition.known:
        where = "(where to is not known)"
    if "AMA" in disposition.flags:
        where = "against medical advice"
    return f"Discharged {where} from {facility} on {spoken(at, zone)}"


def obligation(kind: str, length: int) -> str:
    """What is owed, in words; *length* of the due rule, for the call."""
    if kind == "CALL_48H":
        return f"a call is owed within {length // HOUR} hours"
    return KIND_WORDS.get(kind, "something is owed")


def owed(kind: str, length: int, lead: str) -> str:
    """The reason of a core task."""
    return clipped(f"{lead}; {obligation(kind, length)}.")


def withdrawn(reason: str, who: str, at: int | None, zone: str) -> str:
    """Why a task or a transition ended without being done."""
    if at is None:
        when = "an unknown time"
    elif reason == "WINDOW_ENDED":
        when = spoken_end(at, zone)
    else:
        when = spoken(at, zone)
    text = WITHDRAWN.get(reason, "it no longer applies.")
    return clipped("Withdrawn: " + text.format(who=who, when=when))
