"""Clocks: the demo's runs faster, and none is believed when it jumps."""

import pytest

from orchestrator.core.instants import DAY, MINUTE, SECOND, read
from orchestrator.stream.clock import ClockGuard, ManualClock, RealClock, SpeedClock, clock_of

START = read("2026-10-06T18:00:00Z")


def test_a_speeded_clock_shows_its_start_and_runs_faster() -> None:
    """Sixty minutes of the story pass in one of ours."""
    real = RealClock()
    before = real.now()
    clock = SpeedClock(START, 60, origin=before)
    shown = clock.now()
    after = real.now()
    assert START <= shown <= START + (after - before) * 60


def test_a_second_process_makes_the_same_clock_from_its_words() -> None:
    """A publisher that joins the demo stamps with the demo's time."""
    clock = SpeedClock(START, 60, origin=read("2026-11-22T08:00:00.123456Z"))
    again = clock_of(clock.written)
    assert isinstance(again, SpeedClock)
    assert (again.start, again.factor, again.origin) == (START, 60, clock.origin)
    assert isinstance(clock_of(RealClock().written), RealClock)


@pytest.mark.parametrize(
    "text", ["", "sundial", "slow 2026-10-06T18:00:00Z 1 2026-10-06T18:00:00Z"]
)
def test_an_unknown_clock_is_refused(text: str) -> None:
    """A log made with a clock of a later version is not stamped with another one."""
    with pytest.raises(ValueError, match=r"."):
        clock_of(text)


def test_a_clock_runs_forward() -> None:
    """A factor below one would be a mistake in the demo's options."""
    with pytest.raises(ValueError, match="forward"):
        SpeedClock(START, 0)


@pytest.mark.parametrize(
    ("jump", "noticed"),
    [(MINUTE, 0), (MINUTE + 1, MINUTE + 1), (40 * DAY, 40 * DAY), (-MINUTE - 1, -MINUTE - 1)],
)
def test_a_jump_of_more_than_a_minute_is_noticed(jump: int, noticed: int) -> None:
    """One minute is granted, in either direction; more is somebody's doing."""
    clock = ManualClock(START)
    guard = ClockGuard(clock)
    clock.advance(3 * DAY)
    clock.jump(jump)
    assert guard.jumped() == noticed
    assert guard.jumped() == 0 or noticed


def test_slow_drift_never_adds_up_to_a_jump() -> None:
    """A clock that gains a second a day for a year is not stepped once."""
    clock = ManualClock(START)
    guard = ClockGuard(clock)
    for _ in range(365):
        clock.advance(DAY)
        clock.jump(SECOND)
        assert guard.jumped() == 0


def test_time_that_passes_while_nobody_looks_is_no_jump() -> None:
    """A process that was stopped for a week finds a week gone on both readings."""
    clock = ManualClock(START)
    guard = ClockGuard(clock)
    clock.advance(7 * DAY)
    assert guard.jumped() == 0


def test_the_real_clock_agrees_with_itself() -> None:
    """Both readings of the machine's clock run at one pace."""
    guard = ClockGuard(RealClock())
    assert guard.jumped() == 0
