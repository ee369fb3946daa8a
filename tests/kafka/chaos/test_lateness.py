"""LATE is as sharp as it says: no planted delay beyond the bound passes, and nothing widens it."""

from typing import Final

import pytest

from orchestrator.core.instants import SECOND, written
from tests.kafka.chaos.lateness import Bounds, Excuse, Timing, Window, noticed, timing, windows
from tests.kafka.chaos.nemesis import Fault
from tests.kafka.chaos.recorded import Landed, Recorded, Sight
from tests.kafka.chaos.stories import Change, Step, Story

BOUNDS: Final = Bounds()
START: Final = 1_790_000_000 * SECOND
FAULT: Final = Excuse(START + 100 * SECOND, START + 112 * SECOND)
HELD_UP: Final = 2_500  # records that were accepted while it lasted
# Healed, everybody back after 15 s, and 2.5 s for what came meanwhile.
OVER: Final = START + (112 + 15) * SECOND + SECOND * 5 // 2


def recorded(seen: int | None, looked: int = START + 3600 * SECOND) -> Recorded:
    """A change log of one record, shown at *seen*; inputs that came during the fault."""
    during = range(FAULT.begins, FAULT.heals, (FAULT.heals - FAULT.begins) // HELD_UP)[:HELD_UP]
    found = Recorded(
        {}, [Landed("t", 0, n, at, "", "") for n, at in enumerate(during)], {}, {}, {}, [], {}
    )
    found.seen = {0: {} if seen is None else {7: Sight(seen, 0)}}
    found.looked = looked
    return found


def told(receipt: int, at: int) -> list[Story]:
    """Somebody with one event, and one change that says when it was owed."""
    step = Step({}, 0, 0, receipt + 1000, receipt)
    change = Change({"change": "task.requested", "at": written(at)}, 0, 7)
    return [Story("key", "GEN|1", 0, [step], [[change]])]


def found(since: int, seen: int | None, *excuses: Excuse, deadline: bool = False) -> Timing:
    """The answer about one change that was owed *since* then."""
    story = told(since - 60 * SECOND, since) if deadline else told(since, since)
    return timing(recorded(seen), story, excuses, BOUNDS)


@pytest.mark.parametrize("deadline", [False, True], ids=["event", "deadline"])
@pytest.mark.parametrize(
    ("since", "excuses", "bound"),
    [
        pytest.param(START, [], START + 5 * SECOND, id="no fault"),
        pytest.param(START, [FAULT], START + 5 * SECOND, id="long before a fault"),
        pytest.param(FAULT.begins - 5 * SECOND, [FAULT], OVER + 5 * SECOND, id="just before it"),
        pytest.param(FAULT.begins + SECOND, [FAULT], OVER + 5 * SECOND, id="during it"),
        pytest.param(FAULT.heals + 9 * SECOND, [FAULT], OVER + 5 * SECOND, id="after its healing"),
        pytest.param(OVER + SECOND, [FAULT], OVER + 6 * SECOND, id="when it should be over"),
    ],
)
def test_beyond_its_bound_a_change_is_late(
    since: int, excuses: list[Excuse], bound: int, deadline: bool
) -> None:
    """At the bound it is not, a microsecond later it is."""
    assert found(since, bound, *excuses, deadline=deadline).findings == []
    (late,) = found(since, bound + 1, *excuses, deadline=deadline).findings
    assert late.sort == "LATE"


def test_a_second_fault_excuses_only_what_it_may_have_held_up() -> None:
    """After a healthy while it begins anew; while the first is not over they are one."""
    apart = Excuse(OVER + 6 * SECOND, OVER + 8 * SECOND)
    close = Excuse(OVER + 4 * SECOND, OVER + 8 * SECOND)
    landed = recorded(None).landed

    assert windows([FAULT, apart], landed, BOUNDS) == [
        Window(FAULT.begins, OVER),
        Window(apart.begins, apart.heals + BOUNDS.back),
    ]
    assert windows([close, FAULT], landed, BOUNDS) == [
        Window(FAULT.begins, close.heals + BOUNDS.back)
    ]
    assert found(FAULT.begins, OVER + 5 * SECOND + 1, FAULT, apart).findings


def test_a_product_that_takes_long_to_go_on_excuses_itself_by_nothing() -> None:
    """The bound is made of when a fault was healed, not of when work went on."""
    slow = Fault("worker-kill", "", FAULT.begins, FAULT.heals, FAULT.heals + 3600 * SECOND)

    assert slow.breaks
    assert found(FAULT.begins, OVER + 6 * SECOND, Excuse(slow.begins, slow.heals)).findings


@pytest.mark.parametrize("kind", ["poison", "repeats"])
def test_a_fault_that_only_sends_excuses_nothing(kind: str) -> None:
    """The product is to have it beside its work."""
    assert not Fault(kind, "", START).breaks


def test_a_change_that_nobody_was_ever_shown_is_late() -> None:
    """Unless its bound had not passed when the follower looked last."""
    assert [one.sort for one in found(START, None).findings] == ["LATE"]
    still = recorded(None, looked=START + 4 * SECOND)
    assert timing(still, told(START, START), [], BOUNDS).findings == []


def test_how_sharp_it_was_is_told_by_what_it_would_have_found() -> None:
    """The share of changes that a further delay takes beyond their bound."""
    shares = noticed([4.9, 9.0, 20.0, 100.0])
    assert (shares["5 s"], shares["10 s"], shares["30 s"], shares["300 s"]) == (0.25, 0.5, 0.75, 1)
