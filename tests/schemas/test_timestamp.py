"""Times: what a sender's clock leaves open is decided once, flagged, and never guessed."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.timestamp import BadTime, local, normalise, parse, utc_text

NEW_YORK = ZoneInfo("America/New_York")
PHOENIX = ZoneInfo("America/Phoenix")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-10-06T14:00:00-04:00", "2026-10-06T18:00:00Z"),
        ("2026-10-06T18:00:00Z", "2026-10-06T18:00:00Z"),
        ("2026-10-06t18:00:00z", "2026-10-06T18:00:00Z"),
        ("2026-10-06 18:00:00+00:00", "2026-10-06T18:00:00Z"),
        ("2026-10-06T18:00:00-00:00", "2026-10-06T18:00:00Z"),
        ("2026-10-06T23:15:00+05:15", "2026-10-06T18:00:00Z"),
        ("2026-10-06T18:00Z", "2026-10-06T18:00:00Z"),
        ("2026-10-06T18:00:00.000Z", "2026-10-06T18:00:00Z"),
        ("2026-10-06T18:00:00.250Z", "2026-10-06T18:00:00.25Z"),
        ("2026-10-06T18:00:00.1234569Z", "2026-10-06T18:00:00.123456Z"),
        ("2026-12-31T23:59:60Z", "2027-01-01T00:00:00Z"),
        ("1800-01-01T00:00:00Z", "1800-01-01T00:00:00Z"),
        ("2199-12-31T23:59:59Z", "2199-12-31T23:59:59Z"),
    ],
)
def test_rfc_3339_is_one_instant_in_utc(text: str, expected: str) -> None:
    """However it is spelled, it is one instant, and we spell that in one way."""
    assert (expected, ()) == normalise(text, None)
    assert expected == parse(text, None).text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "20261006",
        "2026-10",
        "06/10/2026",
        "2026-02-30T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-10-06T24:00:00Z",
        "2026-10-06T18:60:00Z",
        "2026-10-06T18:00:61Z",
        "2026-10-06T18:30:60Z",
        "2026-10-06T18:00:00+0400",
        "2026-10-06T18:00:00+99:99",
        "2026-10-06T18:00:00,5Z",
        "2026-10-06Z",
        "2026-W41-2T18:00:00Z",
        "2026-10-06T18:00:00Z ",
        "2026-10-06T18:00:00Z\n",
        "٢٠٢٦-10-06T18:00:00Z",
        "2026-10-06T18:00:00." + "1" * 100 + "Z",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    """A text that could be read in two ways, or in none, is an error and no guess."""
    with pytest.raises(BadTime, match="not-a-time"):
        parse(text, NEW_YORK)


@pytest.mark.parametrize(
    "text",
    [
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "1799-12-31T23:59:59Z",
        "2200-01-01T00:00:00+00:00",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59-01:00",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:60Z",
        "9999-12-31T23:59:59",
    ],
)
def test_an_instant_outside_the_calendar_is_refused(text: str) -> None:
    """Arithmetic on it would overflow later, where nobody could say whose fault it was."""
    with pytest.raises(BadTime):
        parse(text, NEW_YORK)


@pytest.mark.parametrize("text", ["2026-10-06T14:00:00", "2026-10-06T14:00", "2026-10-06"])
def test_without_an_offset_a_zone_is_needed(text: str) -> None:
    """Guessing a zone would move every due time by hours."""
    with pytest.raises(BadTime, match="zone-unknown"):
        parse(text, None)


def test_local_time_is_read_in_the_facilitys_zone() -> None:
    """The facility's wall clock, daylight saving included."""
    assert normalise("2026-10-06T14:00:00", NEW_YORK) == ("2026-10-06T18:00:00Z", ())
    assert normalise("2026-12-06T14:00:00", NEW_YORK) == ("2026-12-06T19:00:00Z", ())
    assert normalise("2026-12-06T14:00:00", PHOENIX) == ("2026-12-06T21:00:00Z", ())


