"""``/fhir``: reading and searching each type; one patient's everything; what this door is.

Task is written by `writing`.
"""

import sqlite3
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl

from fastapi import Path, Request, Response

from orchestrator.worklist.api.answers import freshness
from orchestrator.worklist.api.guard import Call, CallOf, rule
from orchestrator.worklist.fhir import about, everything, names, pages, search
from orchestrator.worklist.fhir.answering import fhir_response, only, scoped, versioned
from orchestrator.worklist.fhir.bundles import base_of, link, searchset, summarized
from orchestrator.worklist.fhir.elements import Resource
from orchestrator.worklist.fhir.finding import find, is_visible
from orchestrator.worklist.fhir.kind import Kind
from orchestrator.worklist.fhir.kinds import KINDS
from orchestrator.worklist.fhir.search import Search
from orchestrator.worklist.model.filters import BadCursor
from orchestrator.worklist.opened import admitted
from orchestrator.worklist.problems import FHIR_MEDIA, Problem

FORM: Final = "application/x-www-form-urlencoded"
# A search travels on in the address of its next page, which has to fit a request's headers.
SAID_MAX: Final = 12 * 1024

ID: Final = r"^[A-Za-z0-9.-]{1,64}$"  # R4's id

Endpoint = Callable[..., Awaitable[Response]]


def _reading(kind: Kind) -> Endpoint:
    @rule(kind.permission, "read", media=FHIR_MEDIA)
    async def read(
        request: Request,
        call: CallOf,
        name: Annotated[str, Path(alias=kind.path, pattern=ID)],
    ) -> Response:
        """One resource; 304 where the caller has this version."""
        only(request, ("_summary",))
        scoped(call, kind, "r")
        summary = _summary(request)
        if kind.account is None:
            survivor = await admitted(call, name)
            if survivor != name:
                where = f"{base_of(request)}/{kind.name}/{survivor}"
                return Response(status_code=307, headers={"Location": where})
        found = await resource_of(call, kind, name)
        if found is None:
            call.account.objects.append(f"{kind.account}/{name}")
            raise Problem("not-found")
        return versioned(request, summarized(kind, found, summary))

    return read


def _summary(request: Request) -> str:
    said = request.query_params.get("_summary", "false")
    if said not in search.SUMMARIES or said == "count":
        raise search.wrong("_summary")
    return said


async def resource_of(call: Call, kind: Kind, name: str) -> Resource | None:
    """The resource in the caller's view; ``None``: it is not there for them."""

    def read(db: sqlite3.Connection) -> Resource | None:
        # Whether a patient may be seen was judged before.
        if kind.account is not None and not is_visible(db, Search(kind, kind.visible(call)), name):
            return None
        found = kind.resources(call, db, [name])
        return found[0] if found else None

    return await call.site.reader.ask(read)


def _searching(kind: Kind) -> Endpoint:
    @rule(kind.permission, "search", media=FHIR_MEDIA)
    async def search_type(request: Request, call: CallOf) -> Response:
        """A page of what the parameters ask for, in the address or in a form."""
        scoped(call, kind, "s")
        said = _query(request)
        posted = request.method == "POST"
        if posted:
            search.refuse_names(kind, said)
            said += await _form(request)
        return await _found(request, call, kind, said, posted=posted)

    return search_type


def _query(request: Request) -> list[tuple[str, str]]:
    query = request.url.query
    if len(query) > SAID_MAX and pages.PARAMETER not in request.query_params:
        raise Problem("too-large")
    return _pairs(query)


def _pairs(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=100, errors="strict")
    except ValueError:
        raise Problem("malformed", "The parameters cannot be read.") from None


async def _form(request: Request) -> list[tuple[str, str]]:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await request.body()
    if not body:
        return []
    if media != FORM:
        raise Problem("unsupported-media-type")
    if len(body) > SAID_MAX:
        raise Problem("too-large")
    try:
        return _pairs(body.decode())
    except UnicodeDecodeError:
        raise Problem("malformed", "The form is not UTF-8.") from None


async def _found(
    request: Request, call: Call, kind: Kind, said: list[tuple[str, str]], *, posted: bool
) -> Response:
    base = base_of(request)
    own = f"{base}/{kind.name}"
    cursor, page = None, [pair for pair in said if pair[0] == pages.PARAMETER]
    if page:
        if len(said) > 1:
            raise Problem("malformed", "A page is asked for as its link has it.")
        place = pages.opened(call.site.key_of, page[0][1], kind.name)
        said, posted, cursor = place.said, place.posted, place.cursor
    asked = search.read(
        kind, said, kind.visible(call), base=base, lenient=_lenient(request), posted=posted
    )
    if asked.named and call.who.view not in ("clinical", "minimal"):
        raise Problem("forbidden", "This view may not know whom a key stands for.")
    if asked.include:
        scoped(call, names.PATIENT, "r")
    call.account.query_hash = call.site.key_of(f"query|fhir|{kind.name}|{sorted(asked.said)!r}")

    def read(db: sqlite3.Connection) -> Resource:
        try:
            found = find(db, asked, cursor)
        except BadCursor:
            raise Problem("malformed", "The page is not one of this search.") from None
        matches = kind.resources(call, db, found.ids) if found.ids else []
        entries = [("match", summarized(kind, one, asked.summary)) for one in matches]
        if asked.include:
            entries += [("include", one) for one in _patients(call, db, matches)]
        links = [_self(own, asked, page)]
        if found.cursor is not None:
            place = pages.Place(kind.name, asked.said, posted, found.cursor)
            word = pages.sealed(call.site.key_of, place)
            links.append(link("next", own, [(pages.PARAMETER, word)]))
        until = freshness(call, db)["data_until"]
        return searchset(base, entries, links=links, total=found.total, until=until)

    return fhir_response(await call.site.reader.ask(read))


def _self(own: str, asked: Search, page: list[tuple[str, str]]) -> dict[str, str]:
    if page:
        return link("self", own, page)
    if asked.named:
        return link("self", f"{own}/_search")  # what it said may not stand in an address
    return link("self", own, asked.said)


def _patients(call: Call, db: sqlite3.Connection, matches: list[Resource]) -> list[Resource]:
    keys = set()
    for one in matches:
        subject = one.get("for") or one.get("subject") or one.get("patient") or {}
        kind, _, key = subject.get("reference", "").partition("/")
        if kind == names.PATIENT:
            keys.add(key)
    return KINDS[names.PATIENT].resources(call, db, sorted(keys)) if keys else []


def _lenient(request: Request) -> bool:
    words = request.headers.get("prefer", "").replace(";", ",").split(",")
    return "handling=lenient" in (word.strip().lower() for word in words)


def _routes() -> list[tuple[str, list[str], Any]]:
    made: list[tuple[str, list[str], Any]] = [*about.ROUTES]
    for kind in KINDS.values():
        found = _searching(kind)
        made.append((f"/fhir/{kind.name}", ["GET"], found))
        made.append((f"/fhir/{kind.name}/_search", ["POST"], found))
    made += everything.ROUTES
    made += [(f"/fhir/{k.name}/{{{k.path}}}", ["GET"], _reading(k)) for k in KINDS.values()]
    return made


ROUTES: Final = tuple(_routes())
