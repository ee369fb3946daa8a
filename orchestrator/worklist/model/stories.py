"""What happened: to one thing, to one patient, because of one event."""

import sqlite3
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from orchestrator.worklist.access.roles import Principal
from orchestrator.worklist.model.filters import (
    Where,
    gaps_of,
    sees_patient,
    something_open,
    tasks_of,
)
from orchestrator.worklist.model.fold import NO_VERDICT


class Told(NamedTuple):
    """One change as it was published."""

    number: int
    value: bytes


def generation(db: sqlite3.Connection) -> str:
    """Names the file: in one that was made anew, row numbers mean something else."""
    (name,) = db.execute("SELECT value FROM meta WHERE name = 'generation'").fetchone()
    return str(name)


def end(db: sqlite3.Connection) -> int:
    """The row of the last change."""
    (number,) = db.execute("SELECT coalesce(max(id), 0) FROM changes").fetchone()
    return int(number)


def verdict(db: sqlite3.Connection, event: str) -> Told | None:
    """What became of a command: the change that it brought, or its refusal; the task's first."""
    row = db.execute(
        "SELECT c.id, c.value FROM caused JOIN changes c ON c.id = caused.change_id"
        " WHERE caused.event = ? AND c.kind NOT IN (?, ?)"
        " ORDER BY c.kind = 'task' DESC, c.kind = 'command' DESC, c.id LIMIT 1",
        (event, *NO_VERDICT),
    ).fetchone()
    return None if row is None else Told(*row)


def brought(db: sqlite3.Connection, events: Sequence[str], behind: int) -> tuple[int, int]:
    """How many changes behind row *behind* these events brought, and of how many tasks."""
    marks = ", ".join("?" * len(events))
    changes, tasks = db.execute(
        "SELECT count(DISTINCT c.id), count(DISTINCT CASE WHEN c.kind = 'task' THEN c.thing END)"
        " FROM caused JOIN changes c ON c.id = caused.change_id"
        f" WHERE caused.event IN ({marks}) AND c.id > ? AND c.kind NOT IN (?, ?)",
        (*events, behind, *NO_VERDICT),
    ).fetchone()
    return int(changes), int(tasks)


def have_come(db: sqlite3.Connection, events: Sequence[str], behind: int) -> bool:
    """Whether each of these events is on a timeline, by a change behind row *behind*."""
    marks = ", ".join("?" * len(events))
    (come,) = db.execute(
        f"SELECT count(DISTINCT event) FROM caused WHERE event IN ({marks}) AND change_id > ?",
        (*events, behind),
    ).fetchone()
    return bool(come == len(set(events)))


def history(db: sqlite3.Connection, thing: str, *kinds: str) -> list[Told]:
    """
    Each version of one thing, oldest first.

    Args:
        kinds: Its own; with ``command`` also what was said of it and changed nothing.
    """
    found = db.execute(
        "SELECT id, value FROM changes WHERE thing = ? AND change <> 'command.refused'"
        f" AND kind IN ({', '.join('?' * len(kinds))}) ORDER BY seq, id",
        (thing, *kinds),
    ).fetchall()
    return [Told(*row) for row in found]


def stood(db: sqlite3.Connection, event: str, kind: str, thing: str, number: int) -> Told | None:
    """
    The version of one thing that *event* made, or found.

    Args:
        number: The verdict on *event*; what came later was not known then.
    """
    row = db.execute(
        "SELECT id, value FROM (SELECT c.id, c.value, 0 AS found FROM caused"
        " JOIN changes c ON c.id = caused.change_id"
        " WHERE caused.event = ? AND c.thing = ? AND c.kind = ?"
        " UNION ALL SELECT id, value, 1 FROM (SELECT id, value FROM changes"
        " WHERE thing = ? AND kind = ? AND id <= ? ORDER BY id DESC LIMIT 1))"
        " ORDER BY found, id LIMIT 1",
        (event, thing, kind, thing, kind, number),
    ).fetchone()
    return None if row is None else Told(*row)


def masked_now(db: sqlite3.Connection, told: Collection[Told]) -> frozenset[int]:
    """
    Which of *told* are about a thing that is masked as it stands now.

    Its unit may have become known, or a consent been taken back, after an earlier version.
    """
    numbers = [one.number for one in told]
    marks = ", ".join("?" * len(numbers))
    found: set[int] = set()
    for table in ("tasks", "gaps", "transitions"):
        found.update(
            number
            for (number,) in db.execute(
                f"SELECT c.id FROM changes c JOIN {table} t ON t.{table[:-1]}_id = c.thing"
                f" JOIN {table}_said s ON s.id = t.id WHERE c.id IN ({marks})"
                " AND json_extract(CAST(s.value AS TEXT), '$.masked')",
                numbers,
            )
        )
    return frozenset(found)


def changes_after(
    db: sqlite3.Connection, who: Principal, after: int, event: str | None, limit: int
) -> list[Told]:
    """The change log behind row *after*, as far as *who* may see it."""
    where = _visible(who)
    source = "changes c"
    if event is not None:
        source = "changes c JOIN caused ON caused.change_id = c.id"
        where.add("caused.event = ?", event)
    found = db.execute(
        f"SELECT c.id, c.value FROM {source} WHERE c.id > ? AND {where.sql} ORDER BY c.id LIMIT ?",
        (after, *where.values, limit),
    ).fetchall()
    return [Told(*row) for row in found]


