"""What sending a dead letter again means: which records go to which topic, or why none can.

Pure.  What was sent goes through the same adapters as at first, so that nothing gets in this way
that would not get in at a door.  What lay on a topic is taken from there if it still does: a dead
letter holds the bytes alone, and part of an event may have stood in headers (CloudEvents' binary
mode, what an adapter found out).  The records name the parked event that they stand for, so that
the patient's gap ``EVENT_PARKED`` closes when they count.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

import handlers
from events import decode_record
from events.cloudevents import decode_message
from events.files import records_in
from events.reject import Reject
from orchestrator.core.facts import parked_name
from orchestrator.core.instants import written
from orchestrator.stream import retries
from orchestrator.stream.intake import NOTES, parked_as
from orchestrator.stream.letters import sent_as
from orchestrator.stream.publish import PATIENTS, Row, as_sent, sending_of
from schemas.facilities import Facilities
from schemas.topics import BACKFILL, INPUTS, JOURNAL, topic_of

READABLE: Final = frozenset({*INPUTS, JOURNAL})


Pairs = Sequence[tuple[str, bytes | None]]  # headers as they lie: a name may come twice


class Letter(NamedTuple):
    """
    A dead letter.

    Attributes:
        at: When it was appended; µs.
        headers: What we said of it.
        pairs: All of its headers; a broker's letter has its sender's, too.
        size: Of what was sent; of a too large one only the beginning is kept.
    """

    at: int
    headers: Mapping[str, str]
    value: bytes
    size: int
    pairs: Pairs = ()


class Lay(NamedTuple):
    """What lies at the place that a letter names."""

    value: bytes
    pairs: Pairs


class Parked(NamedTuple):
    """An event that was parked: whose, if that could be read, and what it is called."""

    subject: str | None
    name: str


class Again(NamedTuple):
    """
    What is to be appended; nothing where *reject* says why not.

    Attributes:
        events: Ids of the events among *rows*; none: the message is legal, and not used here.
        subjects: Whose they are.
        facilities: What they say of where it happened; ``None``: nothing.
        types: What they are.
        named: Whom the letter itself named, as far as that can be read.
    """

    rows: tuple[Row, ...] = ()
    events: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    facilities: frozenset[str | None] = frozenset()
    types: frozenset[str] = frozenset()
    named: frozenset[str] = frozenset()
    reject: Reject | None = None


# What says who is whom, of whomever it names.
IDENTITY_TYPES: Final = frozenset(handlers.identity.TITLES)
COMMANDS: Final = "care.task."


def place_of(headers: Mapping[str, str]) -> tuple[str, int, int] | None:
    """Where what a letter holds lay before; ``None``: on no topic of ours."""
    try:
        topic = headers["topic"]
        partition, offset = int(headers["partition"]), int(headers["offset"])
    except (KeyError, ValueError):
        return None
    is_place = topic in READABLE and 0 <= partition < 2**31 and 0 <= offset < 2**63
    return (topic, partition, offset) if is_place else None


def again(
    letter: Letter,
    lay: Lay | None,
    facilities: Facilities,
    key_of: retries.KeyOf,
    *,
    receipt: str,
    replacement: bytes | None = None,
) -> Again:
    """
    What sending *letter* again appends.

    Args:
        lay: What lies at the place that it names (`place_of`), if that can be read.
        key_of: The key of a patient's identifier.
        receipt: Now, UTC.
        replacement: What a person made of it.
    """
    if lay is not None and not _is_the_same(letter, lay):
        lay = None  # another record has that offset by now
    if lay is None and letter.headers.get("topic") in INPUTS and len(letter.value) == letter.size:
        lay = Lay(letter.value, letter.pairs)
    if replacement is not None:
        found = _of_bytes(replacement, facilities, receipt)
    elif lay is None and len(letter.value) < letter.size:
        found = Again(reject=Reject("too-large", "only the beginning of it is kept"))
    elif lay is None:
        found = _of_bytes(letter.value, facilities, receipt)
    else:
        found = _as_it_lay(letter.headers["topic"], lay, facilities, receipt)
    if found.reject is not None:
        return found
    if _is_history(letter, lay):
        found = found._replace(rows=tuple(row._replace(topic=BACKFILL) for row in found.rows))
    return _noted(found, names(letter, lay, facilities), key_of)


def _noted(found: Again, called: Sequence[Parked], key_of: retries.KeyOf) -> Again:
    """Each row says for what of its patient's it stands; of others' a row of its own does."""
    rows = []
    for row in found.rows:
        own = [one.name for one in called if one.subject in (None, row.subject)]
        noted = retries.header(own, row.subject or "", key_of)
        rows.append(row._replace(headers={**row.headers, **noted}))
    for subject in dict.fromkeys(one.subject for one in called):
        if rows and subject is not None and subject not in found.subjects:
            theirs = [one.name for one in called if one.subject == subject]
            noted = retries.header(theirs, subject, key_of)
            rows.append(Row(PATIENTS, subject, retries.mended(subject), noted))
    named = frozenset(one.subject for one in called if one.subject is not None)
    return found._replace(rows=tuple(rows), named=named)


def _is_history(letter: Letter, lay: Lay | None) -> bool:
    """Whether it came as history: then it is sent as such, however it is written now."""
    topic = letter.headers.get("topic", "")
    event = None if lay is None else _journalled(topic, lay)
    return topic == BACKFILL or (event is not None and event.get("lane") == "backfill")


def names(letter: Letter, lay: Lay | None, facilities: Facilities) -> list[Parked]:
    """What the parked events of *letter* are called in the gaps of their patients."""
    then = written(letter.at)  # a time that was ahead need not be any more
    if lay is not None and (event := _journalled(letter.headers["topic"], lay)) is not None:
        return [_parked(event)]
    if lay is not None:
        try:
            return [_parked(decode_message(lay.pairs, lay.value, facilities, receipt=then))]
        except Reject as reject:
            return [_called(reject, lay.value)]
    found: list[Parked] = []
    for record in records_in(letter.value):
        one = decode_record(record.kind, record.raw, facilities, then)
        found += map(_parked, one.events)
        found += [_called(reject, letter.value) for reject in one.rejects]
    return found


def _parked(event: Mapping[str, Any]) -> Parked:
    return Parked(event["subject"], parked_name(event["source"], event["id"]))


def _called(reject: Reject, raw: bytes) -> Parked:
    return Parked(reject.subject, parked_name(reject.source or "", parked_as(reject, raw)))


def _is_the_same(letter: Letter, lay: Lay) -> bool:
    """Whether it is what the letter was made of: a restored log gives offsets anew."""
    value = lay.value
    if letter.headers.get("topic") == JOURNAL:
        value = sent_as(lay.value)
    return value[: len(letter.value)] == letter.value and len(value) == letter.size


def _as_it_lay(topic: str, lay: Lay, facilities: Facilities, receipt: str) -> Again:
    event = _journalled(topic, lay)
    if event is not None:
        return _of_event(event)
    try:
        decoded = decode_message(lay.pairs, lay.value, facilities, receipt=receipt)
    except Reject as reject:
        return Again(reject=reject)
    return _again(Row(topic, decoded["subject"], lay.value, _beside(lay.pairs)), decoded)


def _beside(pairs: Pairs) -> dict[str, str]:
    """The headers that belong to the message; decoding has found none of them twice."""
    return {
        name: (said or b"").decode(errors="replace")
        for name, said in pairs
        if name.lower() == "content-type" or name.lower().startswith("ce_") or name in NOTES
    }


def _journalled(topic: str, lay: Lay) -> dict[str, Any] | None:
    """The event that a record of the journal holds."""
    if topic != JOURNAL:
        return None
    try:
        event = orjson.loads(lay.value).get("event")
    except (orjson.JSONDecodeError, AttributeError):
        return None
    return event if isinstance(event, dict) else None


def _of_event(event: dict[str, Any]) -> Again:
    topic = topic_of(event["type"], event["lane"])
    assert topic is not None, "an accepted event has a topic"
    value, headers = as_sent(event)
    return _again(Row(topic, event["subject"], value, headers), event)


def _of_bytes(raw: bytes, facilities: Facilities, receipt: str) -> Again:
    records = records_in(raw)
    if len(records) != 1:
        return Again(reject=Reject("malformed", "holds no message, or several; one is sent again"))
    (record,) = records
    sending = sending_of(record, facilities, receipt)
    if sending.rejects:
        return Again(reject=sending.rejects[0])
    said = [orjson.loads(row.value) for row in sending.events]
    return Again(
        tuple(sending.events),
        tuple(event["id"] for event in said),
        tuple(row.subject or "" for row in sending.events),
        frozenset(event.get("facility") for event in said),
        frozenset(event["type"] for event in said),
    )


def _again(row: Row, event: Mapping[str, Any]) -> Again:
    facility, kind = frozenset({event.get("facility")}), frozenset({event["type"]})
    return Again((row,), (event["id"],), (event["subject"],), facility, kind)
