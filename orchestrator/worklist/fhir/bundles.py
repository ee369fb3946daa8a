"""Searchsets: what was found, how much there is, and the links to it and to what follows."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import Request

from orchestrator.worklist.fhir import names
from orchestrator.worklist.fhir.elements import Resource
from orchestrator.worklist.fhir.kind import Kind
from orchestrator.worklist.problems import Problem

_HOST: Final = re.compile(r"[A-Za-z0-9.-]{1,253}(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")


def base_of(request: Request) -> str:
    """The address of ``/fhir``, as the caller wrote it."""
    host = request.headers.get("host", "")
    if not _HOST.fullmatch(host):
        raise Problem("malformed", "The header Host names no host.")
    under_tls = getattr(request.app.state, "under_tls", False)
    scheme = "https" if under_tls else request.url.scheme
    return f"{scheme}://{host}/fhir"


def link(relation: str, address: str, said: Sequence[tuple[str, str]] = ()) -> dict[str, str]:
    """A link of a Bundle."""
    return {"relation": relation, "url": f"{address}?{urlencode(said)}" if said else address}


def searchset(
    base: str,
    entries: Iterable[tuple[str, Resource]],
    *,
    links: list[dict[str, str]],
    total: int | None,
    until: str | None,
) -> Resource:
    """
    A Bundle.

    Args:
        entries: Mode (``match`` or ``include``) and resource.
        until: All that was received before is in it.
    """
    made: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}
    if until is not None:
        made["meta"] = {"lastUpdated": until}
    if total is not None:
        made["total"] = total
    made["link"] = links
    entry = [
        {
            "fullUrl": f"{base}/{resource['resourceType']}/{resource['id']}",
            "resource": resource,
            "search": {"mode": mode},
        }
        for mode, resource in entries
    ]
    return {**made, "entry": entry} if entry else made  # R4: no empty arrays


def summarized(kind: Kind, resource: Resource, summary: str) -> Resource:
    """What ``_summary`` leaves of *resource*, marked as not whole."""
    if summary in ("false", "data", "count"):
        return resource  # there is no narrative to be left out
    kept = {"resourceType", "id", "meta", *kind.required}
    if summary == "true":
        kept |= set(kind.summary)
    made = {name: value for name, value in resource.items() if name in kept}
    tags = [{"system": names.OBSERVATION_VALUE, "code": "SUBSETTED"}]
    return {**made, "meta": {**resource["meta"], "tag": tags}}
