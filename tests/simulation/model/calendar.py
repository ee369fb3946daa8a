"""Local days and business days of a facility, from the calendar and the statute (5 U.S.C. 6103).

Source: clocks-and-rules.md (half-open days computed from the zone), rulings 3 and 4.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
SATURDAY = 5


@lru_cache(maxsize=65536)
def instant(text: str) -> datetime:
    """An RFC 3339 text with an offset, in UTC."""
    at = datetime.fromisoformat(text)
    assert at.tzinfo is not None, "times are never naive"
    return at.astimezone(UTC)


def text(at: datetime) -> str:
    """The canonical form of the accepted event: UTC, Z, a fraction only if there is one."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


@lru_cache(maxsize=65536)
def local_date(at: datetime, zone: str) -> date:
    return at.astimezone(ZoneInfo(zone)).date()


@lru_cache(maxsize=65536)
def start_of(day: date, zone: str) -> datetime:
    return datetime.combine(day, time.min, ZoneInfo(zone)).astimezone(UTC)


def end_of(day: date, zone: str) -> datetime:
    """The first instant that no longer belongs to *day*."""
    return start_of(day + DAY, zone)


def end_of_day_number(discharged_at: datetime, number: int, zone: str) -> datetime:
    """End of local day *number*; the discharge's own date is day 0."""
    return end_of(local_date(discharged_at, zone) + number * DAY, zone)


def day_number(at: datetime, discharged_at: datetime, zone: str) -> int:
    return (local_date(at, zone) - local_date(discharged_at, zone)).days


def _nth_weekday(year: int, month: int, weekday: int, nth: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (nth - 1))


def _last_monday_of_may(year: int) -> date:
    last = date(year, 5, 31)
    return last - timedelta(days=last.weekday())


def _observed(day: date) -> date:
    """A Saturday holiday is kept on the Friday before, a Sunday one on the Monday after."""
    return day + {5: -DAY, 6: DAY}.get(day.weekday(), timedelta(0))


@lru_cache(maxsize=64)
def federal_holidays(year: int) -> frozenset[date]:
    fixed = [(1, 1), (6, 19), (7, 4), (11, 11), (12, 25)]
    days = {_observed(date(y, m, d)) for y in (year, year + 1) for m, d in fixed}
    days |= {
        _nth_weekday(year, 1, 0, 3),  # Martin Luther King
        _nth_weekday(year, 2, 0, 3),  # Washington
        _last_monday_of_may(year),  # Memorial Day
        _nth_weekday(year, 9, 0, 1),  # Labor Day
        _nth_weekday(year, 10, 0, 2),  # Columbus Day
        _nth_weekday(year, 11, 3, 4),  # Thanksgiving
    }
    return frozenset(days)


@dataclass(frozen=True)
class Facility:
    """What the rules ask of a facility; the rest of its file does not matter here."""

    zone: str = "America/New_York"
    type: str = "acute"
    weekend_staffing: bool = True

    def is_business_day(self, day: date) -> bool:
        return day.weekday() < SATURDAY and day not in federal_holidays(day.year)

    def business_day_after(self, day: date, n: int) -> date:
        """The *n*-th business day after *day*, which itself never counts."""
        while n:
            day += DAY
            n -= self.is_business_day(day)
        return day

    def end_of_business_days(self, at: datetime, n: int) -> datetime:
        return end_of(self.business_day_after(local_date(at, self.zone), n), self.zone)

    def morning_of_next_business_day(self, at: datetime) -> datetime:
        day = self.business_day_after(local_date(at, self.zone), 1)
        return datetime.combine(day, time(8), ZoneInfo(self.zone)).astimezone(UTC)


def facility(facilities: dict[str, dict[str, object]], name: str) -> Facility:
    """The facility's settings; an unlisted one has those of `default`."""
    said = {**facilities.get("default", {}), **facilities.get(name, {})}
    return Facility(
        zone=str(said.get("zone", "America/New_York")),
        type=str(said.get("type", "acute")),
        weekend_staffing=bool(said.get("weekend_staffing", True)),
    )
