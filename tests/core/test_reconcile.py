"""Versions, occurrences and close reasons: the history that the plan does not know."""

from typing import Any

import pytest

from orchestrator.core.instants import HOUR, written
from orchestrator.core.reconcile import Change, Ledger, reconcile
from orchestrator.core.wanted import Plan, Wanted
from tests.core.builders import D


def why() -> str:
    return "Because."


def transition(**said: Any) -> Wanted:
    content: dict[str, Any] = {
        "transition_id": "X",
        "status": "active",
        "close_reason": None,
        "disposition": "01",
        "ended_at": None,
    }
    return Wanted("X", {**content, **said}, why)


def task(**said: Any) -> Wanted:
    content: dict[str, Any] = {
        "task_id": "T",
        "transition_id": "X",
        "status": "requested",
        "status_reason": None,
        "overdue": False,
        "attribution": None,
        "owner": None,
        "ended_at": None,
    }
    return Wanted("T", {**content, **said}, why)


def gap(code: str = "NO_PCP_ON_FILE", **said: Any) -> Wanted:
    content: dict[str, Any] = {
        "gap_id": "G",
        "transition_id": "X",
        "code": code,
        "status": "open",
        "severity": "medium",
        "close_reason": None,
        "evidence": {},
    }
    return Wanted("G", {**content, **said}, why)


def plan(*wanted: Wanted) -> Plan:
    kinds: dict[str, list[Wanted]] = {"transition_id": [], "task_id": [], "gap_id": []}
    for one in wanted:
        kinds[next(iter(one.content))].append(one)
    return Plan(kinds["transition_id"], kinds["task_id"], kinds["gap_id"])