def timeline(
    db: sqlite3.Connection, who: Principal, key: str, before: int | None, limit: int
) -> list[Told]:
    """
    Everything about one patient that *who* may see, newest first.

    Args:
        before: The row behind which it goes on.
    """
    where = _visible(who, one_patient=True)
    # By whom it is about, as it is known now: taken apart again, each has their own story.
    where.add("c.subject IN (SELECT subject FROM subjects WHERE patient_key = ?)", key)
    if before is not None:
        where.add("(c.at, c.id) < (SELECT at, id FROM changes WHERE id = ?)", before)
    found = db.execute(
        f"SELECT c.id, c.value FROM changes c WHERE {where.sql} ORDER BY c.at DESC, c.id DESC"
        " LIMIT ?",
        (*where.values, limit),
    ).fetchall()
    return [Told(*row) for row in found]


def _visible(who: Principal, *, one_patient: bool = False) -> Where:
    """
    Changes that *who* may see.

    A task's, gap's or transition's stands at its facility.  An event, a notice or a verdict names
    none: it is seen where a discharge of that subject is.

    Args:
        one_patient: Of whom it is known already that *who* may see them.
    """
    where = Where()
    if not who.part2:
        where.add("coalesce(c.team, '') <> 'restricted'")
    if who.facilities is not None:
        marks = ", ".join("?" * len(who.facilities))
        facilities = sorted(who.facilities)
        where.add(
            f"(c.facility IN ({marks}) OR (c.facility IS NULL AND EXISTS (SELECT 1 FROM"
            f" transitions t WHERE t.subject = c.subject AND t.facility IN ({marks}))))",
            *facilities,
            *facilities,
        )
    if who.patients == "team" and who.teams is not None:
        # Such a role sees no other team's task, in whatever story it appears.
        marks = ", ".join("?" * len(who.teams))
        where.add(f"(c.kind <> 'task' OR c.team IN ({marks}))", *sorted(who.teams))
    about = _about_what_is_seen(who)
    if about.values or not who.part2:
        where.add(
            "(c.kind NOT IN ('command', 'notice') OR c.thing IS NULL OR"
            f" EXISTS (SELECT 1 FROM tasks WHERE task_id = c.thing AND {about.sql}) OR"
            f" EXISTS (SELECT 1 FROM gaps WHERE gap_id = c.thing AND {about.sql}))",
            *about.values,
            *about.values,
        )
    if not one_patient and who.patients == "team" and who.teams is not None:
        marks = ", ".join("?" * len(who.teams))
        where.add(
            "EXISTS (SELECT 1 FROM tasks AS theirs WHERE theirs.patient_key = c.patient_key"
            f" AND theirs.team IN ({marks}))",
            *sorted(who.teams),
        )
    return where


def _about_what_is_seen(who: Principal) -> Where:
    """Of a command and of a notice: whether *who* may see the task or gap that it is about."""
    where = Where()
    if not who.part2:
        where.add("team <> 'restricted'")
    if who.facilities is not None:
        marks = ", ".join("?" * len(who.facilities))
        where.add(f"facility IN ({marks})", *sorted(who.facilities))
    if who.patients == "team" and who.teams is not None:
        marks = ", ".join("?" * len(who.teams))
        where.add(f"team IN ({marks})", *sorted(who.teams))
    return where


def survivor(db: sqlite3.Connection, key: str) -> str:
    """The key under which the patient of *key* is known now."""
    row = db.execute(
        "SELECT patient_key FROM subjects WHERE key = ? ORDER BY seq DESC LIMIT 1", (key,)
    ).fetchone()
    return key if row is None else str(row[0])


def may_see_patient(db: sqlite3.Connection, who: Principal, key: str) -> bool:
    """Whether *who* may see the patient of *key*."""
    return _holds(db, key, *sees_patient(who, "asked.key"))


def has_something_open(db: sqlite3.Connection, who: Principal, key: str) -> bool:
    """Whether anything of the patient of *key* is open, be it another team's."""
    return _holds(db, key, *something_open(who, "asked.key"))


def _holds(db: sqlite3.Connection, key: str, condition: str, values: list[Any]) -> bool:
    sql = f"SELECT {condition} FROM (SELECT ? AS key) AS asked"
    (held,) = db.execute(sql, (*values, key)).fetchone()
    return bool(held)


def tasks_of_patient(db: sqlite3.Connection, who: Principal, key: str) -> list[Any]:
    """The patient's tasks of the teams that *who* may see."""
    where = tasks_of(who)
    return db.execute(
        f"SELECT id, value, why FROM tasks JOIN tasks_said USING (id)"
        f" WHERE patient_key = ? AND {where.sql}"
        " ORDER BY open DESC, rank, due_at, task_id",
        (key, *where.values),
    ).fetchall()


def live(
    db: sqlite3.Connection, who: Principal, after: int, kinds: Collection[str], limit: int
) -> list[Told]:
    """What changed behind row *after* in tasks and gaps that *who* may see."""
    ways: list[str] = []
    values: list[Any] = []
    for kind, where in (("task", tasks_of(who)), ("gap", gaps_of(who, "changes"))):
        if kind in kinds:
            ways.append(f"(kind = '{kind}' AND {where.sql})")
            values += where.values
    if not ways:
        return []
    found = db.execute(
        f"SELECT id, value FROM changes WHERE id > ? AND ({' OR '.join(ways)}) ORDER BY id LIMIT ?",
        (after, *values, limit),
    ).fetchall()
    return [Told(*row) for row in found]
