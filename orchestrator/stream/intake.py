"""Turns one record of a public topic into journal records and dead letters.

A function of the record's bytes, its append time and the facilities file, so that taking a
record in again after a crash gives the same bytes.  It decides neither whether an event is a
repeat nor what follows from it: both need the patient's state, and only the journal's reader has
that.  What it appends (value, under the key of):

=============================================================  ==================================
``{"kind": "event", "event": …}``                              the event's own subject
``{"kind": "parked", "subject", "reason", "receipt", …}``      the subject that a reject still named
``{"kind": "mended", "subject", "names", "receipt"}``          the subject of what was parked
``{"kind": "alive", "facility", "receipt"}``                   the facility: its feed said something
``{"kind": "unmapped", "facility", "field", "receipt"}``       the facility: a code nobody mapped
=============================================================  ==================================
"""

import hashlib
from collections.abc import Iterable
from functools import partial
from typing import Any, Final, Literal, NamedTuple

import orjson
import structlog

from events.canonical import MAX_BYTES
from events.cloudevents import decode_message
from events.reject import REASONS, Reject
from orchestrator.core.instants import MINUTE, written
from orchestrator.log import debugs, describe
from orchestrator.stream import retries
from orchestrator.stream.identity import IDENTITY
from orchestrator.stream.keys import facility_key, patient_key
from orchestrator.stream.sqlite_log import Record
from schemas.facilities import Facilities
from schemas.topics import BACKFILL, MAX_MESSAGE_BYTES

# A too large record is kept by its beginning; its size and hash tell which it was (contract §1).
DEAD_LETTER_BYTES: Final = 65_536
# What an adapter at the door found out and no sender may say; it comes in headers of these names.
NOTES: Final = ("timeflags", "unmapped", "stamps")
# Header of a record that only says: a message of this patient was refused at the door.
REFUSED: Final = "refused"
# The journal's limit, less what Kafka adds to a record.
LARGEST_ENTRY: Final = MAX_MESSAGE_BYTES - 4096
_COMMANDS: Final = "care.task."

Result = Literal["journalled", "parked", "ignored"]
Entry = tuple[str, bytes]  # journal key, value
Headers = Iterable[tuple[str, bytes | str | None]]

logger = structlog.get_logger()


class DeadLetter(NamedTuple):
    key: str | None
    value: bytes
    headers: dict[str, str]


class Taken(NamedTuple):
    """What became of one record; exactly one *result*, so that counts add up to what landed."""

    result: Result
    journal: list[Entry]
    dead_letters: list[DeadLetter]


class Signs:
    """
    Which facilities gave a sign of life in the current minute of receipts.

    One a minute tells as much about a feed's silence as thousands would.  Kept with the intake's
    offsets, so that a redo samples alike.
    """

    def __init__(self, text: str | None = None) -> None:
        kept = orjson.loads(text) if text else [0]
        self._minute: int = kept[0]
        self._facilities: list[Any] = kept[1:]
        self.changed = False

    def is_first(self, facility: str, stamp: int) -> bool:
        """Whether this is the facility's first event in the minute of *stamp*."""
        minute = stamp // MINUTE
        if minute != self._minute:
            self._minute, self._facilities = minute, []
        elif facility in self._facilities:
            return False
        self._facilities.append(facility)
        self.changed = True
        return True

    def written(self) -> str:
        """What `Signs` is made from again."""
        return orjson.dumps([self._minute, *self._facilities]).decode()


