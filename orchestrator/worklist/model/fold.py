"""What one published record does to the rows.

A thing's row is its greatest version, and the sentence of the change that made that version; a
change is its (subject, seq).  So records may come twice, and those of different topics in any
order: the rows that result are the same.
"""

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import orjson
import structlog

from orchestrator.worklist.instants import micros
from orchestrator.worklist.log.feed import (
    AUDIT,
    CHANGES,
    GAPS,
    LETTERS,
    OUTCOMES,
    PATIENTS,
    TASKS,
    Record,
)
from orchestrator.worklist.model import letters, said
from schemas.tasks import TERMINAL

# The most urgent first, so that the default order is ascending throughout and one index serves it.
RANK: Final = {"stat": 0, "asap": 1, "urgent": 2, "routine": 3}
SEVERITY: Final = {"critical": 0, "high": 1, "medium": 2, "low": 3, "info": 4}

# What a command brings about names it, and so does the record that it came; that is no answer.
NO_VERDICT: Final = ("event", "notice")

logger = structlog.get_logger()


class Seen(NamedTuple):
    """A change that is new, as far as who waits for it must know."""

    id: int
    change: str
    kind: str
    thing: str | None
    patient_key: str | None
    facility: str | None
    team: str | None
    caused_by: tuple[str, ...]  # the events whose answer this is
    content: dict[str, Any]  # the change itself; nobody alters it


class Fold:
    """
    Applies records to an open transaction.

    Args:
        key_of: The patient key of an identifier; tells which keys a merge has retired.
    """

    def __init__(self, connection: sqlite3.Connection, key_of: Callable[[str], str]) -> None:
        self._db = connection
        self._key_of = key_of
        self.differences = 0  # records of one id and version that are not equal: a defect

    def apply(self, record: Record) -> Seen | None:
        """Take in one record; the change that it brought, if it is one and new."""
        if record.topic == CHANGES and record.value is not None:
            return self._change(orjson.loads(record.value), record.value)
        if record.topic == TASKS and record.value is not None:
            self._task(orjson.loads(record.value), record.value, None, None)
        elif record.topic == GAPS and record.value is not None:
            self._gap(orjson.loads(record.value), record.value, None, None)
        elif record.topic == PATIENTS and record.key is not None:
            self._patient(record.key, record.value)
        elif record.topic == AUDIT and record.value is not None:
            self._audit(orjson.loads(record.value), record.value)
        elif record.topic == LETTERS:
            letters.fold(self._db, record)
        elif record.topic == OUTCOMES:
            said.fold(self._db, record)
        return None

    def _change(self, change: dict[str, Any], value: bytes) -> Seen | None:
        kind = next((k for k in ("task", "gap", "transition") if change.get(k) is not None), None)
        thing = change[kind] if kind is not None else None
        if kind is None:
            kind = change["change"].partition(".")[0]
        at = micros(change["at"])
        name = thing[f"{kind}_id"] if thing is not None else _about(change)
        added = self._db.execute(
            "INSERT INTO changes (subject, seq, patient_key, at, change, kind, thing, facility,"
            " team, value) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                change["subject"],
                change["seq"],
                change.get("patient_key"),
                at,
                change["change"],
                kind,
                name,
                thing["facility"] if thing is not None else None,
                thing.get("team") if thing is not None else None,
                value,
            ),
        )
        if not added.rowcount:
            return None
        number = added.lastrowid or 0
        self._db.executemany(
            "INSERT OR IGNORE INTO caused VALUES (?, ?)",
            [(event, number) for event in change["caused_by"]],
        )
        self._subject(change)
        if thing is not None:
            apply = {"task": self._task, "gap": self._gap, "transition": self._transition}[kind]
            apply(thing, orjson.dumps(thing), change["why"], at)
        return Seen(
            number,
            change["change"],
            kind,
            name,
            change.get("patient_key"),
            thing["facility"] if thing is not None else None,
            thing.get("team") if thing is not None else None,
            () if kind in NO_VERDICT else tuple(change["caused_by"]),
            change,
        )

    def _subject(self, change: dict[str, Any]) -> None:
        """Under which key the subject's patient is known now."""
        survivor = change.get("patient_key")
        if survivor is None:
            return
        subject = change["subject"]
        self._db.execute(
            "INSERT INTO subjects VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " patient_key = excluded.patient_key, seq = excluded.seq WHERE excluded.seq > seq",
            (subject, self._key_of(subject), survivor, change["seq"]),
        )

    def _is_news(
        self, table: str, thing: str, version: int, value: bytes, why: str | None, at: int | None
    ) -> bool:
        """Whether this version replaces the row; of an equal one only the sentence may be new."""
        name = f"{table[:-1]}_id"
        row = self._db.execute(
            f"SELECT version, value, why, id FROM {table} JOIN {table}_said USING (id)"
            f" WHERE {name} = ?",
            (thing,),
        ).fetchone()
        if row is None or version > row[0]:
            return True
        if version == row[0]:
            if row[1] != value and orjson.loads(row[1]) != orjson.loads(value):
                self.differences += 1
                logger.error("projection.differs", kind=table, version=version)
            if row[2] is None and why is not None:
                self._db.execute(f"UPDATE {table} SET updated_at = ? WHERE id = ?", (at, row[3]))
                self._db.execute(f"UPDATE {table}_said SET why = ? WHERE id = ?", (why, row[3]))
        return False

    def _task(self, task: dict[str, Any], value: bytes, why: str | None, at: int | None) -> None:
        if not self._is_news("tasks", task["task_id"], task["version"], value, why, at):
            return
        self._put(
            "tasks",
            {
                "task_id": task["task_id"],
                "version": task["version"],
                "patient_key": task.get("patient_key"),
                "subject": task["subject"],
                "transition_id": task["transition_id"],
                "facility": task["facility"],
                "team": task["team"],
                "kind": task["kind"],
                "status": task["status"],
                "open": task["status"] not in TERMINAL,
                "rank": RANK[task["priority"]],
                "hurry": hurry(task),
                "due_at": micros(task["due_at"]),
                "owner": task["owner"],
                "overdue": task["overdue"],
                "born_overdue": task["born_overdue"],
                "attribution": task["attribution"],
                "opened_at": micros(task["opened_at"]),
                "updated_at": _changed(task, at),
                "flags": "".join(f"|{flag}|" for flag in task["flags"]),
            },
            why,
            value,
        )

    def _gap(self, gap: dict[str, Any], value: bytes, why: str | None, at: int | None) -> None:
        if not self._is_news("gaps", gap["gap_id"], gap["version"], value, why, at):
            return
        self._put(
            "gaps",
            {
                "gap_id": gap["gap_id"],
                "version": gap["version"],
                "patient_key": gap.get("patient_key"),
                "transition_id": gap["transition_id"],
                "facility": gap["facility"],
                "team": gap["team"],
                "code": gap["code"],
                "severity": gap["severity"],
                "rank": SEVERITY[gap["severity"]],
                "status": gap["status"],
                "occurrence": gap["occurrence"],
                "since": micros(gap["since"]),
                "opened_at": micros(gap["opened_at"]),
                "updated_at": _changed(gap, at),
            },
            why,
            value,
        )

    def _transition(
        self, transition: dict[str, Any], value: bytes, why: str | None, at: int | None
    ) -> None:
        name, version = transition["transition_id"], transition["version"]
        if not self._is_news("transitions", name, version, value, why, at):
            return
        self._put(
            "transitions",
            {
                "transition_id": name,
                "version": version,
                "patient_key": transition.get("patient_key"),
                "subject": transition["subject"],
                "facility": transition["facility"],
                "status": transition["status"],
                "updated_at": _changed(transition, at),
            },
            why,
            value,
        )

    def _patient(self, key: str, value: bytes | None) -> None:
        if value is None:
            self._db.execute("DELETE FROM patients WHERE patient_key = ?", (key,))
            return
        view = orjson.loads(value)
        self._upsert(
            "patients",
            {
                "patient_key": key,
                "version": view.get("version", 0),
                "name": folded(view.get("name")),
                "birth_date": view.get("birth_date"),
                "hours": _hours(view),
                "value": value,
            },
        )

    def _audit(self, audit: dict[str, Any], value: bytes) -> None:
        self._db.execute(
            "INSERT INTO audit (audit_id, at, actor, action, outcome, value)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                audit["audit_id"],
                micros(audit["at"]),
                audit["actor"],
                audit["action"],
                audit["outcome"],
                value,
            ),
        )
        if audit["action"] in letters.DEEDS:
            letters.deed(self._db, audit)

    def _put(self, table: str, row: dict[str, Any], why: str | None, value: bytes) -> None:
        number = self._upsert(table, row)
        self._db.execute(
            f"INSERT OR REPLACE INTO {table}_said VALUES (?, ?, ?)", (number, why, value)
        )

    def _upsert(self, table: str, row: dict[str, Any]) -> int:
        # The row number stays: an update in place moves nothing in the indexes it does not touch.
        columns = ", ".join(row)
        sets = ", ".join(f"{column} = excluded.{column}" for column in row)
        marks = ", ".join("?" * len(row))
        (number,) = self._db.execute(
            f"INSERT INTO {table} ({columns}) VALUES ({marks})"
            f" ON CONFLICT DO UPDATE SET {sets} RETURNING id",
            tuple(row.values()),
        ).fetchone()
        return int(number)


