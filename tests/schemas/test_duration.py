"""Durations: exact ones only."""

from datetime import timedelta

import pytest

from schemas.duration import parse_duration


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
