"""Instants and durations as whole microseconds, and the way they are written."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@lru_cache(maxsize=65536)
def written(instant: int) -> str:
    """RFC 3339 in UTC with ``Z``; a fraction only where there is one."""
    moment = _EPOCH + timedelta(microseconds=instant)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S") if moment.year >= 1000 else moment.isoformat()[:19]
    if moment.microsecond:
        text += f".{moment.microsecond:06d}".rstrip("0")
    return text + "Z"


@lru_cache(maxsize=65536)
def read(text: str) -> int:
    """The inverse of `written`; takes any RFC 3339 text with an offset.

    Raises:
        ValueError: not an instant with an offset.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        msg = "an instant needs an offset"
        raise ValueError(msg)
    return (moment - _EPOCH) // _MICROSECOND


def duration_written(length: int) -> str:
    """ISO 8601, hours as the largest unit, as the contract writes lateness: ``PT72H``."""
    seconds = length // SECOND
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    parts = (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "")
    return "PT" + (parts + (f"{seconds}S" if seconds else "") or "0S")
