"""Dead letters as rows: what their headers say, and the bytes for those few who may see them.

What became of each stands in the audit records alone (``contract.md`` 1): the rows are folded from
both topics, whichever is read first.
"""

import hashlib
import re
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

import orjson

from orchestrator.worklist.access.roles import Principal
from orchestrator.worklist.instants import micros, text_of
from orchestrator.worklist.log.feed import Record
from orchestrator.worklist.model.filters import Where
from schemas.events import EVENT_TYPES
from schemas.facilities import Facilities

Status = Literal["open", "retried", "discarded"]
# What an audit record about a letter says was done, and what the letter is then.
DEEDS: Final = {"retry": "retried", "discard": "discarded"}
OBJECT: Final = "dead-letter"  # in an audit record: `dead-letter/<place>`
EDIT: Final = "edit"  # the status of what somebody made of a letter; it waits for nobody
EDITS: Final = "edits"  # its header: the place of that letter
EDITOR: Final = "editor"  # its header: who that was
# What is shown of a letter at most; its size is told.
KEPT: Final = 64 * 1024
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HL7: Final = b"MSH|"
_MESSAGE: Final = re.compile(r"[A-Z]{3}(\^[A-Z][A-Z0-9]{2}(\^[A-Z]{3}_[A-Z][A-Z0-9]{2})?)?")


class Letter(NamedTuple):
    """
    One message that could not be taken, without what stood in it.

    Attributes:
        status: ``open``; ``retried``: sent again, and taken; ``discarded``: dropped by somebody.
        tries: How often somebody sent it again.
        decided_at, decided_by: When and by whom it ceased to be open.
        purpose: Why it was dropped.
        kind: What sort of message it seems to be: an event's type, or MSH-9.
    """

    place: str
    at: int
    reason: str
    stage: str
    topic: str
    facility: str | None
    headers: dict[str, str]
    size: int
    status: Status | Literal["edit"]
    tries: int
    decided_at: int | None
    decided_by: str | None
    purpose: str | None
    kind: str | None


class Try(NamedTuple):
    """What somebody did about a letter."""

    at: int
    by: str
    action: str
    outcome: str


class Edit(NamedTuple):
    """What somebody made of a letter before it was sent again."""

    place: str
    at: int
    by: str
    size: int


def fold(db: sqlite3.Connection, record: Record) -> None:
    """Take in one letter; the same one twice is one."""
    place = f"{record.topic}-{record.partition}-{record.offset}"
    raw, headers = record.value or b"", dict(record.headers)
    # A broker's letter has its sender's headers, too; ours come after them.
    is_edit = headers.get("stage") == EDIT and EDITS in headers
    db.execute(
        "INSERT INTO letters (place, at, reason, stage, topic, facility, headers, size, value,"
        " digest, kind, edits, status) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        (
            place,
            record.at,
            headers.get("reason", "unknown"),
            headers.get("stage", ""),
            headers.get("topic", ""),
            _facility(raw),
            orjson.dumps(headers),
            _size(raw, headers),
            raw[:KEPT],
            digest(raw),
            _kind(raw, headers),
            headers.get(EDITS) if is_edit else None,
            EDIT if is_edit else _status(db, place),
        ),
    )


def digest(raw: bytes) -> bytes:
    """What tells a letter's bytes from others', as far as they are kept."""
    return hashlib.sha256(raw[:KEPT]).digest()[:16]


def _size(raw: bytes, headers: Mapping[str, str]) -> int:
    """How long the message was: told where only its beginning was kept, and believed there only."""
    said = headers.get("size", "")
    is_cut = len(raw) == KEPT and said.isascii() and said.isdigit() and len(said) < 16
    return max(int(said), len(raw)) if is_cut else len(raw)


