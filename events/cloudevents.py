"""CloudEvents 1.0 around an event: structured mode (the JSON itself) and binary mode (headers).

Both give the same accepted event.  Kafka carries attributes in ``ce_…`` headers, UTF-8; HTTP in
``ce-…`` headers, percent-encoded.  By hand, because it is eight header names (``libraries.md`` 7).
"""

from collections.abc import Iterable
from typing import Any, Final, Literal
from urllib.parse import unquote

from events.canonical import MAX_BYTES, accept, decode
from events.reject import Reject
from events.strict_json import read_json
from schemas.facilities import Facilities

STRUCTURED: Final = "application/cloudevents+json"

_PREFIXES: Final = {"kafka": "ce_", "http": "ce-"}


def decode_message(
    headers: Iterable[tuple[str, bytes | str | None]],
    body: bytes | None,
    facilities: Facilities,
    *,
    receipt: str | None = None,
    binding: Literal["kafka", "http"] = "kafka",
) -> dict[str, Any]:
    """
    Read one event in whichever mode its headers say.

    Args:
        headers: In any order; names in any case.  A content type of structured mode decides; what
            stands beside it repeats the body.  Those that are no attributes are ignored.
        body: The event, or in binary mode its ``data``; empty or ``None``: no data.

    Raises:
        Reject: As :func:`events.canonical.decode`.
    """
    prefix = _PREFIXES[binding]
    attributes: dict[str, Any] = {}
    headers = [(name.lower(), value) for name, value in headers]
    if any(name == "content-type" and _is_structured(value) for name, value in headers):
        return decode(body or b"", facilities, receipt=receipt)
    for lower, value in headers:
        if lower.startswith(prefix) and value is not None:
            _set(attributes, lower[len(prefix) :], _text(value, binding, receipt), receipt)
    raw = body or b""
    if not attributes:
        return decode(raw, facilities, receipt=receipt)
    # The same limit in both modes: what is accepted is journalled as one record.
    if len(raw) + sum(len(k) + len(v.encode()) for k, v in attributes.items()) > MAX_BYTES:
        raise Reject("too-large", f"has more than {MAX_BYTES} bytes", receipt=receipt)
    fault: Reject | None = None
    try:
        if raw.strip():
            attributes["data"] = read_json(raw)
    except Reject as reject:
        fault = reject
    if fault is not None:
        # The headers still say whose it is: let the usual way find out, with data that cannot pass.
        attributes["data"] = "unreadable"
        try:
            accept(attributes, facilities, receipt=receipt)
        except Reject as named:
            _copy_names(named, fault)
        raise fault
    return accept(attributes, facilities, receipt=receipt)


def _is_structured(content_type: bytes | str | None) -> bool:
    text = content_type or b""
    plain = text.decode("latin-1") if isinstance(text, bytes) else text
    return plain.partition(";")[0].strip().lower() == STRUCTURED


def _set(attributes: dict[str, Any], name: str, text: str, receipt: str | None) -> None:
    # ``ce_data`` would let a header speak for the body; a doubled one could name another patient.
    if name in attributes or not name.isalnum() or name == "data":
        raise Reject(
            "malformed", "has a CloudEvents header twice or wrongly named", receipt=receipt
        )
    attributes[name] = text


def _text(value: bytes | str, binding: str, receipt: str | None) -> str:
    try:
        text = value.decode() if isinstance(value, bytes) else value
        text = unquote(text, errors="strict") if binding == "http" else text
        text.encode()  # a lone surrogate cannot be written again
    except UnicodeError:
        pass
    else:
        return text
    raise Reject("malformed", "has a CloudEvents header that is not UTF-8", receipt=receipt)


def _copy_names(source: Reject, target: Reject) -> None:
    for name in ("subject", "facility", "receipt", "event_id", "source"):
        setattr(target, name, getattr(source, name))
