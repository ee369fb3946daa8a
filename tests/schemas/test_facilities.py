"""The facilities file: every field of the contract, versions, and complaints with a line."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from schemas.facilities import Facilities
from schemas.yaml_node import FileFault

# The example of contract section 6, as it stands there.
CONTRACT = """\
default: {zone: America/New_York, type: acute, holidays: us-federal, weekend_staffing: true, offset_trusted: true}
GEN: {zone: America/New_York, name: General, type: acute, holidays: {calendar: us-federal, extra: [2026-11-27], minus: [2026-10-12]},
      part2_units: [DETOX], feeds: {adt: {msh3: ADT1, msh4: GEN}}, disposition_map: {HH: "06"}, class_map: {OBV: OBSERVATION}, expected_interval: PT20M}
"""  # noqa: E501


def test_the_contracts_example_reads() -> None:
    """Every field that the contract shows means what it says."""
    facilities = Facilities.parse(CONTRACT)
    general = facilities.get("GEN")
    assert (
        general.id,
        general.zone,
        general.name,
        general.type,
    ) == ("GEN", "America/New_York", "General", "acute")
    assert general.part2_units == ("DETOX",)
    assert general.disposition_map == {"HH": "06"}
    assert general.class_map == {"OBV": "OBSERVATION"}
    assert timedelta(minutes=20) == general.expected_interval
    assert general.weekend_staffing is general.offset_trusted is True
    assert facilities.by_feed("ADT1", "GEN") == "GEN"
    assert facilities.by_feed("ADT2", "GEN") is None


@pytest.mark.parametrize(
    ("day", "is_business_day"),
    [
        ("2026-10-06", True),
        ("2026-10-10", False),  # Saturday
        ("2026-10-11", False),  # Sunday
        ("2026-10-12", True),  # Columbus Day, worked here
        ("2026-11-26", False),  # Thanksgiving
        ("2026-11-27", False),  # the day after, off here
        ("2026-07-03", False),  # 4 July is a Saturday: observed on Friday
        ("2026-09-07", False),  # Labor Day
        ("2027-12-31", False),  # New Year 2028 is a Saturday: observed the year before
    ],
)
def test_business_days_follow_the_facilitys_calendar(day: str, is_business_day: bool) -> None:
    """Federal holidays as observed, plus the site's own, minus those it works (ruling 4)."""
    general = Facilities.parse(CONTRACT).get("GEN")
    assert general.is_business_day(date.fromisoformat(day)) is is_business_day


def test_holidays_may_be_a_list_or_a_name() -> None:
    """A list stands alone; ``none`` leaves weekends only."""
    listed = Facilities.parse("A: {holidays: [2026-10-07]}\nB: {holidays: none}")
    assert not listed.get("A").is_business_day(date(2026, 10, 7))
    assert listed.get("A").is_business_day(date(2026, 12, 25))
    assert listed.get("B").is_business_day(date(2026, 12, 25))
    assert not listed.get("B").is_business_day(date(2026, 12, 26))


def test_without_a_file_the_built_in_default_serves_everyone() -> None:
    """Rules run for a facility that nobody listed; whether it is listed can be asked."""
    facilities = Facilities.load(None)
    general = facilities.get("GEN")
    assert (general.id, general.zone, general.type) == ("GEN", "America/New_York", "acute")
    assert not facilities.listed("GEN")


def test_a_zone_is_known_only_if_somebody_wrote_it_down() -> None:
    """Without a file the built-in default serves every facility; a file knows whom it names."""
    assert str(Facilities.load(None).zone_of("GEN")) == "America/New_York"
    assert Facilities.parse("MID: {}").zone_of("GEN") is None
    assert (
        str(Facilities.parse("default: {zone: America/Chicago}").zone_of("X")) == "America/Chicago"
    )
    assert str(Facilities.parse("GEN: {zone: America/Denver}").zone_of("GEN")) == "America/Denver"
    assert Facilities.parse("default: {zone: America/Chicago}").zone_of(None) is None


def test_what_a_facility_does_not_say_comes_from_the_files_default() -> None:
    """But never its name or its feeds, which are one facility's own."""
    facilities = Facilities.parse(
        "default: {zone: America/Denver, weekend_staffing: false, expected_interval: PT1H}\n"
        "A: {type: snf}\n"
    )
    assert ("America/Denver", "snf", False, timedelta(hours=1)) == (
        facilities.get("A").zone,
        facilities.get("A").type,
        facilities.get("A").weekend_staffing,
        facilities.get("A").expected_interval,
    )
    assert facilities.get("unlisted").zone == "America/Denver"


def test_a_facility_may_have_versions() -> None:
    """A discharge is judged by the version in force when it happened, to the instant."""
    facilities = Facilities.parse(
        "GEN:\n"
        "  - {zone: America/Chicago, weekend_staffing: true}\n"
        "  - {zone: America/Denver, weekend_staffing: false, effective_from: 2026-06-01}\n"
    )
    switch = datetime(2026, 6, 1, 6, tzinfo=UTC)  # midnight in Denver
    assert facilities.get("GEN").zone == "America/Denver"
    assert facilities.get("GEN", switch).zone == "America/Denver"
    assert facilities.get("GEN", switch - timedelta(microseconds=1)).zone == "America/Chicago"


