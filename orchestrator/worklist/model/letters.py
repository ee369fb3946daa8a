"""Dead letters as rows: what their headers say, and the bytes for those few who may see them."""

import re
import sqlite3
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import orjson

from orchestrator.worklist.access.roles import Principal
from orchestrator.worklist.log.feed import Record
from orchestrator.worklist.model.filters import Where

# What is shown of a letter at most; its size is told.
KEPT: Final = 64 * 1024
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HL7: Final = b"MSH|"


class Letter(NamedTuple):
    """One message that could not be taken, without what stood in it."""

    place: str
    at: int
    reason: str
    stage: str
    topic: str
    facility: str | None
    headers: dict[str, str]
    size: int


def fold(db: sqlite3.Connection, record: Record) -> None:
    """Take in one letter; the same one twice is one."""
    place = f"{record.topic}-{record.partition}-{record.offset}"
    raw, headers = record.value or b"", dict(record.headers)
    db.execute(
        "INSERT INTO letters (place, at, reason, stage, topic, facility, headers, size, value)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (
            place,
            record.at,
            headers.get("reason", "unknown"),
            headers.get("stage", ""),
            headers.get("topic", ""),
            _facility(raw),
            orjson.dumps(headers),
            int(headers.get("size", len(raw))),
            raw[:KEPT],
        ),
    )


def _facility(raw: bytes) -> str | None:
    """Who seems to have sent it, as far as that can still be read."""
    said: Any = None
    if raw.startswith(_HL7):
        fields = raw.split(b"\r", 1)[0].split(raw[3:4])
        said = fields[3].split(b"^")[0].decode("latin-1") if len(fields) > 3 else None
    else:
        try:
            event = orjson.loads(raw)
        except orjson.JSONDecodeError:
            return None
        said = event.get("facility") if isinstance(event, dict) else None
    return said if isinstance(said, str) and _NAME.fullmatch(said) else None


def _scope(who: Principal) -> Where:
    """Those of the facilities of *who*; what names none is for those who see all."""
    where = Where()
    where.among("facility", who.facilities)
    return where


def counts(db: sqlite3.Connection, who: Principal) -> list[tuple[str, int, int]]:
    """Per reason how many there are, and since when the oldest lies there."""
    where = _scope(who)
    return db.execute(
        f"SELECT reason, count(*), min(at) FROM letters WHERE {where.sql}"
        " GROUP BY reason ORDER BY min(at), reason",
        where.values,
    ).fetchall()


def listed(
    db: sqlite3.Connection, who: Principal, reason: str | None, after: int, limit: int
) -> list[tuple[int, Letter]]:
    """Letters behind row *after*, the oldest first."""
    where = _scope(who)
    if reason is not None:
        where.add("reason = ?", reason)
    where.add("id > ?", after)
    rows = db.execute(
        "SELECT id, place, at, reason, stage, topic, facility, headers, size FROM letters"
        f" WHERE {where.sql} ORDER BY id LIMIT ?",
        (*where.values, limit),
    ).fetchall()
    return [(row[0], _letter(row[1:])) for row in rows]


def one(db: sqlite3.Connection, who: Principal, place: str) -> tuple[Letter, bytes] | None:
    """The letter of that place, with its bytes."""
    where = _scope(who)
    where.add("place = ?", place)
    row = db.execute(
        "SELECT place, at, reason, stage, topic, facility, headers, size, value FROM letters"
        f" WHERE {where.sql}",
        where.values,
    ).fetchone()
    if row is None:
        return None
    return _letter(row), bytes(row[8])


def _letter(row: Sequence[Any]) -> Letter:
    place, at, reason, stage, topic, facility, headers, size = row[:8]
    return Letter(place, at, reason, stage, topic, facility, orjson.loads(headers), size)
