"""``care.task.*``: what care teams did, to commands."""

from collections.abc import Mapping
from typing import Any, Final

from handlers.envelope import Said
from orchestrator.core.facts import Command, Told

TITLES: Final = {
    "accepted": "Task accepted",
    "released": "Task released",
    "attempted": "Call attempted",
    "completed": "Task reported done",
    "rejected": "Task given back",
    "reassigned": "Task passed on",
    "noted": "Note on a task",
}


def command(said: Said) -> Told:
    """One command; whether it is accepted, the core judges against what was published."""
    what = said.event["type"].split(".")[2]
    data = said.data
    answers: Any = data.get("answers")
    made = Command(
        what,
        said.stamp,
        data.get("task_id"),
        said.facility or None,
        data.get("visit_number"),
        data.get("kind"),
        data.get("gap_id"),
        data.get("if_version"),
        data.get("actor"),
        data.get("role"),
        data.get("to"),
        _text(data.get("reason")),
        data.get("outcome"),
        data.get("reached"),
        data.get("appointment_id"),
        dict(answers) if isinstance(answers, Mapping) else {},
    )
    return said.told(TITLES[what], [], command=made)


def _text(reason: Any) -> str | None:
    if isinstance(reason, Mapping):
        reason = reason.get("code") or reason.get("text")
    return None if reason is None else str(reason)
