"""Hostile messages, H1 to H20 of ``reliability.md`` 4.10: typed outcomes, quick and small.

H10, H11 and H17 are about connections and certificates; they come with the MLLP door.
"""

import time
import tracemalloc
from collections.abc import Iterator

import pytest

from events.hl7v2 import Hl7Result, limits
from events.reject import REASONS
from tests.events.hl7v2.builders import (
    adt,
    event,
    events,
    identities,
    of_type,
    read,
    reject,
    segment,
)

MEGABYTE = 1024 * 1024


@pytest.fixture(autouse=True)
def _quick_and_small() -> Iterator[None]:
    """In seconds, not minutes, and under 50 MB, as the list demands; measured around each test."""
    tracemalloc.start()
    started = time.process_time()
    yield
    spent = time.process_time() - started
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert spent < 20 * TRACING_COSTS  # a guard against cost that grows with the square
    assert peak < 50 * MEGABYTE


TRACING_COSTS = 5  # tracemalloc slows the same work down so many times


def typed(raw: bytes) -> Hl7Result:
    """The result, which must be events, ignored or typed rejects, and no bug of ours."""
    found = read(raw)
    assert found.events or found.ignored or found.rejects
    for refused in found.rejects:
        assert refused.reason in REASONS - {"handler-failed"}
    return found


def header(msh: bytes) -> bytes:
    return msh + b"||ADT^A01|1|P|2.5\rPID|||1\rPV1||I|||||||||||||||||V1"


def test_h1_a_huge_field() -> None:
    """
    Ten megabytes in one field: too large before anything is parsed.
    """
    assert reject(adt("A01", pid={5: "x" * 10 * MEGABYTE})).reason == "too-large"


def test_h1_the_limit_is_one_mebibyte_exactly() -> None:
    """
    What is accepted fits into a record of the log.
    """
    raw = adt("A01", segment("NTE", {3: ""}))
    filled = raw + b"x" * (limits.MESSAGE_BYTES_MAX - len(raw))

    assert events(filled)
    assert reject(filled + b"x").reason == "too-large"


def test_h2_h20_a_million_segments() -> None:
    """
    Half a million short segments, and ten thousand Z-segments, are refused by their number.
    """
    many = adt("A01") + b"\rZ" * 500_000
    zed = adt("A01", *["ZZZ|1"] * 10_000)

    assert [reject(raw).reason for raw in (many, zed)] == ["malformed"] * 2


def test_h2_the_limit_is_a_thousand_segments_exactly() -> None:
    """
    A long stay's message is taken.
    """
    assert events(adt("A01", *["ZZZ|1"] * 996))
    assert reject(adt("A01", *["ZZZ|1"] * 997)).reason == "malformed"


def test_h3_a_million_components() -> None:
    """
    Components are split only in fields that are read, and then once.
    """
    assert events(adt("A01", pid={5: "^" * 900_000}))
    assert events(adt("A01", pid={5: "&" * 900_000}))


def test_h3_too_many_repetitions_or_fields() -> None:
    """
    200 repetitions and 500 fields are the most.
    """
    assert reject(adt("A01", pid={13: "1~" * 100_000})).reason == "malformed"
    assert reject(adt("A01", "ZZZ" + "|" * 100_000)).reason == "malformed"
    assert events(adt("A01", pid={13: "~".join("1" * 200)}))
    assert reject(adt("A01", pid={13: "~".join("1" * 201)})).reason == "malformed"
    assert events(adt("A01", "ZZZ" + "|" * 500))
    assert reject(adt("A01", "ZZZ" + "|" * 501)).reason == "malformed"
    # Spread over fields and segments they are legal.
    assert events(adt("A01", *[segment("OBX", {5: "1~" * 150, 6: "2~" * 150})] * 5))


@pytest.mark.parametrize(
    "raw", [b"", b"\x0b\x1c\r", b"PID|||1", b"GET / HTTP/1.1\r\n\r\n", b"\xff"]
)
def test_h4_no_msh(raw: bytes) -> None:
    """
    Not an HL7 message; the body is not repeated.
    """
    assert (
        reject(raw).reason,
        reject(raw).detail,
    ) == ("malformed", "no MSH segment at the beginning")


@pytest.mark.parametrize(
    "raw",
    [
        b"MSH",
        b"MSH|",
        b"MSH|^~\\&",
        b"MSH\r",
        header(b"MSHA^~\\&A"),
        header(b"MSH\r^~\\&\r"),
        header(b"MSH\x00^~\\&\x00"),
        header("MSHé^~\\&é".encode()),
        header(b"MSH ^~\\& "),
        header(b'MSH"^~\\&"'),
        b"MSH|^~\\&|",
        b"MSH|^~\\&|\r\r\r",
    ],
)
def test_h5_h6_a_header_cut_short_or_with_odd_separators(raw: bytes) -> None:
    """
    Malformed or of no type, whatever is missing.
    """
    assert reject(raw).reason in ("malformed", "unknown-type")


@pytest.mark.parametrize(
    "encoding", ["", "^", "^~", "^~\\", "^^^^", "||||", "^~\\^", "abcd", "^~\\&#!", "x" * 100]
)
def test_h6_encoding_characters_that_cannot_be(encoding: str) -> None:
    """
    None, one, equal ones, letters, too many.
    """
    refused = reject(header(f"MSH|{encoding}|A|F||||2026".encode()))

    assert (refused.reason, refused.place) == ("malformed", "MSH^1^2")


