"""The shapes of answers for the OpenAPI document; answers themselves are made from bytes."""

from typing import Any, Final, Literal, Optional

from pydantic import BaseModel, ConfigDict, Field, create_model

from schemas.changes import Change
from schemas.gaps import Gap
from schemas.patient_view import Preferences
from schemas.tasks import PatientKey, Task
from schemas.transitions import Transition
from schemas.values import UtcInstant
from schemas.views import View


class Shape(BaseModel):
    """An answer: these members and no others."""

    model_config = ConfigDict(extra="forbid")


def _seen(name: str, of: type[BaseModel], **more: Any) -> Any:
    """*of* as a view may show it: any field may be hidden."""
    fields: dict[str, Any] = {
        field: (Optional[info.annotation], None)  # noqa: UP045 - made while running
        for field, info in of.model_fields.items()
    }
    fields["hidden"] = (
        list[str],
        Field(description="Fields that this role may not see; null here."),
    )
    return create_model(name, __base__=Shape, **{**fields, "why": (str | None, None), **more})


class ContactShape(Shape):
    """Whom to call, as ``care.patient-view.v1`` has it."""

    name: Any
    birth_date: str | None
    phones: list[Any] | None
    language: Any
    caregivers: list[Any] | None
    preferences: Preferences | None


_CONTACT: Final[Any] = (ContactShape | None, None)
_NOTICE: Final[Any] = (
    str | None,
    Field(default=None, description="42 CFR Part 2; there where something is masked."),
)
TaskItem = _seen("TaskItem", Task, contact=_CONTACT, notice=_NOTICE)
GapItem = _seen("GapItem", Gap, contact=_CONTACT, notice=_NOTICE)
TransitionItem = _seen("TransitionItem", Transition, notice=_NOTICE)


class Words(Shape):
    """What somebody said with the command that brought a change."""

    what: str = Field(description="`attempted`, `noted`, …")
    time: str | None = None
    actor: str | None = None
    on_behalf_of: str | None = None
    reached: str | None = None
    outcome: str | None = None
    to: str | None = None
    reason: Any = None
    note: str | None = None
    answers: dict[str, Any] | None = None
    accepted_discrepancies: list[Any] | None = None
    appointment_id: str | None = None


ChangeItem = _seen(
    "ChangeItem",
    Change,
    said=(list[Words] | None, None),
    task=(TaskItem | None, None),
    gap=(GapItem | None, None),
    transition=(TransitionItem | None, None),
)


class FreshnessShape(Shape):
    """How fresh an answer is: all that was received before ``data_until`` is in it."""

    state: Literal["current", "behind", "stale", "unknown"]
    data_until: str | None
    behind_s: int | None
    silent_feeds: list[str]


class _ListShape(Shape):
    next: str | None
    total: int | None = Field(description="Counted to 10,000, else null.")
    freshness: FreshnessShape


def _list(name: str, item: Any) -> Any:
    return create_model(name, __base__=_ListShape, items=(list[item], ...))


TaskList = _list("TaskList", TaskItem)
GapList = _list("GapList", GapItem)


class Me(Shape):
    """Who the caller is here."""

    actor: str
    roles: list[str]
    teams: list[str] = Field(description="`*`: all.")
    facilities: list[str] = Field(description="`*`: all.")
    view: View | None
    part2: bool
    permissions: list[str]


class Queue(Shape):
    """How much work lies with one team."""

    team: str
    open: int
    unowned: int
    mine: int
    overdue: int = Field(description="Without those that were born overdue.")
    born_overdue: int
    due_4h: int
    due_24h: int


class Queues(Shape):
    items: list[Queue]
    freshness: FreshnessShape


class ChangeList(Shape):
    items: list[ChangeItem]  # type: ignore[valid-type]
    next: str = Field(description="Goes on behind the last one, also when nothing is new yet.")
    freshness: FreshnessShape


class History(Shape):
    items: list[ChangeItem]  # type: ignore[valid-type]
    freshness: FreshnessShape


class Timeline(History):
    next: str | None


TransitionPage = create_model(
    "TransitionPage",
    __base__=TransitionItem,
    tasks=(list[TaskItem], ...),  # type: ignore[valid-type]
    gaps=(list[GapItem], ...),  # type: ignore[valid-type]
    freshness=(FreshnessShape, ...),
)


class Found(Shape):
    """A patient with something open."""

    patient_key: PatientKey
    contact: ContactShape | None
    open_tasks: int
    open_gaps: int


class FoundList(Shape):
    items: list[Found]
    freshness: FreshnessShape


class Card(Shape):
    """One patient: whom to call, and what is open."""

    patient_key: PatientKey
    contact: ContactShape | None
    transitions: list[TransitionItem]  # type: ignore[valid-type]
    tasks: list[TaskItem]  # type: ignore[valid-type]
    gaps: list[GapItem]  # type: ignore[valid-type]
    freshness: FreshnessShape


class Medications(Shape):
    """What the lists of medicines agree on."""

    patient_key: PatientKey
    medications: dict[str, Any] | None
    issues: list[Any] | None
    hidden: list[str]
    freshness: FreshnessShape


class Opened(Shape):
    """A patient opened by break-glass."""

    patient_key: PatientKey
    until: UtcInstant


class Applied(Shape):
    """An action and its effect: the actor reads their own write."""

    event_id: str
    state: Literal["applied"]
    task: TaskItem | None = None  # type: ignore[valid-type]
    gap: GapItem | None = None  # type: ignore[valid-type]


class Pending(Shape):
    """An action that is stored; what became of it stands at ``Location``."""

    event_id: str
    state: Literal["pending"]


class ActionState(Shape):
    event_id: str
    state: Literal["pending", "applied", "refused"]
    task_id: str
    reason: str | None = None


class OneOfMany(Shape):
    """What became of one task of a bulk action."""

    task_id: str
    status: int = Field(description="What it would have been alone.")
    event_id: str | None = None
    state: Literal["applied", "pending"] | None = None
    task: TaskItem | None = None  # type: ignore[valid-type]
    reason: str | None = None
    detail: str | None = None
    current: TaskItem | None = None  # type: ignore[valid-type]
    why: str | None = None


class Bulk(Shape):
    items: list[OneOfMany]


class AuditRecord(Shape):
    """Who saw or did what (``care.audit.v1``)."""

    audit_id: str
    at: UtcInstant
    actor: str
    client_id: str | None
    roles: list[str]
    action: str
    outcome: str
    patient_keys: list[str]
    objects: list[str]
    query_hash: str | None
    rows: int | None
    purpose: str | None
    request_id: str


class AuditList(Shape):
    items: list[AuditRecord]
    next: str | None
    freshness: FreshnessShape


class PolicyVersion(Shape):
    version: str
    effective_from: UtcInstant


class Policies(Shape):
    in_force: str | None
    versions: list[PolicyVersion]


class ProblemShape(Shape):
    """Problem details (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    reason: str
    retry: bool = Field(description="The same bytes may be sent again.")
    errors: list[dict[str, str]]
    dead_letter: str | None
    current: TaskItem | GapItem | None = Field(  # type: ignore[valid-type]
        default=None, description="The state as it is now, in the caller's view."
    )
    why: str | None = None
