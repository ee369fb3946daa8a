"""How fresh is said truly: never fresher than what was read, and not known while it is not."""

import pytest

from orchestrator.worklist.instants import SECOND
from orchestrator.worklist.log.feed import Sample
from orchestrator.worklist.model.freshness import STALE_AFTER_S, Freshness, Now

T = 1_000 * SECOND
PLACE = ("care.change.v1", 0)


def sampled(freshness: Freshness, until: int, end: int, elapsed: float) -> None:
    freshness.sampled(Sample(until, {PLACE: end}), elapsed)


def test_before_any_look_it_is_not_known() -> None:
    """Never sampled is a state of its own, not zero seconds."""
    told = Freshness(60).told(Now(T, 0.0), [])

    assert (told["state"], told["data_until"], told["behind_s"]) == ("unknown", None, None)


def test_it_is_current_once_everything_before_the_look_was_read() -> None:
    """The promise holds from the moment the rows stand, not from the look."""
    freshness = Freshness(60)
    sampled(freshness, T, 5, 0.0)
    freshness.reached({PLACE: 4}, 1.0)
    before = freshness.state(Now(T, 1.0))
    freshness.reached({PLACE: 5}, 2.0)

    assert (before, freshness.state(Now(T, 2.0))) == ("unknown", "current")


@pytest.mark.parametrize(("age", "state"), [(60, "current"), (61, "behind")])
def test_older_than_allowed_is_behind(age: int, state: str) -> None:
    """`CARE_BEHIND_AFTER` is the last second that counts as current."""
    freshness = Freshness(60)
    sampled(freshness, T, 1, 0.0)
    freshness.reached({PLACE: 1}, 0.0)

    assert freshness.state(Now(T + age * SECOND, 1.0)) == state


def test_what_does_not_move_is_stale() -> None:
    """A deciding process, or a projection, that has stopped: lists are as they were then."""
    freshness = Freshness(60)
    sampled(freshness, T, 1, 0.0)
    freshness.reached({PLACE: 1}, 0.0)
    sampled(freshness, T, 1, STALE_AFTER_S + 1)
    freshness.reached({PLACE: 1}, STALE_AFTER_S + 1)

    assert freshness.state(Now(T, STALE_AFTER_S + 1)) == "stale"
    sampled(freshness, T + SECOND, 1, STALE_AFTER_S + 2)
    freshness.reached({PLACE: 1}, STALE_AFTER_S + 2)
    assert freshness.state(Now(T + SECOND, STALE_AFTER_S + 2)) == "current"


def test_what_is_behind_is_so_by_the_logs_clock() -> None:
    """Not by a second while it is current; then the whole of it, as in the sentence of the page."""
    freshness = Freshness(60)
    never = freshness.behind(Now(T, 0.0))
    sampled(freshness, T, 1, 0.0)
    freshness.reached({PLACE: 1}, 0.0)

    behind = [freshness.behind(Now(T + age * SECOND, 1.0)) for age in (60, 61, 1380)]
    assert (never, behind) == (None, [None, 61.0, 1380.0])


def test_under_load_the_nearer_look_is_waited_for() -> None:
    """Newer looks do not push the goal away for ever."""
    freshness = Freshness(60)
    sampled(freshness, T, 5, 0.0)
    sampled(freshness, T + SECOND, 50, 1.0)
    freshness.reached({PLACE: 5}, 2.0)

    assert freshness.told(Now(T, 2.0), [])["data_until"] == "1970-01-01T00:16:40Z"


def test_a_speeded_clock_is_judged_in_real_seconds() -> None:
    """In the demo a simulated hour passes in a second; that is not an hour behind."""
    freshness = Freshness(60)
    freshness.runs_at(3600.0)
    sampled(freshness, T, 1, 0.0)
    freshness.reached({PLACE: 1}, 0.0)

    assert freshness.state(Now(T + 3600 * SECOND, 1.0)) == "current"
