"""Reads the instants of a story as people write them: `Tue 10-06 14:00 EDT`.

The weekday and the zone's abbreviation are checked against the calendar, so a story whose author
miscounted does not run.  Nothing here uses the product's own calendar: the stories are the second
opinion.
"""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

DEFAULT_YEAR: Final = 2026

# Abbreviation -> zone.  MST is Arizona's, which has no summer time; Denver is in no story.
ZONES: Final = {
    "EDT": "America/New_York",
    "EST": "America/New_York",
    "CDT": "America/Chicago",
    "CST": "America/Chicago",
    "MST": "America/Phoenix",
    "HST": "Pacific/Honolulu",
    "IST": "Asia/Kolkata",
    "GMT": "Europe/London",
    "BST": "Europe/London",
}

_WHEN: Final = re.compile(
    r"(?P<end>end of )?(?P<weekday>Mon|Tue|Wed|Thu|Fri|Sat|Sun) "
    r"(?:(?P<year>\d{4})-)?(?P<month>\d\d)-(?P<day>\d\d)"
    r"(?: (?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d))?)? (?P<zone>[A-Z]{3})"
)


class StoryError(ValueError):
    """The story is written wrongly: its author's mistake, not the product's."""


def read_instant(text: str) -> datetime:
    """
    Read one instant.

    Args:
        text: `Tue 10-06 14:00 EDT`, `Tue 2027-03-16 14:00:01 EDT`, or
            `end of Tue 10-13 EDT`, which is the first instant of the next local day.
            Without a year it is 2026.

    Returns:
        An aware datetime in UTC.

    Raises:
        StoryError: Not of this form, a wrong weekday, or an abbreviation not in force then.
    """
    match = _WHEN.fullmatch(text.strip())
    if match is None:
        raise StoryError(f"not an instant: {text!r}")
    part = match.groupdict()
    if (part["end"] is None) == (part["hour"] is None):
        raise StoryError(f"either a time of day or 'end of': {text!r}")
    day = date(int(part["year"] or DEFAULT_YEAR), int(part["month"]), int(part["day"]))
    if day.strftime("%a") != part["weekday"]:
        raise StoryError(f"{day} is a {day:%A}: {text!r}")
    if part["zone"] not in ZONES:
        raise StoryError(f"zone not known: {text!r}")
    zone = ZoneInfo(ZONES[part["zone"]])
    if part["end"]:
        instant = start_of_day(day + timedelta(days=1), zone)
        probe = instant - timedelta(seconds=1)
    else:
        clock = (int(part["hour"]), int(part["minute"]), int(part["second"] or 0))
        instant = _of_abbreviation(day, clock, part["zone"], zone)
        probe = instant
    if probe.astimezone(zone).tzname() != part["zone"]:
        raise StoryError(f"{part['zone']} is not in force then: {text!r}")
    return instant


def _of_abbreviation(day: date, clock: tuple[int, int, int], name: str, zone: ZoneInfo) -> datetime:
    """In the hour that comes twice the abbreviation says which; elsewhere there is only one."""
    hour, minute, second = clock
    local = datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=zone)
    both = [local.replace(fold=fold) for fold in (0, 1)]
    return next((one for one in both if one.tzname() == name), local).astimezone(UTC)


def start_of_day(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of *day* in *zone*, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def end_of_local_day(since: datetime, days: int, zone_name: str) -> datetime:
    """The end, exclusive, of the *days*-th local day after the local date of *since*."""
    zone = ZoneInfo(zone_name)
    return start_of_day(since.astimezone(zone).date() + timedelta(days=days + 1), zone)


def wire(instant: datetime) -> str:
    """*instant* as a publisher writes it."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def read_wire(text: str) -> datetime:
    """An RFC 3339 instant of an answer; one without an offset is refused."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise AssertionError(f"an instant without offset in the answer: {text}")
    return instant.astimezone(UTC)
