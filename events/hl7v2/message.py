"""One HL7 v2 message as segments whose fields are split only when somebody asks.

Reads bytes that an MLLP frame or a file held: a byte order mark, frame bytes around them, and CR,
LF or CRLF between segments are all taken (v2.5.1 section 2.6; ``data/README.md`` trap 1).  The
delimiters are those that MSH-1 and MSH-2 declare.

Empty and null differ everywhere: an empty field says nothing, ``""`` deletes what was said before.
"""

import re
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Final, NamedTuple

from events.hl7v2 import charset, limits
from events.hl7v2.escapes import unescaper
from events.reject import Reject

NULL: Final = '""'

_BOM: Final = b"\xef\xbb\xbf"
_AROUND: Final = b"\x0b\x1c\r\n\t "
# NUL is in no character set of table 0211; the other two begin and end a frame.
_FORBIDDEN: Final = (b"\x00", b"\x0b", b"\x1c")
_NOISE: Final = re.compile("[\x01-\x08\x0e-\x1f]")
_BATCH: Final = (b"FHS", b"BHS", b"BTS", b"FTS")
_SEGMENT_NAME: Final = re.compile("[A-Z][A-Z0-9]{2}", re.ASCII)
_PUNCTUATION: Final = frozenset(b"!#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


class Delimiters(NamedTuple):
    """MSH-1 and MSH-2, and what undoes escapes."""

    field: str
    component: str
    repetition: str
    escape: str
    subcomponent: str
    unescape: Callable[[str], str]


class Repetition:
    """One repetition of a field: components and subcomponents, counted from 1 as HL7 does."""

    __slots__ = ("_components", "_delimiters")

    def __init__(self, text: str, delimiters: Delimiters) -> None:
        self._components = text.split(delimiters.component) if text else ()
        self._delimiters = delimiters

    def text(self, component: int, subcomponent: int = 1) -> str:
        """The value without escapes and surrounding blanks; empty if absent or null."""
        if component > len(self._components):
            return ""
        value = self._components[component - 1]
        if value.isalnum() or not value:  # the usual cases; no delimiter is a letter or digit
            return value if subcomponent == 1 else ""
        delimiters = self._delimiters
        if delimiters.subcomponent in value:
            parts = value.split(delimiters.subcomponent, subcomponent)
            value = parts[subcomponent - 1] if subcomponent <= len(parts) else ""
        elif subcomponent > 1:
            return ""
        value = value.strip()
        if value == NULL:
            return ""
        return delimiters.unescape(value).strip() if delimiters.escape in value else value


class Segment:
    """One segment; ``PID-3`` is field 3, and in MSH field 1 is the separator itself."""

    __slots__ = ("_delimiters", "_fields", "_first", "name")

    def __init__(self, name: str, line: str, delimiters: Delimiters) -> None:
        self.name = name
        self._delimiters = delimiters
        self._fields = line.split(delimiters.field)
        if name == "MSH":
            self._fields.insert(1, delimiters.field)
        self._first: dict[int, Repetition] = {}

    def raw(self, field: int) -> str:
        """The whole field as sent; empty if absent."""
        return self._fields[field] if field < len(self._fields) else ""

    def is_null(self, field: int) -> bool:
        """Whether the field says "delete": ``""`` and nothing beside it."""
        value = self.raw(field)
        if NULL not in value:
            return False
        d = self._delimiters
        for delimiter in (d.repetition, d.component, d.subcomponent, NULL, " "):
            value = value.replace(delimiter, "")
        return not value

    def first(self, field: int) -> Repetition:
        """The first repetition, which may be empty."""
        found = self._first.get(field)
        if found is None:
            text = self.raw(field)
            if self._delimiters.repetition in text:
                text = text.split(self._delimiters.repetition, 1)[0]
            found = self._first[field] = Repetition(text, self._delimiters)
        return found

    def repetitions(self, field: int) -> list[Repetition]:
        """All repetitions; none if the field is empty."""
        text = self.raw(field)
        if not text:
            return []
        d = self._delimiters
        return [Repetition(part, d) for part in text.split(d.repetition)]

    def text(self, field: int, component: int = 1, subcomponent: int = 1) -> str:
        """A value of the first repetition; empty if absent or null."""
        if field >= len(self._fields):
            return ""
        value = self._fields[field]
        if value.isalnum() or not value:  # as in :meth:`Repetition.text`
            return value if component == subcomponent == 1 else ""
        return self.first(field).text(component, subcomponent)


class Message:
    """The segments of one message, in order, by name."""

    __slots__ = ("_first", "_lines", "_positions", "_segments", "content_hash", "delimiters")

    def __init__(self, lines: list[str], delimiters: Delimiters, content_hash: str) -> None:
        self._lines = lines
        self.delimiters = delimiters
        self.content_hash = content_hash  # 12 hex; MSH-7 left out
        self._positions: dict[str, list[int]] = {}
        for position, line in enumerate(lines):
            self._positions.setdefault(line[:3], []).append(position)
        self._segments: dict[int, Segment] = {}
        self._first: dict[str, Segment] = {}

    def first(self, name: str) -> Segment:
        """The first segment of that name, or one without fields."""
        segment = self._first.get(name)
        if segment is None:
            positions = self._positions.get(name)
            segment = self._at(positions[0]) if positions else Segment(name, name, self.delimiters)
            self._first[name] = segment
        return segment

    def has(self, name: str) -> bool:
        return name in self._positions

    def all(self, name: str) -> list[Segment]:
        return [self._at(position) for position in self._positions.get(name, ())]

    def only(self, *names: str) -> Iterator[Segment]:
        """The segments of these names in the order of the message."""
        found = [p for name in names for p in self._positions.get(name, ())]
        return (self._at(position) for position in sorted(found))

    def _at(self, position: int) -> Segment:
        segment = self._segments.get(position)
        if segment is None:
            line = self._lines[position]
            segment = self._segments[position] = Segment(line[:3], line, self.delimiters)
        return segment


def content(raw: bytes) -> bytes:
    """
    The message without what transport puts around it; each segment but the last ends with CR.

    Raises:
        Reject: ``too-large``, or ``malformed``: no HL7 message, a batch, a control byte inside.
    """
    limits.check_size(raw)
    body = raw.strip(_AROUND).removeprefix(_BOM).strip(_AROUND)
    if not body.startswith(b"MSH"):
        if body.startswith(_BATCH):
            raise Reject("malformed", "a batch (FHS, BHS), not one message")
        raise Reject("malformed", "no MSH segment at the beginning")
    if any(byte in body for byte in _FORBIDDEN):
        raise Reject("malformed", "a NUL or frame byte inside the message")
    return body.replace(b"\r\n", b"\r").replace(b"\n", b"\r")


def encoding_of(body: bytes) -> tuple[str, str]:
    """
    MSH-1 and MSH-2.

    Raises:
        Reject: ``malformed``: not one separator and four or five (v2.7: truncation) further
            punctuation characters, all different.
    """
    header = body.partition(b"\r")[0]
    separator = header[3:4]
    if not separator or separator[0] not in _PUNCTUATION:
        raise Reject("malformed", "MSH-1 is no usable separator", place="MSH^1^1")
    characters = header[4:].partition(separator)[0]
    usable = (
        len(characters) in (4, 5)
        and all(character in _PUNCTUATION for character in characters)
        and len({*characters, *separator}) == len(characters) + 1
    )
    if not usable:
        raise Reject("malformed", "MSH-2 are no usable encoding characters", place="MSH^1^2")
    return separator.decode("ascii"), characters.decode("ascii")


def header_fields(body: bytes, separator: str) -> list[str]:
    """
    MSH before the charset is known: field n of MSH is element n - 1.

    Latin-1 reads any byte, so what is not ASCII may look odd; only names of the facilities file
    and of a charset are compared with it.
    """
    return body.partition(b"\r")[0].decode("latin-1").split(separator)


def parse(
    body: bytes, separator: str, characters: str, declared: str, feed_charset: str | None
) -> Message:
    """
    Split the *content* of a message into segments.

    Args:
        declared: MSH-18.
        feed_charset: Holds where MSH-18 is empty.

    A line that does not begin with a segment's name continues the field before it: somebody sent
    a text with line breaks and did not escape them.

    Raises:
        Reject: ``malformed``: over a limit, not in its charset, or two messages in one.
    """
    limits.check_shape(body, separator.encode("ascii"), characters[1].encode("ascii"))
    text, codec = charset.decode(body, declared.partition(characters[1])[0], feed_charset)
    if not text.isprintable() and _NOISE.search(text):
        text = _NOISE.sub("", text)
    lines: list[str] = []
    broken: dict[int, list[str]] = {}
    for line in text.split("\r"):
        if line[3:4] in (separator, "") and _SEGMENT_NAME.match(line):
            lines.append(line)
        elif lines and line.strip():
            broken.setdefault(len(lines) - 1, []).append(line)
    for position, rest in broken.items():
        lines[position] = "\n".join([lines[position], *rest])
    if sum(line.startswith("MSH") for line in lines) != 1:
        raise Reject("malformed", "more than one MSH segment")
    component, repetition, escape, subcomponent = tuple(characters[:4])
    undo = unescaper(characters, separator, codec)
    delimiters = Delimiters(separator, component, repetition, escape, subcomponent, undo)
    return Message(lines, delimiters, _content_hash(body, separator.encode("ascii")))


def _content_hash(body: bytes, separator: bytes) -> str:
    """12 hex digits of SHA-256; MSH-7 is left out, as engines stamp a message anew on resending."""
    header, cr, rest = body.partition(b"\r")
    fields = header.split(separator)
    if len(fields) > 6:
        fields[6] = b""
    return sha256(separator.join(fields) + cr + rest).hexdigest()[:12]