def deed(db: sqlite3.Connection, audit: Mapping[str, Any]) -> None:
    """Take in what somebody did about letters; it may be read before the letter itself."""
    for name in audit["objects"]:
        kind, _, place = name.partition("/")
        if kind != OBJECT:
            continue
        db.execute(
            "INSERT INTO letter_deeds VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                place,
                micros(audit["at"]),
                audit["audit_id"],
                audit["actor"],
                audit["action"],
                audit["outcome"],
                audit["purpose"],
            ),
        )
        db.execute(
            "UPDATE letters SET status = ? WHERE place = ? AND status <> ?",
            (_status(db, place), place, EDIT),
        )


def _status(db: sqlite3.Connection, place: str) -> str:
    """By the first deed that succeeded, whatever the order in which they are read."""
    found = db.execute(
        "SELECT action FROM letter_deeds WHERE place = ? AND outcome = 'success'"
        " ORDER BY at, audit_id LIMIT 1",
        (place,),
    ).fetchone()
    return "open" if found is None else DEEDS[found[0]]


def _facility(raw: bytes) -> str | None:
    """Who seems to have sent it, as far as that can still be read."""
    said = _header(raw, 4, "facility")
    said = said.split("^")[0] if said is not None and raw.startswith(_HL7) else said
    return said if said is not None and _NAME.fullmatch(said) else None


def _kind(raw: bytes, headers: Mapping[str, str]) -> str | None:
    """What it seems to be, where that is a word of the contract, or of HL7."""
    said = _header(raw, 9, "type") or headers.get("ce_type")
    if said is None:
        return None
    known = _MESSAGE.fullmatch(said) if raw.startswith(_HL7) else said in EVENT_TYPES
    return said if known else None


def _header(raw: bytes, field: int, member: str) -> str | None:
    """A field of MSH, or a member of an event."""
    if raw.startswith(_HL7):
        fields = raw.split(b"\r", 1)[0].split(raw[3:4])
        return fields[field - 1].decode("latin-1") if len(fields) >= field else None
    try:
        event = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    said = event.get(member) if isinstance(event, dict) else None
    return said if isinstance(said, str) else None


def _scope(who: Principal) -> Where:
    """Those of the facilities of *who*; what names none is for those who see all."""
    where = Where()
    where.among("facility", who.facilities)
    return where


def counts(db: sqlite3.Connection, who: Principal) -> list[tuple[str, int, int]]:
    """Per reason how many are open, and since when the oldest lies there."""
    where = _scope(who)
    where.add("status = 'open'")
    return db.execute(
        f"SELECT reason, count(*), min(at) FROM letters WHERE {where.sql}"
        " GROUP BY reason ORDER BY min(at), reason",
        where.values,
    ).fetchall()


class Chosen(NamedTuple):
    """Which letters: of that reason, from that facility, written since then; of that status."""

    reason: str | None = None
    facility: str | None = None
    since: int | None = None
    status: Status = "open"

    @property
    def name(self) -> str:
        """What a cursor of this list is good for."""
        return repr(tuple(self))


def listed(
    db: sqlite3.Connection, who: Principal, chosen: Chosen, after: int, limit: int
) -> list[tuple[int, Letter]]:
    """Letters behind row *after*, the oldest first."""
    where = _of(who, chosen)
    where.add("id > ?", after)
    rows = db.execute(
        f"SELECT id, {_COLUMNS} FROM letters WHERE {where.sql} ORDER BY id LIMIT ?",
        (*where.values, limit),
    ).fetchall()
    return [(row[0], _letter(row[1:])) for row in rows]


def how_many(db: sqlite3.Connection, who: Principal, chosen: Chosen) -> int:
    """How many letters that is."""
    where = _of(who, chosen)
    (count,) = db.execute(
        f"SELECT count(*) FROM letters WHERE {where.sql}", where.values
    ).fetchone()
    return int(count)


def _of(who: Principal, chosen: Chosen) -> Where:
    where = _scope(who)
    where.add("status = ?", chosen.status)
    if chosen.reason is not None:
        where.add("reason = ?", chosen.reason)
    if chosen.facility is not None:
        where.add("facility = ?", chosen.facility)
    if chosen.since is not None:
        where.add("at >= ?", chosen.since)
    return where


