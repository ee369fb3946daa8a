"""Local days and business days of a facility, as half-open spans of instants.

A rule that counts days ends at the *start of the next* local day, exclusive: never 23:59:59, and
never ``date(UTC)``.  A rule that counts hours adds elapsed time.  Rulings 3 and 4.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from orchestrator.core.instants import DAY

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, eq=False)
class Facility:
    """What the rules need to know of a facility (``contract.md`` §6, facilities file).

    The rules hand out one object for it, which is its own key in the caches below.
    """

    id: str
    zone: str  # IANA name
    type: str  # acute, snf, irf, ltch, psych, home-health, practice
    weekend_staffing: bool
    is_business_day: Callable[[date], bool]
    expected_interval: int | None = None  # between two messages of its feed


@lru_cache(maxsize=262144)
def local_day(instant: int, zone: str) -> int:
    """The local date of *instant*, as a proleptic ordinal."""
    return (_EPOCH + timedelta(microseconds=instant)).astimezone(ZoneInfo(zone)).toordinal()


@lru_cache(maxsize=262144)
def local_time(day: int, hour: int, zone: str) -> int:
    """*hour* o'clock of a local day; one that DST skips is shifted forward, a doubled one early."""
    moment = datetime.combine(date.fromordinal(day), time(hour), ZoneInfo(zone))
    return (moment.astimezone(UTC) - _EPOCH) // _MICROSECOND


def day_start(day: int, zone: str) -> int:
    """The first instant of a local day."""
    return local_time(day, 0, zone)


@lru_cache(maxsize=65536)
def end_of_day(instant: int, count: int, zone: str) -> int:
    """The end, exclusive, of the *count*-th local day after that of *instant* (day 0)."""
    return day_start(local_day(instant, zone) + count + 1, zone)


def end_of_business_day(instant: int, count: int, facility: Facility) -> int:
    """The end, exclusive, of the *count*-th business day after the local date of *instant*.

    Source: CMS TCM, "two business days following discharge", holidays excluded; ruling 4.
    """
    return day_start(
        nth_business_day(local_day(instant, facility.zone), count, facility) + 1, facility.zone
    )


@lru_cache(maxsize=65536)
def nth_business_day(day: int, count: int, facility: Facility) -> int:
    """The *count*-th business day after local day *day*, as an ordinal."""
    while count > 0:
        day += 1
        if facility.is_business_day(date.fromordinal(day)):
            count -= 1
    return day


def day_number(instant: int, start: int, zone: str) -> int:
    """How many local days after that of *start*: 0 on the same date, negative before."""
    return local_day(instant, zone) - local_day(start, zone)


@lru_cache(maxsize=65536)
def spoken(instant: int, zone: str) -> str:
    """As on the pages: ``Thu 8 Oct 14:00``, in *zone*."""
    moment = (_EPOCH + timedelta(microseconds=instant)).astimezone(ZoneInfo(zone))
    return f"{moment:%a} {moment.day} {moment:%b %H:%M}"


@lru_cache(maxsize=65536)
def spoken_end(instant: int, zone: str) -> str:
    """The day that ends at *instant*, exclusive: ``Tue 13 Oct``, never the next midnight."""
    moment = (_EPOCH + timedelta(microseconds=instant - DAY // 24)).astimezone(ZoneInfo(zone))
    return f"{moment:%a} {moment.day} {moment:%b}"
