"""Transitions, and what ``replay --json`` tells around them: stays, episodes, scores, notices.

``contract.md`` section 6.
"""

from typing import Any, Literal

from pydantic import Field

from schemas.tasks import PatientKey, Version
from schemas.values import Published, UtcInstant

TransitionStatus = Literal["active", "deferred", "closed"]
TransitionCloseReason = Literal[
    "COMPLETED",
    "WINDOW_ENDED",
    "READMITTED",
    "PLANNED_READMISSION",
    "TRANSFERRED",
    "DISCHARGE_CANCELLED",
    "ADMIT_CANCELLED",
    "EXPIRED",
    "HOSPICE",
    "DECLINED",
    "MERGED",
    "SUPERSEDED",
    "WRONG_PATIENT",
]
TransitionFlag = Literal[
    "AMA",
    "FROM_BACKFILL",
    "OPEN_STAY_ELSEWHERE",
    "TRANSFER_EXPECTED",
    "PLANNED_READMISSION_EXPECTED",
    "READMISSION_RISK_IN_ED",
    "FEED_SILENT",
]


class Transition(Published):
    """One patient's way from one discharge to the end of its obligations."""

    transition_id: str
    version: Version
    patient: str
    subject: str
    patient_key: PatientKey
    status: TransitionStatus
    close_reason: TransitionCloseReason | None
    facility: str
    visit_number: str
    index_discharge_at: UtcInstant
    disposition: str | None
    flags: list[TransitionFlag]
    opened_at: UtcInstant = Field(description="When we knew.")
    closed_at: UtcInstant | None
    ended_at: UtcInstant | None = Field(default=None, description="When it ended in the world.")
    tcm_period_ends_at: UtcInstant | None
    readmission_window_ends_at: UtcInstant | None
    hrrp_index: bool
    tcm_candidate_codes: list[str]
    navigation_difficulty: int = Field(ge=0)
    medrec_evidence_at: UtcInstant | None
    masked: bool = Field(default=False, description="Consent withholds fields.")
    accountable_owner: str | None
    protocol: str | None
    policy_version: str
    caused_by: list[str] = Field(default_factory=list)


class Stay(Published):
    """One stay at one facility (FHIR Encounter)."""

    facility: str
    visit_number: str
    class_: str | None = Field(alias="class")
    status: Literal["planned", "open", "on-leave", "discharged", "cancelled", "stale"]
    admitted_at: UtcInstant | None
    discharged_at: UtcInstant | None
    disposition: str | None
    precision: str | None = Field(description="day: only the date was known.")
    flags: list[
        Literal["SYNTHETIC_ADMIT", "END_IN_ADMIT", "TIME_AMBIGUOUS", "TIME_ADJUSTED", "CLOCK_SKEW"]
    ]


class Episode(Published):
    """Stays joined by transfer or class change."""

    visits: list[Any]
    started_at: UtcInstant | None
    ended_at: UtcInstant | None


class Score(Published):
    """A risk score with its inputs; missing ones make a range, never a zero."""

    transition_id: str
    name: str
    variant: str
    value: float | None
    min: float
    max: float
    inputs: dict[str, Any]
    band: str | None
    provisional: bool


class Notice(Published):
    """A word to one person: whose task was withdrawn, whose refusal a supervisor should know."""

    at: UtcInstant
    to: str
    task_id: str | None
    text: str
