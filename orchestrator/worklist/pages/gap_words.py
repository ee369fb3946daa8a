"""Gaps as people name them, what rests on silence, and which task of the transition mends them."""

from collections.abc import Mapping
from typing import Any, Final

from orchestrator.worklist.pages.wording import Tag

NAMES: Final[dict[str, str]] = {
    "TASK_OVERDUE": "Overdue",
    "TCM_CONTACT_WINDOW_MISSED": "TCM window missed",
    "NO_PCP_APPOINTMENT": "No PCP visit booked",
    "PCP_APPT_OUT_OF_WINDOW": "PCP visit too late",
    "PCP_NO_SHOW": "PCP visit missed",
    "APPT_OUTCOME_UNKNOWN": "Visit outcome unknown",
    "NO_PCP_ON_FILE": "No PCP on file",
    "MED_LIST_MISSING": "Medication list missing",
    "MED_LISTS_DISAGREE": "Lists disagree",
    "MED_DISCREPANCY": "Medication discrepancy",
    "MED_HIGH_ALERT": "High-alert medication",
    "MED_CHANGED_AFTER_RECONCILIATION": "Changed after reconciliation",
    "RX_NOT_FILLED": "Prescription not collected",
    "PENDING_RESULT_AT_DISCHARGE": "Result still to come",
    "DISCHARGE_INFO_MISSING": "No discharge summary",
    "DISCHARGE_INFO_INCOMPLETE": "Discharge summary incomplete",
    "ADMIT_NOTICE_LATE": "Admission told late",
    "LATE_NOTIFICATION": "Discharge told late",
    "READMISSION_30D": "Readmitted",
    "RETURN_ED": "Back in the ED",
    "RETURN_OBS": "Back for observation",
    "READMISSION_RISK_IN_ED": "In the ED now",
    "HIGH_UTILIZER": "Often in hospital",
    "NO_ACCOUNTABLE_OWNER": "No accountable owner",
    "STUCK_IN_STAGE": "Stuck",
    "ASSESSMENT_OVERDUE": "Assessment overdue",
    "PLAN_INCOMPLETE": "Plan incomplete",
    "SDOH_BARRIER": "Social barrier",
    "PRIOR_AUTH_PENDING": "Prior authorization pending",
    "PRIOR_AUTH_DENIED": "Prior authorization denied",
    "TRANSFER_NOT_ARRIVED": "Transfer not arrived",
    "SNF_STATUS_UNKNOWN": "Care facility silent",
    "DISPOSITION_UNKNOWN": "Where to is not known",
    "DISPOSITION_CONFLICT": "Reports of where to conflict",
    "OVERLAPPING_STAYS": "In two places at once",
    "IDENTITY_UNRESOLVED": "Identity unresolved",
    "MERGE_CONFLICT": "Merge conflict",
    "DATA_QUALITY": "Code that nothing maps",
    "EVENT_PARKED": "Message unreadable",
    "STALE_STAY": "Stay without news",
    "FEED_SILENT": "Feed silent",
    "ORPHAN_CANCEL": "Cancel of nothing",
    "CONSENT_BLOCKED": "Consent withheld",
    "CLINICAL_RED_FLAG": "Red flag",
    "DUPLICATE_OUTREACH": "Called twice",
    "UNREACHABLE": "Not reachable",
    "BH_FOLLOWUP_DUE": "Behavioral health follow-up due",
}
# They rest on something that was not heard: of a silent feed that says little.
ABSENCE: Final = frozenset(
    {
        "NO_PCP_APPOINTMENT",
        "NO_PCP_ON_FILE",
        "APPT_OUTCOME_UNKNOWN",
        "TRANSFER_NOT_ARRIVED",
        "SNF_STATUS_UNKNOWN",
        "STALE_STAY",
        "ORPHAN_CANCEL",
        "DISPOSITION_UNKNOWN",
        "MED_LIST_MISSING",
        "DISCHARGE_INFO_MISSING",
    }
)
# They are a facility's, no patient's.
OF_FACILITIES: Final = frozenset({"FEED_SILENT", "DATA_QUALITY"})
# The kind of task that mends it.
MENDED_BY: Final = {
    "NO_PCP_APPOINTMENT": "PCP_VISIT_7D",
    "PCP_APPT_OUT_OF_WINDOW": "PCP_VISIT_7D",
    "NO_PCP_ON_FILE": "PCP_VISIT_7D",
    "APPT_OUTCOME_UNKNOWN": "PCP_VISIT_7D",
    "PCP_NO_SHOW": "RESCHEDULE",
    "TCM_CONTACT_WINDOW_MISSED": "CALL_48H",
    "UNREACHABLE": "CALL_48H",
    "CLINICAL_RED_FLAG": "CLINICAL_ESCALATION",
    "TRANSFER_NOT_ARRIVED": "SNF_HANDOFF",
    "SNF_STATUS_UNKNOWN": "SNF_HANDOFF",
    "MED_LISTS_DISAGREE": "MED_REC",
    "MED_DISCREPANCY": "MED_REC",
    "MED_LIST_MISSING": "MED_REC",
}
_CLOSED: Final = {
    "NO_PCP_APPOINTMENT": "closed because a slot was booked",
    "PCP_APPT_OUT_OF_WINDOW": "closed because an earlier slot was booked",
    "PCP_NO_SHOW": "closed because a later slot was booked",
    "APPT_OUTCOME_UNKNOWN": "closed because the outcome was told",
    "NO_PCP_ON_FILE": "closed because a PCP was named",
    "TRANSFER_NOT_ARRIVED": "closed because they arrived",
    "SNF_STATUS_UNKNOWN": "closed because the facility was heard of",
    "DISPOSITION_UNKNOWN": "closed because it was told where to",
    "READMISSION_RISK_IN_ED": "closed because they left the ED",
    "UNREACHABLE": "closed because they were reached, or a number was told",
    "STALE_STAY": "closed because the stay was heard of",
    "ORPHAN_CANCEL": "closed because what it cancels has come",
    "FEED_SILENT": "closed because it sends again",
    "CLINICAL_RED_FLAG": "closed because a clinician has called",
}
_REASONS: Final = {
    "TASK_TERMINAL": "closed because the task is done or withdrawn",
    "TRANSITION_CLOSED": "closed because the transition ended",
    "SUPERSEDED": "closed because a later fact replaced it",
    "RETRACTED": "closed because what it rested on was taken back",
    "ACKNOWLEDGED": "closed because somebody has taken note of it",
}
SEVERITIES: Final = ("critical", "high", "medium", "low", "info")
_TONES: Final[dict[str, Tag]] = {
    "critical": Tag("critical", "red"),
    "high": Tag("high", "red"),
    "medium": Tag("medium", "amber"),
    "low": Tag("low", "grey"),
    "info": Tag("info", "grey"),
}


def name(code: str) -> str:
    """A gap's code in words; one that is new here is shown as it is."""
    return NAMES.get(code) or code.replace("_", " ").capitalize()


def severity(word: str) -> Tag:
    return _TONES.get(word, Tag(word, ""))


def doubtful(gap: Mapping[str, Any], silent: list[str]) -> bool:
    """Whether it may be there only because its facility's feed is silent."""
    return gap["status"] == "open" and gap["code"] in ABSENCE and gap["facility"] in silent


def closed(gap: Mapping[str, Any]) -> str | None:
    """Why it closed, in words; nothing while it is open."""
    reason = gap["close_reason"]
    if reason is None:
        return None
    if reason == "RESOLVED":
        return _CLOSED.get(gap["code"], "closed because the facts have changed")
    return _REASONS.get(str(reason), "closed")


def flapping(gap: Mapping[str, Any]) -> str | None:
    """``came back 3 times``; nothing for one that is here for the first time."""
    again = gap["occurrence"] - 1
    if again < 1:
        return None
    return "came back once" if again == 1 else f"came back {again} times"
