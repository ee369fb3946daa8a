"""The gaps of stays and of feeds, one second before, at and after the instant of each."""

import pytest

from orchestrator.core.facts import FacilityHeard, Fact, FieldUnmapped, Told
from orchestrator.core.instants import DAY, HOUR, MINUTE, SECOND, written
from tests.core.builders import (
    RULES,
    Chart,
    D,
    admitted,
    chart,
    command,
    discharged,
    marked,
    names,
    parked,
    updated,
)

edges = pytest.mark.parametrize(("shift", "live"), [(-SECOND, False), (0, True), (SECOND, True)])


@edges
@pytest.mark.parametrize(
    ("cls", "limit"),
    [("EMERGENCY", 48 * HOUR), ("OBSERVATION", 96 * HOUR), ("INPATIENT", 60 * DAY)],
)
def test_a_stay_without_news_goes_stale(cls: str, limit: int, shift: int, live: bool) -> None:
    """By its class; somebody asks whether the patient is still there."""
    found = chart(admitted(D, cls=cls), until=D + limit + shift)
    assert ("STALE_STAY" in found.live) is live


def test_any_news_of_the_stay_makes_it_fresh_again() -> None:
    """Also an update that changes nothing; the next limit counts from there."""
    found = chart(admitted(D, cls="EMERGENCY"), until=D + 48 * HOUR)
    assert "STALE_STAY" in found.live
    found.tell(updated(D + 49 * HOUR))
    assert found.gaps["STALE_STAY"]["close_reason"] == "RESOLVED"
    found.clock(D + 97 * HOUR)
    assert found.gaps["STALE_STAY"]["occurrence"] == 2


@pytest.mark.parametrize("cls", ["SNF", "OUTPATIENT", "RECURRING"])
def test_other_stays_never_go_stale(cls: str) -> None:
    """A nursing home sends no daily news."""
    assert chart(admitted(D, cls=cls), until=D + 140 * DAY).live == set()


@edges
def test_an_unmatched_cancel_is_reported_after_three_days(shift: int, live: bool) -> None:
    """By receipt (ruling 6)."""
    cancel = marked("cancel-discharge", D - DAY, receipt=D)
    found = chart(cancel, until=D + 72 * HOUR + shift)
    assert ("ORPHAN_CANCEL" in found.live) is live


def test_an_orphan_closes_when_its_target_arrives() -> None:
    """However late; the cancel applies (ruling 6)."""
    found = chart(marked("cancel-discharge", D + HOUR), until=D + 80 * HOUR)
    assert "ORPHAN_CANCEL" in found.live
    found.tell(discharged(D, receipt=D + 81 * HOUR))
    assert found.gaps["ORPHAN_CANCEL"]["status"] == "closed"
    assert found.tasks == {}


def test_two_open_stays_at_once_are_told() -> None:
    """The later one names both; it closes when one of them ends."""
    found = chart(admitted(D, "W1", facility="MID"), admitted(D + HOUR))
    assert found.gaps["OVERLAPPING_STAYS"]["evidence"] == {"facilities": ["MID", "GEN"]}
    found.tell(discharged(D + 2 * HOUR, "W1", facility="MID"))
    assert "OVERLAPPING_STAYS" not in found.live


@pytest.mark.parametrize(
    ("late", "told"), [(24 * HOUR - SECOND, False), (24 * HOUR, False), (24 * HOUR + SECOND, True)]
)
def test_a_late_admission_notice_is_a_fact(late: int, told: bool) -> None:
    """More than a day between the admission and the news of it."""
    found = chart(admitted(D, receipt=D + late))
    assert ("ADMIT_NOTICE_LATE" in found.live) is told
    if told:
        assert found.gaps["ADMIT_NOTICE_LATE"]["status"] == "recorded"


def test_a_number_used_for_two_stays_has_one_late_notice() -> None:
    """Both were told late under one id: it is published once, and no other event changes it."""
    found = chart(admitted(D, receipt=D + 5 * DAY), discharged(D + DAY, receipt=D + 5 * DAY))
    found.tell(admitted(D + 4 * DAY, receipt=D + 6 * DAY, event="E9"))
    assert "ADMIT_NOTICE_LATE" in found.live
    made = found.tell(parked(D + 7 * DAY, event="E10"))
    assert [one["gap"]["code"] for one in made if "gap" in one] == ["EVENT_PARKED"]


@pytest.mark.parametrize("cls", ["OUTPATIENT", "PREADMIT", "RECURRING"])
def test_who_hears_late_of_an_outpatient_has_missed_nothing(cls: str) -> None:
    """No follow-up hangs on it."""
    assert chart(admitted(D, cls=cls, receipt=D + 3 * DAY)).live == set()


def feed(*facts: Fact, at: int = D) -> Told:
    return Told("", "", "", "", at, at, facts)


def feed_chart() -> Chart:
    return Chart(RULES, "facility|FEED")


@edges
def test_a_feed_is_silent_after_three_of_its_intervals(shift: int, live: bool) -> None:
    """Its file says every twenty minutes; a quiet ward and a dead interface look alike."""
    found = feed_chart()
    found.tell(feed(FacilityHeard("FEED", D)))
    found.clock(D + 60 * MINUTE + shift)
    assert ("FEED_SILENT" in found.live) is live


def test_a_feed_that_speaks_again_is_not_silent() -> None:
    """Same gap, next occurrence, when it falls silent again."""
    found = feed_chart()
    found.tell(feed(FacilityHeard("FEED", D)))
    found.clock(D + HOUR)
    found.tell(feed(FacilityHeard("FEED", D + 2 * HOUR), at=D + 2 * HOUR))
    assert found.gaps["FEED_SILENT"]["status"] == "closed"
    found.clock(D + 4 * HOUR)
    gap = found.gaps["FEED_SILENT"]
    assert (gap["occurrence"], gap["since"]) == (2, written(D + 3 * HOUR))


def test_a_feed_whose_interval_nobody_stated_is_never_silent() -> None:
    """There is nothing to measure by."""
    found = Chart(RULES, "facility|GEN")
    found.tell(feed(FacilityHeard("GEN", D)))
    assert found.clock(D + 100 * DAY) == []


def test_a_field_that_nobody_mapped_opens_one_gap_of_its_facility() -> None:
    """Once per field, however often it is sent (ruling 38); no patient is named."""
    found = feed_chart()
    found.tell(feed(FieldUnmapped("FEED", "class", D), FieldUnmapped("FEED", "disposition", D)))
    again = found.tell(feed(FieldUnmapped("FEED", "class", D + DAY), at=D + DAY))
    assert names(again) == []
    rows = list(found.patient.ledger.gaps.values())
    assert {(row["code"], row["subject"]) for row in rows} == {
        ("DATA_QUALITY", "class"),
        ("DATA_QUALITY", "disposition"),
    }
    assert {(row["patient"], row["scope"], row["team"]) for row in rows} == {
        (None, "facility:FEED", "operations")
    }


def test_an_unmapped_field_can_be_acknowledged() -> None:
    """By whoever mends the map."""
    found = feed_chart()
    found.tell(feed(FieldUnmapped("FEED", "class", D)))
    gap = found.gaps["DATA_QUALITY"]["gap_id"]
    found.tell(command("noted", D + HOUR, gap_id=gap))
    assert found.gaps["DATA_QUALITY"]["close_reason"] == "ACKNOWLEDGED"
