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

    @property
    def is_never(self) -> bool:
        """Whether it is known not to hold of anything: something is to be among no choices."""
        return " IN ()" in self.sql


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


def gaps_of(who: Principal, table: str = "gaps") -> Where:
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
            f"(team IN ({marks}) OR EXISTS (SELECT 1 FROM tasks AS theirs"
            f" WHERE theirs.patient_key = {table}.patient_key AND theirs.team IN ({marks})))",
            *teams,
            *teams,
        )
    return where


def sees_change(who: Principal, kind: str, team: str | None, facility: str | None) -> bool | None:
    """
    Whether *who* may see a change of a task or gap: what `tasks_of` and `gaps_of` say of its row.

    Returns:
        ``None``: only the rows can tell, since it depends on the patient's other tasks.
    """
    if not who.sees_facility(facility) or (team == RESTRICTED_TEAM and not who.part2):
        return False
    if who.teams is None or team in who.teams:
        return True
    if kind == "gap":
        return None if who.patients == "team" else True
    return False


def sees_patient(who: Principal, key: str) -> tuple[str, list[Any]]:
    """A condition: whether *who* may see the patient whose key the column *key* has."""
    if who.patients is None:
        return "0", []
    if who.patients == "team":
        where = tasks_of(who)
        sql = f"EXISTS (SELECT 1 FROM tasks AS own WHERE own.patient_key = {key} AND {where.sql})"
        return sql, where.values
    return something_open(who, key)


def something_open(who: Principal, key: str) -> tuple[str, list[Any]]:
    """A condition: whether anything, of whatever team, is open at *who*'s facilities."""
    where = Where()
    where.among("facility", who.facilities)
    sql = " OR ".join(
        f"EXISTS (SELECT 1 FROM {table} AS own WHERE own.patient_key = {key} AND {is_open}"
        f" AND {where.sql})"
        for table, is_open in (
            ("transitions", "own.status <> 'closed'"),
            ("tasks", "own.open = 1"),
            ("gaps", "own.status = 'open'"),
        )
    )
    return f"({sql})", where.values * 3


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


def _is_of_a_column(value: Any) -> bool:
    """Whether SQLite has such values: a forged cursor may hold any number."""
    return isinstance(value, str) or (type(value) is int and -(2**63) <= value < 2**63)


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
    if not all(_is_of_a_column(value) for value in plain):
        raise BadCursor
    return plain[1:]
