"""Words for times and things, as a nurse would say them."""

from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.cli import words
from orchestrator.cli.console import counted
from orchestrator.cli.report import lines
from orchestrator.ops import spans

ZONE = "America/New_York"


def test_a_due_instant_is_said_in_the_facilitys_zone() -> None:
    """With its abbreviation, because teams work across zones."""
    assert words.due(datetime(2026, 10, 8, 18, tzinfo=UTC), ZONE) == "due Thu 8 Oct 14:00 EDT"


def test_an_end_of_a_day_is_named_by_that_day() -> None:
    """Never as the midnight after it, which reads as a day more."""
    midnight = datetime(2026, 10, 14, 4, tzinfo=UTC)

    assert words.due(midnight, ZONE) == "by end of Tue 13 Oct"
    assert words.since(midnight, ZONE) == "since the end of Tue 13 Oct"


def test_the_zone_changes_with_the_season() -> None:
    """The end of day 30 lies behind the change of clocks."""
    assert words.moment(datetime(2026, 11, 6, 5, tzinfo=UTC), ZONE) == "Fri 6 Nov 00:00 EST"


@pytest.mark.parametrize(
    ("span", "said"),
    [
        (timedelta(seconds=59), "under 1 min"),
        (timedelta(minutes=1), "1 min"),
        (timedelta(hours=3, minutes=5), "3 h 5 min"),
        (timedelta(hours=24), "1 d"),
        (timedelta(days=1, hours=20, minutes=59), "1 d 20 h"),
        (timedelta(days=2, minutes=5), "2 d"),
    ],
)
def test_a_length_is_said_by_its_two_largest_units(span: timedelta, said: str) -> None:
    """Nobody needs the minutes of a day."""
    assert spans.length(span) == said


def test_numbers_carry_their_noun() -> None:
    """One is one."""
    assert (counted(1, "patient"), counted(2140, "task")) == ("1 patient", "2,140 tasks")


def test_what_is_new_here_is_shown_as_it_is() -> None:
    """A kind or code that this version does not know keeps its name."""
    assert words.task("HOME_VISIT") == "Home visit"
    assert words.gap("LOST_LETTER") == "Lost letter"


def test_a_date_of_another_year_carries_it() -> None:
    """Beside an instant of the same year the year is noise; alone or in another it is needed."""
    new_year = datetime(2027, 1, 2, 17, tzinfo=UTC)
    autumn = datetime(2026, 10, 6, 18, tzinfo=UTC)

    assert words.dated(autumn, ZONE) == "Tue 6 Oct 2026 14:00 EDT"
    assert words.moment(autumn, ZONE, autumn) == "Tue 6 Oct 14:00 EDT"
    assert words.moment(new_year, ZONE, autumn) == "Sat 2 Jan 2027 12:00 EST"
    assert words.due(datetime(2027, 1, 3, 5, tzinfo=UTC), ZONE, autumn) == (
        "by end of Sat 2 Jan 2027"
    )


def test_every_task_is_counted_in_one_column() -> None:
    """Open, done, failed and withdrawn add up; overdue ones are among the open."""
    states = ("requested", "in-progress", "completed", "failed", "cancelled", "entered-in-error")
    tasks = [{"kind": "CALL_48H", "status": state, "overdue": False} for state in states]
    patient = {"patient": "GEN|1", "transitions": [], "tasks": tasks, "gaps": []}
    answer = {
        "as_of": "2026-10-06T18:00:00Z", "patients": [patient], "operations": [],
        "changes": [], "rejected": [],
    }  # fmt: skip

    _, heads, counts = [row[:60] for row, _ in lines(answer, ZONE, 0, 100)]
    assert heads.split() == ["Task", "open", "overdue", "done", "failed", "withdrawn"]
    assert counts.split()[-5:] == ["2", "0", "1", "1", "2"]


@pytest.mark.parametrize("columns", [60, 80, 100])
def test_totals_fit_the_screen(columns: int) -> None:
    """From 60 columns on, no line of the totals is wider than the screen."""
    task = {"kind": "CALL_48H", "status": "requested", "overdue": True}
    gap = {"code": "TCM_CONTACT_WINDOW_MISSED", "status": "open", "severity": "low"}
    patient = {"patient": "GEN|1", "transitions": [], "tasks": [task], "gaps": [gap]}
    answer = {
        "as_of": "2026-10-06T18:00:00Z", "patients": [patient], "operations": [],
        "changes": [], "rejected": [],
    }  # fmt: skip

    first, *totals = [row for row, _ in lines(answer, ZONE, 0, columns)]
    assert first.startswith("As of")  # a sentence, which may wrap
    assert len(totals) >= 2
    assert [row for row in totals if len(row) > columns] == []
