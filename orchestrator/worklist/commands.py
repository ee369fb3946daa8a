"""What may be done with a task, by whom and from which state (``interfaces.md`` 3.3).

Judged here against what is published, so that a caller hears at once what cannot be; the
deciding process judges again, and its verdict holds.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from uuid import NAMESPACE_URL, UUID, uuid5

import orjson

from orchestrator.worklist.access.roles import Principal
from orchestrator.worklist.instants import micros, text_of
from orchestrator.worklist.problems import Problem
from schemas.tasks import TERMINAL
from schemas.topics import topic_of

NAMESPACE: Final[UUID] = uuid5(NAMESPACE_URL, "urn:care-orchestrator:action")
SOURCE: Final = "worklist"

CALL: Final = "CALL_48H"
# Ruling 21; who states none means the first, which asks for the whole script.
OUTCOMES: Final = ("ok", "scheduling-only", "declined_followup", "needs_escalation")
RED_FLAG: Final = "CLINICAL_RED_FLAG"
CLINICIANS: Final = ("prescriber", "pharmacist", "rn", "case-manager", "supervisor")

Action = Literal["accept", "release", "attempt", "complete", "reject", "reassign", "note"]


@dataclass(frozen=True, slots=True)
class Kind:
    """
    One action.

    Attributes:
        becomes: The word of its event.
        versioned: Whether the caller must say which version they saw; attempts and notes commute.
        owned: Only the owner and supervisors may.
    """

    becomes: str
    versioned: bool = True
    owned: bool = False


ACTIONS: Final[dict[Action, Kind]] = {
    "accept": Kind("accepted"),
    "release": Kind("released", owned=True),
    "attempt": Kind("attempted", versioned=False),
    "complete": Kind("completed"),
    "reject": Kind("rejected"),
    "reassign": Kind("reassigned", owned=True),
    "note": Kind("noted", versioned=False),
}


def event_id(actor: str, thing: str, key: str) -> str:
    """The id of the event that *key* stands for: the same request is the same event."""
    return str(uuid5(NAMESPACE, orjson.dumps([actor, thing, key]).decode()))


def fingerprint(action: str, version: int | None, body: Mapping[str, Any]) -> str:
    """What was asked, so that another request under the same key is noticed."""
    said = orjson.dumps([action, version, body], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(said).hexdigest()


def impossible(action: Action, task: Mapping[str, Any], why: str | None) -> str | None:
    """Why *action* is not possible in the state of *task*, in a sentence; ``None``: it is."""
    if task["status"] in TERMINAL:
        return why or "The task is no longer open."
    if action == "accept" and task["owner"] is not None:
        return f"Accepted by someone else{_at(task)}."
    if action == "release" and task["owner"] is None:
        return "Nobody has accepted it."
    return None


def _at(task: Mapping[str, Any]) -> str:
    return f" at {task['changed_at'][11:16]} UTC" if task.get("changed_at") else ""


def check_owner(action: Action, task: Mapping[str, Any], who: Principal) -> None:
    """
    What another has accepted, only supervisors take away.

    Raises:
        Problem: ``forbidden``.
    """
    others = task["owner"] != who.actor and (task["owner"] is not None or action == "reassign")
    if ACTIONS[action].owned and others and "act-for-others" not in who.may:
        raise Problem("forbidden", "Only its owner and supervisors may do this.")


def check_said(thing: Mapping[str, Any], who: Principal, body: Mapping[str, Any]) -> None:
    """
    What depends on the task or gap: a call's outcome, and who may say that a red flag was seen.

    Raises:
        Problem: ``unprocessable``, ``forbidden``.
    """
    outcome = body.get("outcome")
    if thing.get("kind") == CALL and outcome is not None and outcome not in OUTCOMES:
        errors = [{"pointer": "#/outcome", "code": "value", "detail": "has the wrong form"}]
        told = f"outcome of a call is one of {', '.join(OUTCOMES)}"
        raise Problem("unprocessable", told, errors=errors)
    if thing.get("code") == RED_FLAG and who.acts_as not in CLINICIANS:
        raise Problem("forbidden", "Only a clinician closes a red flag.")


def event(
    action: Action,
    thing: Mapping[str, Any],
    who: Principal,
    body: Mapping[str, Any],
    *,
    event: str,
    version: int | None,
    now: int,
    trace: str | None = None,
) -> tuple[str, bytes]:
    """
    The event that an action becomes, and its topic.

    Args:
        thing: The task, or a gap that is acknowledged.
        now: The log's time: when it is done, unless the body says an earlier one.
        trace: The ``traceparent`` that it goes on with (CloudEvents, Distributed Tracing).
    """
    said = dict(body)
    at = said.pop("at", None)
    type_ = f"care.task.{ACTIONS[action].becomes}.v1"
    topic = topic_of(type_)
    assert topic is not None
    data = {
        **{name: value for name, value in said.items() if value is not None},
        "actor": who.actor,
        "role": who.acts_as,
    }
    if action == "complete" and thing.get("kind") == CALL:
        data.setdefault("outcome", OUTCOMES[0])
    if "task_id" in thing:
        data["task_id"] = thing["task_id"]
    else:
        data["gap_id"] = thing["gap_id"]
    if version is not None:
        data["if_version"] = version
    envelope = {
        "specversion": "1.0",
        "id": event,
        "source": SOURCE,
        "type": type_,
        "time": text_of(now if at is None else micros(at)),
        "recordedtime": text_of(now),
        "subject": subject_of(thing),
        "facility": thing["facility"],
        "data": data,
    }
    if trace is not None:
        envelope["traceparent"] = trace
    return topic, orjson.dumps(envelope)


def subject_of(thing: Mapping[str, Any]) -> str:
    """The identifier under which the command goes: a task's never changes."""
    if "task_id" in thing:
        return str(thing["subject"])
    if thing["patient"] is not None:
        return str(thing["patient"])
    return f"facility|{thing['facility']}"