def test_h7_unicode_that_is_none() -> None:
    """
    Declared UTF-8 and Latin-1 bytes, UTF-16, a byte order mark of the wrong kind.
    """
    latin = adt("A01", msh={18: "UNICODE UTF-8"}, pid={5: "Ü"}).decode().encode("latin-1")
    for raw in (latin, adt("A01").decode().encode("utf-16-le"), b"\xff\xfe" + adt("A01")):
        assert reject(raw).reason == "malformed"
    assert events(adt("A01", msh={18: "ISO IR87"}, pid={5: "\\C2842\\\\M2B2B2B\\Doe"}))


def test_h8_escapes_that_would_become_segments() -> None:
    """
    A hex CR with a whole PV1 behind it stays text.
    """
    injected = "Doe\\X0D\\PV1\\F\\\\F\\E\\X0B\\\\X1C\\"
    found = events(adt("A01", pid={5: injected}))

    assert found[0]["data"]["class"] == "INPATIENT"
    name = of_type(found, "patient.updated")["data"]["name"]
    assert name == "Doe\\X0D\\PV1||E\\X0B\\\\X1C\\"
    assert not set(name) & {"\r", "\n", "\x0b", "\x1c"}


def test_h8_escapes_without_an_end() -> None:
    """
    Half an escape is text.
    """
    found = events(adt("A01", pid={5: "Doe\\E\\E\\"}))

    assert of_type(found, "patient.updated")["data"]["name"] == "Doe\\E\\"


@pytest.mark.parametrize("byte", [b"\x00", b"\x0b", b"\x1c"])
def test_h9_nul_and_frame_bytes_inside(byte: bytes) -> None:
    """
    Two frames ran into each other, or it is no text: malformed.
    """
    assert reject(adt("A01").replace(b"Jane", b"Ja" + byte + b"ne")).reason == "malformed"


def test_h9_other_control_characters_are_left_out() -> None:
    """
    They mean nothing in a name and would cost six bytes each in JSON.
    """
    found = events(adt("A01", pid={5: "Doe\x01\x1b^Ja\x07ne"}))

    assert of_type(found, "patient.updated")["data"]["name"] == "Jane Doe"


def test_h12_a_batch_is_not_one_message() -> None:
    """
    Files are split before; a batch at the door of one message is refused.
    """
    assert reject(b"FHS|^~\\&|A\rBHS|^~\\&|A\r" + adt("A01") + b"\rBTS|7").reason == "malformed"


@pytest.mark.parametrize("control_id", ["", '""', "x" * 200, "x" * 500_000])
def test_h13_control_ids_that_cannot_be(control_id: str) -> None:
    """
    Empty, null, or longer than v2.7 allows.
    """
    assert reject(adt("A01", msh={10: control_id})).reason == "malformed"


def test_h13_a_control_id_with_an_escaped_separator() -> None:
    """
    It is one character of the id, no field more.
    """
    assert event(adt("A01", msh={10: "a\\F\\b"}))["id"].startswith("GEN-a|b-")


def test_h14_a_structure_that_does_not_fit() -> None:
    """
    MSH-9.3 says nothing that MSH-9.2 does not.
    """
    assert event(adt("A01", msh={9: "ADT^A01^ADT_A03"}))["type"] == "care.admission.opened.v1"


def test_h15_identifiers_by_the_hundred() -> None:
    """
    500 are refused, 200 are taken with the first as subject.
    """
    many = "~".join(f"{n}^^^GEN" for n in range(500))
    some = "~".join(f"{n}^^^GEN" for n in range(200))

    assert reject(adt("A01", pid={3: many})).reason == "malformed"
    assert event(adt("A01", pid={3: some}))["subject"] == "GEN|0"


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "=cmd|' /C calc'!A0", "\u202egpj.exe", "😀" * 10_000]
)
def test_h15_names_that_attack_somebody_else(name: str) -> None:
    """
    They are data: kept as they are, for those who show them to encode.
    """
    sent = name.replace("|", "\\F\\")
    found = events(adt("A01", pid={5: sent}))

    assert name == of_type(found, "patient.updated")["data"]["name"]


@pytest.mark.parametrize(
    "stamp",
    ["99991231235959", "20260230", "202610062400", "20261006140000+9999", "2", "0" * 100_000],
)
def test_h16_times_that_are_none(stamp: str) -> None:
    """
    The next field serves, or the message is refused; no year 9999 in the plan.
    """
    for field in (2, 6):
        for one in typed(adt("A01", evn={field: stamp}, pv1={44: ""})).events:
            assert one["time"] < "2026-10-08"


def test_h18_an_acknowledgement_is_not_answered() -> None:
    """
    Dropped and counted.
    """
    assert read(b"MSH|^~\\&|A|B|C|D|2026||ACK|1|P|2.5\rMSA|AA|1").ignored == "ACK"


def test_h19_merges_into_oneself() -> None:
    """
    Refused; cycles are two ordinary merges and decided elsewhere; across authorities refused.
    """
    pid = segment("PID", {3: "A1"})

    assert reject(identities("A40", pid, "MRG|A1")).reason == "self-merge"
    assert reject(identities("A40", pid, "MRG|A1^^^OTHER")).reason == "identity-conflict"


def test_many_line_breaks_in_a_text() -> None:
    """
    Lines that are no segments are joined once, not one by one.
    """
    assert events(adt("A01", segment("NTE", {3: "\n".join(["line"] * 900)})))
