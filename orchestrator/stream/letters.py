"""The dead letter of a journal record that decide could not use: its bytes as they were sent."""

from typing import Any, Final

import orjson
import structlog

from orchestrator.stream.rounds import JournalRecord, Out

DEAD_LETTER: Final = "care.dead-letter.v1"

logger = structlog.get_logger()


def dead_letter(
    record: JournalRecord, event: dict[str, Any], reason: str, error: str, partition: int
) -> Out:
    """
    The letter, which the log names by its place.

    Args:
        event: What goes into it where the journal does not hold the bytes.
        error: Without patient data.
    """
    place = {"partition": record.partition, "offset": record.offset}
    logger.warning("record.parked", reason=reason, stage="decide", **place)
    headers = {
        "reason": reason,
        "stage": "decide",
        "topic": "care.journal.v1",
        "partition": str(record.partition),
        "offset": str(record.offset),
        "error": error,
    }
    value = sent_as(record.value) or orjson.dumps(event)
    return Out(DEAD_LETTER, record.key, partition, value, headers)


def sent_as(journalled: bytes) -> bytes:
    """
    The bytes of the event that a journal record holds: as they were sent, else as they were read.

    Empty where it holds none.
    """
    try:
        entry = orjson.loads(journalled)
    except orjson.JSONDecodeError:
        return b""
    if not isinstance(entry, dict):
        return b""
    raw, event = entry.get("raw"), entry.get("event")
    if isinstance(raw, str):
        return raw.encode()
    return orjson.dumps(event) if isinstance(event, dict) else b""
