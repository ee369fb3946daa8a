"""The shapes of answers for the OpenAPI document; answers themselves are made from bytes."""

from typing import Any, Literal, Optional

from pydantic import BaseModel, Field, create_model

from schemas.gaps import Gap
from schemas.tasks import Task
from schemas.transitions import Transition


def _seen(name: str, of: type[BaseModel], **more: Any) -> Any:
    """*of* as a view may show it: any field may be hidden."""
    fields: dict[str, Any] = {
        field: (Optional[info.annotation], None)  # noqa: UP045 - made while running
        for field, info in of.model_fields.items()
    }
    hidden = (list[str], Field(description="Fields that this role may not see; null here."))
    return create_model(name, **fields, why=(str | None, None), hidden=hidden, **more)


Contact = dict[str, Any]
TaskItem = _seen("TaskItem", Task, contact=(Contact | None, None))
GapItem = _seen("GapItem", Gap, contact=(Contact | None, None))
TransitionItem = _seen("TransitionItem", Transition)


class FreshnessShape(BaseModel):
    """How fresh an answer is: all that was received before ``data_until`` is in it."""

    state: Literal["current", "behind", "stale", "unknown"]
    data_until: str | None
    behind_s: int | None
    silent_feeds: list[str]


class _ListShape(BaseModel):
    next: str | None
    total: int | None = Field(description="Counted to 10,000, else null.")
    freshness: FreshnessShape


TaskList = create_model("TaskList", __base__=_ListShape, items=(list[TaskItem], ...))  # type: ignore[valid-type]
GapList = create_model("GapList", __base__=_ListShape, items=(list[GapItem], ...))  # type: ignore[valid-type]


class ProblemShape(BaseModel):
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
