"""Canonical events: JSON bytes become an accepted event, or a typed reject.

The accepted event is a plain dict: the envelope's fields by the contract's names, every known time
in UTC, ``data`` otherwise as it was sent, unknown fields included.  It is what the journal keeps
and what handlers read, so all that can be wrong with one event by itself is found here.

Facility: a visit number is its facility's own, so events about a visit need one; a person, an
order, an appointment and a task are named by themselves and need none.
"""

import base64
import binascii
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from events.faults import explain
from events.reject import Reason, Reject
from events.strict_json import read_json
from events.times import TimeReader, check_ahead
from schemas.events import EVENT, EVENT_TYPES, EventType, unread_type
from schemas.facilities import Facilities
from schemas.timestamp import BadTime, normalise, parse
from schemas.values import Id, Source, Subject, said

__all__ = ["MAX_BYTES", "accept", "check_ahead", "decode"]

MAX_BYTES: Final = 1024 * 1024  # ``interfaces.md`` section 1.2

# Of the envelope, what the accepted event says in its own way, and what says how the event
# travelled: a repeat with another trace is the same event.  The last five are ours to write.
_NOT_CARRIED: Final = frozenset(
    {
        "specversion",
        "id",
        "source",
        "type",
        "subject",
        "facility",
        "lane",
        "time",
        "recordedtime",
        "receivedtime",
        "data",
        "data_base64",
        "datacontenttype",
        "dataschema",
        "traceparent",
        "tracestate",
        "sentreceivedtime",
        "timeflags",
        "unmapped",
        "stamps",
        "extensions",
    }
)
_ADAPTERS: Final = ("hl7v2/", "fhir/")
_READABLE: Final[dict[str, tuple[str, TypeAdapter[str]]]] = {
    "subject": ("subject", TypeAdapter(Subject)),
    "facility": ("facility", TypeAdapter(Id)),
    "event_id": ("id", TypeAdapter(Id)),
    "source": ("source", TypeAdapter(Source)),
}


def decode(raw: bytes, facilities: Facilities, *, receipt: str | None = None) -> dict[str, Any]:
    """
    Read one event.

    Args:
        raw: One JSON object, in CloudEvents' structured form or the same without
            ``specversion``.
        receipt: When it reached us, UTC; overwrites ``receivedtime``, and the sender's own is
            kept as ``sentreceivedtime``.  ``None`` for files, which keep theirs; one without
            is received at its ``time``, but in lane ``backfill`` the key stays absent, because
            only replay knows that instant (``contract.md`` section 6).

    Raises:
        Reject: With what could be read of whose it is.
    """
    if len(raw) > MAX_BYTES:
        raise Reject("too-large", f"has more than {MAX_BYTES} bytes", receipt=receipt)
    try:
        value = read_json(raw)
    except Reject as reject:
        reject.receipt = receipt
        raise
    return accept(value, facilities, receipt=receipt)


def accept(value: Any, facilities: Facilities, *, receipt: str | None = None) -> dict[str, Any]:
    """
    The same for an event that is parsed already; *value* is not changed.

    Raises:
        Reject: As :func:`decode`.
    """
    if not isinstance(value, dict):
        raise Reject("malformed", "is not a JSON object", receipt=receipt)
    try:
        return _accept(value, facilities, receipt)
    except Reject as reject:
        _add_what_is_readable(reject, value, receipt)
        raise


def _accept(value: dict[str, Any], facilities: Facilities, receipt: str | None) -> dict[str, Any]:
    known = _type(value)
    if not isinstance(value.get("data"), dict):
        value = {**value, "data": _data(value)}
    _validate(value)
    data = dict(value["data"])
    for name in known.ids:
        if (text := data.get(name)) is not None and not said(text):
            del data[name]
    facility = value.get("facility")
    if not said(facility):
        facility = data.get("facility")

    times = _time_reader(known, facility, facilities, value, receipt)
    event: dict[str, Any] = {
        "id": value["id"],
        "source": value["source"],
        "type": known.name,
        "subject": value["subject"],
        "facility": facility,
        "lane": value.get("lane") or "live",
        "time": times.read(value["time"], "time"),
    }
    if (recorded := value.get("recordedtime")) and said(recorded):
        event["recordedtime"] = times.read(recorded, "recordedtime")
    _receive(event, value.get("receivedtime"), times, receipt)
    times.replace_all(data, known)
    event["data"] = data
    if times.flags:
        event["timeflags"] = times.flags
    if not value.keys() <= _NOT_CARRIED:
        event["extensions"] = {key: value[key] for key in value if key not in _NOT_CARRIED}
    if "receivedtime" in event:
        check_ahead(event)
    return event


