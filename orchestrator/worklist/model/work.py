"""My work: open tasks in groups by how much they hurry, a page at a time, counted as a whole.

Within a group by due time, then task id.  Which group a task is in depends on the hour and, for
days, on the facility's zone; so a page is put together group by group, each from an index.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from orchestrator.worklist.model import tally
from orchestrator.worklist.model.filters import (
    Where,
    cursor_of,
    list_name,
    read_cursor,
)
from orchestrator.worklist.model.lists import HURRIES, Row

Group = Literal["urgent", "overdue", "arrived-late", "today", "tomorrow", "later"]
GROUPS: Final[tuple[Group, ...]] = (
    "urgent",
    "overdue",
    "arrived-late",
    "today",
    "tomorrow",
    "later",
)
LATER: Final = GROUPS.index("later")
WITHDRAWN: Final = ("cancelled", "entered-in-error")
WITHDRAWN_MAX: Final = 200


class Days(NamedTuple):
    """When the local days of some facilities end; ``None``: of all that no other names."""

    facilities: tuple[str, ...] | None
    today: int
    tomorrow: int


class Count(NamedTuple):
    """How many open tasks match, by group and by whose they are."""

    mine: dict[Group, int]
    unowned: dict[Group, int]
    all: dict[Group, int]


class WorkPage(NamedTuple):
    """A page of work: rows with their groups."""

    rows: list[tuple[Group, Row]]
    next: str | None


def _until(days: Sequence[Days], name: str) -> tuple[str, list[Any]]:
    """The instant at which the day of a row's facility ends, in SQL."""
    usual = next(getattr(one, name) for one in days if one.facilities is None)
    whens: list[str] = []
    values: list[Any] = []
    for one in days:
        if one.facilities is not None and getattr(one, name) != usual:
            marks = ", ".join("?" * len(one.facilities))
            whens.append(f"WHEN facility IN ({marks}) THEN ?")
            values += [*one.facilities, getattr(one, name)]
    if not whens:
        return "?", [usual]
    return f"CASE {' '.join(whens)} ELSE ? END", [*values, usual]


def _case(days: Sequence[Days]) -> tuple[str, list[Any]]:
    """The number of a row's group, in SQL."""
    today, first = _until(days, "today")
    tomorrow, second = _until(days, "tomorrow")
    sql = (
        f"CASE WHEN hurry < 3 THEN hurry WHEN due_at <= {today} THEN 3"
        f" WHEN due_at <= {tomorrow} THEN 4 ELSE 5 END"
    )
    return sql, [*first, *second]


def _of_group(number: int, days: Sequence[Days], where: Where) -> None:
    today, first = _until(days, "today")
    tomorrow, second = _until(days, "tomorrow")
    where.add(f"hurry = {min(number, 3)}")
    if number == 3:
        where.add(f"due_at <= {today}", *first)
    elif number == 4:
        where.add(f"due_at > {today} AND due_at <= {tomorrow}", *first, *second)
    elif number > 4:
        where.add(f"due_at > {tomorrow}", *second)


def _tasks(where: Where) -> str:
    """
    The table, in SQL.

    Where *where* picks a few by an index of their own, it is named: the planner, who is never told
    sizes, would read all open work for them in the order that is asked for.
    """
    if where.is_never:
        return "tasks"  # SQLite looks nowhere then, and takes a named index for a mistake
    if "flags <> ''" in where.sql:
        return "tasks INDEXED BY tasks_flagged"
    if "owner IN" in where.sql and "NULL" not in where.sql:
        return "tasks INDEXED BY tasks_owner"
    return "tasks"


def counts(db: sqlite3.Connection, where: Where, days: Sequence[Days], actor: str) -> Count:
    """How much there is of each group under *where*, which says nothing of owners."""
    if tally.answers(where):
        return _tallied(db, where, days, actor)
    case, values = _case(days)
    found = db.execute(
        f"SELECT {case} AS grp, count(*), sum(owner IS ?), sum(owner IS NULL)"
        f" FROM {_tasks(where)} WHERE open = 1 AND {where.sql} GROUP BY grp",
        (*values, actor, *where.values),
    ).fetchall()
    return _as_count(found)


def _tallied(db: sqlite3.Connection, where: Where, days: Sequence[Days], actor: str) -> Count:
    """The same; only what is due today and tomorrow is counted row by row."""
    case, values = _case(days)
    last = max(one.tomorrow for one in days)
    soon = db.execute(
        f"SELECT {case} AS grp, count(*), sum(owner IS ?), sum(owner IS NULL) FROM tasks"
        f" WHERE open = 1 AND hurry = 3 AND due_at <= ? AND {where.sql} GROUP BY grp",
        (*values, actor, last, *where.values),
    ).fetchall()
    found = db.execute(
        "SELECT hurry, sum(open), sum(open * (owner IS ?)), sum(open * (owner IS NULL)) FROM tally"
        f" WHERE {where.sql} GROUP BY hurry",
        (actor, *where.values),
    ).fetchall()
    near = [row for row in soon if row[0] < LATER]
    rest = [
        (LATER, *(sum_ - sum(row[n] for row in near) for n, sum_ in enumerate(row[1:], 1)))
        for row in found
        if row[0] == 3
    ]
    return _as_count([*(row for row in found if row[0] < 3), *near, *rest])


def _as_count(found: Iterable[tuple[int, ...]]) -> Count:
    mine: dict[Group, int] = dict.fromkeys(GROUPS, 0)
    unowned, whole = dict(mine), dict(mine)
    for number, count, of_actor, of_nobody in found:
        group = GROUPS[number]
        whole[group], mine[group], unowned[group] = count, of_actor, of_nobody
    return Count(mine, unowned, whole)


