"""Durations: exact ones only."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.duration import duration_text, parse_duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PT20M", timedelta(minutes=20)),
        ("P1DT12H", timedelta(hours=36)),
        ("P2W", timedelta(weeks=2)),
        ("PT0.25S", timedelta(milliseconds=250)),
        ("PT0S", timedelta(0)),
    ],
)
def test_iso_8601_durations_are_read(text: str, expected: timedelta) -> None:
    """As settings files write them."""
    assert expected == parse_duration(text)


@pytest.mark.parametrize("text", ["", "P", "PT", "P1Y", "P1M", "20M", "PT-5M", "P1DT", "pt5m"])
def test_what_has_no_exact_length_is_refused(text: str) -> None:
    """A month is no length: a rule that counts calendar days says so itself."""
    with pytest.raises(ValueError, match="ISO 8601"):
        parse_duration(text)


@settings(deadline=None)
@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=9999)))
def test_what_we_write_we_read(duration: timedelta) -> None:
    """Spelled and read again, nothing is lost."""
    assert duration == parse_duration(duration_text(duration))


def test_a_negative_duration_has_no_spelling() -> None:
    """A negative lateness would be a defect; it does not pass unseen."""
    with pytest.raises(ValueError, match="negative"):
        duration_text(timedelta(seconds=-1))
