"""``/tasks.csv`` and ``/gaps.csv``: a list as a table, for who may take it away (RFC 4180)."""

import csv
import io
import sqlite3
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

from fastapi import Query, Response
from fastapi.responses import StreamingResponse

from orchestrator.worklist import views
from orchestrator.worklist.api.guard import Call, CallOf, rule
from orchestrator.worklist.api.queries import GapFilter, TaskFilter
from orchestrator.worklist.model import lists
from orchestrator.worklist.model.filters import Key, Where
from orchestrator.worklist.problems import Problem

ROWS_MAX: Final = 100_000
AT_ONCE: Final = 1_000
MEDIA: Final = "text/csv"

TASK_COLUMNS: Final = (
    "task_id", "version", "patient", "patient_key", "facility", "kind", "status", "team",
    "priority", "due_at", "tcm_contact_by", "owner", "opened_at", "closed_at", "status_reason",
    "overdue", "born_overdue", "lateness", "attribution", "attempts", "tcm_contact_status",
    "flags", "masked", "outcome", "rule", "why", "notice",
)  # fmt: skip
GAP_COLUMNS: Final = (
    "gap_id", "version", "patient", "patient_key", "facility", "code", "subject", "status",
    "severity", "occurrence", "team", "since", "opened_at", "closed_at", "close_reason", "flags",
    "rule", "why", "notice",
)  # fmt: skip

# A cell that begins so is a formula to a spreadsheet; the quotation mark makes it a text.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")  # noqa: RUF001 - full width


@rule("export", "export", limit="export", media=MEDIA)
async def tasks_csv(call: CallOf, query: Annotated[TaskFilter, Query()]) -> Response:
    """The tasks of a filter as CSV."""
    return await _csv(call, "task", TASK_COLUMNS, query.where(call.who), query.order())


@rule("export", "export", limit="export", media=MEDIA)
async def gaps_csv(call: CallOf, query: Annotated[GapFilter, Query()]) -> Response:
    """The gaps of a filter as CSV."""
    return await _csv(call, "gap", GAP_COLUMNS, query.where(call.who), query.order())


async def _csv(
    call: Call, kind: str, columns: tuple[str, ...], where: Where, keys: list[Key]
) -> Response:
    def count(db: sqlite3.Connection) -> int:
        (found,) = db.execute(
            f"SELECT count(*) FROM (SELECT 1 FROM {kind}s WHERE {where.sql} LIMIT ?)",
            (*where.values, ROWS_MAX + 1),
        ).fetchone()
        return int(found)

    rows = await call.site.reader.ask(count)
    if rows > ROWS_MAX:
        raise Problem("too-large", f"More than {ROWS_MAX:,} rows; narrow the filter.")
    call.account.rows = rows
    call.account.query_hash = call.site.key_of(f"query|{kind}|{where.sql}|{where.values!r}")
    headers = {"Content-Disposition": f'attachment; filename="{kind}s.csv"'}
    lines = _lines(call, kind, columns, where, keys)
    return StreamingResponse(lines, media_type=f"{MEDIA}; charset=utf-8", headers=headers)


async def _lines(
    call: Call, kind: str, columns: tuple[str, ...], where: Where, keys: list[Key]
) -> AsyncIterator[bytes]:
    yield _written([columns])
    cursor: str | None = None
    while True:

        def read(db: sqlite3.Connection, at: str | None = cursor) -> lists.Page:
            return lists.page(db, f"{kind}s", where, keys, AT_ONCE, at)

        page = await call.site.reader.ask(read)
        found = [views.item(kind, row.value, row.why, call.who) for row in page.rows]
        yield _written([[cell(item.get(name)) for name in columns] for item in found])
        cursor = page.next
        if cursor is None:
            return


def _written(rows: Any) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue().encode()


def cell(value: Any) -> str:
    """One cell; never a formula."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        value = " ".join(str(part) for part in value)
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