class Intake:
    """Takes records in; one per process, reused for all of them."""

    def __init__(self, facilities: Facilities, site_key: bytes, signs: Signs) -> None:
        self._facilities = facilities
        self._site_key = site_key
        self._key_of = partial(patient_key, site_key)
        self.signs = signs

    def take(self, record: Record, headers: Headers | None = None) -> Taken:
        """
        Never raises: a bug on our side parks the record, and alarms.

        Args:
            headers: As they came, if a name may come twice, or a value be none or no text.
        """
        receipt = written(record.stamp)
        try:
            return self._taken(record, receipt, headers or record.headers.items())
        except Exception as bug:
            logger.exception("record.failed", stage="intake", **_place(record))
            # Types and places only: the text of a bug repeats what it stumbled over.
            return self._parked(record, Reject("handler-failed", describe(bug)), receipt)

    def _taken(self, record: Record, receipt: str, headers: Headers) -> Taken:
        if REFUSED in record.headers:
            return Taken("parked", self._told_of_refusal(record, receipt), [])
        if retries.HEADER in record.headers and (entry := self._mended(record, receipt)):
            return Taken("journalled", [entry], [])
        try:
            event = decode_message(headers, record.value, self._facilities, receipt=receipt)
        except Reject as reject:
            return self._parked(record, reject, receipt)
        event |= {
            name: orjson.loads(record.headers[name]) for name in NOTES if name in record.headers
        }
        again_for = retries.read(record.headers, event["subject"], self._key_of)
        if again_for:
            event[retries.HEADER] = again_for
        if record.topic == BACKFILL and event["lane"] == "live":
            event["lane"] = "backfill"
        entry = self._entry_of(event, record.value or b"")
        if len(entry[1]) > LARGEST_ENTRY:
            return self._parked(record, _too_large(event), receipt)
        if event["lane"] == "test":
            if debugs():
                logger.debug("record.handled", result="ignored", lane="test", **_place(record))
            return Taken("ignored", [], [])
        if debugs():
            logger.debug("record.handled", result="journalled", **_place(record))
        return Taken(
            "journalled",
            [
                entry,
                *_about_identity(event, self._facilities),
                *self._about_facility(event, record.stamp, receipt),
            ],
            [],
        )

    def _entry_of(self, event: dict[str, Any], raw: bytes) -> Entry:
        key = patient_key(self._site_key, event["subject"])
        # As it was sent, for a dead letter that only deciding can find out to be one.
        entry = {"kind": "event", "event": event}
        value = orjson.dumps({**entry, "raw": raw.decode()})
        # JSON in JSON grows up to sixfold; then a dead letter has to do with the event as read.
        return key, value if len(value) <= LARGEST_ENTRY else orjson.dumps(entry)

    def _about_facility(self, event: dict[str, Any], stamp: int, receipt: str) -> Iterable[Entry]:
        facility = event.get("facility")
        if not facility:
            return
        # Care teams' commands and history say nothing about whether a hospital's feed is up.
        if event["lane"] == "live" and not event["type"].startswith(_COMMANDS):
            yield from self._alive(facility, stamp, receipt)
        for field in _unmapped_fields(event, self._facilities):
            yield self._facility_entry(
                {"kind": "unmapped", "facility": facility, "field": field, "receipt": receipt}
            )

    def _alive(self, facility: str, stamp: int, receipt: str) -> Iterable[Entry]:
        if self.signs.is_first(facility, stamp):
            yield self._facility_entry({"kind": "alive", "facility": facility, "receipt": receipt})

    def _facility_entry(self, value: dict[str, Any]) -> Entry:
        return facility_key(self._site_key, value["facility"]), orjson.dumps(value)

    def _told_of_refusal(self, record: Record, receipt: str) -> list[Entry]:
        told = orjson.loads(record.value or b"{}")
        names = ("subject", "reason", "event_id", "source", "facility")
        value = {"kind": "parked", **{name: told.get(name) for name in names}}
        if not isinstance(value["subject"], str) or value["reason"] not in REASONS:
            return []
        return [self._parked_entry({**value, "receipt": receipt})]

    def _mended(self, record: Record, receipt: str) -> Entry | None:
        """What was parked of somebody was sent again under another name; we say so ourselves."""
        subject = retries.mended_of(record.value)
        if subject is None:
            return None
        names = retries.read(record.headers, subject, self._key_of)
        value = {"kind": retries.MENDED, "subject": subject, "names": names, "receipt": receipt}
        return (self._key_of(subject), orjson.dumps(value)) if names else None

    def _parked_entry(self, value: dict[str, Any]) -> Entry:
        return patient_key(self._site_key, value["subject"]), orjson.dumps(value)

    def _parked(self, record: Record, reject: Reject, receipt: str) -> Taken:
        logger.warning("record.parked", reason=reject.reason, stage="intake", **_place(record))
        journal: list[Entry] = []
        # A refused message still shows that the feed is up.
        if reject.facility and record.topic != BACKFILL:
            journal += self._alive(reject.facility, record.stamp, receipt)
        if reject.subject:
            value = orjson.loads(refusal(reject, record.value or b"")[0])
            journal.append(self._parked_entry({**value, "receipt": receipt}))
        where = {
            "topic": record.topic,
            "partition": str(record.partition),
            "offset": str(record.offset),
        }
        letter = dead_letter(record.key, record.value or b"", reject, "intake", where)
        return Taken("parked", journal, [letter])


def refusal(reject: Reject, raw: bytes) -> tuple[bytes, dict[str, str]]:
    """
    What tells a patient's journal that one of their messages was refused: value and headers.

    An adapter at the door, which has no site key, sends it through the public topic.
    """
    value = {
        "kind": "parked",
        "subject": reject.subject,
        "reason": reject.reason,
        "event_id": parked_as(reject, raw),
        "source": reject.source,
        "facility": reject.facility,
    }
    return orjson.dumps(value), {REFUSED: reject.reason}


def parked_as(reject: Reject, raw: bytes) -> str:
    """What a refused event is called; one whose own id cannot be read, by its content."""
    return reject.event_id or f"sha256:{hashlib.sha256(raw).hexdigest()[:16]}"


def dead_letter(
    key: str | None, raw: bytes, reject: Reject, stage: str, where: dict[str, str]
) -> DeadLetter:
    """
    The original bytes with the reason in headers, and no patient data in those.

    Args:
        stage: Who refused it: ``publish``, ``intake``.
        where: Topic, partition, offset; for a file, its place.
    """
    headers = {"reason": reject.reason, "stage": stage, **where, "error": reject.detail}
    if len(raw) > MAX_BYTES:
        headers |= {"size": str(len(raw)), "sha256": hashlib.sha256(raw).hexdigest()}
        raw = raw[:DEAD_LETTER_BYTES]
    return DeadLetter(key, raw, headers)


def _about_identity(event: dict[str, Any], facilities: Facilities) -> Iterable[Entry]:
    """
    What a merge and its like say, for whoever decides who is whom.

    Beside the event, and not from whoever decides about it: a clock must not overtake it.
    """
    import handlers

    if event["type"] in handlers.identity.TITLES:
        told = handlers.told(event, facilities)
        if not told.effective:  # else it is said when its time comes
            marks = [list(mark) for mark in told.marks]
            yield IDENTITY, orjson.dumps({"kind": "marks", "marks": marks})


def _unmapped_fields(event: dict[str, Any], facilities: Facilities) -> Iterable[str]:
    import handlers

    fields: Iterable[str] = handlers.unmapped_fields(event, facilities)
    return fields


def _too_large(event: dict[str, Any]) -> Reject:
    return Reject(
        "too-large",
        "written out, it is larger than a record may be",
        subject=event["subject"],
        facility=event.get("facility"),
        event_id=event["id"],
        source=event["source"],
    )


def _place(record: Record) -> dict[str, str | int]:
    return {"topic": record.topic, "partition": record.partition, "offset": record.offset}
