"""What stands in a dead letter, part by part, with the place of the fault marked.

Read for eyes alone, and leniently: what is here could not be taken.  Nothing is decided by it.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, NamedTuple

import orjson

PARTS_MAX: Final = 400
DEPTH_MAX: Final = 16
_HL7: Final = re.compile(r"(?:MSH|FHS|BHS)")
# How the reasons name places: `PV1-19`, `/data/visit_number`.
_FIELD: Final = re.compile(r"\b([A-Z][A-Z0-9]{2})-(\d{1,3})")
_POINTER: Final = re.compile(r"(?:/[A-Za-z0-9_~]+)+")
MISSING: Final = "nothing stands here"


class Part(NamedTuple):
    """One field and what stands in it."""

    name: str
    value: str
    wrong: bool


def text_of(raw: bytes) -> str | None:
    """The bytes as somebody may mend them; ``None``: they are no plain text."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return None
    plain = all(char in "\t\r\n" or char.isprintable() or ord(char) > 0x9F for char in text)
    return text if plain else None


def bytes_of(typed: str) -> bytes:
    """
    What somebody made of a message in a form.

    A browser sends each line's end as CR LF; HL7's segments end with CR.
    """
    lines = typed.replace("\r\n", "\n").replace("\r", "\n")
    return lines.replace("\n", "\r" if is_hl7(lines) else "\n").encode()


def parts(raw: bytes, error: str) -> list[Part]:
    """The parts of a message; what *error* names is marked, also where nothing is."""
    text = raw.decode("utf-8", "backslashreplace")
    found = _segments(text, error) if is_hl7(text) else _members(raw, error)
    return list(islice(found, PARTS_MAX))


def is_hl7(text: str) -> bool:
    """Whether it begins as a message or a batch does."""
    return _HL7.match(text) is not None


def _segments(text: str, error: str) -> Iterator[Part]:
    named = {(segment, int(number)) for segment, number in _FIELD.findall(error)}
    separator = text[3:4] or "|"
    for line in re.split(r"[\r\n]+", text):
        segment, *fields = line.split(separator)
        # The first field of a header is the separator itself.
        first = 2 if _HL7.fullmatch(segment) else 1
        numbers = {number for name, number in named if name == segment}
        for number in sorted(numbers | {first + place for place in range(len(fields))}):
            place = number - first
            value = fields[place] if 0 <= place < len(fields) else ""
            if value or number in numbers:
                yield Part(f"{segment}-{number}", value or MISSING, number in numbers)
        named -= {(segment, number) for number in numbers}
    for segment, number in sorted(named):
        yield Part(f"{segment}-{number}", MISSING, wrong=True)


def _members(raw: bytes, error: str) -> Iterator[Part]:
    try:
        event = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return
    named = set(_POINTER.findall(error))
    for name, value in _flat(event, ""):
        wrong = {one for one in named if name == one or name.startswith(f"{one}/")}
        named -= wrong
        yield Part(name, value, bool(wrong))
    for name in sorted(named):
        yield Part(name, MISSING, wrong=True)


def _flat(value: Any, name: str, depth: int = 0) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict | list) and value:
        if depth == DEPTH_MAX:
            yield name, "nested deeper than is shown here"
            return
        inside = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in inside:
            yield from _flat(inner, f"{name}/{key}", depth + 1)
    else:
        yield name or "/", value if isinstance(value, str) else orjson.dumps(value).decode()
