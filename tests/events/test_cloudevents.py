"""CloudEvents: structured and binary mode give the same accepted event."""

import json
from typing import Any, Literal
from urllib.parse import quote

import pytest

from events.canonical import MAX_BYTES, decode
from events.cloudevents import decode_message
from events.reject import Reject
from tests.events.samples import GEN, event, raw

Headers = list[tuple[str, bytes]]


def binary(prefix: str = "ce_", **said: Any) -> tuple[Headers, bytes]:
    made = event(**said)
    body = json.dumps(made.pop("data")).encode()
    headers = [(prefix + name, str(value).encode()) for name, value in made.items()]
    return [("content-type", b"application/json"), *headers], body


def test_structured_mode_is_the_json_itself() -> None:
    """Headers that are no attributes say nothing."""
    headers: Headers = [("content-type", b"application/cloudevents+json"), ("traceparent", b"00-")]
    assert decode_message(headers, raw(event()), GEN) == decode(raw(event()), GEN)


@pytest.mark.parametrize(
    "said", [b"application/cloudevents+json; charset=UTF-8", b"Application/CloudEvents+JSON"]
)
def test_structured_mode_may_repeat_its_attributes_in_headers(said: bytes) -> None:
    """Both bindings allow it, so that intermediaries can route; the body is the event."""
    headers, _ = binary()
    structured = [("Content-Type", said), *headers[1:]]
    assert decode_message(structured, raw(event()), GEN) == decode(raw(event()), GEN)


@pytest.mark.parametrize("binding", ["kafka", "http"])
def test_binary_mode_gives_the_same_event(binding: Literal["kafka", "http"]) -> None:
    """Attributes in headers, data in the body, names in any case."""
    headers, body = binary("ce_" if binding == "kafka" else "Ce-")
    found = decode_message(headers, body, GEN, binding=binding, receipt="2026-10-06T18:05:00Z")
    assert found == decode(raw(event()), GEN, receipt="2026-10-06T18:05:00Z")


def test_http_headers_are_percent_encoded() -> None:
    """As the HTTP binding of CloudEvents has it; Kafka's are plain UTF-8."""
    subject = "GÉN|MRN 1%"
    plain, body = binary(subject=subject)
    assert decode_message(plain, body, GEN)["subject"] == subject
    coded = [(name.replace("ce_", "ce-"), quote(value).encode()) for name, value in plain]
    assert decode_message(coded, body, GEN, binding="http")["subject"] == subject


def test_binary_mode_without_a_body_has_no_data() -> None:
    """Which is enough for a death."""
    headers, _ = binary(type_="patient.died")
    for empty in (b"", None):
        assert decode_message(headers, empty, GEN)["data"] == {}


@pytest.mark.parametrize(
    "extra", [("ce_subject", b"GEN|2"), ("CE_SUBJECT", b"GEN|2"), ("ce_data", b"{}"), ("ce_", b"")]
)
def test_a_header_that_could_name_another_patient_is_malformed(extra: tuple[str, bytes]) -> None:
    """Two subjects, or data from a header: no reader may choose."""
    headers, body = binary()
    with pytest.raises(Reject, match="malformed"):
        decode_message([*headers, extra], body, GEN)


@pytest.mark.parametrize("value", [b"\xff", b"GEN|%ff"])
def test_a_header_that_is_not_utf_8_is_malformed(value: bytes) -> None:
    """Neither bytes nor percent-encoded ones are guessed at."""
    headers, body = binary("ce-")
    wrong = [("ce-note", value), *headers]
    with pytest.raises(Reject, match="malformed"):
        decode_message(wrong, body, GEN, binding="http")


def test_a_bad_body_still_says_whose_it_was() -> None:
    """The headers name the patient, so the parked event opens a gap."""
    headers, _ = binary()
    with pytest.raises(Reject) as caught:
        decode_message(headers, b'{"a": 1, "a": 2}', GEN)
    assert (caught.value.reason, caught.value.subject) == ("malformed", "GEN|MRN123")
    assert "twice" in caught.value.detail


def test_the_limit_counts_headers_and_body() -> None:
    """What is accepted is journalled as one record."""
    headers, _ = binary()
    with pytest.raises(Reject, match="too-large"):
        decode_message(headers, b'"' + b"x" * (MAX_BYTES - 100) + b'"', GEN)


def test_a_body_that_is_no_object_is_malformed() -> None:
    """As in structured mode."""
    headers, _ = binary()
    with pytest.raises(Reject, match="/data must be an object"):
        decode_message(headers, b"[]", GEN)
