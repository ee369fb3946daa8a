"""The splitter: delimiters, segment ends, fields, components, null and empty."""

import pytest

from events.hl7v2.message import Message, content, encoding_of, parse
from events.reject import Reject

MSH = "MSH|^~\\&|APP|FAC|||20261006||ADT^A01|1|P|2.5"


def message(text: str | bytes) -> Message:
    raw = text.encode() if isinstance(text, str) else text
    body = content(raw)
    separator, characters = encoding_of(body)
    return parse(body, separator, characters, "", None)


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_segments_end_with_cr_lf_or_crlf(end: str) -> None:
    """
    The three ends of a line that feeds use give the same message.
    """
    found = message(end.join([MSH, "PID|||1", "PV1||I"]) + end)

    assert found.first("PID").text(3) == "1"
    assert found.first("PV1").text(2) == "I"


@pytest.mark.parametrize(
    "around",
    [b"%s", b"\xef\xbb\xbf%s", b"\x0b%s\x1c\r", b"\x0b\xef\xbb\xbf%s\r\x1c\r", b"\r\n%s\n\n"],
)
def test_what_transport_puts_around_a_message_is_taken_off(around: bytes) -> None:
    """
    A byte order mark, frame bytes and blank lines do not belong to the message.
    """
    plain = f"{MSH}\rPID|||1".encode()

    assert content(plain) == content(around % plain)


def test_the_content_hash_does_not_depend_on_transport_or_msh_7() -> None:
    """
    The same message from a file and from a socket, or stamped anew by an engine, is the same.
    """
    plain = message(f"{MSH}\rPID|||1")
    framed = message(f"\x0b{MSH}\r\nPID|||1\r\n\x1c\r")
    resent = message(f"{MSH.replace('20261006', '20261007')}\rPID|||1")
    other = message(f"{MSH}\rPID|||2")

    assert plain.content_hash == framed.content_hash == resent.content_hash
    assert plain.content_hash != other.content_hash


def test_msh_counts_its_separator_as_field_one() -> None:
    """
    MSH-1 is the separator, so MSH-3 is the application.
    """
    msh = message(MSH).first("MSH")

    assert (
        msh.raw(1),
        msh.raw(2),
        msh.text(3),
        msh.text(4),
        msh.text(9, 2),
    ) == ("|", "^~\\&", "APP", "FAC", "A01")


def test_the_delimiters_are_those_of_the_message() -> None:
    """
    MSH-1 and MSH-2 may declare others than the usual ones.
    """
    found = message("MSH*:%!;*A*F***2026**ADT:A01*1*P*2.5\rPID***1:::A;B%2!T!3")
    pid = found.first("PID")

    assert (pid.text(3, 1), pid.text(3, 4), pid.text(3, 4, 2)) == ("1", "A", "B")
    assert pid.repetitions(3)[1].text(1) == "2;3"


def test_a_fifth_encoding_character_is_taken() -> None:
    """
    From v2.7 on MSH-2 has a truncation character (HL7's own sample messages do).
    """
    found = message("MSH|^~\\&#|A|F|||2026||ADT^A01|1|P|2.7\rPID|||1\\P\\")

    assert found.first("PID").text(3) == "1#"


def test_fields_components_and_repetitions_are_counted_from_one() -> None:
    """
    PID-3.4.2 of the second repetition is what HL7 calls it.
    """
    pid = message(f"{MSH}\rPID|||1^^^A&1.2&ISO^MR~2^^^B&3.4&ISO").first("PID")
    first, second = pid.repetitions(3)

    assert (
        first.text(1),
        first.text(4),
        first.text(4, 2),
        first.text(5),
    ) == ("1", "A", "1.2", "MR")
    assert (second.text(1), second.text(4, 2), second.text(9)) == ("2", "3.4", "")


def test_null_is_not_empty() -> None:
    """
    ``""`` deletes, an empty field says nothing, and neither is a value.
    """
    pid = message(f'{MSH}\rPID|||1||""|x|""^""~""|').first("PID")

    assert [pid.is_null(n) for n in (5, 6, 7, 8)] == [True, False, True, False]
    assert [pid.text(n) for n in (5, 6, 7, 99)] == ["", "x", "", ""]


def test_a_line_break_inside_a_text_belongs_to_the_text() -> None:
    """
    A line that does not begin with a segment's name continues the field before it.
    """
    found = message(f"{MSH}\rNTE|1||first line\nsecond line, no segment\rPID|||1")

    assert found.first("NTE").text(3) == "first line\nsecond line, no segment"
    assert found.first("PID").text(3) == "1"


def test_unknown_segments_are_no_obstacle() -> None:
    """
    Z-segments and segments of one name only are kept and ignored.
    """
    found = message(f"{MSH}\rZXY|a|b\rPID|||1\rPV1")

    assert found.has("ZXY")
    assert found.has("PV1")
    assert found.first("PV1").text(44) == ""


def test_the_order_of_segments_is_kept() -> None:
    """
    In merges it matters which MRG follows which PID.
    """
    found = message(f"{MSH}\rPID|||1\rMRG|2\rPID|||3\rMRG|4")

    names = [(one.name, one.text(3) or one.text(1)) for one in found.only("PID", "MRG")]
    assert names == [("PID", "1"), ("MRG", "2"), ("PID", "3"), ("MRG", "4")]


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "no MSH"),
        (b"PID|||1", "no MSH"),
        (b'{"id": 1}', "no MSH"),
        (b"FHS|^~\\&|A\rBHS|^~\\&|A\rMSH|^~\\&|A", "batch"),
        (f"{MSH}\rPID|||1\r{MSH}".encode(), "more than one MSH"),
        (f"{MSH}\rPID|||\x001".encode(), "NUL or frame"),
        (f"{MSH}\rPID|||\x0b1".encode(), "NUL or frame"),
        (f"{MSH}\rPID|||\x1c1".encode(), "NUL or frame"),
    ],
)
def test_what_is_no_single_message_is_malformed(raw: bytes, says: str) -> None:
    """
    No MSH, a batch, two messages, or a frame byte inside: refused before anything is read.
    """
    with pytest.raises(Reject, match=says) as refused:
        message(raw)

    assert refused.value.reason == "malformed"
