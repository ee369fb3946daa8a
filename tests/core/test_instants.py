"""Instants are written one way, read back exactly, and never naive."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.instants import HOUR, MINUTE, SECOND, duration_written, read, written

YEAR_ONE = read("0001-01-01T00:00:00Z")
YEAR_9999 = read("9999-12-31T23:59:59.999999Z")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-10-06T14:00:00-04:00", "2026-10-06T18:00:00Z"),
        ("2026-10-06T18:00:00Z", "2026-10-06T18:00:00Z"),
        ("2026-10-06T18:00:00.5Z", "2026-10-06T18:00:00.5Z"),
        ("2026-10-06T18:00:00.000001Z", "2026-10-06T18:00:00.000001Z"),
        ("2026-10-06T18:00:00.000000Z", "2026-10-06T18:00:00Z"),
        ("1969-12-31T23:59:59Z", "1969-12-31T23:59:59Z"),
        ("0199-03-01T00:00:00Z", "0199-03-01T00:00:00Z"),
        ("2026-10-07T03:30:00+05:45", "2026-10-06T21:45:00Z"),
    ],
)
def test_any_offset_is_written_in_utc_with_z(text: str, expected: str) -> None:
    """One instant has one text; a fraction stands only where there is one."""
    assert written(read(text)) == expected


@given(st.integers(YEAR_ONE, YEAR_9999))
def test_every_instant_is_read_back_exactly(instant: int) -> None:
    """Not a microsecond is lost between the ledger and the state."""
    assert read(written(instant)) == instant


@given(st.integers(YEAR_ONE, YEAR_9999), st.integers(YEAR_ONE, YEAR_9999))
def test_whole_seconds_sort_as_text_as_they_do_in_time(one: int, two: int) -> None:
    """Sealing compares written instants; that is allowed because the order is the same."""
    one, two = one - one % SECOND, two - two % SECOND
    assert (written(one) <= written(two)) is (one <= two)


@pytest.mark.parametrize("text", ["2026-10-06T14:00:00", "2026-10-06"])
def test_a_time_without_offset_is_no_instant(text: str) -> None:
    """Times are never naive."""
    with pytest.raises(ValueError, match="offset"):
        read(text)


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (0, "PT0S"),
        (59 * SECOND, "PT59S"),
        (HOUR - SECOND, "PT59M59S"),
        (HOUR, "PT1H"),
        (HOUR + SECOND, "PT1H1S"),
        (72 * HOUR, "PT72H"),
        (26 * HOUR + 3 * MINUTE, "PT26H3M"),
    ],
)
def test_lateness_counts_hours_and_never_days(length: int, expected: str) -> None:
    """A reader compares 72 h with 48 h at a glance; P3D would hide it."""
    assert duration_written(length) == expected