def _type(value: dict[str, Any]) -> EventType:
    name = value.get("type")
    if name is None or name == "":
        raise Reject("missing-field", "/type is missing", pointers=("/type",))
    if not isinstance(name, str):
        raise Reject("malformed", "/type must be a text", pointers=("/type",))
    known = EVENT_TYPES.get(name)
    if known is None:
        reason: Reason = unread_type(name)
        words = "is not known" if reason == "unknown-type" else "has a version that is not read"
        raise Reject(reason, f"/type {words}", pointers=("/type",))
    return known


def _data(value: dict[str, Any]) -> dict[str, Any]:
    """``data`` where it is no object: absent, in CloudEvents' other form, or wrong."""
    if value.get("data") is not None:
        raise Reject("malformed", "/data must be an object", pointers=("/data",))
    encoded = value.get("data_base64")
    if encoded is None:
        return {}
    decoded: Any = None
    if isinstance(encoded, str):
        try:
            decoded = read_json(base64.b64decode(encoded, validate=True))
        except (binascii.Error, ValueError):
            decoded = None
    if not isinstance(decoded, dict):
        raise Reject(
            "malformed", "/data_base64 must be a JSON object in base64", pointers=("/data_base64",)
        )
    return decoded


def _validate(value: dict[str, Any]) -> None:
    try:
        EVENT.validate_python(value)
    except ValidationError as error:
        reason, detail, pointers = explain(error)
    else:
        return
    # Outside the handler: pydantic's error holds the input and would travel as context.
    raise Reject(reason, detail, pointers=pointers)


def _time_reader(
    known: EventType,
    facility: str | None,
    facilities: Facilities,
    value: dict[str, Any],
    receipt: str | None,
) -> TimeReader:
    if not said(facility):
        return TimeReader(None, offset_trusted=True)
    at = None
    if facilities.versioned(facility):
        text = receipt or value.get("receivedtime") or value["time"]
        try:
            # Near enough to choose a version by: what is unknown is hours, versions last years.
            at = parse(text[:10] + "T12:00:00Z", None).at
        except BadTime:
            at = None
    # Two kinds do not come from the feed whose clock is wrong: commands, which worklists and care
    # teams write, and what our own adapters wrote in UTC at the door (contract section 2: source).
    trusted = known.noun == "task" or value["source"].startswith(_ADAPTERS)
    trusted = trusted or facilities.get(facility, at).offset_trusted
    return TimeReader(facilities.zone_of(facility, at), offset_trusted=trusted)


def _receive(
    event: dict[str, Any], sent: str | None, times: TimeReader, receipt: str | None
) -> None:
    """When it reached us: *receipt*, else what the file says, else its time (not in backfill)."""
    written = times.read(sent, "receivedtime", ours=True) if sent and said(sent) else None
    if receipt is not None:
        event["receivedtime"] = receipt
        times.flags.pop("receivedtime", None)
        if written is not None:
            event["sentreceivedtime"] = written
    elif written is not None:
        event["receivedtime"] = written
    elif event["lane"] != "backfill":
        event["receivedtime"] = event["time"]


def _add_what_is_readable(reject: Reject, value: dict[str, Any], receipt: str | None) -> None:
    """So that a parked event of a known patient opens a gap with that patient."""
    for attribute, (name, adapter) in _READABLE.items():
        text = value.get(name)
        if name == "facility" and not said(text) and isinstance(value.get("data"), dict):
            text = value["data"].get("facility")
        try:
            setattr(reject, attribute, adapter.validate_python(text))
        except ValidationError:
            continue
    reject.receipt = receipt
    for name in () if receipt else ("receivedtime", "time"):
        text = value.get(name)
        try:
            if isinstance(text, str) and reject.receipt is None:
                reject.receipt = normalise(text, None)[0]
        except BadTime:
            continue
