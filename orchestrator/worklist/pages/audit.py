"""``/audit``: who saw or did what; looking is recorded, and so is taking it away."""

import csv
import io
import re
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import orjson
from fastapi import Query, Response
from fastapi.responses import RedirectResponse
from pydantic import BeforeValidator, Field

from orchestrator.worklist import edge
from orchestrator.worklist.api import records
from orchestrator.worklist.api.exports import cell
from orchestrator.worklist.api.guard import rule
from orchestrator.worklist.api.queries import Cursor, PatientKey, Word
from orchestrator.worklist.api.queries import Query as NoQuery
from orchestrator.worklist.api.records import AuditQuery, Deed
from orchestrator.worklist.instants import micros
from orchestrator.worklist.model import stories
from orchestrator.worklist.model.audits import as_read
from orchestrator.worklist.pages import wording
from orchestrator.worklist.pages.frame import page, zone_of
from orchestrator.worklist.pages.guard import HTML, PageCall, PageCallOf
from orchestrator.worklist.problems import Problem

ROWS: Final = 50
EXPORTED: Final = 100_000
COLUMNS: Final = (
    "at", "actor", "roles", "action", "objects", "patient_keys", "rows", "outcome", "purpose",
    "request_id",
)  # fmt: skip
DEEDS: Final = (
    "read", "search", "act", "export", "raw", "retry", "discard", "break-glass", "sign-in",
)  # fmt: skip
SHOWN: Final = 3
_IDENTIFIER: Final = re.compile(r"[^|]+\|.+")


def _said(value: Any) -> Any:
    return None if value == "" else value


Text = Annotated[Word | None, BeforeValidator(_said)]
_Date = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")]
Day = Annotated[_Date | None, BeforeValidator(_said)]


class AuditPageQuery(NoQuery):
    actor: Text = None
    action: Annotated[Deed | None, BeforeValidator(_said)] = None
    patient_key: Annotated[PatientKey | None, BeforeValidator(_said)] = None
    first: Day = None
    last: Day = None
    break_glass: Annotated[bool | None, BeforeValidator(_said)] = None
    cursor: Annotated[Cursor, BeforeValidator(_said)] = None

    def query(self, zone: str, limit: int) -> AuditQuery:
        """
        The same as the API has it.

        Raises:
            Problem: A day is none.
        """
        return AuditQuery(
            actor=[self.actor] if self.actor else [],
            action=[self.action] if self.action else [],
            patient_key=self.patient_key,
            break_glass=bool(self.break_glass),
            since=_begin(self.first, zone, 0),
            until=_begin(self.last, zone, 1),
            limit=limit,
            cursor=self.cursor,
        )

    def address(self, path: str = "/audit", **other: Any) -> str:
        said = {**self.model_dump(exclude={"cursor"}), **other}
        pairs = [(k, "on" if v is True else str(v)) for k, v in said.items() if v]
        return f"{path}?{urlencode(pairs)}" if pairs else path


def _begin(day: str | None, zone: str, later: int) -> str | None:
    if day is None:
        return None
    try:
        begins = datetime.fromisoformat(day) + timedelta(days=later)
    except (ValueError, OverflowError):
        raise Problem("malformed", "A day is not one of the calendar.") from None
    return begins.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).isoformat()


@rule("audit", "search", media=HTML)
async def audit(call: PageCallOf, query: Annotated[AuditPageQuery, Query()]) -> Response:
    """The records, newest first."""
    return await _shown(call, query)


async def _shown(
    call: PageCall, query: AuditPageQuery, wrong: str = "", status: int = 200
) -> Response:
    zone = zone_of(call.site, None)
    answer = await records.audit(call, query.query(zone, ROWS))
    told = orjson.loads(bytes(answer.body))
    return await page(
        call.request,
        "audit.html",
        "Audit",
        status,
        fresh=told["freshness"],
        query=query,
        deeds=DEEDS,
        lines=[_line(one, zone) for one in told["items"]],
        following=None if told["next"] is None else query.address(cursor=told["next"]),
        export=query.address("/audit/export"),
        complete=_complete(call, zone),
        outages=_outages(call, zone),
        wrong=wrong,
        printable=False,
    )


