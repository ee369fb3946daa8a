"""Character sets: MSH-18, else the feed's, else UTF-8; and what feeds declare wrongly."""

import pytest

from events.hl7v2.charset import decode
from tests.events.hl7v2.builders import adt, event, events, of_type, reject


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [
        ("", "utf-8"),
        ("UNICODE UTF-8", "utf-8"),
        ("8859/1", "latin-1"),
        ("8859/15", "iso8859-15"),
        ("8859/2", "iso8859-2"),
        ("CP1250", "cp1250"),
        ("GB 18030-2000", "gb18030"),
        ("NO SUCH CHARSET", "utf-8"),
    ],
)
def test_a_name_is_read_in_the_declared_charset(declared: str, encoding: str) -> None:
    """
    What the message declares is how its bytes are read; an unknown name counts as UTF-8.
    """
    name = "Łęcki" if encoding in ("cp1250", "iso8859-2") else "Müller"
    raw = adt("A28", msh={18: declared}, pid={5: name}).decode().encode(encoding)

    assert name == of_type(events(raw), "patient.updated")["data"]["name"]


def test_the_feeds_charset_holds_where_the_message_names_none() -> None:
    """
    MSH-18 empty: the facilities file knows what that sender writes.
    """
    raw = adt("A28", msh={3: "MIDAPP", 4: "MIDFAC"}, pid={5: "Müller"}).decode().encode("latin-1")

    assert event(raw)["data"]["name"] == "Müller"


def test_utf_8_declared_as_latin_1_is_read_as_utf_8() -> None:
    """
    Bytes that are UTF-8 beyond doubt are read so, whatever the header claims (trap 10).
    """
    assert decode("Müller".encode(), "8859/1", None) == ("Müller", "utf-8")
    assert decode("Müller".encode(), "ASCII", None) == ("Müller", "utf-8")


@pytest.mark.parametrize("declared", ["", "UNICODE UTF-8", "ASCII"])
def test_bytes_outside_the_charset_are_refused(declared: str) -> None:
    """
    Latin-1 bytes in a message that says otherwise: malformed, with nothing put in their place.
    """
    raw = adt("A28", msh={18: declared}, pid={5: "Müller"}).decode().encode("latin-1")
    refused = reject(raw)

    assert (refused.reason, refused.place) == ("malformed", "MSH^1^18")


def test_utf_16_is_no_message() -> None:
    """
    Two bytes a letter: not even MSH can be read.
    """
    assert reject(adt("A01").decode().encode("utf-16")).reason == "malformed"
