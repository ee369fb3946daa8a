"""Sends files to the public topics, as a hospital and the gateway would: what each record becomes.

A canonical event that is good is sent as the bytes it is, to the topic of its type; intake looks
at it again, as it does for whoever writes straight to a topic.  An HL7 v2 message is sent as the
canonical events it means.  What is refused goes to the dead letters at once, and the sender is
told.  What was reported as sent is durable; sending a file again is harmless, since repeats are
told by (source, id).

`publish` sends to the embedded log, `orchestrator.stream.kafka.publish` to brokers.
"""

import time
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
from orchestrator.stream import retries
from orchestrator.stream.failpoints import hit
from orchestrator.stream.intake import NOTES, dead_letter, refusal
from orchestrator.stream.sqlite_log import Log
from schemas.facilities import Facilities
from schemas.topics import DEAD_LETTER, topic_of

BATCH: Final = 500
PATIENTS: Final = "care.patient.v1"


class Row(NamedTuple):
    """One record for a topic; *subject* says whose it is, where that is known."""

    topic: str
    subject: str | None
    value: bytes
    headers: dict[str, str]


class Sending(NamedTuple):
    """What one record of a file becomes."""

    events: list[Row]
    rejects: list[Reject]
    letters: list[Row]  # the dead letters of *rejects*, and what tells their patients

    @property
    def rows(self) -> list[Row]:
        return [*self.events, *self.letters]


@dataclass(slots=True)
class Report:
    """What was durably sent so far."""

    sent: Counter[str] = field(default_factory=Counter)  # by topic
    refused: list[tuple[str, Reject]] = field(default_factory=list)  # where, why
    ignored: int = 0  # legal HL7 v2 that the product does not use

    def add(self, batch: Iterable[tuple[FileRecord, Sending]]) -> None:
        """Count what has become durable."""
        for record, sending in batch:
            self.sent.update(row.topic for row in sending.events)
            self.refused += [(record.where, reject) for reject in sending.rejects]
            self.ignored += not sending.rows


OnProgress = Callable[[Report], None]


class Pace:
    """
    How many records go at once, and how long the next must wait.

    Args:
        rate: Records per second; ``None``: as fast as the log takes them.
    """

    def __init__(self, rate: float | None = None) -> None:
        self._rate = rate
        self._began = time.monotonic()
        self._gone = 0
        # Ten times a second, so that what is slow comes evenly.
        self._size = BATCH if rate is None else max(1, min(BATCH, int(rate / 10)))

    def batches(self, records: Iterable[FileRecord]) -> Iterator[list[FileRecord]]:
        """*records* in the order given."""
        rest = iter(records)
        while batch := list(islice(rest, self._size)):
            yield batch
            self._gone += len(batch)

    @property
    def pause_s(self) -> float:
        """How long to wait before the batch at hand is sent."""
        if self._rate is None:
            return 0.0
        return max(0.0, self._began + self._gone / self._rate - time.monotonic())


def publish(
    records: Iterable[FileRecord],
    log: Log,
    facilities: Facilities,
    on_progress: OnProgress | None = None,
    rate: float | None = None,
) -> Report:
    """
    Send *records* to the embedded log, a transaction per batch.

    Args:
        on_progress: Called after each batch, once it is durable.
        rate: At most so many a second.

    Raises:
        LogError: The log refuses; what was reported before is sent, the batch at hand is not.
    """
    report = Report()
    pace = Pace(rate)
    for batch in pace.batches(records):
        time.sleep(pace.pause_s)
        receipt = written(log.clock.now())
        sendings = [(record, sending_of(record, facilities, receipt)) for record in batch]
        with log.transaction() as transaction:
            for _, sending in sendings:
                for row in sending.rows:
                    transaction.append(row.topic, None, row.value, row.headers)
            transaction.flush()
            hit("publish.commit")
        hit("publish.committed")
        report.add(sendings)
        if on_progress is not None:
            on_progress(report)
    return report


def sending_of(record: FileRecord, facilities: Facilities, receipt: str) -> Sending:
    """
    What *record* becomes, received now.

    Never raises for what is in it.
    """
    decoded = decode_record(record.kind, record.raw, facilities, receipt)
    rejects = list(decoded.rejects)
    events = []
    for event in decoded.events:
        topic = topic_of(event["type"], event["lane"])
        assert topic is not None, "an accepted event has a topic"
        # A canonical one as its bytes: what the sender wrote is what an auditor must find.
        value, headers = (record.raw, {}) if record.kind == "canonical" else as_sent(event)
        if len(value) <= MAX_BYTES:
            events.append(Row(topic, event["subject"], value, headers))
        else:
            rejects.append(_too_large(event))
    return Sending(events, rejects, [row for reject in rejects for row in _letters(record, reject)])


def as_sent(event: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
    """
    An accepted event as a canonical one again.

    The receipt is the log's to give.  What the adapter found out about the message beyond its
    content travels in headers, because senders may not say it.
    """
    sent = {"specversion": "1.0", **event, **event.get("extensions", {})}
    for name in ("receivedtime", "sentreceivedtime", "extensions", retries.HEADER, *NOTES):
        sent.pop(name, None)
    return orjson.dumps(sent), {
        name: orjson.dumps(event[name]).decode() for name in NOTES if name in event
    }


def _too_large(event: dict[str, Any]) -> Reject:
    return Reject(
        "too-large",
        f"means an event of more than {MAX_BYTES} bytes",
        subject=event["subject"],
        facility=event.get("facility"),
        event_id=event["id"],
        source=event["source"],
    )


def _letters(record: FileRecord, reject: Reject) -> Iterator[Row]:
    # It was on no topic, and a file's name may be a patient's: the report tells its place.
    letter = dead_letter(None, record.raw, reject, "publish", {})
    yield Row(DEAD_LETTER, None, letter.value, letter.headers)
    if reject.subject is not None:
        yield Row(PATIENTS, reject.subject, *refusal(reject, record.raw))
