"""Instants as whole microseconds: texts of one instant differ in length, numbers compare."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

SECOND: Final = 1_000_000

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@lru_cache(maxsize=65536)
def micros(text: str) -> int:
    """
    The instant that RFC 3339 *text* names.

    Raises:
        ValueError: It names none, or has no offset.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("an instant needs an offset")
    return (moment - _EPOCH) // _MICROSECOND


def text_of(at: int) -> str:
    """RFC 3339 in UTC, as the contract writes it: a fraction only where there is one."""
    moment = _EPOCH + timedelta(microseconds=at)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    if moment.microsecond:
        text += f".{moment.microsecond:06d}".rstrip("0")
    return text + "Z"
