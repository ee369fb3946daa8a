"""ISO 8601 durations, as far as they are exact: days, hours, minutes, seconds (and weeks).

Years and months are refused: how long they last depends on where they begin, and a rule that
counts calendar days says so itself.
"""

import re
from datetime import timedelta
from typing import Final

_FORM: Final = re.compile(
    r"P(?:(\d{1,6})W)?(?:(\d{1,6})D)?"
    r"(?:T(?=\d)(?:(\d{1,8})H)?(?:(\d{1,8})M)?(?:(\d{1,10})(?:\.(\d{1,6}))?S)?)?",
    re.ASCII,
)


def parse_duration(text: str) -> timedelta:
    """
    Read a duration such as ``PT20M`` or ``P1DT12H``.

    Raises:
        ValueError: Not one; the message does not repeat the text.
    """
    match = _FORM.fullmatch(text)
    if match is None or not any(match.groups()):
        raise ValueError("not an ISO 8601 duration of weeks, days, hours, minutes or seconds")
    weeks, days, hours, minutes, seconds, fraction = match.groups()
    return timedelta(
        weeks=int(weeks or 0),
        days=int(days or 0),
        hours=int(hours or 0),
        minutes=int(minutes or 0),
        seconds=int(seconds or 0),
        microseconds=int(f"{fraction or '0':0<6}"),
    )