def test_a_bare_date_is_local_noon() -> None:
    """Never UTC midnight, which is the evening before in New York (ruling 3)."""
    assert normalise("2026-10-06", NEW_YORK) == ("2026-10-06T16:00:00Z", ("DAY",))


def test_an_ambiguous_local_time_is_the_earlier() -> None:
    """Scenario 15c: the clock shows 01:30 twice; too early a call is the safer mistake."""
    assert normalise("2026-11-01T01:30:00", NEW_YORK) == (
        "2026-11-01T05:30:00Z",
        ("TIME_AMBIGUOUS",),
    )
    assert normalise("2026-11-01T01:59:59", NEW_YORK) == (
        "2026-11-01T05:59:59Z",
        ("TIME_AMBIGUOUS",),
    )
    assert normalise("2026-11-01T02:00:00", NEW_YORK) == ("2026-11-01T07:00:00Z", ())


def test_a_local_time_that_does_not_exist_is_shifted_forward() -> None:
    """Scenario 15d: 02:30 is skipped, so 03:30 is meant."""
    assert normalise("2027-03-14T02:30:00", NEW_YORK) == (
        "2027-03-14T07:30:00Z",
        ("TIME_ADJUSTED",),
    )
    assert normalise("2027-03-14T03:00:00", NEW_YORK) == ("2027-03-14T07:00:00Z", ())


def test_an_untrusted_offset_is_dropped() -> None:
    """A sender that stamps +0000 on local times: the wall clock is right, the offset is not."""
    for text in ("2026-10-06T14:00:00Z", "2026-10-06T14:00:00+00:00", "2026-10-06T14:00:00.0Z"):
        assert normalise(text, NEW_YORK, offset_trusted=False)[0] == "2026-10-06T18:00:00Z"
    with pytest.raises(BadTime, match="zone-unknown"):
        parse("2026-10-06T14:00:00Z", None, offset_trusted=False)


def test_an_error_does_not_repeat_the_text() -> None:
    """It may be a birth date in the wrong field, and errors go to logs."""
    with pytest.raises(BadTime) as caught:
        parse("CANARY-1950-02-01", NEW_YORK)
    assert "CANARY" not in repr(caught.value) + str(caught.value)
    assert caught.value.__context__ is None


def test_a_naive_time_has_no_utc_spelling() -> None:
    """Nothing that we write can have come from a clock without a zone."""
    with pytest.raises(ValueError, match="naive"):
        utc_text(datetime(2026, 10, 6))  # noqa: DTZ001


@settings(deadline=None)
@given(st.text(max_size=40), st.sampled_from([None, NEW_YORK, ZoneInfo("Pacific/Apia")]))
def test_any_text_is_a_time_or_a_bad_one(text: str, zone: ZoneInfo | None) -> None:
    """Nothing else ever leaves the reader."""
    for trusted in (True, False):
        try:
            parse(text, zone, offset_trusted=trusted)
        except BadTime:
            continue


@settings(deadline=None)
@given(
    st.datetimes(
        min_value=datetime(1800, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
        max_value=datetime(2199, 12, 31),  # noqa: DTZ001
        timezones=st.just(UTC),
    )
)
def test_what_we_write_we_read(at: datetime) -> None:
    """Our own spelling gives the same instant back, and is left as it is."""
    written = utc_text(at)
    assert at == parse(written, None).at
    assert (written, ()) == normalise(written, None)


@settings(deadline=None)
@given(
    st.datetimes(),
    st.sampled_from(["America/New_York", "Europe/London", "Pacific/Apia", "Asia/Kathmandu", "UTC"]),
    st.booleans(),
)
def test_any_wall_clock_names_an_instant_or_is_out_of_range(
    wall: datetime, zone: str, day_only: bool
) -> None:
    """In every zone, at every end of the calendar; the wall clock is found again unless skipped."""
    try:
        found = local(wall, ZoneInfo(zone), day_only=day_only)
    except BadTime:
        assert not 1800 < wall.year < 2199
        return
    back = found.at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    if day_only:
        wall = wall.replace(hour=12, minute=0, second=0, microsecond=0)
    assert back == wall or "TIME_ADJUSTED" in found.flags
