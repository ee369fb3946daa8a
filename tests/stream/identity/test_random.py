"""The product's own processor keeps the promises of the identity protocol, whatever is said.

| bug planted in `orchestrator/stream/identity` | what breaks |
|---|---|
| own_clock_only, no_gate | a deadline fires before what was accepted before it |
| never_asks, future_left_behind, old_home_not_told | a command without a verdict |
| not_whole, late_facts_stay, marks_as_they_come | what stands is not the refold |
| queue_left_behind, moved_visit_begins_empty | what was said is lost on its way |
| seq_from_one, keeps_a_copy | two publishers of one subject |
| ledger_left_behind | a version with two contents |
| clock_left_behind | a clock runs backwards |
| numbers_not_asked, later_numbers_not_told, void_moves_forgotten | a visit is nobody's |
| handovers_without_end | a hand-over that operators hear of has no end |
"""

from collections import Counter
from dataclasses import asdict

import pytest

from tests.stream.identity.compare import run
from tests.stream.identity.planted import PLANTED, Plant

SEEDS = 90
BLOCKS = 3
PATIENCE = 400
# Where to look first for what is rare.
FIRST: dict[str, int] = {
    "numbers_not_asked": 100,
    "later_numbers_not_told": 80,
    "void_moves_forgotten": 120,
    "no_gate": 45,
}


@pytest.mark.parametrize("block", range(BLOCKS))
def test_random_histories_keep_every_promise(block: int) -> None:
    """What `Witness` demands at every output, and in the end the refold in one partition."""
    size = SEEDS // BLOCKS
    sums: Counter[str] = Counter()
    for seed in range(block * size, (block + 1) * size):
        sums.update(asdict(run(seed)))
    # The histories are not too tame, and nearly all could be compared.
    assert sums["marks"] > 4 * size
    assert sums["commands"] > size
    assert sums["deaths"] > 5 * size
    assert sums["compared"] > 0.8 * size


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_caught(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some seed breaks a promise, or the processor's own demands."""
    plant(monkeypatch)
    first = FIRST.get(plant.__name__, 0)
    for seed in range(first, first + PATIENCE):
        try:
            run(seed)
        except (AssertionError, RuntimeError, KeyError):
            return
    pytest.fail(f"not caught in {PATIENCE} histories")
