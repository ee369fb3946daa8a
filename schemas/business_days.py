"""Which dates are holidays: calendars by name, computed year by year when first asked for.

Business days decide CMS' two-business-day contact and the reschedule's due time (ruling 4).
CMS does not say whose holidays; US federal ones, *observed*, are the common reading
(``domain/clocks-and-rules.md``), and a site may add to them and take from them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Final

SATURDAY: Final = 5


@cache
def _us_federal(year: int) -> frozenset[date]:
    # Imported late: 50 ms that ``--help`` need not pay.
    from holidays import country_holidays

    return frozenset(country_holidays("US", years=year, observed=True, expand=False))


def _none(year: int) -> frozenset[date]:
    del year
    return frozenset()


CALENDARS: Final[dict[str, Callable[[int], frozenset[date]]]] = {
    "us-federal": _us_federal,
    "none": _none,
}


@dataclass(frozen=True, slots=True)
class Holidays:
    """A named calendar, plus *extra* dates, without the *minus* dates."""

    calendar: str = "us-federal"
    extra: frozenset[date] = frozenset()
    minus: frozenset[date] = frozenset()

    def __contains__(self, day: date) -> bool:
        if day in self.extra:
            return True
        return day in CALENDARS[self.calendar](day.year) and day not in self.minus

    def is_business_day(self, day: date) -> bool:
        return day.weekday() < SATURDAY and day not in self
