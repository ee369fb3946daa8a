"""From what a list is filtered and sorted by to SQL, and from one page to the next.

Paging is by key: a page begins behind the last row of the one before, so no row comes twice, none
that did not change is skipped, and the 900th page costs what the first does.
"""

import base64
import binascii
import hashlib
from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple

import orjson

from orchestrator.worklist.access.roles import RESTRICTED_TEAM, Principal

NONE: Final = "none"


class BadCursor(ValueError):
    """The cursor is not one of this list."""


class Where:
    """Conditions that all hold, with their values."""

    def __init__(self) -> None:
        self.clauses: list[str] = []
        self.values: list[Any] = []

    def add(self, clause: str, *values: Any) -> None:
        self.clauses.append(clause)
        self.values += values

    def among(self, column: str, choices: Collection[Any] | None) -> None:
        """*column* is one of *choices*; ``None``: no condition, empty: nothing is."""
        if choices is None:
            return
        marks = ", ".join("?" * len(choices))
        self.add(f"{column} IN ({marks})", *sorted(choices))

    @property
    def sql(self) -> str:
        return " AND ".join(self.clauses) or "1"


class Key(NamedTuple):
    """One column of the order."""

    column: str
    descending: bool


def tasks_of(who: Principal) -> Where:
    """The tasks that *who* may see: of its facilities and teams."""
    where = Where()
    where.among("facility", who.facilities)
    where.among("team", who.teams)
    if not who.part2:
        where.add("team <> ?", RESTRICTED_TEAM)
    return where


def gaps_of(who: Principal) -> Where:
    """
    The gaps that *who* may see.

    Of its facilities; who works for teams alone sees those of its teams and of its teams' patients.
    """
    where = Where()
    where.among("facility", who.facilities)
    if not who.part2:
        where.add("team <> ?", RESTRICTED_TEAM)
    if who.patients == "team" and who.teams is not None:
        marks = ", ".join("?" * len(who.teams))
        teams = sorted(who.teams)
        where.add(
            f"(team IN ({marks}) OR patient_key IN"
            f" (SELECT patient_key FROM tasks WHERE team IN ({marks})))",
            *teams,
            *teams,
        )
    return where


def sees_patient(who: Principal) -> tuple[str, list[Any]]:
    """A condition on the patient key in place of its one ``?``: whether *who* may see them."""
    if who.patients == "team":
        where = tasks_of(who)
        return f"EXISTS (SELECT 1 FROM tasks WHERE patient_key = ? AND {where.sql})", where.values
    where = Where()
    where.among("facility", who.facilities)
    sql = (
        f"EXISTS (SELECT 1 FROM transitions WHERE patient_key = ? AND {where.sql}"
        " AND status <> 'closed')"
        f" OR EXISTS (SELECT 1 FROM tasks WHERE patient_key = ? AND open = 1 AND {where.sql})"
        f" OR EXISTS (SELECT 1 FROM gaps WHERE patient_key = ? AND status = 'open'"
        f" AND {where.sql})"
    )
    return sql, where.values


def order(sort: str, columns: dict[str, tuple[str, bool]], last: str) -> list[Key]:
    """
    The order that ``sort=-priority,due_at`` means; it ends with *last*, which is unique.

    Args:
        columns: By the word, the column and whether it runs the other way round.

    Raises:
        ValueError: A word is unknown or stands twice.
    """
    keys: list[Key] = []
    for word in sort.split(","):
        descending = word.startswith("-")
        column, reversed_ = columns[word.removeprefix("-")]
        if any(key.column == column for key in keys):
            raise ValueError(word)
        keys.append(Key(column, descending != reversed_))
    if all(key.column != last for key in keys):
        keys.append(Key(last, descending=False))
    return keys


def order_sql(keys: Sequence[Key]) -> str:
    return ", ".join(f"{key.column}{' DESC' if key.descending else ''}" for key in keys)


def after(keys: Sequence[Key], values: Sequence[Any], where: Where) -> None:
    """Only rows behind the one with *values*."""
    if not any(key.descending for key in keys):
        columns = ", ".join(key.column for key in keys)
        where.add(f"({columns}) > ({', '.join('?' * len(keys))})", *values)
        return
    ways: list[str] = []
    used: list[Any] = []
    for number, key in enumerate(keys):
        parts = [f"{before.column} = ?" for before in keys[:number]]
        parts.append(f"{key.column} {'<' if key.descending else '>'} ?")
        ways.append("(" + " AND ".join(parts) + ")")
        used += values[: number + 1]
    # The first column alone bounds what is looked at; the rest decides among its equals.
    first = keys[0]
    where.add(f"{first.column} {'<=' if first.descending else '>='} ?", values[0])
    where.add("(" + " OR ".join(ways) + ")", *used)


def list_name(*parts: Any) -> str:
    """A short name for one list, so that its cursor is not used on another."""
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()[:12]


def cursor_of(name: str, values: Sequence[Any]) -> str:
    """A cursor behind the row with *values*."""
    return base64.urlsafe_b64encode(orjson.dumps([name, *values])).decode().rstrip("=")


def read_cursor(cursor: str, name: str, length: int) -> list[Any]:
    """
    The inverse of `cursor_of`.

    Raises:
        BadCursor: It is no cursor, or one of another list.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        plain = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error):
        raise BadCursor from None
    if not isinstance(plain, list) or len(plain) != length + 1 or plain[0] != name:
        raise BadCursor
    if not all(isinstance(value, str | int) for value in plain):
        raise BadCursor
    return plain[1:]
