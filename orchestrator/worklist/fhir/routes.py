"""``/fhir``: metadata, Task read and search, Patient read."""

import sqlite3
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl, urlencode

import orjson
from fastapi import Path, Request, Response

from orchestrator.worklist import edge
from orchestrator.worklist.api.answers import contacts, freshness, items
from orchestrator.worklist.api.guard import Call, CallOf, rule
from orchestrator.worklist.fhir import resources
from orchestrator.worklist.fhir.search import Search, task_search
from orchestrator.worklist.instants import SECOND, text_of
from orchestrator.worklist.model import lists, stories
from orchestrator.worklist.model.filters import BadCursor, Where, tasks_of
from orchestrator.worklist.problems import FHIR_MEDIA, Problem

PAGE_S: Final = 15 * 60
FORM: Final = "application/x-www-form-urlencoded"
FORM_MAX: Final = 64 * 1024

Id = Annotated[str, Path(pattern=r"^[A-Za-z0-9.-]{1,64}$")]


def fhir_response(
    content: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    return Response(orjson.dumps(content), status, headers, media_type=FHIR_MEDIA)


@rule(None, media=FHIR_MEDIA)
async def metadata() -> Response:
    """What this door can do."""
    return fhir_response(
        resources.capability(version("care-orchestrator"), text_of(edge.now())[:10])
    )


@rule("tasks", "read", media=FHIR_MEDIA)
async def read_task(call: CallOf, task_id: Id) -> Response:
    """One task."""
    found = await task_resource(call, task_id)
    if found is None:
        call.account.objects.append(f"task/{task_id}")
        raise Problem("not-found")
    return fhir_response(found, headers=_version_headers(found))


async def task_resource(call: Call, task_id: str) -> dict[str, Any] | None:
    """The task as an R4 resource in the caller's view; ``None``: it is not there for them."""

    def read(db: sqlite3.Connection) -> dict[str, Any] | None:
        row = lists.one(db, "tasks", task_id, tasks_of(call.who))
        return None if row is None else _tasks(call, db, [row])[0]

    return await call.site.reader.ask(read)


@rule("patients", "read", media=FHIR_MEDIA)
async def read_patient(call: CallOf, key: Id) -> Response:
    """Whom a task is for."""
    call.account.patient_keys.add(key[:32])

    def read(db: sqlite3.Connection) -> tuple[str, dict[str, Any] | None]:
        survivor = stories.survivor(db, key)
        if not stories.may_see_patient(db, call.who, survivor):
            return survivor, None
        return survivor, _patients(call, db, [survivor])[0]

    survivor, found = await call.site.reader.ask(read)
    if found is None:
        raise Problem("not-found")
    if survivor != key:
        return Response(status_code=307, headers={"Location": f"/fhir/Patient/{survivor}"})
    return fhir_response(found)


@rule("tasks", "search", media=FHIR_MEDIA)
async def search_tasks(request: Request, call: CallOf) -> Response:
    """Tasks by R4 parameters, in the address or, where they name a person, in a form."""
    said = parse_qsl(request.url.query, keep_blank_values=True, max_num_fields=100)
    if request.method == "POST":
        said += await _form(request)
    lenient = "handling=lenient" in request.headers.get("prefer", "")
    search = task_search(said, call.who, lenient=lenient)
    call.account.query_hash = call.site.key_of(f"query|fhir-task|{sorted(said)!r}")
    bundle = await call.site.reader.ask(lambda db: _bundle(call, db, search, said))
    return fhir_response(bundle)


async def _form(request: Request) -> list[tuple[str, str]]:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != FORM:
        raise Problem("unsupported-media-type")
    body = await request.body()
    if len(body) > FORM_MAX:
        raise Problem("too-large")
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=100)
    except ValueError:
        raise Problem("malformed") from None


