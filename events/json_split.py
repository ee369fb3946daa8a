"""Cuts JSON text into the records it holds, without changing a byte of them.

One object, many one after another, arrays of them, spread over lines or not: each object, and each
element of an outermost array, is one record.  Nothing is parsed, so what a parser would hide
(doubled keys) is still there for :mod:`events.strict_json` to find.  Broken text never stops the
cutting: it comes out as a record that cannot be read.
"""

import re
from collections.abc import Iterator
from typing import Final

# Strings whole, so that brackets inside them do not count; one that never ends reaches to the end.
# Possessive, and matching from any quote on: hostile text costs one pass, not one per quote.
_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)


def split_json(text: bytes) -> Iterator[tuple[int, bytes]]:
    """
    Yield (line on which it begins, record); blank text yields nothing.

    In text that is broken the cuts may fall anywhere, but every byte that is not a blank, a comma
    or a bracket of the outermost array is in some record.
    """
    cuts = _Cuts(text)
    depth = 0
    floor = 0  # at this depth records stand side by side: 1 inside an outermost array
    for token in _TOKEN.finditer(text):
        character = token[0][:1]
        if character in b"[{":
            if depth == 0 and character == b"[":
                yield from cuts.cut(token.start(), token.end())
                floor = 1
            depth += 1
        elif character in b"]}":
            if depth == 0:
                continue  # closes nothing: part of a broken record
            depth -= 1
            if depth == 0 and floor == 1:
                yield from cuts.cut(token.start(), token.end())
                floor = 0
            elif depth == 0:
                yield from cuts.cut(token.end(), token.end())
        elif character == b"," and depth == floor == 1:
            yield from cuts.cut(token.start(), token.end())
    yield from cuts.cut(len(text), len(text))


class _Cuts:
    """Where the last record ended, and on which line."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._begin = 0
        self._line = 1
        self._counted = 0

    def cut(self, end: int, resume: int) -> Iterator[tuple[int, bytes]]:
        """The record that ends at *end*, if there is one; the next begins at *resume*."""
        raw = self._text[self._begin : end]
        stripped = raw.strip()
        if stripped:
            start = self._begin + raw.index(stripped[:1])
            self._line += self._text.count(b"\n", self._counted, start)
            self._counted = start
            yield self._line, stripped
        self._begin = resume