def page(
    db: sqlite3.Connection, where: Where, days: Sequence[Days], limit: int, cursor: str | None
) -> WorkPage:
    """
    One page of open tasks.

    Raises:
        BadCursor: *cursor* belongs to another list.
    """
    name = list_name("work", where.sql, where.values)
    begin: tuple[int, int, str] = (0, -(2**62), "")
    if cursor is not None:
        begin = _begin(read_cursor(cursor, name, 3))
    rows: list[tuple[int, int, str, Row]] = []
    for number in range(begin[0], len(GROUPS)):
        after = begin[1:] if number == begin[0] else (-(2**62), "")
        part = Where()
        part.clauses, part.values = ["open = 1", *where.clauses], [*where.values]
        _of_group(number, days, part)
        part.add("(due_at, task_id) > (?, ?)", *after)
        found = db.execute(
            "SELECT id, value, why, due_at, task_id FROM (SELECT id, due_at, task_id"
            f" FROM {_tasks(where)} WHERE {part.sql} ORDER BY due_at, task_id LIMIT ?)"
            " JOIN tasks_said USING (id) ORDER BY due_at, task_id",
            (*part.values, limit + 1 - len(rows)),
        ).fetchall()
        rows += [(number, row[3], row[4], Row(*row[:3])) for row in found]
        if len(rows) > limit:
            break
    following = None
    if len(rows) > limit:
        following = cursor_of(name, rows[limit - 1][:3])
    return WorkPage([(GROUPS[number], row) for number, _, _, row in rows[:limit]], following)


def _begin(values: list[Any]) -> tuple[int, int, str]:
    number, due, task = values
    if type(number) is not int or not 0 <= number < len(GROUPS) or type(due) is not int:
        return 0, -(2**62), ""
    return number, due, str(task)


def group_of(db: sqlite3.Connection, number: int, where: Where, days: Sequence[Days]) -> str | None:
    """In which group row *number* stands now; ``None``: in none, it is closed or filtered out."""
    case, values = _case(days)
    row = db.execute(
        f"SELECT {case} FROM tasks WHERE id = ? AND open = 1 AND {where.sql}",
        (*values, number, *where.values),
    ).fetchone()
    return None if row is None else GROUPS[row[0]]


def group_then(
    db: sqlite3.Connection, task: Mapping[str, Any], where: Where, days: Sequence[Days]
) -> str | None:
    """The same of a task with these values of the columns, as it once was."""
    case, values = _case(days)
    columns = ", ".join(f"? AS {name}" for name in task)
    row = db.execute(
        f"SELECT {case} FROM (SELECT {columns}) AS tasks WHERE open = 1 AND {where.sql}",
        (*values, *task.values(), *where.values),
    ).fetchone()
    return None if row is None else GROUPS[row[0]]


def withdrawn(db: sqlite3.Connection, where: Where, actor: str) -> list[Row]:
    """The tasks that were taken from *actor*'s hands by the facts, newest first."""
    found = db.execute(
        "SELECT id, value, why FROM tasks JOIN tasks_said USING (id)"
        f" WHERE owner = ? AND status IN (?, ?) AND {where.sql}"
        " ORDER BY updated_at DESC, task_id LIMIT ?",
        (actor, *WITHDRAWN, *where.values, WITHDRAWN_MAX),
    ).fetchall()
    return [Row(*row) for row in found]


class Load(NamedTuple):
    """How much somebody holds."""

    owner: str | None  # ``None``: nobody
    open: int
    overdue: int
    due_4h: int


def load(db: sqlite3.Connection, where: Where, now: int) -> list[Load]:
    """Per person, and for what nobody has: what is open, overdue, and due within 4 h."""
    soon = now + 4 * 3_600_000_000
    if tally.answers(where):
        held = db.execute(
            "SELECT owner, sum(open), sum(open * (overdue AND NOT born_overdue)) FROM tally"
            f" WHERE {where.sql} GROUP BY owner ORDER BY owner IS NOT NULL, sum(open) DESC, owner",
            where.values,
        ).fetchall()
        due = dict(
            db.execute(
                f"SELECT owner, count(*) FROM tasks WHERE open = 1 AND hurry IN {HURRIES}"
                f" AND due_at > ? AND due_at <= ? AND {where.sql} GROUP BY owner",
                (now, soon, *where.values),
            ).fetchall()
        )
        return [Load(owner, open_, late, due.get(owner, 0)) for owner, open_, late in held]
    found = db.execute(
        "SELECT owner, count(*), sum(overdue AND NOT born_overdue), sum(due_at > ? AND due_at <= ?)"
        f" FROM {_tasks(where)} WHERE open = 1 AND {where.sql} GROUP BY owner"
        " ORDER BY owner IS NOT NULL, count(*) DESC, owner",
        (now, soon, *where.values),
    ).fetchall()
    return [Load(*row) for row in found]


def owners(db: sqlite3.Connection, where: Where) -> list[str]:
    """Everybody who holds an open task; *where* names what is tallied alone."""
    found = db.execute(
        f"SELECT DISTINCT owner FROM tally WHERE owner IS NOT NULL AND {where.sql}"
        " ORDER BY owner LIMIT 500",
        where.values,
    ).fetchall()
    return [str(owner) for (owner,) in found]


def escalation(db: sqlite3.Connection, transition: str) -> int | None:
    """By when a clinician is asked to call, where one is."""
    row = db.execute(
        "SELECT due_at FROM tasks WHERE transition_id = ? AND kind = 'CLINICAL_ESCALATION'"
        " AND open = 1 ORDER BY opened_at DESC, task_id LIMIT 1",
        (transition,),
    ).fetchone()
    return None if row is None else int(row[0])
