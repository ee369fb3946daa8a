"""What people said with a command: a note, a reason, whom they reached (``care.outcome.v1``).

The command's change says what became of it and names the event; the words stand in the event
alone.  Only what a change names as a cause is ever shown, so a command that was refused, or that
nobody could read, says nothing here.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import orjson

from orchestrator.worklist.log.feed import Record

# Of a command, who said it and what; the rest stands in the task.
WORDS: Final = (
    "actor",
    "on_behalf_of",
    "reached",
    "outcome",
    "to",
    "reason",
    "note",
    "answers",
    "accepted_discrepancies",
    "appointment_id",
)
_HEADER: Final = "ce_"
_COMMAND: Final = "care.task."


class Words(NamedTuple):
    """What was said with one command that counted."""

    change: int  # the row of the first change that it brought
    at: int  # and when that was
    thing: str
    said: dict[str, Any]


def fold(db: sqlite3.Connection, record: Record) -> None:
    """Take in one command; of the same event twice the first received holds."""
    found = _read(record)
    if found is None:
        return
    event, data = found
    name, source, type_ = event.get("id"), event.get("source"), event.get("type")
    if not (isinstance(name, str) and isinstance(source, str) and isinstance(type_, str)):
        return
    if not type_.startswith(_COMMAND) or not isinstance(data, dict):
        return
    said = {word: data[word] for word in WORDS if data.get(word) not in (None, "", {}, [])}
    what = type_.removeprefix(_COMMAND).partition(".")[0]
    value = orjson.dumps({"what": what, "time": event.get("time"), **said})
    db.execute(
        "INSERT INTO said (event, source, at, thing, word, value) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET at = excluded.at, thing = excluded.thing, word = excluded.word,"
        " value = excluded.value WHERE (excluded.at, excluded.value) < (at, value)",
        (
            name,
            source,
            record.at,
            _text(data.get("task_id")) or _text(data.get("gap_id")),
            _text(data.get("kind")),
            value,
        ),
    )


def _read(record: Record) -> tuple[Mapping[str, Any], Any] | None:
    """The envelope and its data, in either of CloudEvents' modes; ``None``: it is neither."""
    try:
        body = orjson.loads(record.value or b"null")
    except orjson.JSONDecodeError:
        return None  # whoever takes events in has parked it
    attributes = {
        name.lower().removeprefix(_HEADER): value
        for name, value in record.headers.items()
        if name.lower().startswith(_HEADER)
    }
    if attributes:
        return attributes, body
    return (body, body.get("data")) if isinstance(body, dict) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def of_things(db: sqlite3.Connection, things: Iterable[str]) -> list[Words]:
    """What was said of *things*, in the order in which it counted."""
    # A command may name its task by visit and kind: then it is the one whose change it brought.
    found = db.execute(
        "SELECT s.event, c.id, c.at, c.thing, s.value FROM changes c,"
        " json_each(CAST(c.value AS TEXT), '$.caused_by') cause"
        " JOIN said s ON s.event = cause.value"
        # Said twice for the index of things, which is of those that are one.
        " WHERE c.thing IN (SELECT value FROM json_each(?)) AND c.thing IS NOT NULL"
        " AND c.change <> 'command.refused'"
        " AND c.kind IN ('task', 'gap', 'command') AND (s.thing = c.thing OR (s.thing IS NULL"
        " AND s.word = json_extract(CAST(c.value AS TEXT), '$.task.kind'))) ORDER BY c.id",
        (orjson.dumps(sorted(set(things))).decode(),),
    ).fetchall()
    first: dict[tuple[str, str], Words] = {}
    for event, number, at, thing, value in found:
        first.setdefault((event, thing), Words(number, at, thing, orjson.loads(value)))
    return list(first.values())


def by_change(db: sqlite3.Connection, changes: Iterable[int]) -> dict[int, list[dict[str, Any]]]:
    """What was said with the commands that brought *changes*."""
    numbers = orjson.dumps(sorted(changes)).decode()
    things = db.execute(
        "SELECT DISTINCT thing FROM changes WHERE id IN (SELECT value FROM json_each(?))"
        " AND thing IS NOT NULL",
        (numbers,),
    )
    made: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for words in of_things(db, [thing for (thing,) in things]):
        made[words.change].append(words.said)
    return made