def test_the_feed_that_names_more_goes_first() -> None:
    """A sender known by both fields is not taken for one known by its facility alone."""
    facilities = Facilities.parse(
        "A: {feeds: {x: {msh4: SYS}}}\nB: {feeds: {y: {msh3: LAB, msh4: SYS, authority: B}}}"
    )
    assert facilities.by_feed("LAB", "SYS") == "B"
    assert facilities.by_feed("ADT", "SYS") == "A"
    feed = facilities.feed("LAB", "SYS")
    assert feed is not None
    assert feed.authority == "B"


def test_words_that_yaml_would_twist_stay_words() -> None:
    """YAML 1.1 reads NO as false and 07 as 7; a facility and a disposition are neither."""
    facilities = Facilities.parse("NO: {disposition_map: {AMA: 07, 1: 01}, name: on}")
    assert facilities.get("NO").disposition_map == {"AMA": "07", "1": "01"}
    assert facilities.get("NO").name == "on"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("GEN:\n  zone: Mars/Olympus", "line 2: GEN.zone: is not a time zone"),
        ("GEN: {zone: ../../etc/passwd}", "line 1: GEN.zone: is not a time zone"),
        ("GEN:\n  zon: UTC", "line 2: GEN.zon: is not known here"),
        ("default: {name: All}", "line 1: default.name: is not known here"),
        ("GEN: {type: hospital}", "GEN.type: must be one of acute, snf"),
        ("GEN: {holidays: english}", "GEN.holidays: must be one of us-federal, none"),
        ("GEN: {holidays: [2026-13-01]}", r"GEN.holidays\[0\]: must be a date"),
        ("GEN: {holidays: [20261301]}", r"GEN.holidays\[0\]: must be a date"),
        ("GEN: {weekend_staffing: perhaps}", "GEN.weekend_staffing: must be true or false"),
        ("GEN: {expected_interval: P1M}", "GEN.expected_interval: must be an ISO 8601"),
        ("GEN: {expected_interval: PT0S}", "above zero"),
        ("GEN: {class_map: {X: HOSPITAL}}", "GEN.class_map.X: must be one of INPATIENT"),
        ("GEN: {feeds: {adt: {msh5: X}}}", "GEN.feeds.adt.msh5: is not known here"),
        ("GEN: {part2_units: DETOX}", "GEN.part2_units: must be a list"),
        ("GEN: {name: [a]}", "GEN.name: must be a text"),
        ("GEN: {}\nGEN: {}", "line 2: GEN: is given twice"),
        ("GEN: &a {}\nMID: *a", "anchors and aliases"),
        ("GEN: !!python/object:os.system {}", "tags are not read"),
        ("GEN: []", "a list of versions must not be empty"),
        ("GEN: [{}, {}]", "effective_from is needed in every version but the first"),
        (
            "GEN: [{effective_from: 2026-01-01}, {effective_from: 2026-01-01}]",
            "two versions have the same effective_from",
        ),
        ("GEN: {effective_from: soon}", "GEN.effective_from: must be a date"),
        (
            "A: {feeds: {x: {msh4: S}}}\nB: {feeds: {y: {msh4: S}}}",
            "B.feeds.y: the same msh3 and msh4 stand at A",
        ),
        ("GEN: 5", "GEN: must be a mapping"),
        ("- GEN", "must be a mapping"),
        ("GEN: [", "is not YAML"),
        ("? [a]\n: b", "a key must be a word"),
        ("A: {}\n---\nB: {}", "is not YAML"),
        ("\x00", "not text"),
        ("[" * 5000, "nested too deeply"),
    ],
)
def test_a_bad_file_is_refused_with_line_and_field(text: str, complaint: str) -> None:
    """Whoever edits the file is told where; half a file is never used."""
    with pytest.raises(FileFault, match=complaint):
        Facilities.parse(text)


def test_a_complaint_names_the_file(tmp_path: Path) -> None:
    """A missing file is the operating system's error, a wrong one is ours; both name it."""
    file = tmp_path / "facilities.yaml"
    with pytest.raises(FileNotFoundError, match=r"facilities\.yaml"):
        Facilities.load(file)
    file.write_text("GEN: {zone: 5}")
    with pytest.raises(FileFault, match=r"facilities\.yaml: line 1: GEN\.zone"):
        Facilities.load(file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(FileFault, match="not UTF-8"):
        Facilities.load(file)
    file.write_bytes(b"\xef\xbb\xbfGEN: {}\n")
    assert Facilities.load(file).listed("GEN")


def test_an_empty_file_says_nothing() -> None:
    """No facility and no default: like no file, zones are not known."""
    assert Facilities.parse("# nothing yet\n").zone_of("GEN") is None
    assert Facilities.parse("GEN:\n").listed("GEN")
