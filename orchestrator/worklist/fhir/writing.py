"""``PUT`` and ``PATCH /fhir/Task/{id}``: one change of a task becomes one action.

The resource that is sent is compared with the one that stands: what may differ is the status, the
owner, an added note, and the outputs that go with them.  Everything else is named and refused, so
that no client believes it has moved a due date.
"""

import hashlib
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Final, NamedTuple, cast

import orjson
from fastapi import Depends, Header, Path, Request, Response

from orchestrator.worklist import commands
from orchestrator.worklist.acting import Asked, Outcome
from orchestrator.worklist.api import action_bodies
from orchestrator.worklist.api.actions import again, perform, version_of, wait_of
from orchestrator.worklist.api.bodies import Body
from orchestrator.worklist.api.guard import Call, CallOf, rule
from orchestrator.worklist.fhir import names, tasks
from orchestrator.worklist.fhir.answering import fhir_response, only, scoped, version_headers
from orchestrator.worklist.fhir.capability import PATCH_MEDIA
from orchestrator.worklist.fhir.patching import BadPatch, patched
from orchestrator.worklist.fhir.routes import ID, resource_of
from orchestrator.worklist.problems import FHIR_MEDIA, Problem
from orchestrator.worklist.recipients import teams_of

Id = Annotated[str, Path(pattern=ID)]
_BODIES: Final[dict[str, type[Body]]] = {
    "accept": action_bodies.Accept,
    "release": action_bodies.Release,
    "attempt": action_bodies.Attempt,
    "complete": action_bodies.Complete,
    "reject": action_bodies.Reject,
    "reassign": action_bodies.Reassign,
    "note": action_bodies.Note,
}
_OF_STATUS: Final[dict[str, commands.Action]] = {
    "accepted": "accept",
    "requested": "release",
    "in-progress": "attempt",
    "completed": "complete",
    "rejected": "reject",
}
# What may differ from what stands; the server's own members are not compared.
_CHANGEABLE: Final = {"status", "owner", "note", "output", "statusReason"}
_NOT_COMPARED: Final = {"meta", "lastModified", "text", "implicitRules", "language"}
# Where a FHIR client says what an action's body says.
_SAID_IN: Final = {
    "outcome": "output",
    "reached": "output",
    "answers": "output",
    "to": "owner",
    "reason": "statusReason",
}
_WITH_OUTPUT: Final = {"attempt", "complete"}


class Seen(NamedTuple):
    """What the headers say of a change: which version was seen, how long to wait, what to tell."""

    version: int
    prefer: str | None


def _seen(
    if_match: Annotated[str | None, Header()] = None,
    prefer: Annotated[str | None, Header()] = None,
) -> Seen:
    return Seen(version_of(if_match), prefer)


SeenOf = Annotated[Seen, Depends(_seen)]


@rule("act", "act", limit="actions", media=FHIR_MEDIA)
async def put_task(request: Request, call: CallOf, task_id: Id, seen: SeenOf) -> Response:
    """Change a task by sending it as it should be."""
    return await _change(request, call, task_id, seen, patch=False)


@rule("act", "act", limit="actions", media=FHIR_MEDIA)
async def patch_task(request: Request, call: CallOf, task_id: Id, seen: SeenOf) -> Response:
    """Change a task by a JSON patch (RFC 6902)."""
    return await _change(request, call, task_id, seen, patch=True)


