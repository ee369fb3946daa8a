"""``/gaps``: what is missing, where, since when.

A table and no board: nobody drags a gap shut, it closes when the facts change.
"""

import sqlite3
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

from fastapi import Query, Request, Response
from pydantic import BeforeValidator, Field

from orchestrator.worklist.api.answers import freshness, items
from orchestrator.worklist.api.guard import rule
from orchestrator.worklist.api.queries import Cursor, GapFilter, Word
from orchestrator.worklist.api.queries import Query as NoQuery
from orchestrator.worklist.instants import SECOND, micros, text_of
from orchestrator.worklist.model import lists
from orchestrator.worklist.model.filters import BadCursor, Where, gaps_of, tasks_of
from orchestrator.worklist.pages import calling, gap_words, wording
from orchestrator.worklist.pages.frame import page, zone_of
from orchestrator.worklist.pages.guard import HTML, PageCall, PageCallOf
from orchestrator.worklist.pages.whom import nameless
from orchestrator.worklist.pages.wording import Tag
from orchestrator.worklist.problems import Problem
from schemas.gaps import GapCode, Severity

ROWS: Final = 50
PRINTED: Final = 500
DAY: Final = 24 * 3600 * SECOND


def _said(value: Any) -> Any:
    # A form sends each of its fields, also those that nobody filled in.
    if isinstance(value, list):
        return [one for one in value if one != ""]
    return None if value == "" else value


Severities = Annotated[list[Severity], BeforeValidator(_said)]
Codes = Annotated[list[GapCode], BeforeValidator(_said)]
Words = Annotated[list[Word], BeforeValidator(_said)]


class GapsQuery(NoQuery):
    """A repeated parameter means or, different ones mean and."""

    severity: Severities = Field(default=[])
    code: Codes = Field(default=[])
    facility: Words = Field(default=[])
    status: Literal["open", "closed", "recorded"] = "open"
    flapping: Annotated[bool | None, BeforeValidator(_said)] = None
    cursor: Annotated[Cursor, BeforeValidator(_said)] = None

    def address(self, **other: Any) -> str:
        """The page with *other* in place of what is said here of that."""
        said = {**self.model_dump(exclude={"cursor"}), **other}
        pairs: list[tuple[str, str]] = []
        for name, value in said.items():
            if value in (None, [], False) or (name, value) == ("status", "open"):
                continue
            each = value if isinstance(value, list) else [value]
            pairs += [(name, "on" if one is True else str(one)) for one in each]
        return f"/gaps?{urlencode(pairs)}" if pairs else "/gaps"

    def filter(self, now: int) -> GapFilter:
        """The same as the API has it; of closed ones those of a day."""
        return GapFilter(
            severity=self.severity,
            code=self.code,
            facility=self.facility,
            status=[self.status],
            updated_after=text_of(now - DAY) if self.status == "closed" else None,
        )


@dataclass(frozen=True, slots=True)
class GapLine:
    """One row."""

    gap: dict[str, Any]
    severity: Tag
    name: str
    person: str | None
    since: str
    evidence: str
    closed: str | None
    flapping: str | None
    doubt: bool
    task: tuple[str, str] | None  # id and words
    letter: str | None


class Choice(dict[str, Any]):
    """One link of a filter: words, address, whether it is chosen."""


@rule("gaps", "search", media=HTML)
async def gaps(
    call: PageCallOf, request: Request, query: Annotated[GapsQuery, Query()]
) -> Response:
    """Gaps of the reader's facilities."""
    return await _shown(call, request, query, ROWS, printable=False)


@rule("export", "export", limit="export", media=HTML)
async def printed(
    call: PageCallOf, request: Request, query: Annotated[GapsQuery, Query()]
) -> Response:
    """The same to be printed; recorded as an export."""
    return await _shown(call, request, query, PRINTED, printable=True)


async def _shown(
    call: PageCall, request: Request, query: GapsQuery, limit: int, *, printable: bool
) -> Response:
    now = call.site.log_now()
    said = query.filter(now)
    where, keys = said.where(call.who), said.order()
    if query.flapping:
        where.add("occurrence > 1")
    call.account.query_hash = call.site.key_of(f"query|gaps|{query.model_dump_json()}")

    def read(db: sqlite3.Connection) -> dict[str, Any]:
        try:
            found = lists.page(db, "gaps", where, keys, limit, query.cursor)
        except BadCursor:
            raise Problem("malformed", "The page is not one of this list.") from None
        fresh = freshness(call, db)
        shown = items(call, db, "gap", found.rows)
        mending = _tasks(call, db, shown)
        return {
            "lines": [_line(call, one, now, fresh["silent_feeds"], mending) for one in shown],
            "next": found.next,
            "total": found.total,
            "fresh": fresh,
            **_counts(call, db, query),
        }

    found = await call.site.reader.ask(read)
    following = found.pop("next")
    call.account.rows = len(found["lines"])
    return await page(
        request,
        "gaps.html",
        "Gaps",
        fresh=found.pop("fresh"),
        printable=printable,
        query=query,
        may_print="export" in call.who.may,
        next=None if following is None else query.address(cursor=following),
        **found,
    )


