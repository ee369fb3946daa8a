"""``care.queue.<team>.v1``: what one team's own systems hear of its tasks (``contract.md`` 1, 5).

Keyed by patient key.  A team reads its own queue alone, so a record shows what that team may see
and no more; a team that is not listed here sees the least that work can be done with.
"""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import Field

from schemas.tasks import Task
from schemas.topics import queue_topic
from schemas.values import Published, UtcInstant
from schemas.views import View, seen

WITHDRAWN: Final = "task.withdrawn"
RESTRICTED: Final = "restricted"
VIEW_OF: Final[dict[str, View]] = {
    "nurse-outreach": "clinical",
    "pharmacy": "clinical",
    "case-management": "clinical",
    RESTRICTED: "clinical",
    "scheduling": "minimal",
    "social-work": "minimal",
    "operations": "pseudonymous",
}


class QueuedTask(Task):
    """The task as the team sees it: what it may not see is null and named in ``hidden``."""

    patient: str | None  # type: ignore[assignment]  # hidden from some
    subject: str | None  # type: ignore[assignment]
    team: str | None  # type: ignore[assignment]  # not told where that itself would tell
    hidden: list[str]
    notice: str | None = Field(default=None, description="What the law says of a masked task.")


class Queued(Published):
    """
    One change of a task that is, or was until now, the team's.

    A team that loses a task hears ``task.withdrawn``; the task then stands with another team, or
    has ended without having been done.  Who has seen a task's version may skip the record.
    """

    change: str = Field(json_schema_extra={"examples": ["task.requested", WITHDRAWN]})
    at: UtcInstant
    task: QueuedTask
    why: str | None


def queued(
    team: str, change: str, at: str, task: Mapping[str, Any], why: str
) -> tuple[str, dict[str, Any]]:
    """The topic and the value of what *team* hears of a change of *task*."""
    view = VIEW_OF.get(team, "minimal")
    thing = seen("task", task, why, view, part2=team == RESTRICTED)
    sentence = thing.pop("why")
    if task["team"] == RESTRICTED != team:
        # That it went there says as much as the unit's name.
        thing["team"], sentence = None, "It is no longer yours."
        thing["hidden"] = sorted([*thing["hidden"], "team"])
    return queue_topic(team), {"change": change, "at": at, "task": thing, "why": sentence}
