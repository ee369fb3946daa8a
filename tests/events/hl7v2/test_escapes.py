r"""Escape sequences: ``\F\ \S\ \T\ \R\ \E\ \P\ \.br\ \Xhh..\``; unknown ones stay as they are."""

import pytest

from events.hl7v2.escapes import unescaper

UTF_8 = unescaper("^~\\&", "|", "utf-8")
LATIN_1 = unescaper("^~\\&", "|", "iso8859-1")


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        (r"A\T\E", "A&E"),
        (r"O\F\B", "O|B"),
        (r"x\S\y\R\z", "x^y~z"),
        (r"C:\E\temp", r"C:\temp"),
        (r"one\.br\two", "one\ntwo"),
        (r"\H\bold\N\ plain", "bold plain"),
        (r"caf\XC3A9\ ", "café "),
    ],
)
def test_known_sequences_are_undone(sent: str, meant: str) -> None:
    """
    Each sequence of v2.5.1 section 2.7 becomes what it stands for.
    """
    assert meant == UTF_8(sent)


def test_hex_is_read_in_the_messages_charset() -> None:
    """
    The same byte is another letter in another charset.
    """
    assert LATIN_1(r"\XE9\ ").strip() == "é"
    assert UTF_8(r"\XE9\ ") == r"\XE9\ "


@pytest.mark.parametrize(
    "sent",
    [r"\X000D\ ", r"\X0D\ ", r"\X0A\ ", r"\X0B\ ", r"\X1C\ ", r"\X00\ ", r"\X41424344", r"\X4\ "],
)
def test_hex_never_makes_a_segment_end_or_a_frame_byte(sent: str) -> None:
    """
    Control characters stay escaped, so that no value becomes a segment when it is written out.
    """
    assert sent == UTF_8(sent)


@pytest.mark.parametrize("sent", [r"\C2842\ ", r"\M2B2B2B\ ", r"\Zlocal\ ", r"\ ", r"a\b", "\\\\"])
def test_unknown_and_unfinished_sequences_stay(sent: str) -> None:
    """
    Charset switches, local escapes and a lone backslash are kept as they were written.
    """
    assert sent == UTF_8(sent)


def test_what_was_undone_starts_no_further_sequence() -> None:
    r"""
    ``\E\E\`` is a backslash and then the text ``E\``: the depth of escapes is one.
    """
    assert UTF_8("\\E\\E\\") == "\\E\\"
    assert UTF_8("\\E\\T\\E\\") == "\\T\\"


def test_a_long_run_of_escape_characters_is_quick() -> None:
    """
    Half a million backslashes cost one pass.
    """
    assert len(UTF_8("\\" * 500_001)) == 500_001