async def _change(
    request: Request, call: Call, task_id: str, seen: Seen, *, patch: bool
) -> Response:
    only(request)
    scoped(call, names.TASK, "u")
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in ((PATCH_MEDIA,) if patch else (FHIR_MEDIA, "application/json")):
        raise Problem("unsupported-media-type")
    body, version = await request.json(), seen.version
    call.account.objects.append(f"task/{task_id}")
    sent = hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
    key, wait_s = f"fhir:{version}:{sent}", wait_of(call, seen.prefer)
    # Once it is done, the same request differs from what stands in another way: it is a repeat.
    known = await again(call, task_id, key, wait_s)
    if known is not None:
        return await _response(call, task_id, known, seen.prefer)
    stands = await resource_of(call, tasks.KIND, task_id)
    if stands is None:
        raise Problem("not-found")
    if version < int(stands["meta"]["versionId"]):
        # What differs now is not what the caller changed: only that they saw an older one is told.
        wish = _OF_STATUS.get(_status(body, patch=patch), "complete")
        await perform(call, Asked(wish, "task", task_id, key, version, {}), wait_s)
    wanted = _patched(stands, body) if patch else body
    if not isinstance(wanted, dict) or wanted.get("resourceType") != names.TASK:
        raise wrong("resourceType")
    if wanted.get("id") != task_id:
        raise wrong("id")
    action, said = action_of(stands, wanted, call.who.actor, teams_of(call.site))
    asked = Asked(action, "task", task_id, key, version, said, call.trace)
    try:
        outcome = await perform(call, asked, wait_s)
    except Problem as problem:
        if problem.errors:  # of the body that was made: named as what it was made of
            raise wrong(problem.errors[0]["pointer"].removeprefix("#/")) from None
        raise
    return await _response(call, task_id, outcome, seen.prefer)


def _status(body: Any, *, patch: bool) -> str:
    """The status that is wished for, as far as it is said."""
    said = body.get("status") if isinstance(body, dict) else None
    if patch and isinstance(body, list):
        for one in body:
            if isinstance(one, dict) and one.get("path") == "/status" and "value" in one:
                said = one["value"]
    return said if isinstance(said, str) else ""


def _patched(stands: dict[str, Any], operations: Any) -> Any:
    try:
        return patched(stands, operations)
    except BadPatch as bad:
        raise wrong(bad.pointer.removeprefix("/")) from None


async def _response(call: Call, task_id: str, outcome: Outcome, prefer: str | None) -> Response:
    if outcome.thing is None:
        issue = {
            "severity": "information",
            "code": "informational",
            "details": {"text": "Stored; it will show when the system has caught up."},
        }
        where = {"Location": f"/api/v1/actions/{outcome.event_id}"}
        return fhir_response({"resourceType": "OperationOutcome", "issue": [issue]}, 202, where)
    stands = await resource_of(call, tasks.KIND, task_id)
    if stands is None:  # passed on to a team that the caller does not see
        return Response(status_code=204)
    headers = version_headers(stands)
    if "return=minimal" in (prefer or "").replace(" ", "").lower().split(","):
        return Response(status_code=200, headers=headers)
    return fhir_response(stands, headers=headers)


def action_of(
    stands: Mapping[str, Any], wanted: Mapping[str, Any], actor: str, teams: Collection[str]
) -> tuple[commands.Action, dict[str, Any]]:
    """
    The one action that makes *wanted* of what *stands*, with its body.

    Args:
        teams: What a new owner of the system of teams may be, and no other.

    Raises:
        Problem: ``unprocessable``: more than one, none, or what no action changes.
    """
    differ = {
        name for name in {*stands, *wanted} - _NOT_COMPARED if stands.get(name) != wanted.get(name)
    }
    for name in sorted(differ - _CHANGEABLE):
        raise wrong(name)
    notes = _added(stands, wanted)
    said: dict[str, Any] = {}
    if notes:
        said["note"] = "\n".join(notes)
    action = _which(stands, wanted, differ, actor, said, teams)
    outputs = _outputs(wanted)
    if action in _WITH_OUTPUT:
        said |= outputs
    elif "output" in differ:
        raise wrong("output")
    if action == "reject" and "statusReason" not in differ and "note" in said:
        said["reason"] = said.pop("note")
    elif action == "reject" and "statusReason" not in differ:
        raise wrong("statusReason")  # why it cannot be done is what the supervisor is told
    elif action in ("release", "reassign", "reject") and "statusReason" in differ:
        said["reason"] = _reason(wanted)
    elif "statusReason" in differ:
        raise wrong("statusReason")
    if "note" in said and action in ("accept", "release", "reassign"):
        raise wrong("note")
    return action, _checked(action, said)


