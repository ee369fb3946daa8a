"""One record of ``care.change.v1``: what changed, and why, in a sentence (``contract.md`` 5)."""

from typing import Any, Literal

from pydantic import Field

from schemas.gaps import Gap
from schemas.tasks import PatientKey, Task
from schemas.transitions import Episode, Notice, Score, Stay, Transition
from schemas.values import Published, UtcInstant

# What is known today; more may come, so the field is a text.
CHANGES: tuple[str, ...] = (
    "task.requested",
    "task.updated",
    "task.overdue",
    "task.completed",
    "task.cancelled",
    "task.failed",
    "task.withdrawn",
    "gap.opened",
    "gap.changed",
    "gap.closed",
    "transition.opened",
    "transition.updated",
    "transition.closed",
    "event.recorded",
    "notice",
    "command.accepted",
    "command.refused",
)


class RecordedEvent(Published):
    """The hospital's event, for the timeline."""

    id: str
    type: str
    time: UtcInstant
    receivedtime: UtcInstant
    title: str


class Command(Published):
    """Which command was judged; with a reason, refused."""

    event: str
    source: str
    what: str
    task_id: str | None
    gap_id: str | None
    reason: Literal["terminal", "unknown-task", "version", "role", "owner"] | None = None


class Change(Published):
    """
    One change.

    ``seq`` counts from 1 per ``subject``; who has seen a thing's id and version may skip it.
    """

    seq: int = Field(ge=1)
    at: UtcInstant = Field(
        description="When we knew: the receipt, or the deadline's own instant if that is later."
    )
    patient: str | None
    subject: str | None
    patient_key: PatientKey
    change: str = Field(json_schema_extra={"examples": list(CHANGES)})
    task: Task | None = None
    gap: Gap | None = None
    transition: Transition | None = None
    event: RecordedEvent | None = None
    notice: Notice | None = None
    command: Command | None = None
    caused_by: list[str]
    why: str


class Rejected(Published):
    """A record of the input that replay refused."""

    where: str
    reason: str
    detail: str


class ReplayedPatient(Published):
    """All that was ever published about one patient, in its current version."""

    patient: str
    aliases: list[str]
    stays: list[Stay]
    episodes: list[Episode]
    transitions: list[Transition]
    tasks: list[Task]
    gaps: list[Gap]
    scores: list[Score]
    medications: dict[str, Any]
    notices: list[Notice]
    timeline: list[Any]


class Replay(Published):
    """The answer of ``replay --json``."""

    as_of: UtcInstant | None
    patients: list[ReplayedPatient]
    operations: list[Gap] = Field(description="The gaps of facilities.")
    changes: list[Change] = Field(description="Empty without --changes.")
    rejected: list[Rejected]
