"""Python's full look for garbage is taken now and then, not every second."""

import gc
from collections.abc import Iterator

import pytest

from orchestrator.stream import garbage
from orchestrator.stream.garbage import Sweeper


class Ring:
    """Refers to itself: only a look for garbage frees it."""

    gone = 0

    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        Ring.gone += 1


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    thresholds = gc.get_threshold()
    Ring.gone = 0
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


def test_the_full_look_is_ours_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Old garbage waits for it, however much is made meanwhile; when it is time, it goes."""
    now = 0.0
    monkeypatch.setattr("orchestrator.stream.garbage.time.monotonic", lambda: now)
    sweeper = Sweeper()
    old = Ring()
    gc.collect(0)
    gc.collect(1)  # it is among the oldest now
    del old
    keep = [[number] for number in range(50 * garbage.YOUNG)]
    sweeper.step()
    assert (Ring.gone, len(keep)) == (0, 50 * garbage.YOUNG)

    now = garbage.EVERY_S
    sweeper.step()
    assert Ring.gone == 1
    assert gc.get_freeze_count() > len(keep)
