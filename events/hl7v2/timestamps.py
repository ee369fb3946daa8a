"""HL7 times (DTM, TS) as instants: ``YYYYMMDD[HH[MM[SS[.S...]]]][+/-ZZZZ]`` (v2.5.1 section 2A.22).

A time without an offset is read in the facility's zone, a date is local noon; both as
``schemas.timestamp`` decides for all formats, with its flags.  A year or a month alone names no
day, so it counts as unreadable.  What cannot be read counts as absent and is flagged (ruling 33).
"""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from events.hl7v2.message import Segment
from schemas.timestamp import BadTime, Timestamp, local, sane

UNREADABLE: Final = "UNREADABLE"
AHEAD_MAX: Final = timedelta(hours=24)  # contract.md section 2: a clock may be wrong by a day

# With the colon that FHIR-minded interfaces put into offsets (``data/README.md`` trap 4).
_FORM: Final = re.compile(
    r"(\d{4})(\d\d)(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:\.(\d{1,9}))?)?)?)?"
    r"(Z|([+-])(\d\d):?(\d\d))?",
    re.ASCII,
)
_OFFSET_HOURS_MAX: Final = 14  # no zone is further from UTC; what is beyond was not meant as one


def parse_dtm(text: str, zone: ZoneInfo | None, *, offset_trusted: bool = True) -> Timestamp:
    """
    Read one time.

    Args:
        zone: The facility's; ``None`` if not known, and then an offset is needed.
        offset_trusted: ``False``: the offset is dropped.

    Raises:
        BadTime: Not a time with a day, no offset and no zone, or no instant at all.
    """
    usual = _parse_usual(text) if offset_trusted else None
    if usual is not None:
        return usual
    match = _FORM.fullmatch(text)
    if match is None:
        raise BadTime("not-a-time")
    year, month, day, hour, minute, second, fraction, offset, sign, off_h, off_m = match.groups()
    try:
        wall = datetime(  # noqa: DTZ001 - a wall clock; its zone comes next
            int(year),
            int(month),
            int(day),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            int(f"{fraction:0<6.6}") if fraction else 0,
        )
    except ValueError:
        raise BadTime("not-a-time") from None
    trusted = offset is not None and offset_trusted
    if zone is not None and (hour is None or not trusted):
        return local(wall, zone, day_only=hour is None)
    if not trusted:
        raise BadTime("zone-unknown")
    ahead = timedelta(hours=int(off_h or 0), minutes=int(off_m or 0))
    if ahead > timedelta(hours=_OFFSET_HOURS_MAX) or int(off_m or 0) > 59:
        raise BadTime("not-a-time")
    flags: tuple[str, ...] = ()
    if hour is None:
        wall, flags = wall.replace(hour=12), ("DAY",)
    try:
        at = wall + ahead if sign == "-" else wall - ahead
    except OverflowError:
        raise BadTime("out-of-range") from None
    return Timestamp(sane(at.replace(tzinfo=UTC)), flags)


def _parse_usual(text: str) -> Timestamp | None:
    """``YYYYMMDDHHMMSS+ZZZZ`` at C speed, or ``None``: no error, only not usual."""
    if len(text) != 19 or not (text.isascii() and text[:14].isdigit() and text[15:].isdigit()):
        return None
    try:
        at = datetime.fromisoformat(f"{text[:8]}T{text[8:]}")
        offset = at.utcoffset()
        if offset is None or abs(offset) > timedelta(hours=_OFFSET_HOURS_MAX):
            return None
        return Timestamp(sane(at.astimezone(UTC)))
    except (ValueError, OverflowError):
        return None


def parse_date(text: str) -> str | None:
    """
    A calendar date, such as a birth date, as ISO text; a year or month may be all; ``None``: none.

    The date as written: no zone is applied, as midnight elsewhere is another day (trap 4).
    """
    day = text[:8]
    if len(day) not in (4, 6, 8) or not (day.isascii() and day.isdigit()):
        return None
    try:
        found = date(int(day[:4]), int(day[4:6] or 1), int(day[6:] or 1)).isoformat()
    except ValueError:
        return None
    return found[: {4: 4, 6: 7, 8: 10}[len(day)]]


class Moment(NamedTuple):
    """What a time field says.  *stamp* is ``None`` when absent, null or unreadable."""

    stamp: Timestamp | None = None
    null: bool = False
    unreadable: bool = False


ABSENT: Final = Moment()


class Clock:
    """Reads the time fields of one message in its facility's zone."""

    __slots__ = ("_read", "_trusted", "_zone")

    def __init__(self, zone: ZoneInfo | None, *, offset_trusted: bool) -> None:
        self._zone = zone
        self._trusted = offset_trusted
        self._read: dict[str, Moment] = {}  # one message states the same instant many times

    def moment(self, segment: Segment, field: int, component: int = 1) -> Moment:
        """The time in the first repetition of a field."""
        text = segment.text(field, component)
        if not text:
            return Moment(null=True) if segment.is_null(field) else ABSENT
        known = self._read.get(text)
        if known is None:
            try:
                known = Moment(parse_dtm(text, self._zone, offset_trusted=self._trusted))
            except BadTime:
                known = Moment(unreadable=True)
            self._read[text] = known
        return known


def first_readable(moments: Iterable[Moment]) -> Moment:
    """
    The first that can be read, flagged if one before it was stated and could not.

    Returns:
        ``unreadable`` only if none could be read and one was stated.
    """
    skipped = False
    for moment in moments:
        if moment.stamp is not None:
            if not skipped:
                return moment
            stamp = moment.stamp
            return Moment(Timestamp(stamp.at, (*stamp.flags, UNREADABLE)))
        skipped = skipped or moment.unreadable
    return Moment(unreadable=True) if skipped else ABSENT


def not_ahead(moment: Moment, latest: datetime | None) -> Moment:
    """*moment*, or unreadable where it lies after *latest* (``None``: no limit)."""
    if moment.stamp is None or latest is None or moment.stamp.at <= latest:
        return moment
    return Moment(unreadable=True)
