"""``Patient/{key}/$everything``: what this product derived of one patient, not what it was told."""

import sqlite3
from collections.abc import Sequence
from typing import Annotated, Final, NamedTuple

from fastapi import Path, Request, Response

from orchestrator.worklist.api.answers import freshness
from orchestrator.worklist.api.guard import Call, CallOf, rule
from orchestrator.worklist.fhir import names, pages
from orchestrator.worklist.fhir.answering import fhir_response, scoped
from orchestrator.worklist.fhir.bundles import base_of, link, searchset
from orchestrator.worklist.fhir.elements import Resource
from orchestrator.worklist.fhir.kinds import KINDS
from orchestrator.worklist.fhir.params import BadValue, instant_of
from orchestrator.worklist.fhir.search import COUNT_MAX, once, wrong
from orchestrator.worklist.instants import micros
from orchestrator.worklist.opened import admitted
from orchestrator.worklist.problems import FHIR_MEDIA, Problem

TYPES: Final = (names.PATIENT, names.CARE_PLAN, names.TASK, names.FLAG, names.ISSUE)
_IDS_MAX: Final = 10_000  # a guard; a patient has tens


class _Asked(NamedTuple):
    """What of everything."""

    types: tuple[str, ...] = TYPES
    since: int | None = None
    limit: int = COUNT_MAX
    after: str | None = None  # the last one of the page before


@rule("patients", "read", media=FHIR_MEDIA)
async def everything(
    request: Request, call: CallOf, key: Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
) -> Response:
    """One patient with their care plans, tasks, flags and issues."""
    path = f"{names.PATIENT}/{key}/$everything"
    said, after = [*request.query_params.multi_items()], None
    page = [pair for pair in said if pair[0] == pages.PARAMETER]
    if page:
        if len(said) > 1:
            raise Problem("malformed", "A page is asked for as its link has it.")
        place = pages.opened(call.site.key_of, page[0][1], path)
        said, after = place.said, place.cursor
    asked = _read(call, said)._replace(after=after)
    survivor = await admitted(call, key)
    own = f"{base_of(request)}/{names.PATIENT}/{survivor}/$everything"
    if survivor != key:
        headers = {"Location": link("self", own, said)["url"]}
        return Response(status_code=307, headers=headers)
    call.account.patient_keys.add(key)

    def read(db: sqlite3.Connection) -> Resource:
        found = _found(call, db, key, asked)
        shown = found[: asked.limit]
        links = [link("self", own, page or said)]
        if len(found) > len(shown):
            place = pages.Place(path, said, False, _name(shown[-1]))
            links.append(
                link("next", own, [(pages.PARAMETER, pages.sealed(call.site.key_of, place))])
            )
        return searchset(
            base_of(request),
            [("match", one) for one in shown],
            links=links,
            total=None,
            until=freshness(call, db)["data_until"],
        )

    return fhir_response(await call.site.reader.ask(read))


def _read(call: Call, said: Sequence[tuple[str, str]]) -> _Asked:
    scoped(call, names.PATIENT, "r")
    once(said)
    asked = _Asked()
    wanted = {one for name, value in said if name == "_type" for one in value.split(",")}
    if not wanted <= set(TYPES):
        raise wrong("_type")
    if wanted:
        asked = asked._replace(types=tuple(one for one in TYPES if one in wanted))
    for name, value in said:
        if name == "_type":
            continue
        if name == "_since":
            try:
                asked = asked._replace(since=instant_of(value))
            except BadValue:
                raise wrong("_since") from None
        elif name == "_count":
            if not (value.isascii() and value.isdigit()) or int(value[:9]) < 1:
                raise wrong("_count")
            asked = asked._replace(limit=min(int(value[:9]), COUNT_MAX))
        elif name != "_format":
            raise wrong(name)
    # What the role or the token's scope does not reach is left out.
    return asked._replace(types=tuple(one for one in asked.types if _may(call, one)))


def _may(call: Call, name: str) -> bool:
    if KINDS[name].permission not in call.who.may:
        return False
    try:
        scoped(call, name, "s" if name != names.PATIENT else "r")
    except Problem:
        return False
    return True


def _found(call: Call, db: sqlite3.Connection, key: str, asked: _Asked) -> list[Resource]:
    """The resources behind the page before."""
    made: list[Resource] = []
    last, _, behind = (asked.after or "").partition("/")
    types = asked.types[asked.types.index(last) :] if last in asked.types else asked.types
    for name in types:
        kind = KINDS[name]
        ids = [key] if name == names.PATIENT else _ids(call, db, name, key)
        if name == last:
            ids = [one for one in ids if one > behind]
        made += kind.resources(call, db, ids) if ids else []
    since = asked.since
    return [one for one in made if since is None or micros(one["meta"]["lastUpdated"]) > since]


def _ids(call: Call, db: sqlite3.Connection, name: str, key: str) -> list[str]:
    kind = KINDS[name]
    where = kind.visible(call)
    where.add("patient_key = ?", key)
    rows = db.execute(
        f"SELECT {kind.unique} FROM {kind.source} WHERE {where.sql} ORDER BY {kind.unique} LIMIT ?",
        (*where.values, _IDS_MAX),
    )
    return [row[0] for row in rows]


def _name(resource: Resource) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


ROUTES: Final = (("/fhir/Patient/{key}/$everything", ["GET"], everything),)
