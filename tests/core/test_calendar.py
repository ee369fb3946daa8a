"""Local days and business days, also when the clocks change (rulings 3 and 4)."""

from datetime import date

import pytest

from orchestrator.core.calendar import (
    Facility,
    day_number,
    day_start,
    end_of_business_day,
    end_of_day,
    local_day,
    local_time,
    nth_business_day,
    spoken,
    spoken_end,
)
from orchestrator.core.instants import HOUR, SECOND, read, written
from tests.core.builders import RULES

NEW_YORK = "America/New_York"


def facility(*holidays: str, zone: str = NEW_YORK) -> Facility:
    """One that works Monday to Friday but for *holidays*."""
    off = {date.fromisoformat(day) for day in holidays}
    return Facility("GEN", zone, "acute", True, lambda d: d.weekday() < 5 and d not in off)


@pytest.mark.parametrize(
    ("at", "zone", "expected"),
    [
        ("2026-10-07T03:59:59Z", NEW_YORK, "2026-10-06"),
        ("2026-10-07T04:00:00Z", NEW_YORK, "2026-10-07"),
        ("2026-10-07T04:00:01Z", NEW_YORK, "2026-10-07"),
        ("2026-10-07T04:59:59Z", "America/Chicago", "2026-10-06"),
        ("2026-10-07T05:00:00Z", "America/Chicago", "2026-10-07"),
        ("2026-10-06T09:59:59Z", "Pacific/Kiritimati", "2026-10-06"),
        ("2026-10-06T10:00:00Z", "Pacific/Kiritimati", "2026-10-07"),
    ],
)
def test_a_day_begins_at_local_midnight(at: str, zone: str, expected: str) -> None:
    """The date of a discharge is the ward's, never the server's."""
    assert date.fromordinal(local_day(read(at), zone)) == date.fromisoformat(expected)


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-08", 23), ("2026-11-01", 25), ("2026-10-06", 24)]
)
def test_a_day_is_as_long_as_the_clocks_make_it(day: str, hours: int) -> None:
    """The days on which the clocks change have 23 and 25 hours."""
    ordinal = date.fromisoformat(day).toordinal()
    assert day_start(ordinal + 1, NEW_YORK) - day_start(ordinal, NEW_YORK) == hours * HOUR


@pytest.mark.parametrize(
    ("day", "hour", "expected"),
    [
        ("2026-03-08", 1, "2026-03-08T06:00:00Z"),
        ("2026-03-08", 2, "2026-03-08T07:00:00Z"),  # does not exist: 3 o'clock by the wall
        ("2026-03-08", 3, "2026-03-08T07:00:00Z"),
        ("2026-11-01", 1, "2026-11-01T05:00:00Z"),  # twice: the earlier
        ("2026-11-01", 2, "2026-11-01T07:00:00Z"),
    ],
)
def test_an_hour_that_is_skipped_or_doubled_is_told_apart(
    day: str, hour: int, expected: str
) -> None:
    """A skipped hour is shifted forward, of a doubled one the earlier is taken."""
    assert written(local_time(date.fromisoformat(day).toordinal(), hour, NEW_YORK)) == expected


@pytest.mark.parametrize(
    ("at", "count", "expected"),
    [
        ("2026-10-06T00:00:00-04:00", 7, "2026-10-14T04:00:00Z"),
        ("2026-10-06T23:59:59-04:00", 7, "2026-10-14T04:00:00Z"),
        ("2026-10-07T00:00:00-04:00", 7, "2026-10-15T04:00:00Z"),
        ("2026-10-30T17:00:00-04:00", 7, "2026-11-07T05:00:00Z"),  # the clocks go back between
        ("2026-03-06T17:00:00-05:00", 7, "2026-03-14T04:00:00Z"),  # and forward
        ("2026-10-06T14:00:00-04:00", 0, "2026-10-07T04:00:00Z"),
        ("2028-02-28T14:00:00-05:00", 1, "2028-03-01T05:00:00Z"),  # a leap day
    ],
)
def test_day_n_ends_at_the_next_local_midnight(at: str, count: int, expected: str) -> None:
    """Seven days are seven nights at the facility, whatever the hour of the discharge."""
    assert written(end_of_day(read(at), count, NEW_YORK)) == expected


