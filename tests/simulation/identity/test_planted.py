"""The checks check: each bug planted in the protocol breaks a promise in a few random histories."""

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
