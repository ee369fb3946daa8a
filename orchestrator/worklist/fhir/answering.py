"""Answers in FHIR's form: JSON, its version, and nothing at all where the caller has it already."""

from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

import orjson
from fastapi import Request, Response

from orchestrator.worklist.access.scopes import allows
from orchestrator.worklist.api.guard import Call
from orchestrator.worklist.fhir.elements import Resource
from orchestrator.worklist.fhir.kind import Kind
from orchestrator.worklist.fhir.search import once
from orchestrator.worklist.instants import SECOND, micros
from orchestrator.worklist.problems import FHIR_MEDIA, Problem


def fhir_response(
    content: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """*content* as FHIR's JSON."""
    return Response(orjson.dumps(content), status, headers, media_type=FHIR_MEDIA)


def versioned(request: Request, resource: Resource) -> Response:
    """One resource with its version; 304 where the caller has that one."""
    headers = version_headers(resource)
    updated = resource["meta"]["lastUpdated"]
    # A note makes no new version: who has this one may not have the note.
    is_noted = any(micros(note["time"]) > micros(updated) for note in resource.get("note", ()))
    if not is_noted and _is_known(request, headers["ETag"], updated):
        return Response(status_code=304, headers=headers)
    return fhir_response(resource, headers=headers)


def version_headers(resource: Resource) -> dict[str, str]:
    """Which version this is, and since when."""
    told = resource["meta"]
    at = datetime.fromtimestamp(micros(told["lastUpdated"]) // SECOND, UTC)
    return {
        "ETag": f'W/"{told["versionId"]}"',
        "Last-Modified": format_datetime(at, usegmt=True),
    }


def _is_known(request: Request, tag: str, updated: str) -> bool:
    known = request.headers.get("if-none-match")
    if known is not None:
        plain = tag.removeprefix("W/")
        return any(one.strip().removeprefix("W/") in (plain, "*") for one in known.split(","))
    since = request.headers.get("if-modified-since")
    if since is None:
        return False
    try:
        at = int(parsedate_to_datetime(since).timestamp())
    except (ValueError, OverflowError):
        return False  # RFC 9110: one that cannot be read is ignored
    return micros(updated) // SECOND <= at


def only(request: Request, allowed: Iterable[str] = ()) -> None:
    """
    A request that takes few parameters.

    Raises:
        Problem: ``malformed``: there is another; the same rule as for searches.
    """
    known = {"_format", *allowed}
    if any(name not in known for name in request.query_params):
        raise Problem("malformed", "There is a parameter that is not understood here.")
    once(request.query_params.multi_items())


def scoped(call: Call, kind: Kind | str, letter: str) -> None:
    """
    The token's own scope lets this type be used so.

    Raises:
        Problem: ``forbidden``.
    """
    name = kind if isinstance(kind, str) else kind.name
    if not allows(call.who.scopes, name, letter):
        raise Problem("forbidden", "The token's scope does not reach so far.")
