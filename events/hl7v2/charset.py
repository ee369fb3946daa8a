"""Bytes to text: MSH-18, else the feed's charset, else UTF-8 (``interfaces.md`` section 2.4).

What a message declares and what it holds often differ.  Two guesses are made, both only where the
bytes leave no doubt: text declared as ASCII or ISO 8859 that is valid UTF-8 with characters
beyond ASCII is UTF-8 (that Latin text forms such sequences by chance is all but impossible), and
an unknown name is taken as UTF-8.  Bytes that fit neither are refused, never replaced: a name with
question marks in it would call for another patient.
"""

from typing import Final

from events.reject import Reject

UTF_8: Final = "utf-8"

# HL7 table 0211, and what feeds write instead; names compare by their letters and digits.
_CODECS: Final = {
    "ASCII": "ascii",
    "USASCII": "ascii",
    "UNICODE": UTF_8,
    "UNICODEUTF8": UTF_8,
    "UTF8": UTF_8,
    "GB180302000": "gb18030",
    "BIG5": "big5",
    "CP1250": "cp1250",
    "CP1252": "cp1252",
    "WINDOWS1250": "cp1250",
    "WINDOWS1252": "cp1252",
    # Latin-1 by name is Windows-1252 in practice, but 0x80-0x9F differ and HL7 names the standard.
    **{f"8859{part}": f"iso8859-{part}" for part in (*range(1, 12), 13, 14, 15, 16)},
}
# Those in which nearly any bytes are "valid", so that a wrong declaration goes unnoticed.
_SINGLE_BYTE: Final = frozenset(_CODECS.values()) - {UTF_8, "gb18030", "big5"}


def codec_of(name: str) -> str | None:
    """Python's codec for the charset *name* of MSH-18 or of a feed; ``None``: not known."""
    plain = "".join(filter(str.isalnum, name.upper()))
    return _CODECS.get(plain.removeprefix("ISO"))


def decode(body: bytes, declared: str, of_feed: str | None) -> tuple[str, str]:
    """
    Args:
        declared: MSH-18, first repetition; empty if not said.
        of_feed: The feed's charset of the facilities file.

    Returns:
        The text, and the codec that hex escapes are to be read with.

    Raises:
        Reject: ``malformed``: the bytes are not in the charset.
    """
    codec = codec_of(declared or of_feed or "") or UTF_8
    if body.isascii():
        return body.decode("ascii"), UTF_8 if codec == "ascii" else codec
    if codec in _SINGLE_BYTE:
        try:
            return body.decode(UTF_8), UTF_8
        except UnicodeDecodeError:
            pass
    try:
        return body.decode(codec), codec
    except UnicodeDecodeError:
        pass
    # Outside the handler: Python's error holds the whole message and would travel as context.
    raise Reject("malformed", "bytes that are not in the message's character set", place="MSH^1^18")
