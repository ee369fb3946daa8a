"""Which audit records somebody may read, and how much of each.

An auditor of some facilities reads what was done about their patients, and what was about nobody;
of an answer that had others in it too, only the part that is theirs.
"""

import sqlite3
from collections.abc import Mapping
from typing import Any, Final

from orchestrator.worklist.access.roles import Principal
from orchestrator.worklist.model.filters import Where

_TABLES: Final = {
    "task": ("tasks", "task_id"),
    "gap": ("gaps", "gap_id"),
    "transition": ("transitions", "transition_id"),
}


def audits_of(who: Principal) -> Where:
    """The records that *who* may read something of; columns of the table ``audit``."""
    where = Where()
    if who.facilities is not None:
        marks = ", ".join("?" * len(who.facilities))
        where.add(
            "(instr(value, CAST('\"patient_keys\":[]' AS BLOB)) OR EXISTS (SELECT 1 FROM"
            " json_each(CAST(value AS TEXT), '$.patient_keys') AS k JOIN transitions t"
            f" ON t.patient_key = k.value WHERE t.facility IN ({marks})))",
            *sorted(who.facilities),
        )
    return where


def as_read(db: sqlite3.Connection, who: Principal, record: Mapping[str, Any]) -> dict[str, Any]:
    """*record* without what is of other facilities."""
    plain = dict(record)
    if who.facilities is None:
        return plain
    plain["patient_keys"] = [
        key for key in plain["patient_keys"] if _is_own(db, who, "transitions", "patient_key", key)
    ]
    plain["objects"] = [one for one in plain["objects"] if _is_own_object(db, who, one)]
    return plain


def _is_own_object(db: sqlite3.Connection, who: Principal, name: str) -> bool:
    kind, _, id_ = name.partition("/")
    if kind not in _TABLES:
        return True
    return _is_own(db, who, *_TABLES[kind], id_)


def _is_own(db: sqlite3.Connection, who: Principal, table: str, column: str, value: str) -> bool:
    where = Where()
    where.among("facility", who.facilities)
    found = db.execute(
        f"SELECT 1 FROM {table} WHERE {column} = ? AND {where.sql} LIMIT 1", (value, *where.values)
    )
    return found.fetchone() is not None
