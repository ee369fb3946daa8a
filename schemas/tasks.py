"""The task as it stands on ``care.task.v1``: whole, in its current version (``contract.md`` 3)."""

from typing import Annotated, Final, Literal

from pydantic import Field

from schemas.values import Duration, Published, UtcInstant

# FHIR R4 Task.status, as far as we use it.
TaskStatus = Literal[
    "requested",
    "accepted",
    "in-progress",
    "on-hold",
    "completed",
    "cancelled",
    "failed",
    "entered-in-error",
]
TERMINAL: Final[frozenset[TaskStatus]] = frozenset(
    {"completed", "cancelled", "failed", "entered-in-error"}
)
Priority = Literal["routine", "urgent", "asap", "stat"]  # FHIR R4 request-priority
TaskKind = Literal[
    "CALL_48H",
    "PCP_VISIT_7D",
    "MED_REC",
    "SNF_HANDOFF",
    "RESCHEDULE",
    "PENDING_RESULT",
    "CLINICAL_ESCALATION",
    "REASSESSMENT",
    "ASSIGN_CM",
    "ASSESSMENT",
    "CARE_PLAN",
    "ED_FOLLOWUP",
    "BH_FOLLOWUP",
    "SDOH_BARRIER",
    "PRIOR_AUTH",
    "FINANCIAL_ASSISTANCE",
]
TaskFlag = Literal[
    "AMA",
    "CHART_ONLY",
    "UNVERIFIED",
    "REACHED_LATE",
    "WRONG_PATIENT",
    "FROM_BACKFILL",
    "SAME_DAY",
]

Version = Annotated[
    int,
    Field(
        ge=1, description="Grows by one per published change; equal id and version, equal bytes."
    ),
]
PatientKey = Annotated[
    str | None,
    Field(
        default=None,
        pattern="^[0-9a-f]{32}$",
        description="Pseudonymous key of the surviving patient; absent where no site key is known.",
    ),
]


class Task(Published):
    """
    One obligation, handed to a team.

    ``due_at`` is the first instant that is too late; overdue is no end, an overdue task can still
    be completed.
    """

    task_id: str
    version: Version
    patient: str = Field(description="The surviving identifier.")
    subject: str = Field(description="The identifier under which the discharge came; immutable.")
    patient_key: PatientKey
    transition_id: str
    facility: str
    visit_number: str | None = None
    kind: TaskKind
    cause: str = Field(default="", description="What caused it, where the transition did not.")
    status: TaskStatus
    team: str = Field(description="A configured team; null never: every task is somebody's.")
    priority: Priority
    due_at: UtcInstant
    zone: str = Field(description="IANA name; in it local days are counted.")
    tcm_contact_by: UtcInstant | None
    owner: str | None
    opened_at: UtcInstant = Field(description="When we knew.")
    closed_at: UtcInstant | None = Field(description="When we knew of the end.")
    ended_at: UtcInstant | None = Field(default=None, description="When it ended in the world.")
    status_reason: str | None
    overdue: bool
    born_overdue: bool
    lateness: Duration | None = Field(
        description="Receipt minus event time of the discharge; null under 1 h."
    )
    attribution: Literal["FEED", "CORRECTION", "STAFF"] | None = Field(
        description="Why it is overdue; null while it is not."
    )
    attempts: int = Field(ge=0, description="Those that count (ruling 22).")
    tcm_contact_status: Literal["MET", "ATTEMPTS_MET", "MISSED"] | None
    flags: list[TaskFlag]
    masked: bool = Field(description="Consent withholds fields.")
    appointment_id: str | None
    outcome: str | None = Field(default=None, description="What the completion said.")
    evidence: str | None = Field(default=None, description="What completed it.")
    protocol: str
    rule: str
    policy_version: str
    caused_by: list[str]
