"""Reads the times that senders write and says which UTC instant they mean.

Accepted: RFC 3339 with an offset, the same without one (read in the facility's zone), and a bare
date.  What a hospital's clock leaves open is decided here once, for canonical events and HL7
alike, and flagged (ruling 3): a bare date is local noon, an ambiguous local time is the earlier
one, a non-existent one is shifted forward.

Errors never repeat the text they complain about: it may be a patient's birth date in the wrong
field.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

DAY: Final = "DAY"
TIME_AMBIGUOUS: Final = "TIME_AMBIGUOUS"
TIME_ADJUSTED: Final = "TIME_ADJUSTED"

NOON: Final = 12  # hour of a bare date: never midnight, which another zone would put a day off

# RFC 3339 section 5.6, with its allowances (lower case, a blank for the T), plus what ISO 8601
# allows and nobody can misread: no seconds, no offset, no time at all.
_FORM: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|z|([+-])(\d\d):(\d\d))?)?",
    re.ASCII,
)
_CANONICAL_UTC: Final = 20  # len("2026-10-06T18:00:00Z")
_CANONICAL_OFFSET: Final = 25  # len("2026-10-06T14:00:00-04:00")
_LONGEST: Final = 64  # more digits of a second than any clock has

_EARLIEST: Final = 1800
_LATEST: Final = 2199

Fault = Literal["not-a-time", "zone-unknown", "out-of-range"]


class BadTime(ValueError):
    """A text that names no instant.  Says which *fault*, never which text."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault: Fault = fault


class Timestamp(NamedTuple):
    """An instant in UTC, and what had to be assumed to find it."""

    at: datetime
    flags: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return utc_text(self.at)


def utc_text(at: datetime) -> str:
    """
    The one spelling of an instant in everything we write: UTC, ``Z``, a fraction only if non-zero.

    Raises:
        ValueError: *at* is naive.
    """
    if at.tzinfo is None:
        raise ValueError("a naive time has no UTC spelling")
    if at.tzinfo is not UTC:
        at = at.astimezone(UTC)
    text = at.isoformat()[:-6]
    return (text.rstrip("0") if at.microsecond else text) + "Z"


def parse(text: str, zone: ZoneInfo | None, *, offset_trusted: bool = True) -> Timestamp:
    """
    Read one time as a sender wrote it.

    Args:
        text: RFC 3339, with or without an offset, or a date.  Digits of a second beyond
            microseconds are cut off; second 60 is the first of the next minute.
        zone: The facility's; ``None`` if it is not known, and then an offset is needed.
        offset_trusted: ``False`` for senders known to write local time with a wrong offset
            (``+0000`` on every message); the offset is then dropped.

    Raises:
        BadTime: Not a time, no offset and no zone, or outside the years 1800 to 2199.
    """
    if offset_trusted:
        canonical = _parse_canonical(text)
        if canonical is not None:
            return Timestamp(canonical)
    return _parse_any(text, zone, offset_trusted)


def normalise(
    text: str, zone: ZoneInfo | None, *, offset_trusted: bool = True
) -> tuple[str, tuple[str, ...]]:
    """
    The UTC spelling of *text* and its flags; as :func:`parse`, without a detour for what is
    spelled in one of the usual ways.
    """
    if offset_trusted:
        canonical = _parse_canonical(text)
        if canonical is not None:
            if len(text) == _CANONICAL_UTC:
                return text, ()
            return canonical.isoformat()[:19] + "Z", ()
    at, flags = _parse_any(text, zone, offset_trusted)
    return utc_text(at), flags


def sane(at: datetime) -> datetime:
    """
    *at*, if a hospital can have meant it.

    Raises:
        BadTime: Before 1800 or after 2199: other systems' way to write that there is no time, and
            nothing that windows can be counted from.
    """
    if not _EARLIEST <= at.year <= _LATEST:
        raise BadTime("out-of-range")
    return at


def local(wall: datetime, zone: ZoneInfo, *, day_only: bool = False) -> Timestamp:
    """
    The instant that a wall clock in *zone* meant.

    Args:
        wall: Naive.  With *day_only*, only its date counts and noon is taken.

    Raises:
        BadTime: Outside the years 0001 to 9999 in UTC.

    Source: ruling 3; scenario 15c (ambiguous: the earlier), 15d (non-existent: shifted forward).
    """
    flags: tuple[str, ...] = ()
    if day_only:
        wall = wall.replace(hour=NOON, minute=0, second=0, microsecond=0)
        flags = (DAY,)
    try:
        first = wall.replace(tzinfo=zone, fold=0)
        before, after = first.utcoffset(), first.replace(fold=1).utcoffset()
        if before is None or after is None:  # pragma: no cover - ZoneInfo always knows
            raise BadTime("zone-unknown")
        # PEP 495: fold 0 is the earlier of two readings, and in a gap the offset that was valid
        # before it, which moves the clock forward by the gap's length.  Both as ruling 3 wants.
        if before != after:
            flags += (TIME_AMBIGUOUS if before > after else TIME_ADJUSTED,)
        return Timestamp(sane(first.astimezone(UTC)), flags)
    except (OverflowError, ValueError) as error:
        if isinstance(error, BadTime):
            raise
    raise BadTime("out-of-range")


def _parse_canonical(text: str) -> datetime | None:
    """The two usual spellings at C speed, or ``None``: not an error, only not usual."""
    try:
        # ``fromisoformat`` reads week dates and basic forms too; only a text that ``isoformat``
        # would write again is certain to be what it looks like.
        if len(text) == _CANONICAL_UTC and text[19] == "Z":
            at = datetime.fromisoformat(text)
            if at.isoformat() == text[:19] + "+00:00" and _EARLIEST <= at.year <= _LATEST:
                return at
        elif len(text) == _CANONICAL_OFFSET:
            at = datetime.fromisoformat(text)
            if at.tzinfo is not None and at.isoformat() == text and _EARLIEST <= at.year <= _LATEST:
                return at.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    return None


def _parse_any(text: str, zone: ZoneInfo | None, offset_trusted: bool) -> Timestamp:
    match = _FORM.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        raise BadTime("not-a-time")
    year, month, day, hour, minute, second, fraction, offset, sign, off_h, off_m = match.groups()
    leap = second == "60" and minute == "59"
    fault: Fault = "not-a-time"
    try:
        wall = datetime(  # noqa: DTZ001 - a wall clock; its zone comes next
            int(year),
            int(month),
            int(day),
            int(hour or 0),
            int(minute or 0),
            59 if leap else int(second or 0),
            int(f"{fraction or '0':0<6.6}"),
        )
        if sign is not None and (int(off_h) > 23 or int(off_m) > 59):
            raise BadTime("not-a-time")
        fault = "out-of-range"
        if leap:
            wall += timedelta(seconds=1)
        if hour is None or offset is None or not offset_trusted:
            if zone is None:
                raise BadTime("zone-unknown")
            return local(wall, zone, day_only=hour is None)
        ahead = timedelta(hours=int(off_h or 0), minutes=int(off_m or 0))
        at = wall + ahead if sign == "-" else wall - ahead
        return Timestamp(sane(at.replace(tzinfo=UTC)))
    except (ValueError, OverflowError) as error:
        if isinstance(error, BadTime):
            raise
    raise BadTime(fault)
