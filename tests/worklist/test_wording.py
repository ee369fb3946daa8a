"""Times and people in the words of the pages (`screens.md` 0)."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from orchestrator.core.instants import HOUR, read
from orchestrator.worklist.pages import calling, wording
from orchestrator.worklist.pages.fresh import fresh_words, silence

ZONE = "America/New_York"
NOW = read("2026-10-06T15:50:00Z")  # Tue 6 Oct 11:50 EDT


def task(due_at: str, **more: Any) -> dict[str, Any]:
    return {
        "kind": "CALL_48H",
        "status": "requested",
        "due_at": due_at,
        "zone": ZONE,
        "facility": "GEN",
        "overdue": False,
        "born_overdue": False,
        "lateness": None,
        "tcm_contact_by": None,
        "tcm_contact_status": None,
        **more,
    }


@pytest.mark.parametrize(
    ("due", "words"),
    [
        ("2026-10-08T18:00:00Z", "Thu 8 Oct 14:00 EDT, in 2 d 2 h"),
        ("2026-10-06T18:00:00Z", "2 h 10 min left, today 14:00 EDT"),
        ("2026-10-07T12:00:00Z", "20 h 10 min left, tomorrow 08:00 EDT"),
        # The end of a day is named by the day that ends, never by the midnight after it.
        ("2026-10-14T04:00:00Z", "by end of Tue 13 Oct, in 7 d 12 h"),
        ("2026-10-07T04:00:00Z", "12 h 10 min left, by end of today, Tue 6 Oct"),
        # The first instant of standard time: 05:00 UTC is midnight.
        ("2026-11-02T05:00:00Z", "by end of Sun 1 Nov, in 26 d 13 h"),
    ],
)
def test_a_due_time_is_told_absolutely_and_relatively(due: str, words: str) -> None:
    assert wording.due(task(due), NOW).text == words


def test_overdue_has_a_tag_and_the_time_it_was_due() -> None:
    found = wording.due(task("2026-10-06T12:45:00Z", overdue=True), NOW)
    assert found.tag == wording.Tag("Overdue", "red")
    assert found.text == "3 h 5 min, was due today 08:45 EDT"


def test_what_arrived_late_is_not_called_overdue() -> None:
    """Born overdue: its own tag, how late it was told, and that it is still worth doing."""
    late = task("2026-10-05T18:00:00Z", overdue=True, born_overdue=True, lateness="PT72H")
    found = wording.due(late, NOW)
    assert found.tag == wording.Tag("Arrived late", "amber")
    assert found.text == "was due yesterday 14:00 EDT"
    told = "GEN told us 72 h after the discharge. A call is still worth making."
    assert found.more == (told,)


def test_both_clocks_of_a_friday_discharge_before_a_holiday() -> None:
    """Friday 18:00, Monday a holiday: 48 hours end on Sunday, two business days on Wednesday."""
    friday = read("2026-10-09T22:00:00Z")  # Columbus Day is Mon 12 Oct
    found = wording.due(task("2026-10-11T22:00:00Z", tcm_contact_by="2026-10-15T04:00:00Z"), friday)
    assert found.text == "Sun 11 Oct 18:00 EDT, in 2 d"
    assert found.more == ("TCM contact by end of Wed 14 Oct",)


def test_past_due_alone_does_not_make_overdue() -> None:
    """Only who decides says overdue; until then a past time is told without the word."""
    found = wording.due(task("2026-10-06T12:45:00Z"), NOW)
    assert found.tag == wording.Tag("Due today", "amber")
    assert found.text == "due today 08:45 EDT"


@pytest.mark.parametrize(
    ("ended", "words"),
    [("2026-10-06T14:00:00Z", "Done"), ("2026-10-06T20:00:00Z", "Done, 2 h late")],
)
def test_done_says_how_late(ended: str, words: str) -> None:
    done = task("2026-10-06T18:00:00Z", status="completed", ended_at=ended)
    found = wording.due(done, NOW)
    assert found.tag is not None
    assert found.tag.text == words


BEHIND = (
    "Behind 12 min: what arrived since 11:38 is not here yet. Nothing is called overdue or missing"
    " on the strength of it."
)
STALE = (
    "Not updating since 11:38. Lists are as they were then; actions are stored and will take"
    " effect later."
)


@pytest.mark.parametrize(
    ("state", "words"), [("current", "Current"), ("behind", BEHIND), ("stale", STALE)]
)
def test_freshness_in_words(state: str, words: str) -> None:
    until = "2026-10-06T15:38:00Z"
    told = {"state": state, "data_until": until, "behind_s": 720, "silent_feeds": []}
    assert fresh_words(told, 4.0, ZONE, NOW).words == words


def test_what_is_not_known_is_called_so() -> None:
    told = {"state": "unknown", "data_until": None, "behind_s": None, "silent_feeds": ["GEN"]}
    found = fresh_words(told, None, ZONE, NOW)
    assert found.words == "State of the data not known yet"
    assert found.age is None


def test_a_silent_feed_says_for_how_long_and_what_is_usual() -> None:
    """Nothing arrives: what is missing may be missing data."""
    said = silence("GEN", NOW - 3 * HOUR, timedelta(minutes=20), NOW)
    told = "GEN has sent nothing for 3 h (usually every 20 min)."
    assert said == f"{told} Missing discharges may be missing data."
    assert silence("MID", None, None, NOW).startswith("MID has sent nothing for long. ")


@pytest.mark.parametrize(
    ("hours", "at", "opens"),
    [
        (None, "11:00", True),
        (None, "07:59", False),
        (None, "21:00", False),
        ("17:00-20:00", "16:59", False),
        ("17:00-20:00", "17:00", True),
        ("after 5 pm", "16:00", False),
        ("after 5 pm", "18:00", True),
        ("before 12:00", "11:59", True),
        ("before 12:00", "12:00", False),
        ({"from": "09:00", "to": "12:00"}, "08:59", False),
        ({"from": "09:00", "to": "12:00"}, "11:59", True),
        ([{"from": "09:00", "to": "10:00"}, "18:00-19:00"], "18:30", True),
        ("whenever", "11:00", True),  # not read: the usual window holds
    ],
)
def test_the_call_window(hours: Any, at: str, opens: bool) -> None:
    moment = datetime.fromisoformat(f"2026-10-06T{at}:00+00:00")
    assert calling.is_open(hours, moment) is opens


@pytest.mark.parametrize(
    ("born", "age"),
    [("1950-10-06", 76), ("1950-10-07", 75), ("1950", 75), ("1950-11", 75), ("soon", None)],
)
def test_age(born: str, age: int | None) -> None:
    """In whole years; of a year alone, as if born on its last day."""
    assert calling.age(born, wording.local(NOW, ZONE).date()) == age


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Ana Lopez", "Ana Lopez"),
        ({"family": "Lopez", "given": ["Ana", "María"]}, "Ana María Lopez"),
        ({"text": "Ana Lopez", "family": "X"}, "Ana Lopez"),
        ({"given": "Ana"}, "Ana"),
        ({}, None),
        (None, None),
    ],
)
def test_names_however_they_were_sent(name: Any, words: str | None) -> None:
    assert calling.name_words(name) == words


def test_moments_of_another_year_have_it() -> None:
    assert wording.moment(NOW - 400 * 24 * HOUR, ZONE, NOW) == "Mon 1 Sep 2025 11:50 EDT"


@pytest.mark.parametrize(
    ("said", "words"),
    [("1950-02-01", "1 Feb 1950"), ("1950-02", "1950-02"), (None, None), ("", None)],
)
def test_a_birth_date_is_shown_to_be_asked_for(said: str | None, words: str | None) -> None:
    """Who is called must say it before anything is told; a part of a date is shown as it is."""
    assert calling.born(said) == words
