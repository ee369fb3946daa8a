"""One discharge in every form in which a CloudEvent may lie in Kafka."""

from collections.abc import Callable
from typing import Any, Final

import orjson

from orchestrator.core.instants import HOUR, SECOND, written
from orchestrator.stream.clock import RealClock
from tests.kafka.clients.foreign import Sent

TOPIC: Final = "care.discharge.v1"
Envelope = dict[str, Any]


def discharged(name: str) -> Envelope:
    """A discharge an hour ago of the patient *name*."""
    at = RealClock().now() // SECOND * SECOND - HOUR
    return {
        "specversion": "1.0",
        "id": f"D-{name}",
        "source": "hospital/GEN/adt",
        "type": "care.discharge.recorded.v1",
        "time": written(at),
        "subject": f"GEN|{name}",
        "facility": "GEN",
        "data": {"visit_number": f"V-{name}", "disposition": {"code": "01"}},
    }


def plain(envelope: Envelope, key: bytes | None) -> Sent:
    """The JSON, and nothing said about it."""
    return Sent(TOPIC, key, orjson.dumps(envelope))


def structured(envelope: Envelope, key: bytes | None) -> Sent:
    """Structured mode."""
    headers = [("content-type", b"application/cloudevents+json; charset=UTF-8")]
    return Sent(TOPIC, key, orjson.dumps(envelope), headers)


def structured_with_attributes(envelope: Envelope, key: bytes | None) -> Sent:
    """Structured mode with the attributes in headers, too, which the binding allows."""
    headers = [("content-type", b"application/cloudevents+json"), *_attributes(envelope)]
    return Sent(TOPIC, key, orjson.dumps(envelope), headers)


def binary(envelope: Envelope, key: bytes | None) -> Sent:
    """Binary mode: the value is ``data`` alone."""
    headers = [*_attributes(envelope), ("content-type", b"application/json")]
    return Sent(TOPIC, key, orjson.dumps(envelope["data"]), headers)


def binary_in_capitals(envelope: Envelope, key: bytes | None) -> Sent:
    """Binary mode by somebody whose library writes header names its own way."""
    headers = [(name.upper(), value) for name, value in _attributes(envelope)]
    extra = [("traceparent", None), ("feed", b"\xfe\xff"), ("feed", b"2"), ("", b"")]
    return Sent(TOPIC, key, orjson.dumps(envelope["data"]), [*extra, *headers])


MODES: Final[tuple[Callable[[Envelope, bytes | None], Sent], ...]] = (
    plain,
    structured,
    structured_with_attributes,
    binary,
    binary_in_capitals,
)


def _attributes(envelope: Envelope) -> list[tuple[str, bytes | None]]:
    return [
        (f"ce_{name}", str(value).encode()) for name, value in envelope.items() if name != "data"
    ]
