"""The checks check: each bug planted in the protocol breaks a promise in a few random histories.

| bug | the promise that it breaks first |
|---|---|
| AheadOfTheOthers, OwnClockOnly, AnswersAtOnce | no deadline overtakes what was accepted before |
| NotWhole, HeldLeftBehind, LateFactsStay | the same |
| NoIdentityGate, LatestGroup, NoIntakeGate | the same, of members and of facts |
| BackInTime, ClockLeftBehind | the clock of a row never runs backwards |
| StampLeftBehind | no change is dated before an earlier one |
| StrangersPlanned | only members are planned together |
| RepeatedState, KeepsACopy | one chart, one publisher |
| SeqFromOne | one content per subject and number |
| ArrivalOrder, ForgetsWhatItSaw | a command is answered once |
| SubjectDecides, LedgerLeftBehind | no command is refused for a task that was published |
| CommandsLeftBehind, NeverAsks, AsksOnce | every command is answered, every deadline fires |
| LatestHome, OldHomeNotTold | every chart comes home |
| KeptWhereItCame, SeenTwice | what stands in the end is the refold in one partition |
| NumbersNotAsked, AskedAtTheFirstMove, VoidMovesForgotten | a moved visit is somebody's, whole |
| NumbersAnsweredOnce, QuestionLeftBehind | the same, of numbers that are told later |
| MarksAsTheyCome, OnlyWhatChanges, NumbersBeginAnew | homes follow from the set of marks |
"""

import pytest

from tests.simulation.identity.directory import Directory
from tests.simulation.identity.history import History
from tests.simulation.identity.key import Key
from tests.simulation.identity.planted import PLANTED, world_with
from tests.simulation.identity.world import World

PATIENCE = 3_000


@pytest.mark.parametrize("bug", PLANTED, ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_caught(bug: type[Key] | type[Directory] | type[World]) -> None:
    """Some seed finds it; without the bug the same seeds find nothing (`test_protocol`)."""
    world = world_with(bug)
    for seed in range(PATIENCE):
        try:
            History(seed, world).run()
        except AssertionError:  # a Violation, or what the protocol itself asserts
            return
    pytest.fail(f"not caught in {PATIENCE} histories")
