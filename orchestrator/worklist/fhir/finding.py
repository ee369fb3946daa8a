"""Runs a search: the ids of a page, where the next one begins, and how many there are in all."""

import sqlite3
from typing import NamedTuple

from orchestrator.worklist.fhir.search import Search
from orchestrator.worklist.model.filters import (
    Where,
    after,
    cursor_of,
    list_name,
    order_sql,
    read_cursor,
)
from orchestrator.worklist.model.lists import COUNTED_TO


class Found(NamedTuple):
    """A page of ids."""

    ids: list[str]
    cursor: str | None  # of the page behind it
    total: int | None  # ``None``: not asked for, or more than are counted


def find(db: sqlite3.Connection, search: Search, cursor: str | None) -> Found:
    """
    One page.

    Raises:
        BadCursor: *cursor* is of another search.
    """
    total = _total(db, search)
    if search.summary == "count" or not search.count:
        return Found([], None, total)
    keys, source, unique = search.keys, search.kind.source, search.kind.unique
    name = list_name(
        search.kind.name,
        search.where.sql,
        [str(value) for value in search.where.values],
        order_sql(keys),
    )
    begun = Where()
    begun.clauses, begun.values = [*search.where.clauses], [*search.where.values]
    if cursor is not None:
        after(keys, read_cursor(cursor, name, len(keys)), begun)
    columns = ", ".join(key.column for key in keys)
    rows = db.execute(
        f"SELECT {unique}, {columns} FROM {source} WHERE {begun.sql}"
        f" ORDER BY {order_sql(keys)} LIMIT ?",
        (*begun.values, search.count + 1),
    ).fetchall()
    shown = rows[: search.count]
    following = cursor_of(name, shown[-1][1:]) if len(rows) > search.count else None
    return Found([row[0] for row in shown], following, total)


def _total(db: sqlite3.Connection, search: Search) -> int | None:
    counted = search.summary == "count" or not search.count
    if search.total == "none" and not counted:
        return None
    exact = counted or search.total == "accurate"
    limit = -1 if exact else COUNTED_TO + 1
    (count,) = db.execute(
        f"SELECT count(*) FROM (SELECT 1 FROM {search.kind.source} WHERE {search.where.sql}"
        " LIMIT ?)",
        (*search.where.values, limit),
    ).fetchone()
    return count if exact or count <= COUNTED_TO else None


def is_visible(db: sqlite3.Connection, search: Search, name: str) -> bool:
    """Whether the one *name* is among what is visible."""
    row = db.execute(
        f"SELECT 1 FROM {search.kind.source} WHERE {search.kind.unique} = ? AND {search.where.sql}",
        (name, *search.where.values),
    ).fetchone()
    return row is not None