def one(db: sqlite3.Connection, who: Principal, place: str) -> tuple[Letter, bytes] | None:
    """The letter of that place, with its bytes, or what somebody made of one."""
    where = _scope(who)
    where.add("place = ?", place)
    row = db.execute(
        f"SELECT {_COLUMNS}, value FROM letters WHERE {where.sql}", where.values
    ).fetchone()
    if row is None:
        return None
    return _letter(row[:-1]), bytes(row[-1])


def edits(db: sqlite3.Connection, place: str) -> list[Edit]:
    """What people made of the letter of that place, in the order in which they did."""
    rows = db.execute(
        "SELECT place, at, headers, size FROM letters WHERE edits = ? ORDER BY id", (place,)
    )
    return [
        Edit(name, at, orjson.loads(headers).get(EDITOR, ""), size)
        for name, at, headers, size in rows
    ]


def tries(db: sqlite3.Connection, place: str) -> list[Try]:
    """What people did about the letter of that place, in the order in which they did."""
    rows = db.execute(
        "SELECT at, actor, action, outcome FROM letter_deeds WHERE place = ? ORDER BY at, audit_id",
        (place,),
    )
    return [Try(*row) for row in rows]


def end(db: sqlite3.Connection) -> int:
    """The row of the last letter."""
    (number,) = db.execute("SELECT coalesce(max(id), 0) FROM letters").fetchone()
    return int(number)


def parked_again(
    db: sqlite3.Connection, values: Sequence[tuple[int, bytes]], behind: int
) -> Letter | None:
    """
    A letter with the same bytes behind row *behind*: what was sent again came back.

    Args:
        values: Of each that was sent its size and its `digest`.
    """
    for value in values:
        row = db.execute(
            f"SELECT {_COLUMNS} FROM letters WHERE status = 'open' AND id > ? AND size = ?"
            " AND digest = ? ORDER BY id LIMIT 1",
            (behind, *value),
        ).fetchone()
        if row is not None:
            return _letter(row)
    return None


def feed_of(letter: Letter, facilities: Facilities) -> str | None:
    """Who sent it; whatever else stands where a facility should may be anything."""
    known = letter.facility is not None and facilities.listed(letter.facility)
    return letter.facility if known else None


def as_plain(letter: Letter, facilities: Facilities) -> dict[str, Any]:
    """A letter for programs."""
    return {
        "id": letter.place,
        "at": text_of(letter.at),
        "reason": letter.reason,
        "stage": letter.stage,
        "type": letter.kind,
        "topic": letter.topic,
        "offset": letter.headers.get("offset"),
        "error": letter.headers.get("error"),
        "facility": feed_of(letter, facilities),
        "size": letter.size,
        "status": letter.status,
        "tries": letter.tries,
        "decided_at": None if letter.decided_at is None else text_of(letter.decided_at),
        "decided_by": letter.decided_by,
        "purpose": letter.purpose if letter.status == "discarded" else None,
    }


_COLUMNS: Final = (
    "place, at, reason, stage, topic, facility, headers, size, status,"
    " (SELECT count(*) FROM letter_deeds d WHERE d.place = letters.place"
    " AND action = 'retry' AND outcome IN ('success', 'refused')),"
    " (SELECT json_array(at, actor, purpose) FROM letter_deeds d WHERE d.place = letters.place"
    " AND outcome = 'success' ORDER BY at, audit_id LIMIT 1), kind"
)


def _letter(row: Sequence[Any]) -> Letter:
    place, at, reason, stage, topic, facility, headers, size, status, tries, decided, kind = row
    when, by, purpose = (None, None, None) if decided is None else orjson.loads(decided)
    said = orjson.loads(headers)
    return Letter(
        place,
        at,
        reason,
        stage,
        topic,
        facility,
        said,
        size,
        status,
        tries,
        when,
        by,
        purpose,
        kind,
    )
