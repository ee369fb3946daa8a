"""Whoever looks at the clock leaves behind when to look again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.horizon import Horizon
from orchestrator.core.instants import SECOND
from tests.core.builders import D


@pytest.mark.parametrize(("ahead", "expected"), [(SECOND, False), (0, True), (-SECOND, True)])
def test_an_instant_is_reached_from_itself_on(ahead: int, expected: bool) -> None:
    """The due instant is the first that is too late."""
    assert Horizon(D).reached(D + ahead) is expected


@given(st.lists(st.integers(-1000, 1000)))
def test_the_next_wake_is_the_earliest_instant_not_yet_reached(asked: list[int]) -> None:
    """Nothing that was asked for in vain can pass unnoticed, and nobody is woken for the past."""
    horizon = Horizon(0)
    for instant in asked:
        assert horizon.reached(instant) is (instant <= 0)
    assert horizon.wake == min((i for i in asked if i > 0), default=None)


def test_without_a_question_nothing_needs_to_wake() -> None:
    """A patient of whom nothing depends on time costs nothing at a clock."""
    assert Horizon(D).wake is None
