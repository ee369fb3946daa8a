r"""R4 search values to SQL: tokens, references, strings, dates with prefixes.

Commas mean or; a backslash takes away the meaning of ``,`` ``|`` ``$`` and itself.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

import orjson

from orchestrator.worklist.instants import SECOND, micros
from orchestrator.worklist.model.filters import Where

Match = Callable[[Where, str], None]
# SQLite refuses an expression that is deeper than a thousand.
VALUES_MAX: Final = 200
WORDS_MAX: Final = 20

_DATE: Final = re.compile(
    r"(eq|lt|le|gt|ge)?"
    r"(\d{4}(?:-\d\d(?:-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:\d\d))?)?)?)",
    re.ASCII,
)
_PART: Final = re.compile(r"(?:[^\\,]|\\.)*", re.DOTALL)
_LIKE: Final = re.compile(r"([%_\\])")
_ESCAPED: Final = r"\\\1"


class BadValue(ValueError):
    """A value of the wrong form."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """
    One search parameter.

    Attributes:
        match: Adds the condition of a value.
        modifiers: Those that change nothing here, such as ``:identifier`` of a logical reference.
        posted: It names a person: only in the form of a ``_search``, as addresses are logged.
        ours: What it means, where R4 has none of that name.
    """

    type: Literal["token", "reference", "date", "string"]
    match: Match
    modifiers: tuple[str, ...] = ()
    posted: bool = False
    ours: str | None = None


def alternatives(value: str) -> list[str]:
    """The parts between commas, still escaped."""
    found, at = [], 0
    while True:
        part = _PART.match(value, at)
        assert part is not None
        found.append(part[0])
        at = part.end()
        if at >= len(value):
            break
        if value[at] != ",":
            raise BadValue  # a lone backslash at the end
        at += 1
    if len(found) > VALUES_MAX:
        raise BadValue
    return found


def plain(text: str) -> str:
    """*text* without its escapes."""
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def token(value: str) -> tuple[str | None, str]:
    """System and code of a token; ``None``: any system, empty: none."""
    for at, char in enumerate(value):
        if char == "|" and (at == 0 or value[at - 1] != "\\"):
            return plain(value[:at]), plain(value[at + 1 :])
    return None, plain(value)


def identifiers(column: str, system: str | None = None) -> Match:
    """Tokens whose code stands in *column* as it is."""

    def match(where: Where, value: str) -> None:
        found = set()
        for one in alternatives(value):
            said, code = token(one)
            if said in (None, system):
                if not code:
                    if said is None:
                        raise BadValue
                    where.add(f"{column} IS NOT NULL")  # any code of this system
                    return
                found.add(code)
        where.among(column, found)

    return match


def codes(column: str, meaning: Mapping[str, object], system: str) -> Match:
    """Tokens that stand in *column* as something else."""

    def match(where: Where, value: str) -> None:
        said = [token(one) for one in alternatives(value)]
        where.among(column, {meaning[c] for s, c in said if s in (None, system) and c in meaning})

    return match


def ways(conditions: Mapping[str, str], system: str) -> Match:
    """Tokens each of which is a condition."""

    def match(where: Where, value: str) -> None:
        said = [token(one) for one in alternatives(value)]
        found = [conditions.get(c, "0") if s in (None, system) else "0" for s, c in said]
        where.add(f"({' OR '.join(found)})")

    return match


def here(value: str, base: str) -> str:
    """References under *base*, the address of this door, as what they are without it."""
    return ",".join(one.removeprefix(f"{base}/") for one in alternatives(value))


def references(column: str, kind: str) -> Match:
    """References to *kind*: its id, or ``Kind/id``; any other address is of another server."""

    def match(where: Where, value: str) -> None:
        found = {_id_of(plain(one), kind) for one in alternatives(value)}
        where.among(column, {one for one in found if one is not None})

    return match


def patients(column: str) -> Match:
    """References to patients; a key that a merge has retired stands for the survivor."""

    def match(where: Where, value: str) -> None:
        found = {_id_of(plain(one), "Patient") for one in alternatives(value)}
        keys = sorted(one for one in found if one is not None)
        marks = ", ".join("?" * len(keys))
        where.add(
            f"{column} IN (SELECT patient_key FROM subjects WHERE key IN ({marks})"
            f" UNION SELECT value FROM json_each(?))",
            *keys,
            orjson.dumps(keys).decode(),
        )

    return match


def _id_of(reference: str, kind: str) -> str | None:
    if not reference:
        raise BadValue
    before, _, name = reference.rpartition("/")
    return name if before in ("", kind) else None  # of another type or server: nobody's here


def starts(column: str) -> Match:
    """Strings: every word of one begins a word of *column* (folded, words apart by a blank)."""

    def match(where: Where, value: str) -> None:
        clauses, values = [], []
        for one in alternatives(value):
            words = plain(one).casefold().replace(",", " ").split()
            if not 0 < len(words) <= WORDS_MAX:
                raise BadValue
            clauses.append(
                "(" + " AND ".join([f"(' ' || {column}) LIKE ? ESCAPE '\\'"] * len(words)) + ")"
            )
            values += [f"% {_LIKE.sub(_ESCAPED, word)}%" for word in words]
        where.add(f"({' OR '.join(clauses)})", *values)

    return match


def dates(column: str, shift: int = 0) -> Match:
    """
    Instants in *column*.

    Args:
        shift: What the column is greater by than what the resource shows.
    """

    def match(where: Where, value: str) -> None:
        clauses, values = [], []
        for one in alternatives(value):
            prefix, text = _dated(one)
            begin, end = _span(text)
            clause, bounds = _compared(column, prefix, begin + shift, end + shift)
            clauses.append(clause)
            values += bounds
        where.add(f"({' OR '.join(clauses)})", *values)

    return match


def days(column: str) -> Match:
    """Dates in *column*, as texts ``YYYY-MM-DD``."""

    def match(where: Where, value: str) -> None:
        clauses, values = [], []
        for one in alternatives(value):
            prefix, text = _dated(one)
            if "T" in text:
                raise BadValue
            begin, end = (day.date().isoformat() for day in _days(text))
            clause, bounds = _compared(column, prefix, begin, end)
            clauses.append(clause)
            values += bounds
        where.add(f"({' OR '.join(clauses)})", *values)

    return match


def _dated(value: str) -> tuple[str, str]:
    found = _DATE.fullmatch(value)
    if found is None:
        raise BadValue
    return found[1] or "eq", found[2]


def _compared(
    column: str, prefix: str, begin: int | str, end: int | str
) -> tuple[str, list[int | str]]:
    match prefix:
        case "eq":
            return f"({column} >= ? AND {column} < ?)", [begin, end]
        case "lt":
            return f"{column} < ?", [begin]
        case "le":
            return f"{column} < ?", [end]
        case "gt":
            return f"{column} >= ?", [end]
        case _:
            return f"{column} >= ?", [begin]


def _span(text: str) -> tuple[int, int]:
    """The stretch of time that a date of this precision means."""
    if "T" not in text:
        begin, end = _days(text)
        return micros(begin.isoformat()), micros(end.isoformat())
    try:
        at = micros(text)
    except (ValueError, OverflowError):
        raise BadValue from None
    clock = re.split(r"[Z+-]", text.partition("T")[2])[0]
    if "." in clock:
        return at, at + 10 ** (6 - len(clock.partition(".")[2]))
    return at, at + (SECOND if clock.count(":") == 2 else 60 * SECOND)


def _days(text: str) -> tuple[datetime, datetime]:
    """Beginning and end of a day, month or year of UTC."""
    year, month, day = (int(part) for part in (*text.split("-"), "1", "1")[:3])
    try:
        begin = datetime(year, month, day, tzinfo=UTC)
        if len(text) == 4:
            return begin, begin.replace(year=year + 1)
        if len(text) == 7:
            return begin, datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
        return begin, begin + timedelta(days=1)
    except (ValueError, OverflowError):
        raise BadValue from None


def instant_of(text: str) -> int:
    """
    The instant that *text* begins.

    Raises:
        BadValue: It names none.
    """
    prefix, said = _dated(text)
    if prefix != "eq" or text.startswith("eq"):
        raise BadValue
    return _span(said)[0]