def _bundle(
    call: Call, db: sqlite3.Connection, search: Search, said: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    cursor = _cursor_at(search.cursor)
    limit = max(1, search.count)
    try:
        page = lists.page(db, "tasks", search.where, search.keys, limit, cursor)
    except BadCursor:
        raise Problem("malformed", "The page is not one of this search.") from None
    fresh = freshness(call, db)
    counted = search.summary == "count" or search.count == 0
    entries: list[dict[str, Any]] = []
    if not counted:
        found = _tasks(call, db, page.rows)
        entries = [_entry(one, "match") for one in found]
        if search.include:
            keys = {one["for"]["reference"].partition("/")[2] for one in found if "for" in one}
            entries += [_entry(one, "include") for one in _patients(call, db, sorted(keys))]
    kept = [(name, value) for name, value in said if name != "_cursor"]
    links = [{"relation": "self", "url": _url(kept)}]
    if page.next is not None and not counted:
        following = f"{edge.now() // SECOND}.{page.next}"
        links.append({"relation": "next", "url": _url([*kept, ("_cursor", following)])})
    bundle: dict[str, Any] = {
        "resourceType": "Bundle",
        "type": "searchset",
        "meta": {"lastUpdated": fresh["data_until"]},
        "total": page.total,
        "link": links,
        "entry": entries,
    }
    if fresh["data_until"] is None:
        del bundle["meta"]
    if page.total is None or search.total == "none":
        del bundle["total"]
    if not entries:
        del bundle["entry"]  # R4: no empty arrays
    return bundle


def _cursor_at(said: str | None) -> str | None:
    if said is None:
        return None
    made, _, cursor = said.partition(".")
    if not (made.isascii() and made.isdigit() and len(made) <= 12):
        raise Problem("malformed", "The page is not one of this search.")
    if edge.now() // SECOND - int(made) > PAGE_S:
        raise Problem("gone")
    return cursor


def _url(said: Sequence[tuple[str, str]]) -> str:
    query = urlencode(said)
    return f"/fhir/Task?{query}" if query else "/fhir/Task"


def _entry(resource: dict[str, Any], mode: str) -> dict[str, Any]:
    where = f"{resource['resourceType']}/{resource['id']}"
    return {"fullUrl": f"/fhir/{where}", "resource": resource, "search": {"mode": mode}}


def _tasks(call: Call, db: sqlite3.Connection, rows: Sequence[lists.Row]) -> list[dict[str, Any]]:
    marks = ", ".join("?" * len(rows))
    updated = dict(
        db.execute(
            f"SELECT id, updated_at FROM tasks WHERE id IN ({marks})",
            [row.number for row in rows],
        )
    )
    seen = items(call, db, "task", rows)
    return [resources.task(item, updated[row.number]) for row, item in zip(rows, seen, strict=True)]


def _patients(call: Call, db: sqlite3.Connection, keys: Sequence[str]) -> list[dict[str, Any]]:
    known = contacts(db, keys, call.who)
    named = call.who.view in ("clinical", "minimal")
    found = []
    for key in keys:
        where = Where()
        where.add("patient_key = ?", key)
        row = db.execute(
            f"SELECT json_extract(value, '$.patient') FROM tasks JOIN tasks_said USING (id)"
            f" WHERE {where.sql} LIMIT 1",
            where.values,
        ).fetchone()
        identifier = row[0] if row is not None and named else None
        found.append(resources.patient(key, identifier, known.get(key)))
        call.account.patient_keys.add(key)
    return found


def _version_headers(resource: dict[str, Any]) -> dict[str, str]:
    return {"ETag": f'W/"{resource["meta"]["versionId"]}"'}


ROUTES: Final = (
    ("/fhir/metadata", ["GET"], metadata),
    ("/fhir/Task", ["GET"], search_tasks),
    ("/fhir/Task/_search", ["POST"], search_tasks),
    ("/fhir/Task/{task_id}", ["GET"], read_task),
    ("/fhir/Patient/{key}", ["GET"], read_patient),
)
