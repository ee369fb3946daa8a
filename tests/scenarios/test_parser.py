"""A story that is written wrongly does not run, and says where."""

from pathlib import Path

import pytest

from tests.scenarios.answer import compare
from tests.scenarios.builders import build_event
from tests.scenarios.expected import Expected
from tests.scenarios.happenings import Chart
from tests.scenarios.instants import StoryError, end_of_local_day, read_instant, wire
from tests.scenarios.story import read_file

ZONES = {"GEN": "America/New_York"}


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("Tue 10-06 14:00 EDT", "2026-10-06T18:00:00Z"),
        ("Tue 10-06 13:00 CDT", "2026-10-06T18:00:00Z"),
        ("end of Wed 11-04 EST", "2026-11-05T05:00:00Z"),
        ("Sun 11-01 01:30 EDT", "2026-11-01T05:30:00Z"),
        ("Sun 11-01 01:30 EST", "2026-11-01T06:30:00Z"),
        ("end of Sun 11-01 EST", "2026-11-02T05:00:00Z"),
        ("Tue 2027-03-16 00:00:01 EDT", "2027-03-16T04:00:01Z"),
    ],
)
def test_instants_are_read_as_people_write_them(text: str, instant: str) -> None:
    """Weekday, day, time and zone; the hour that comes twice by its abbreviation."""
    assert wire(read_instant(text)) == instant


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("Wed 10-06 14:00 EDT", "is a Tuesday"),
        ("Tue 10-06 14:00 EST", "not in force"),
        ("Tue 10-06 14:00 XYZ", "zone not known"),
        ("Tue 10-06 EDT", "either a time of day"),
        ("end of Tue 10-06 14:00 EDT", "either a time of day"),
        ("2026-10-06T18:00:00Z", "not an instant"),
    ],
)
def test_a_miscounted_instant_is_refused(text: str, complaint: str) -> None:
    """A wrong weekday or a zone not in force is the author's slip, found at once."""
    with pytest.raises(StoryError, match=complaint):
        read_instant(text)


def test_windows_end_an_hour_later_across_the_clock_change() -> None:
    """Day 29 and 30 of the baseline, as scenarios.md states them."""
    d = read_instant("Tue 10-06 14:00 EDT")
    assert wire(end_of_local_day(d, 29, ZONES["GEN"])) == "2026-11-05T05:00:00Z"
    assert wire(end_of_local_day(d, 30, ZONES["GEN"])) == "2026-11-06T05:00:00Z"


def test_words_become_the_event_a_publisher_sends() -> None:
    """One event, with nothing in it that the words do not say."""
    chart = Chart()
    build_event("admit V1 GEN inpatient emergency", "Thu 10-01 08:00 EDT", "", chart)
    words = "discharge V1 home with source hie/NET, recorded Tue 10-06 14:20 EDT"
    event = build_event(words, "Tue 10-06 14:00 EDT", "Tue 10-06 15:00 EDT", chart)
    assert event == {
        "specversion": "1.0",
        "id": "E2",
        "source": "hie/NET",
        "type": "care.discharge.recorded.v1",
        "subject": "HIE|P",
        "facility": "GEN",
        "time": "2026-10-06T18:00:00Z",
        "recordedtime": "2026-10-06T18:20:00Z",
        "receivedtime": "2026-10-06T19:00:00Z",
        "data": {"visit_number": "V1", "disposition": {"code": "01"}},
    }


def test_words_without_meaning_are_refused() -> None:
    """Neither a happening nor an extra may be misspelled."""
    with pytest.raises(StoryError, match="no such happening"):
        build_event("dischrage V1 home", "Tue 10-06 14:00 EDT", "", Chart())
    with pytest.raises(StoryError, match="no such extra"):
        build_event("patient has pcp with recieved 5", "Tue 10-06 14:00 EDT", "", Chart())


def test_an_outcome_that_nothing_created_is_refused() -> None:
    """Closing a gap that never opened is a slip of the story."""
    state = Expected(ZONES)
    at = read_instant("Tue 10-06 14:00 EDT")
    with pytest.raises(StoryError, match="never opened"):
        state.apply(("close NO_PCP_ON_FILE - RESOLVED",), at, {"": {}})
    with pytest.raises(StoryError, match="never issued"):
        state.apply(("core V1 cancelled READMITTED",), at, {"": {}})


def test_what_is_not_expected_is_named() -> None:
    """An answer with one gap too many differs."""
    gap: dict[str, object] = {
        "code": "NO_PCP_ON_FILE",
        "subject": "",
        "transition_id": None,
        "status": "open",
        "severity": "medium",
        "occurrence": 1,
        "close_reason": None,
        "evidence": {},
        "team": "scheduling",
        "opened_at": "2026-10-06T18:00:00Z",
        "closed_at": None,
        "since": "2026-10-06T18:00:00Z",
    }
    answer = {"patients": [], "operations": [gap], "rejected": []}
    (difference,) = compare(answer, Expected(ZONES))
    assert difference.startswith("unexpected  gap NO_PCP_ON_FILE -")


def test_rows_are_read_with_their_continuations(tmp_path: Path) -> None:
    """A row without `when` and `happens` adds to the outcome above it."""
    path = tmp_path / "01.txt"
    path.write_text(
        "Covers: scenario 1; rulings 6, 8-9\n"
        "Story 1a: title\n"
        "when | heard | happens | then\n"
        "Tue 10-06 14:00 EDT | | clock | nothing  # why\n"
        " | | | one; two\n"
        " | | touch V1 | three\n",
        encoding="utf-8",
    )
    read = read_file(path)
    assert (read.scenarios, read.rulings) == ({1}, {6, 8, 9})
    first, second = read.stories[0].rows
    assert first.then == ("nothing", "one", "two")
    assert (second.when, second.happens, second.then) == (first.when, "touch V1", ("three",))


def test_a_line_of_no_known_form_is_refused(tmp_path: Path) -> None:
    """With file and line number."""
    path = tmp_path / "02.txt"
    path.write_text("Story 2a: title\nsomething else\n", encoding="utf-8")
    with pytest.raises(StoryError, match=r"02\.txt:2"):
        read_file(path)