class Book:
    """A ledger brought to one plan after the other, an hour apart."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.at = D - HOUR

    def to(self, *wanted: Wanted) -> list[Change]:
        self.at += HOUR
        return reconcile(self.ledger, plan(*wanted), self.at)


def told(changes: list[Change]) -> list[tuple[str, int]]:
    return [(one.change, one.thing["version"]) for one in changes]


@pytest.fixture
def book() -> Book:
    return Book()


def test_what_stands_as_it_should_is_no_change(book: Book) -> None:
    """A feed that repeats itself publishes nothing."""
    first = book.to(transition(), task(), gap())
    assert told(first) == [("transition.opened", 1), ("task.requested", 1), ("gap.opened", 1)]
    assert book.to(transition(), task(), gap()) == []


def test_versions_grow_by_one_per_published_change(book: Book) -> None:
    """For ever: also over withdrawal and return."""
    book.to(transition(), task())
    assert told(book.to(transition(), task(owner="n1"))) == [("task.updated", 2)]
    assert told(book.to(transition(), task(owner="n1", overdue=True))) == [("task.overdue", 3)]
    assert told(book.to(transition())) == [("task.cancelled", 4)]
    assert told(book.to(transition(), task())) == [("task.updated", 5)]


def test_a_version_that_was_published_never_changes(book: Book) -> None:
    """Equal id and version are identical records: the ledger keeps copies apart."""
    (first,) = book.to(task())
    before = dict(first.thing)
    book.to(task(owner="n1"))
    assert first.thing == before


@pytest.mark.parametrize("status", ["completed", "cancelled", "failed"])
def test_a_terminal_task_says_when_we_knew_it(book: Book, status: str) -> None:
    """And only once, however long it stays so."""
    book.to(task())
    (change,) = book.to(task(status=status))
    assert (change.change, change.thing["closed_at"]) == (f"task.{status}", written(D + HOUR))
    (again,) = book.to(task(status=status, flags=["WRONG_PATIENT"]))
    assert (again.change, again.thing["closed_at"]) == ("task.updated", written(D + HOUR))


@pytest.mark.parametrize("status", ["cancelled", "failed", "entered-in-error"])
def test_what_was_withdrawn_stays_as_it_was(book: Book, status: str) -> None:
    """A visit booked for the dead, a corrected hour: nobody hears of the task again (4c)."""
    book.to(task())
    book.to(task(status=status))
    assert not book.to(task(status=status, appointment_id="A1", due_at="2026-10-30T00:00:00Z"))


def test_entered_in_error_is_a_cancellation_to_who_reads_it(book: Book) -> None:
    """There is no other word for it on the queue."""
    book.to(task())
    assert told(book.to(task(status="entered-in-error"))) == [("task.cancelled", 2)]


def test_a_task_that_returns_is_open_as_at_first(book: Book) -> None:
    """Same id, first opening, not closed any more."""
    book.to(task())
    book.to(task(status="cancelled", status_reason="READMITTED"))
    (back,) = book.to(task())
    assert back.thing["opened_at"] == written(D)
    assert back.thing["closed_at"] is None
    assert back.thing["status_reason"] is None


@pytest.mark.parametrize("status", ["cancelled", "entered-in-error"])
def test_a_task_born_withdrawn_reaches_nobody(book: Book, status: str) -> None:
    """Nobody is told not to do what they never heard of."""
    assert book.to(task(status=status)) == []
    assert book.ledger.tasks == {}


@pytest.mark.parametrize("status", ["completed", "failed"])
def test_a_task_born_done_or_failed_is_published(book: Book, status: str) -> None:
    """Dashboards count it."""
    (change,) = book.to(task(status=status))
    assert change.thing["closed_at"] == change.thing["opened_at"] == written(D)


@pytest.mark.parametrize("reason", ["DISCHARGE_CANCELLED", "ADMIT_CANCELLED", "WRONG_PATIENT"])
def test_a_transition_taken_back_before_anyone_heard_is_not_published(
    book: Book, reason: str
) -> None:
    """It never was."""
    assert book.to(transition(status="closed", close_reason=reason)) == []


@pytest.mark.parametrize("reason", ["EXPIRED", "HOSPICE", "WINDOW_ENDED", "READMITTED"])
def test_a_transition_born_closed_is_published(book: Book, reason: str) -> None:
    """It was, and it is over."""
    (change,) = book.to(transition(status="closed", close_reason=reason))
    assert (change.change, change.thing["version"]) == ("transition.opened", 1)
    assert change.thing["closed_at"] == written(D)


def test_a_transition_that_comes_back_is_open_again(book: Book) -> None:
    """The readmission was cancelled."""
    book.to(transition())
    assert told(book.to(transition(status="closed", close_reason="READMITTED"))) == [
        ("transition.closed", 2)
    ]
    (back,) = book.to(transition())
    assert (back.change, back.thing["version"]) == ("transition.updated", 3)
    assert back.thing["closed_at"] is None


def test_a_transition_that_no_discharge_opens_any_more_is_superseded(book: Book) -> None:
    """The facts were corrected; its tasks do not apply."""
    book.to(transition(), task())
    changes = book.to()
    assert told(changes) == [("transition.closed", 2), ("task.cancelled", 2)]
    assert changes[0].thing["close_reason"] == "SUPERSEDED"
    assert changes[1].thing["status_reason"] == "NOT_APPLICABLE"
    assert book.to() == []


@pytest.mark.parametrize("reason", ["EXPIRED", "HOSPICE"])
def test_a_task_that_vanishes_with_its_transition_says_why(book: Book, reason: str) -> None:
    """A death is told as a death, not as a correction."""
    book.to(transition(), task(overdue=True))
    changes = book.to(transition(status="closed", close_reason=reason))
    (gone,) = [one.thing for one in changes if one.kind == "task"]
    assert (gone["status"], gone["status_reason"], gone["overdue"]) == ("cancelled", reason, False)


def test_a_gap_that_comes_back_is_the_same_gap_again(book: Book) -> None:
    """Same id, next occurrence, opened anew."""
    book.to(gap())
    assert told(book.to()) == [("gap.closed", 2)]
    (again,) = book.to(gap())
    assert (again.change, again.thing["version"], again.thing["occurrence"]) == (
        "gap.opened",
        3,
        2,
    )
    assert again.thing["opened_at"] == written(D + 2 * HOUR)
    assert (again.thing["closed_at"], again.thing["close_reason"]) == (None, None)


def test_a_gap_that_changes_stays_the_same_occurrence(book: Book) -> None:
    """A severity is no new gap."""
    book.to(gap())
    (change,) = book.to(gap(severity="high"))
    assert (change.change, change.thing["occurrence"], change.thing["opened_at"]) == (
        "gap.changed",
        1,
        written(D),
    )


def test_a_gap_born_closed_reaches_nobody(book: Book) -> None:
    """Acknowledged before it was published: there is nothing to say."""
    assert book.to(gap(status="closed", close_reason="ACKNOWLEDGED")) == []


def test_an_acknowledged_gap_is_closed_once(book: Book) -> None:
    """And not again when the plan stops naming it."""
    book.to(gap())
    (closed,) = book.to(gap(status="closed", close_reason="ACKNOWLEDGED"))
    assert (closed.change, closed.thing["closed_at"]) == ("gap.closed", written(D + HOUR))
    assert book.to(gap(status="closed", close_reason="ACKNOWLEDGED")) == []
    assert book.to() == []


CLOSED = "closed"


@pytest.mark.parametrize(
    ("opened", "ended_by", "expected"),
    [
        (gap(), None, "RESOLVED"),
        (gap(), "WINDOW_ENDED", "TRANSITION_CLOSED"),
        (gap(), "READMITTED", "TRANSITION_CLOSED"),
        (gap(), "DISCHARGE_CANCELLED", "RETRACTED"),
        (gap(), "ADMIT_CANCELLED", "RETRACTED"),
        (gap("READMISSION_30D", status="recorded"), None, "RETRACTED"),
        (gap("LATE_NOTIFICATION", status="recorded"), "WINDOW_ENDED", "RETRACTED"),
        (gap("TRANSFER_NOT_ARRIVED"), "TRANSFERRED", "RESOLVED"),
        (gap("TRANSFER_NOT_ARRIVED"), "WINDOW_ENDED", "TRANSITION_CLOSED"),
        (gap("EVENT_PARKED", transition_id=None), None, "RESOLVED"),
    ],
)
def test_a_gap_that_is_wanted_no_more_says_why(
    book: Book, opened: Wanted, ended_by: str | None, expected: str
) -> None:
    """Contract, section 4: close reasons."""
    book.to(transition(), opened)
    changes = book.to(
        transition() if ended_by is None else transition(status=CLOSED, close_reason=ended_by)
    )
    (closed,) = [one.thing for one in changes if one.kind == "gap"]
    assert (closed["status"], closed["close_reason"]) == (CLOSED, expected)


@pytest.mark.parametrize(
    ("left", "ended_by", "expected"),
    [
        (task(status="completed"), None, "TASK_TERMINAL"),
        (task(status="failed"), "WINDOW_ENDED", "TASK_TERMINAL"),
        (task(), None, "RETRACTED"),  # its due time moved: it is not overdue any more
        (task(status="cancelled"), "DISCHARGE_CANCELLED", "RETRACTED"),
    ],
)
def test_an_overdue_gap_closes_with_its_task_or_was_none(
    book: Book, left: Wanted, ended_by: str | None, expected: str
) -> None:
    """Whether the task is over or its due time was corrected."""
    overdue = gap("TASK_OVERDUE", evidence={"task_id": "T"})
    book.to(transition(), task(overdue=True), overdue)
    end = {} if ended_by is None else {"status": CLOSED, "close_reason": ended_by}
    (closed,) = [one.thing for one in book.to(transition(**end), left) if one.kind == "gap"]
    assert closed["close_reason"] == expected


@pytest.mark.parametrize(("now", "expected"), [("01", "RESOLVED"), ("ZZ", "TRANSITION_CLOSED")])
def test_an_unknown_disposition_is_resolved_by_a_known_one(
    book: Book, now: str, expected: str
) -> None:
    """Also where the correction ends the transition."""
    doubt = gap("DISPOSITION_UNKNOWN", evidence={"disposition": "ZZ"})
    book.to(transition(disposition="ZZ"), doubt)
    changes = book.to(transition(disposition=now, status=CLOSED, close_reason="EXPIRED"))
    (closed,) = [one.thing for one in changes if one.kind == "gap"]
    assert closed["close_reason"] == expected


def test_transitions_are_told_before_tasks_before_gaps(book: Book) -> None:
    """Whoever reads in order never meets a task whose transition is not known."""
    kinds = [one.kind for one in book.to(gap(), task(), transition())]
    assert kinds == ["transition", "task", "gap"]
