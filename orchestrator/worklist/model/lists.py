"""Tasks, gaps and changes as they are listed: filtered, in order, a page at a time, counted."""

import sqlite3
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from orchestrator.worklist.access.roles import Principal
from orchestrator.worklist.model.filters import (
    Key,
    Where,
    after,
    cursor_of,
    list_name,
    order_sql,
    read_cursor,
)

COUNTED_TO: Final = 10_000
# All of them: with each, due times are a range of an index.
HURRIES: Final = (0, 1, 2, 3)


class Row(NamedTuple):
    """One thing as it was published, and why it is so."""

    number: int
    value: bytes
    why: str | None


class Page(NamedTuple):
    """A page of a list."""

    rows: list[Row]
    next: str | None  # the cursor of the following one
    total: int | None  # ``None``: more than are counted


def page(
    db: sqlite3.Connection,
    table: str,
    where: Where,
    keys: Sequence[Key],
    limit: int,
    cursor: str | None,
) -> Page:
    """
    One page of *table*.

    Raises:
        BadCursor: *cursor* belongs to another list.
    """
    name = list_name(table, where.sql, where.values, order_sql(keys))
    total = _count(db, table, where)
    begun = Where()
    begun.clauses, begun.values = [*where.clauses], [*where.values]
    if cursor is not None:
        after(keys, read_cursor(cursor, name, len(keys)), begun)
    columns = ", ".join(key.column for key in keys)
    found = db.execute(
        f"SELECT id, value, why, {columns} FROM (SELECT id, {columns} FROM {table}"
        f" WHERE {begun.sql} ORDER BY {order_sql(keys)} LIMIT ?) JOIN {table}_said USING (id)"
        f" ORDER BY {order_sql(keys)}",
        (*begun.values, limit + 1),
    ).fetchall()
    following = cursor_of(name, found[limit - 1][3:]) if len(found) > limit else None
    return Page([Row(*row[:3]) for row in found[:limit]], following, total)


def _count(db: sqlite3.Connection, table: str, where: Where) -> int | None:
    (count,) = db.execute(
        f"SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {where.sql} LIMIT ?)",
        (*where.values, COUNTED_TO + 1),
    ).fetchone()
    return count if count <= COUNTED_TO else None


def one(db: sqlite3.Connection, table: str, name: str, where: Where) -> Row | None:
    """The thing *name* if it meets *where*: what may not be seen is not there."""
    column = f"{table[:-1]}_id"
    row = db.execute(
        f"SELECT id, value, why FROM {table} JOIN {table}_said USING (id)"
        f" WHERE {column} = ? AND {where.sql}",
        (name, *where.values),
    ).fetchone()
    return None if row is None else Row(*row)


def every(
    db: sqlite3.Connection, table: str, where: Where, keys: Sequence[Key], limit: int
) -> list[Row]:
    """All that meets *where*, at most *limit*."""
    found = db.execute(
        f"SELECT id, value, why FROM {table} JOIN {table}_said USING (id) WHERE {where.sql}"
        f" ORDER BY {order_sql(keys)} LIMIT ?",
        (*where.values, limit),
    ).fetchall()
    return [Row(*row) for row in found]


def silent_feeds(db: sqlite3.Connection, who: Principal) -> list[str]:
    """The facilities of *who* of which nothing was heard for longer than is usual there."""
    found = db.execute(
        "SELECT DISTINCT facility FROM gaps WHERE code = 'FEED_SILENT' AND status = 'open'"
        " ORDER BY facility"
    ).fetchall()
    return [name for (name,) in found if name is not None and who.sees_facility(name)]


def queues(db: sqlite3.Connection, where: Where, actor: str, now: int) -> list[dict[str, Any]]:
    """Per team what is open, unowned, mine, overdue, born overdue, due soon."""
    hour = 3_600_000_000
    found = db.execute(
        "SELECT team, sum(open), sum(open * (owner IS NULL)), sum(open * (owner IS ?)),"
        " sum(open * (overdue AND NOT born_overdue)), sum(open * born_overdue)"
        f" FROM tally WHERE {where.sql} GROUP BY team ORDER BY team",
        (actor, *where.values),
    ).fetchall()
    soon = {
        row[0]: row[1:]
        for row in db.execute(
            f"SELECT team, sum(due_at <= ?), count(*) FROM tasks WHERE open = 1"
            f" AND hurry IN {HURRIES} AND due_at > ? AND due_at <= ? AND {where.sql} GROUP BY team",
            (now + 4 * hour, now, now + 24 * hour, *where.values),
        )
    }
    names = ("team", "open", "unowned", "mine", "overdue", "born_overdue", "due_4h", "due_24h")
    return [dict(zip(names, (*row, *soon.get(row[0], (0, 0))), strict=True)) for row in found]