def _counts(call: PageCall, db: sqlite3.Connection, query: GapsQuery) -> dict[str, Any]:
    """How much there is, true for the facility that is chosen."""
    open_ = GapFilter(facility=query.facility, status=["open"]).where(call.who)
    by: dict[str, dict[str, int]] = {"severity": {}, "code": {}}
    for code, severity, count in db.execute(
        f"SELECT code, severity, count(*) FROM gaps WHERE {open_.sql} GROUP BY 1, 2", open_.values
    ):
        by["severity"][severity] = by["severity"].get(severity, 0) + count
        by["code"][code] = by["code"].get(code, 0) + count
    scope = gaps_of(call.who)
    facilities = [
        facility
        for (facility,) in db.execute(
            # Each facility once by the index, not each of its rows.
            "WITH RECURSIVE f(name) AS (SELECT min(facility) FROM gaps WHERE facility > ''"
            " UNION ALL SELECT (SELECT min(facility) FROM gaps WHERE facility > f.name) FROM f"
            " WHERE f.name IS NOT NULL) SELECT name FROM f WHERE name IS NOT NULL AND EXISTS"
            f" (SELECT 1 FROM gaps WHERE facility = f.name AND {scope.sql}) ORDER BY name",
            scope.values,
        )
    ]
    numbers = {}
    for name, said in (
        ("recorded", GapFilter(facility=query.facility, status=["recorded"])),
        ("closed", GapsQuery(facility=query.facility, status="closed").filter(call.site.log_now())),
    ):
        part = said.where(call.who)
        (numbers[name],) = db.execute(
            f"SELECT count(*) FROM (SELECT 1 FROM gaps WHERE {part.sql} LIMIT 10001)", part.values
        ).fetchone()
    kinds = sorted(by["code"].items(), key=lambda pair: (-pair[1], pair[0]))
    return {
        "open": sum(by["code"].values()),
        "severities": [
            Choice(
                words=one,
                count=by["severity"].get(one, 0),
                address=query.address(severity=[one], status="open"),
                chosen=query.severity == [one],
            )
            for one in gap_words.SEVERITIES
            if by["severity"].get(one)
        ],
        "kinds": [
            Choice(
                words=gap_words.name(code),
                count=count,
                address=query.address(code=[code], status="open"),
                chosen=query.code == [code],
            )
            for code, count in kinds
        ],
        "facilities": [
            Choice(
                words=one,
                address=query.address(facility=[one]),
                chosen=query.facility == [one],
            )
            for one in facilities
        ],
        "recorded": numbers["recorded"],
        "closed": numbers["closed"],
    }


def _tasks(
    call: PageCall, db: sqlite3.Connection, shown: list[dict[str, Any]]
) -> dict[tuple[str, str], str]:
    """By transition and kind the task that mends a gap, where the reader may open it."""
    if "tasks" not in call.who.may:
        return {}
    wanted = sorted({gap["transition_id"] for gap in shown if gap["transition_id"]})
    if not wanted:
        return {}
    where: Where = tasks_of(call.who)
    if where.is_never:
        return {}
    where.among("transition_id", wanted)
    found = db.execute(
        # The planner would read a whole team's tasks for those of fifty transitions.
        "SELECT transition_id, kind, task_id FROM tasks INDEXED BY tasks_transition"
        f" WHERE {where.sql} ORDER BY open, id",
        where.values,
    ).fetchall()
    return {(transition, kind): task for transition, kind, task in found}


def _line(
    call: PageCall,
    gap: dict[str, Any],
    now: int,
    silent: list[str],
    mending: dict[tuple[str, str], str],
) -> GapLine:
    zone = zone_of(call.site, gap["facility"])
    return GapLine(
        gap=gap,
        severity=gap_words.severity(gap["severity"]),
        name=gap_words.name(gap["code"]),
        person=person_of(gap, now, zone),
        since=since(gap, now, zone),
        evidence=gap["why"] or "",
        closed=gap_words.closed(gap),
        flapping=gap_words.flapping(gap),
        doubt=gap_words.doubtful(gap, silent),
        task=_task(gap, mending),
        letter="/dead-letters" if gap["code"] == "EVENT_PARKED" else None,
    )


def _task(gap: dict[str, Any], mending: dict[tuple[str, str], str]) -> tuple[str, str] | None:
    kind = gap_words.MENDED_BY.get(gap["code"], "")
    if gap["code"] == "TASK_OVERDUE":
        kind = str(gap["subject"] or (gap["evidence"] or {}).get("kind", "")).partition(":")[0]
    task = mending.get((str(gap["transition_id"]), kind))
    return None if task is None else (task, wording.kind(kind))


def person_of(gap: dict[str, Any], now: int, zone: str) -> str | None:
    """Whom it is about, as far as the reader may know; ``None``: a facility."""
    if gap["patient_key"] is None or gap["code"] in gap_words.OF_FACILITIES:
        return None
    today = wording.local(now, zone).date()
    person = calling.person(gap["contact"], nameless(gap), today)
    return person.name if person.age is None else f"{person.name}, {person.age}"


def since(gap: dict[str, Any], now: int, zone: str) -> str:
    """``1 d 2 h, since Tue 6 Oct 14:00 EDT``."""
    at = micros(gap["since"])
    when = wording.moment(at, zone, now)
    return f"{wording.length(now - at)}, since {when}" if at <= now else when


ROUTES: Final = (("/gaps", ["GET"], gaps), ("/gaps/print", ["GET"], printed))
