"""The generator keeps its promises: pure, and as dirty as real feeds are."""

from collections import Counter
from random import Random

from tests.simulation.histories import history
from tests.simulation.model.calendar import instant
from tests.simulation.tale import Options

SEEDS = 400


def test_a_seed_is_a_history() -> None:
    """Equal seeds give equal histories, so a failure can be told by its number."""
    assert history(Random(7)) == history(Random(7))
    assert history(Random(7)).events != history(Random(8)).events


def test_one_history_in_five_has_a_cancel_and_one_in_ten_a_readmission() -> None:
    """Otherwise the generator is too tame to prove anything (reliability.md §3.6)."""
    traits = Counter(t for seed in range(SEEDS) for t in history(Random(seed)).traits)
    assert traits["cancel"] >= 0.20 * SEEDS
    assert traits["readmission"] >= 0.10 * SEEDS
    for trait in ("correction", "repeat", "late", "commands"):
        assert traits[trait] >= 0.10 * SEEDS, trait
    for trait in ("skew", "backfill", "overlap", "planned", "death", "preference", "no admission"):
        assert traits[trait] >= 0.02 * SEEDS, trait


def test_calm_histories_state_when_they_were_recorded_and_run_behind() -> None:
    """Property (b) is promised only for these: no time after a receipt, `recordedtime` said."""
    options = Options(
        commands=False, skewed=False, backfill=False, explicit_recorded=True, calm=True
    )
    for seed in range(SEEDS // 4):
        for event in history(Random(seed), options).events:
            assert instant(event["time"]) <= instant(event["receivedtime"])
            assert "recordedtime" in event
            assert not event["type"].startswith("care.task.")
