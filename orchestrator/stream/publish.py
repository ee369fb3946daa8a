"""Sends files to the public topics of the log, as a hospital and the gateway would.

A canonical event is sent as the bytes it is, to the topic of its type, unread otherwise: intake
validates it, as it does for whoever writes straight to a topic.  An HL7 v2 message is decoded at
the door and sent as the canonical events it means.  What cannot be sent so goes to the dead
letters at once.  What was reported as sent is durable; sending a file again is harmless, since
repeats are told by (source, id).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, NamedTuple

import orjson

from events import decode_record
from events.canonical import MAX_BYTES
from events.files import Record as FileRecord
from events.reject import Reject
from orchestrator.core.instants import written
from orchestrator.stream.failpoints import hit
from orchestrator.stream.intake import NOTES, DeadLetter, dead_letter, refusal
from orchestrator.stream.sqlite_log import Log
from schemas.facilities import Facilities
from schemas.topics import DEAD_LETTER, topic_of

BATCH: Final = 500
PATIENTS: Final = "care.patient.v1"


@dataclass(slots=True)
class Report:
    """What was durably sent so far."""

    sent: Counter[str] = field(default_factory=Counter)  # by topic
    refused: list[tuple[str, Reject]] = field(default_factory=list)  # where, why
    ignored: int = 0  # legal HL7 v2 that the product does not use


def publish(
    records: Iterable[FileRecord],
    log: Log,
    facilities: Facilities,
    on_progress: Callable[[Report], None] | None = None,
) -> Report:
    """
    Send *records*, a transaction per batch.

    Args:
        on_progress: Called after each batch, once it is durable.

    Raises:
        LogError: The log refuses; what was reported before is sent, the batch at hand is not.
    """
    report = Report()
    for batch in _batches(records):
        receipt = written(log.clock.now())
        with log.transaction() as transaction:
            sent: Counter[str] = Counter()
            refused: list[tuple[str, Reject]] = []
            ignored = 0
            for record in batch:
                sending = _sendable(record, facilities, receipt)
                for topic, value, headers in sending.events:
                    transaction.append(topic, None, value, headers)
                    sent[topic] += 1
                for reject in sending.rejects:
                    letter = _letter(record, reject)
                    transaction.append(DEAD_LETTER, letter.key, letter.value, letter.headers)
                    if reject.subject is not None:
                        transaction.append(PATIENTS, None, *refusal(reject))
                    refused.append((record.where, reject))
                ignored += not (sending.events or sending.rejects)
            transaction.flush()
            hit("publish.commit")
        hit("publish.committed")
        report.sent += sent
        report.refused += refused
        report.ignored += ignored
        if on_progress is not None:
            on_progress(report)
    return report


def _batches(records: Iterable[FileRecord]) -> Iterator[list[FileRecord]]:
    rest = iter(records)
    while batch := list(islice(rest, BATCH)):
        yield batch


class _Sending(NamedTuple):
    """What one record of a file becomes."""

    events: list[tuple[str, bytes, dict[str, str]]]  # topic, value, headers
    rejects: list[Reject]


def _sendable(record: FileRecord, facilities: Facilities, receipt: str) -> _Sending:
    if record.kind == "canonical" and len(record.raw) <= MAX_BYTES:
        topic = _topic_of_raw(record.raw)
        if topic is not None:
            return _Sending([(topic, record.raw, {})], [])
    decoded = decode_record(record.kind, record.raw, facilities, receipt)
    events = []
    for event in decoded.events:
        topic = topic_of(event["type"], event["lane"])
        assert topic is not None, "an accepted event has a topic"
        events.append((topic, *_as_sent(event)))
    return _Sending(events, list(decoded.rejects))


def _topic_of_raw(raw: bytes) -> str | None:
    """The topic of a canonical event by its type and lane; ``None`` if they cannot be read."""
    try:
        event = orjson.loads(raw)
        return topic_of(event["type"], event.get("lane", "live"))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _as_sent(event: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
    """
    An accepted event as a canonical one again.

    The receipt is the log's to give.  What the adapter found out about the message beyond its
    content travels in headers, because senders may not say it.
    """
    sent = {"specversion": "1.0", **event, **event.get("extensions", {})}
    for name in ("receivedtime", "sentreceivedtime", "extensions", *NOTES):
        sent.pop(name, None)
    return orjson.dumps(sent), {
        name: orjson.dumps(event[name]).decode() for name in NOTES if name in event
    }


def _letter(record: FileRecord, reject: Reject) -> DeadLetter:
    # It was on no topic, and a file's name may be a patient's: the report tells its place.
    return dead_letter(None, record.raw, reject, "publish", {})
