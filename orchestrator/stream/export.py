"""Records of a topic as JSON lines, for people and scripts, and the journal's lines read back.

One line: ``{"topic", "partition", "offset", "stamp", "key", "value"|"text"|"base64",
"headers", "after"}``.  A value stands as JSON where writing that again gives the same bytes, else
as text, else as base64, so a journal that was exported is replayed byte for byte.  On Kafka offsets
have holes; ``after`` is then the offset before the hole, so that a lost line still shows.
"""

import base64
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import orjson

from orchestrator.core.instants import read as instant
from orchestrator.core.instants import written
from orchestrator.stream.rounds import JournalRecord
from orchestrator.stream.sqlite_log import Log, Record
from schemas.topics import JOURNAL

BATCH: Final = 500
POLL_S: Final = 0.1


class ExportError(ValueError):
    """A line is no exported journal record.  Names the line and the field, never a value."""


def line(record: Record, after: int | None = None) -> bytes:
    """
    *record* as one line, without its end.

    Args:
        after: The offset of its partition's record before it, if that is known.
    """
    fields: dict[str, Any] = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "stamp": written(record.stamp),
        "key": record.key,
        **_value(record.value),
    }
    if record.headers:
        fields["headers"] = record.headers
    if after is not None and after != record.offset - 1:
        fields["after"] = after
    return orjson.dumps(fields)


def journal(lines: Iterable[bytes], *, whole: bool = False) -> Iterator[JournalRecord]:
    """
    Read an exported journal back.

    Args:
        lines: As `line` writes them; empty ones are skipped.
        whole: Each partition must be there from its first record on, without a gap.

    Raises:
        ExportError: A line is something else, or a gap was found.
    """
    last: dict[int, int] = {}
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            fields = orjson.loads(text)
            if fields["topic"] != JOURNAL:
                raise ExportError(f"line {number}: a record of another topic than {JOURNAL}")
            record = JournalRecord(
                partition=int(fields["partition"]),
                offset=int(fields["offset"]),
                stamp=instant(fields["stamp"]),
                key=str(fields["key"]),
                value=_bytes(fields),
            )
            before = last.get(record.partition, -1)
            if whole and int(fields.get("after", record.offset - 1)) != before:
                raise ExportError(_gap(record, before))
            last[record.partition] = record.offset
            yield record
        except ExportError:
            raise
        except (ValueError, TypeError, KeyError):
            raise ExportError(f"line {number}: not a record of an exported journal") from None


def records(
    log: Log,
    topic: str,
    *,
    partition: int | None = None,
    start: int = 0,
    follow: Callable[[], bool] | None = None,
) -> Iterator[Record]:
    """
    The records of *topic*, those that are there in the order of their stamps.

    Args:
        partition: Only this one.
        start: From this offset on (in each partition).
        follow: Go on with what comes while this answers true.
    """
    partitions = range(log.partitions_of(topic)) if partition is None else [partition]
    positions = dict.fromkeys(partitions, start)
    while True:
        # Short reads, not one long one: that would keep the write-ahead log from being reset.
        batches = {p: log.read(topic, p, at, BATCH) for p, at in positions.items()}
        # A partition with more to come holds the others at its last stamp, so that order holds.
        ends = log.end_offsets(topic)
        horizon = min(
            (b[-1].stamp for p, b in batches.items() if b and b[-1].offset + 1 < ends[p]),
            default=None,
        )
        found = sorted(
            (r for batch in batches.values() for r in batch if _within(r, horizon)),
            key=lambda r: (r.stamp, r.partition, r.offset),
        )
        for record in found:
            positions[record.partition] = record.offset + 1
            yield record
        if not found:
            if follow is None or not follow():
                return
            time.sleep(POLL_S)


def _gap(record: JournalRecord, before: int) -> str:
    there = f"partition {record.partition} goes on with offset {record.offset}"
    return f"{there} after {before}; a journal is run whole"


def _within(record: Record, horizon: int | None) -> bool:
    return horizon is None or record.stamp <= horizon


def _value(value: bytes | None) -> dict[str, Any]:
    if value is None:
        return {"value": None}
    try:
        parsed = orjson.loads(value)
        if isinstance(parsed, dict) and orjson.dumps(parsed) == value:
            return {"value": parsed}
    except ValueError:
        pass
    try:
        return {"text": value.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def _bytes(fields: dict[str, Any]) -> bytes:
    if "text" in fields:
        return str(fields["text"]).encode()
    if "base64" in fields:
        return base64.b64decode(fields["base64"], validate=True)
    value: dict[str, Any] = fields["value"]
    return orjson.dumps({**value})
