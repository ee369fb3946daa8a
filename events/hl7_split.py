"""Cuts a stream of HL7 v2 messages into single ones, without reading them.

Segments may end with CR, LF or CRLF, messages may stand in MLLP frames or not, and batch envelopes
(FHS, BHS, BTS, FTS) may stand around them; those say nothing of their own and are left out.  What
stands before the first MSH, or in a frame without one, comes out too: decoding refuses it aloud.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

STARTS: Final = (b"MSH", b"FHS", b"BHS")

_ENVELOPES: Final = (b"FHS", b"BHS", b"BTS", b"FTS")
_PIECE: Final = re.compile(rb"([^\r\n\x0b\x1c]*)(\r\n|[\r\n\x0b\x1c]|\Z)")


def split_hl7(chunks: Iterable[bytes], longest: int) -> Iterator[tuple[int, bytes]]:
    """
    Yield (line on which it begins, message); CR, LF and CRLF each end a line.

    Args:
        chunks: The stream, cut anywhere.
        longest: Bytes of a message beyond these are dropped; who decodes it refuses it anyway.
    """
    message = _Message(longest)
    line = 1
    for text in _whole_lines(chunks, longest):
        for piece in _PIECE.finditer(text):
            segment, end = piece.groups()
            head = segment[:3]
            if head == b"MSH" or head in _ENVELOPES:
                yield from message.finish()
            if head not in _ENVELOPES:
                message.add(segment, end, line)
            if end in (b"\x0b", b"\x1c"):
                yield from message.finish()
            elif end:
                line += 1
    yield from message.finish()


def _whole_lines(chunks: Iterable[bytes], longest: int) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        rest += chunk
        # A CR at the very end may be half of a CRLF.
        cut = max(rest.rfind(end, 0, len(rest) - 1) for end in (b"\r", b"\n", b"\x0b", b"\x1c")) + 1
        if cut and rest[cut - 1 : cut + 1] == b"\r\n":
            cut += 1
        if len(rest) > longest:
            cut = len(rest)
        yield rest[:cut]
        rest = rest[cut:]
    yield rest


class _Message:
    """The message being put together."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._parts: list[bytes] = []
        self._size = 0
        self._line = 1

    def add(self, segment: bytes, end: bytes, line: int) -> None:
        if not segment and not self._parts:
            return
        if not self._parts:
            self._line = line
        if self._size <= self._longest:
            self._parts += (segment, end if end in (b"\r", b"\n", b"\r\n") else b"")
            self._size += len(segment) + len(end)

    def finish(self) -> Iterator[tuple[int, bytes]]:
        raw = b"".join(self._parts).strip(b"\r\n")
        self._parts.clear()
        self._size = 0
        if raw.strip():
            yield self._line, raw
