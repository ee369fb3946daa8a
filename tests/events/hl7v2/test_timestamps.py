"""HL7 times: precision, offsets, the facility's zone, and what is no time at all."""

from zoneinfo import ZoneInfo

import pytest

from events.hl7v2.timestamps import parse_date, parse_dtm
from schemas.timestamp import BadTime
from tests.events.hl7v2.builders import GEN, NO_ZONES, adt, event, reject

NEW_YORK = ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("20261006140000-0400", "2026-10-06T18:00:00Z"),
        ("20261006140000+0215", "2026-10-06T11:45:00Z"),
        ("20261006140000+05:30", "2026-10-06T08:30:00Z"),
        ("20261006180000Z", "2026-10-06T18:00:00Z"),
        ("20261006140000", "2026-10-06T18:00:00Z"),
        ("202610061400", "2026-10-06T18:00:00Z"),
        ("2026100614", "2026-10-06T18:00:00Z"),
        ("20261006140000.5", "2026-10-06T18:00:00.5Z"),
        ("20261006140000.1234-0400", "2026-10-06T18:00:00.1234Z"),
        ("20261006140000.000-0400", "2026-10-06T18:00:00Z"),
        ("20260115140000", "2026-01-15T19:00:00Z"),
    ],
)
def test_a_time_is_an_instant(sent: str, meant: str) -> None:
    """
    With its offset, or in the facility's zone where it has none.
    """
    assert (meant, ()) == (parse_dtm(sent, NEW_YORK).text, parse_dtm(sent, NEW_YORK).flags)


@pytest.mark.parametrize(
    ("sent", "meant", "flag"),
    [
        ("20261006", "2026-10-06T16:00:00Z", "DAY"),
        ("20261006-0400", "2026-10-06T16:00:00Z", "DAY"),
        ("20261101013000", "2026-11-01T05:30:00Z", "TIME_AMBIGUOUS"),
        ("20270314023000", "2027-03-14T07:30:00Z", "TIME_ADJUSTED"),
    ],
)
def test_what_the_clock_leaves_open_is_decided_and_flagged(
    sent: str, meant: str, flag: str
) -> None:
    """
    A date is local noon, an ambiguous time the earlier one, a missing hour shifted (scenario 15).
    """
    found = parse_dtm(sent, NEW_YORK)

    assert (meant, (flag,)) == (found.text, found.flags)


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "2",
        "2026",
        "202610",
        "20260230",
        "20261006240000",
        "20261006146000",
        "20261006140000+9999",
        "20261006140000-1",
        "20261006140000+1501",
        "2026-10-06",
        "2026100614000",
        "20110613122406637",
        "99991231235959-1400",
        "00000000",
        "\uff12\uff10\uff12\uff16\uff11\uff10\uff10\uff16",
        "yesterday",
    ],
)
def test_what_names_no_day_is_no_time(sent: str) -> None:
    """
    Impossible dates, offsets of no zone, years alone, other formats: unreadable, never guessed.
    """
    with pytest.raises(BadTime):
        parse_dtm(sent, NEW_YORK)


def test_a_local_time_without_a_zone_is_unreadable() -> None:
    """
    Guessing a zone would move due times.
    """
    with pytest.raises(BadTime, match="zone-unknown"):
        parse_dtm("20261006140000", None)


def test_an_offset_that_is_not_trusted_is_dropped() -> None:
    """
    A sender that writes ``+0000`` on local times is read in its own zone.
    """
    found = parse_dtm("20261006140000+0000", NEW_YORK, offset_trusted=False)

    assert found.text == "2026-10-06T18:00:00Z"


def test_the_facility_decides_about_zone_and_trust() -> None:
    """
    MID lies in Chicago and its offsets are wrong; GEN lies in New York and is believed.
    """
    at = {44: "20261001093000+0000"}
    gen = event(adt("A01", pv1=at))
    mid = event(adt("A01", msh={3: "MIDAPP", 4: "MIDFAC"}, pv1=at | {3: "ICU"}))

    assert gen["time"] == "2026-10-01T09:30:00Z"
    assert mid["time"] == "2026-10-01T14:30:00Z"


def test_without_a_zone_only_times_with_offset_count() -> None:
    """
    No facilities file: an offset is needed, and a message without any time that has one is bad.
    """
    local = {2: "20261006140200"}
    assert (
        reject(adt("A08", evn=local, msh={7: "20261006140200"}), facilities=NO_ZONES).reason
        == "bad-time"
    )

    said = event(adt("A08", evn=local), facilities=NO_ZONES)
    assert (
        said["time"],
        said["timeflags"],
    ) == ("2026-10-06T18:03:00Z", {"time": ["UNREADABLE"], "recordedtime": ["UNREADABLE"]})


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("19540312", "1954-03-12"),
        ("198808181126+0215", "1988-08-18"),
        ("19890118000000", "1989-01-18"),
        ("19840601000000+0100", "1984-06-01"),
        ("195403", "1954-03"),
        ("1954", "1954"),
        ("195413", None),
        ("19541399", None),
        ("0000", None),
        ("", None),
        ("+9540312", None),
    ],
)
def test_a_birth_date_is_the_date_as_written(sent: str, meant: str | None) -> None:
    """
    No zone moves a birthday (data/README.md trap 4: midnight in summer time).
    """
    assert meant == parse_date(sent)


def test_facilities_of_the_tests_know_their_zones() -> None:
    """
    The fixtures say what the tests above rely on.
    """
    assert (GEN.get("GEN").zone, GEN.get("MID").zone) == ("America/New_York", "America/Chicago")
