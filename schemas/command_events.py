"""What care teams did with a task: commands, each accepted or refused once (``contract.md`` 3)."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from schemas.envelope import Event
from schemas.values import Alternatives, Code, Data, Id, MaybeId, SaidInAlternatives, open_words


class Command(SaidInAlternatives, Data):
    """Names its task by id, or by visit and kind: then that visit's newest task of the kind."""

    needs: ClassVar[Alternatives] = (("task_id",), ("visit_number", "kind"))

    task_id: MaybeId | None = None
    kind: MaybeId | None = None
    if_version: int | None = Field(default=None, ge=0)
    actor: MaybeId | None = None
    role: MaybeId | None = None
    on_behalf_of: MaybeId | None = None
    to: MaybeId | None = None
    reason: Code | None = None
    note: str | None = None
    appointment_id: MaybeId | None = None
    gap_id: MaybeId | None = None
    outcome: str | None = open_words(
        "ok", "scheduling-only", "declined_followup", "needs_escalation"
    )
    reached: str | None = open_words(
        "patient", "caregiver", "voicemail", "no-answer", "wrong-number", "bot"
    )
    answers: dict[str, str | None] | None = None
    accepted_discrepancies: list[str | dict[str, Any]] | None = None


class Acceptance(Command):
    """An accepted task has an owner; without a name nobody would have it."""

    actor: Id


class Reassignment(Command):
    to: Id


class Note(Command):
    """A note on a task, or the acknowledgement of a gap."""

    needs: ClassVar[Alternatives] = (*Command.needs, ("gap_id",))


class TaskAccepted(Event):
    type: Literal["care.task.accepted.v1"]
    data: Acceptance


class TaskReleased(Event):
    type: Literal["care.task.released.v1"]
    data: Command


class TaskAttempted(Event):
    type: Literal["care.task.attempted.v1"]
    data: Command


class TaskCompleted(Event):
    type: Literal["care.task.completed.v1"]
    data: Command


class TaskRejected(Event):
    type: Literal["care.task.rejected.v1"]
    data: Command


class TaskReassigned(Event):
    type: Literal["care.task.reassigned.v1"]
    data: Reassignment


class TaskNoted(Event):
    type: Literal["care.task.noted.v1"]
    data: Note