def _line(one: dict[str, Any], zone: str) -> dict[str, Any]:
    things = one["objects"] or [f"patient/{key[:6]}" for key in one["patient_keys"]]
    return {
        "at": f"{wording.local(micros(one['at']), zone):%a %d %b %H:%M:%S %Z}",
        "who": one["actor"],
        "roles": ", ".join(one["roles"]),
        "did": one["action"],
        "what": _what(things, one["rows"] or 0),
        "outcome": one["outcome"],
        "purpose": one["purpose"] or "",
        "request": one["request_id"][:8],
    }


def _what(things: list[str], rows: int) -> str:
    if not things and not rows:
        return ""
    if not things:
        return "1 row" if rows == 1 else f"{rows:,} rows"
    what, more = ", ".join(things[:SHOWN]), max(0, len(things) - SHOWN)
    return f"{what} and {more:,} more" if more else what


def _complete(call: PageCall, zone: str) -> str:
    """Up to when every record is in the list; they are stamped by the machine's clock."""
    ahead = call.site.projector.ahead
    left = None if ahead is None else ahead.get("care.audit.v1", 0)
    if call.site.projector.failing or left is None:
        return "It is not known up to when the list is complete."
    if left:
        return f"{left:,} records are still to come."
    return f"Complete to {wording.clock(edge.now(), zone)}."


def _outages(call: PageCall, zone: str) -> list[str]:
    found = []
    for one in call.site.audit.outages:
        since = wording.clock(one.since, zone)
        if one.until is None:
            found.append(
                f"Audit records cannot be written since {since}; nothing is shown meanwhile."
            )
        else:
            until = wording.clock(one.until, zone)
            found.append(
                f"Audit records could not be written from {since} to {until}; nothing was shown"
                " then."
            )
    return found


@rule("audit", media=HTML)
async def of_patient(call: PageCallOf) -> Response:
    """Whose records: an identifier, posted, becomes a key."""
    typed = str(call.form.get("identifier", "")).strip()
    if not _IDENTIFIER.fullmatch(typed):
        wrong = "An identifier is an authority and a number: RIV|100001."
        return await _shown(call, AuditPageQuery(), wrong, 422)
    key = call.site.key_of(typed)
    survivor = await call.site.reader.ask(lambda db: stories.survivor(db, key))
    return RedirectResponse(AuditPageQuery(patient_key=survivor).address(), 303)


@rule("audit", "export", limit="export", media="text/csv")
async def export(call: PageCallOf, query: Annotated[AuditPageQuery, Query()]) -> Response:
    """The same as CSV; that it was taken is recorded, too."""
    where = query.query(zone_of(call.site, None), ROWS).where(call.who)

    def read(db: sqlite3.Connection) -> list[dict[str, Any]]:
        rows = db.execute(
            f"SELECT value FROM audit WHERE {where.sql} ORDER BY at DESC, audit_id DESC LIMIT ?",
            (*where.values, EXPORTED + 1),
        ).fetchall()
        return [as_read(db, call.who, orjson.loads(row[0])) for row in rows]

    found = await call.site.reader.ask(read)
    if len(found) > EXPORTED:
        raise Problem("too-large", f"More than {EXPORTED:,} rows; choose fewer days.")
    call.account.rows = len(found)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for one in found:
        writer.writerow([cell(one.get(name)) for name in COLUMNS])
    headers = {"Content-Disposition": 'attachment; filename="audit.csv"'}
    return Response(out.getvalue(), headers=headers, media_type="text/csv; charset=utf-8")


ROUTES: Final = (
    ("/audit", ["GET"], audit),
    ("/audit/export", ["GET"], export),
    ("/audit/patient", ["POST"], of_patient),
)