def hurry(task: Mapping[str, Any]) -> int:
    """How much a task hurries, apart from its day: urgent, overdue, overdue since it came, not."""
    rank = RANK[task["priority"]]
    # What was told too late is urgent for that reason alone: it stands in its own group.
    if task["overdue"] and task["born_overdue"] and rank >= RANK["urgent"]:
        return 2
    if rank < RANK["routine"]:
        return 0
    return 1 if task["overdue"] else 3


def folded(name: Any) -> str | None:
    """A name as it is searched for: words without case, in the order of the alphabet."""
    if isinstance(name, dict):
        given = name.get("given") or []
        first = [given] if isinstance(given, str) else given
        parts = [name.get("family"), *first, name.get("text")]
        name = " ".join(part for part in parts if isinstance(part, str))
    if not isinstance(name, str):
        return None
    words = {word for word in name.casefold().replace(",", " ").split() if word}
    return " ".join(sorted(words)) or None


def _hours(view: dict[str, Any]) -> str | None:
    """When the patient asked to be called, as JSON; ``None``: they did not say."""
    hours = (view.get("preferences") or {}).get("hours")
    return None if hours is None else orjson.dumps(hours).decode()


def _changed(thing: dict[str, Any], at: int | None) -> int:
    """When this version came: its change says so; without one, what the thing itself says."""
    return at if at is not None else micros(thing["closed_at"] or thing["opened_at"])


def _about(change: dict[str, Any]) -> str | None:
    """The task or gap that a notice or a verdict is about."""
    for name in ("notice", "command"):
        part = change.get(name)
        if part is not None:
            found = part.get("task_id") or part.get("gap_id")
            return str(found) if found is not None else None
    return None
