"""The gap as it stands on ``care.gap.v1``: whole, in its current version (``contract.md`` 4)."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from schemas.tasks import PatientKey, Version
from schemas.values import Published, UtcInstant

# ``domain/gaps-and-events.md``, in the order of its catalogue.
GapCode = Literal[
    "TASK_OVERDUE",
    "TCM_CONTACT_WINDOW_MISSED",
    "NO_PCP_APPOINTMENT",
    "PCP_APPT_OUT_OF_WINDOW",
    "PCP_NO_SHOW",
    "APPT_OUTCOME_UNKNOWN",
    "NO_PCP_ON_FILE",
    "MED_LIST_MISSING",
    "MED_LISTS_DISAGREE",
    "MED_DISCREPANCY",
    "MED_HIGH_ALERT",
    "MED_CHANGED_AFTER_RECONCILIATION",
    "RX_NOT_FILLED",
    "PENDING_RESULT_AT_DISCHARGE",
    "DISCHARGE_INFO_MISSING",
    "DISCHARGE_INFO_INCOMPLETE",
    "ADMIT_NOTICE_LATE",
    "LATE_NOTIFICATION",
    "READMISSION_30D",
    "RETURN_ED",
    "RETURN_OBS",
    "READMISSION_RISK_IN_ED",
    "HIGH_UTILIZER",
    "NO_ACCOUNTABLE_OWNER",
    "STUCK_IN_STAGE",
    "ASSESSMENT_OVERDUE",
    "PLAN_INCOMPLETE",
    "SDOH_BARRIER",
    "PRIOR_AUTH_PENDING",
    "PRIOR_AUTH_DENIED",
    "TRANSFER_NOT_ARRIVED",
    "SNF_STATUS_UNKNOWN",
    "DISPOSITION_UNKNOWN",
    "DISPOSITION_CONFLICT",
    "OVERLAPPING_STAYS",
    "IDENTITY_UNRESOLVED",
    "MERGE_CONFLICT",
    "DATA_QUALITY",
    "EVENT_PARKED",
    "STALE_STAY",
    "FEED_SILENT",
    "ORPHAN_CANCEL",
    "CONSENT_BLOCKED",
    "CLINICAL_RED_FLAG",
    "DUPLICATE_OUTREACH",
    "UNREACHABLE",
    "BH_FOLLOWUP_DUE",
]
GapStatus = Literal["open", "closed", "suppressed", "recorded"]
Severity = Literal["critical", "high", "medium", "low", "info"]
CloseReason = Literal[
    "RESOLVED",
    "TASK_TERMINAL",
    "TRANSITION_CLOSED",
    "SUPERSEDED",
    "RETRACTED",
    "ACKNOWLEDGED",
]


class Gap(Published):
    """
    Something that is missing or has gone wrong, with its own life.

    A gap that comes back is the same ``gap_id`` with ``occurrence`` + 1.  A gap of a facility has
    no patient.
    """

    gap_id: str
    version: Version
    patient: str | None
    patient_key: PatientKey
    transition_id: str | None
    scope: str | None = Field(
        description="Whose it is where it is no transition's: stay:…, patient:…, facility:…"
    )
    facility: str | None
    code: GapCode
    subject: str = Field(description="Which one; empty where there can be only one.")
    status: GapStatus
    occurrence: int = Field(ge=1)
    severity: Severity
    team: str
    since: UtcInstant = Field(description="When it became true in the world.")
    opened_at: UtcInstant = Field(description="When we knew.")
    closed_at: UtcInstant | None
    close_reason: CloseReason | None
    evidence: dict[str, Any]
    flags: list[str]
    masked: bool = Field(default=False, description="Consent withholds fields.")
    rule: str
    policy_version: str
    caused_by: list[str]

    @model_validator(mode="after")
    def _of_something(self) -> Self:
        if (self.transition_id is None) == (self.scope is None):
            raise PydanticCustomError("scope", "a gap has a transition or a scope, never both")
        return self
