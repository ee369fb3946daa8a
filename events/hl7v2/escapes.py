r"""Escape sequences of HL7 v2.5.1 section 2.7: ``\F\ \S\ \T\ \R\ \E\ \P\ \.br\ \Xhh..\``.

A value is unescaped once, after splitting, so that an escaped delimiter never splits and a
decoded backslash never starts another escape.  What is unknown stays as it was written: a wrong
guess would put words into somebody's record.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

# Start and end of highlighting carry no text of their own.
_NO_TEXT: Final = frozenset({"H", "N"})
_LINE_BREAKS: Final = frozenset({".br", ".BR", ".sp"})
# A hex escape may not smuggle in what ends a segment or a frame, nor any other control character:
# whoever writes the value out again would write another message.  Such an escape stays verbatim.
_CONTROL: Final = re.compile("[\x00-\x1f\x7f]")
_HEX: Final = re.compile(r"X((?:[0-9A-Fa-f]{2})+)")


@lru_cache(maxsize=64)
def unescaper(encoding_characters: str, field_separator: str, codec: str) -> Callable[[str], str]:
    """
    The function that undoes the escapes of messages with these delimiters and this charset.

    Args:
        encoding_characters: MSH-2: component, repetition, escape, subcomponent, and from v2.7 on
            truncation.
        codec: Python's name; hex escapes are bytes of the message's own charset.
    """
    component, repetition, escape, subcomponent = tuple(encoding_characters[:4])
    texts = {
        "F": field_separator,
        "S": component,
        "T": subcomponent,
        "R": repetition,
        "E": escape,
        **dict.fromkeys(_NO_TEXT, ""),
        **dict.fromkeys(_LINE_BREAKS, "\n"),
    }
    if len(encoding_characters) > 4:
        texts["P"] = encoding_characters[4]
    quoted = re.escape(escape)
    sequence = re.compile(f"{quoted}([^{quoted}]*){quoted}")

    def decode(match: re.Match[str]) -> str:
        inside = match[1]
        known = texts.get(inside)
        if known is not None:
            return known
        digits = _HEX.fullmatch(inside)
        if digits is None:
            return match[0]
        try:
            text = bytes.fromhex(digits[1]).decode(codec)
        except UnicodeDecodeError:
            return match[0]
        return match[0] if _CONTROL.search(text) else text

    return lambda text: sequence.sub(decode, text)