def _which(
    stands: Mapping[str, Any],
    wanted: Mapping[str, Any],
    differ: set[str],
    actor: str,
    said: dict[str, Any],
    teams: Collection[str],
) -> commands.Action:
    status = wanted.get("status")
    if "owner" in differ and wanted.get("owner") is not None:
        to = _identifier(wanted["owner"], teams)
        if to != actor:
            if "status" in differ and status not in ("accepted", "requested"):
                raise wrong("status")
            said["to"] = to
            return "reassign"
        if status not in ("accepted", stands.get("status")):
            raise wrong("status")
        return "accept"
    if "status" in differ:
        action = _OF_STATUS.get(status) if isinstance(status, str) else None
        if action is None or ("owner" in differ and action != "release"):
            raise wrong("status")
        return action
    if "owner" in differ:
        return "release"
    if "output" in differ and status == "in-progress":
        return "attempt"  # one more
    if "note" in said:
        return "note"
    raise Problem("unprocessable", "Nothing is changed.")


def _identifier(owner: Any, teams: Collection[str]) -> str:
    found = owner.get("identifier") if isinstance(owner, dict) else None
    value = found.get("value") if isinstance(found, dict) else None
    system = found.get("system") if isinstance(found, dict) else None
    if not isinstance(value, str) or system not in (names.ACTOR, names.TEAM):
        raise wrong("owner")
    if (system == names.TEAM) != (value in teams):
        raise wrong("owner")
    return value


def _added(stands: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """
    The texts of new notes: behind those that stand, or alone, from a client that sends no others.

    Raises:
        Problem: ``unprocessable``: one that stands is changed or left out.
    """
    before, after = stands.get("note") or [], wanted.get("note") or []
    if not isinstance(after, list):
        raise wrong("note")
    if any(_is_note(one, stood) for one in after for stood in before):
        if len(after) < len(before) or not all(map(_is_note, after, before)):
            raise wrong("note")
        after = after[len(before) :]
    texts = [one.get("text") if isinstance(one, dict) else None for one in after]
    if not all(isinstance(text, str) and text for text in texts):
        raise wrong("note")
    return cast(list[str], texts)


def _is_note(one: Any, stood: Mapping[str, Any]) -> bool:
    """Whether *one* is the note that *stood*; a client may write its time in another way."""
    if not isinstance(one, dict) or "time" not in one:
        return False
    return all(one.get(name) == stood.get(name) for name in ("text", "authorString"))


def _outputs(wanted: Mapping[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {}
    answers: dict[str, str] = {}
    for one in wanted.get("output") or []:
        kind = one.get("type", {}) if isinstance(one, dict) else {}
        name = kind.get("text") if isinstance(kind, dict) else None
        value = one.get("valueString") if isinstance(one, dict) else None
        if not isinstance(name, str) or not isinstance(value, str):
            raise wrong("output")
        if name.startswith("answers."):
            answers[name.removeprefix("answers.")] = value
        elif name in ("outcome", "reached"):
            said[name] = value
        else:
            raise wrong("output")
    return {**said, "answers": answers} if answers else said


def _reason(wanted: Mapping[str, Any]) -> str | None:
    reason = wanted.get("statusReason")
    text = reason.get("text") if isinstance(reason, dict) else None
    return text if isinstance(text, str) and text else None


def _checked(action: str, said: dict[str, Any]) -> dict[str, Any]:
    """The body under the same rules as the REST one's."""
    from pydantic import ValidationError

    try:
        made = _BODIES[action].model_validate(said)
    except ValidationError as fault:
        (first, *_) = fault.errors(include_input=False, include_url=False, include_context=False)
        raise wrong(str(first["loc"][0])) from None
    return made.model_dump(exclude_none=True)


def wrong(name: str) -> Problem:
    """
    What cannot be so, or cannot be changed.

    Args:
        name: An element of the task, a member of an action's body, or a patch's operation.
    """
    if not name.isalnum() or len(name) > 40:
        name = "?"  # whatever somebody wrote where R4 has the name of an element
    element = _SAID_IN.get(name, name)
    found = {"pointer": f"#/{name}", "code": "value", "detail": "cannot be changed so"}
    if element.isalpha():
        found["expression"] = "Task" if element == "resourceType" else f"Task.{element}"
    return Problem("unprocessable", "This part of a task cannot be changed so.", errors=[found])


ROUTES: Final = (
    ("/fhir/Task/{task_id}", ["PUT"], put_task),
    ("/fhir/Task/{task_id}", ["PATCH"], patch_task),
)