@pytest.mark.parametrize(
    ("at", "count", "expected"),
    [
        ("2026-10-06T14:00:00-04:00", 2, "2026-10-09T04:00:00Z"),  # Tue: Wed, Thu
        ("2026-10-08T14:00:00-04:00", 2, "2026-10-14T04:00:00Z"),  # Thu: Fri, Tue (holiday Mon)
        ("2026-10-09T14:00:00-04:00", 2, "2026-10-15T04:00:00Z"),  # Fri: Tue, Wed
        ("2026-10-10T14:00:00-04:00", 1, "2026-10-14T04:00:00Z"),  # Sat: Tue
        ("2026-10-12T14:00:00-04:00", 1, "2026-10-14T04:00:00Z"),  # on the holiday itself: Tue
        ("2026-10-09T23:59:59-04:00", 1, "2026-10-14T04:00:00Z"),
        ("2026-10-13T00:00:00-04:00", 1, "2026-10-15T04:00:00Z"),
    ],
)
def test_business_days_leave_out_weekends_and_holidays(at: str, count: int, expected: str) -> None:
    """CMS counts business days after the date of discharge; Columbus Day 2026 is 12 October."""
    settings = facility("2026-10-12")
    assert written(end_of_business_day(read(at), count, settings)) == expected


def test_the_built_in_calendar_knows_the_federal_holidays() -> None:
    """Without a facilities file the CMS window is not a day too short after Thanksgiving."""
    default = RULES.facility("ELSEWHERE", 0)
    at = read("2026-11-25T14:00:00-05:00")
    assert written(end_of_business_day(at, 2, default)) == "2026-12-01T05:00:00Z"


def test_a_facilitys_own_holidays_replace_the_calendar() -> None:
    """A list of dates in the file is the whole list."""
    own = facility("2026-12-24")
    thanksgiving = date(2026, 11, 26).toordinal()
    christmas_eve = date(2026, 12, 24).toordinal()
    assert nth_business_day(thanksgiving - 1, 1, own) == thanksgiving
    assert nth_business_day(christmas_eve - 1, 1, own) == christmas_eve + 1


def test_the_zone_decides_which_business_day_it_is() -> None:
    """Late on a Friday evening it is Saturday further east: one business day later."""
    friday_night = read("2026-10-16T23:30:00-04:00")
    tokyo = facility(zone="Asia/Tokyo")
    assert written(end_of_business_day(friday_night, 1, facility())) == "2026-10-20T04:00:00Z"
    assert written(end_of_business_day(friday_night, 1, tokyo)) == "2026-10-19T15:00:00Z"


@pytest.mark.parametrize(("shift", "expected"), [(-SECOND, 0), (0, 1), (SECOND, 1)])
def test_day_number_changes_at_midnight(shift: int, expected: int) -> None:
    """A visit at one second to midnight is still on the day of the discharge."""
    start = read("2026-10-06T14:00:00-04:00")
    midnight = read("2026-10-07T00:00:00-04:00")
    assert day_number(midnight + shift, start, NEW_YORK) == expected


def test_day_number_counts_back_too() -> None:
    """A slot before the discharge has a negative number, so no rule can take it for day 1."""
    start = read("2026-10-06T14:00:00-04:00")
    assert day_number(start - 24 * HOUR, start, NEW_YORK) == -1


def test_an_exclusive_end_is_spoken_as_the_day_before() -> None:
    """Nobody is told that a window ends at midnight of the next day."""
    end = read("2026-10-14T00:00:00-04:00")
    assert spoken_end(end, NEW_YORK) == "Tue 13 Oct"
    assert spoken(end, NEW_YORK) == "Wed 14 Oct 00:00"
