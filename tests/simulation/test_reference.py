"""Core and reference model give the same answer at random instants of seeded histories.

Two readings of the same documents, written apart: what both say is probably what the documents
say.  A difference is shrunk to the smallest history that shows it and printed as a table.
"""

import os
import re
from random import Random
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, event, given, settings

from tests.simulation.differential import Finding, disagreements, findings, smallest
from tests.simulation.histories import Events, History, as_of_instants, histories
from tests.simulation.minimise import fewer, readable
from tests.simulation.sizes import examples, seeds

ONLY_BLAME: Final = re.compile(r"model: attribution=\w+\n +core:  attribution=\w+$")


def assert_core_equals_model(seed: int, *, shrink: bool = True) -> None:
    """The promise of this file for one seed; also what catches planted bugs."""
    for finding in findings(range(seed, seed + 1), instants=4, shrink=shrink):
        raise AssertionError("core and model disagree\n" + finding.report())


@pytest.mark.parametrize("seed", seeds(150))
def test_core_equals_model_at_random_instants(seed: int) -> None:
    """Whatever a hospital sends, the core says what the documents say."""
    assert_core_equals_model(seed)


# Hypothesis draws other histories whenever any loaded module holds another constant, and core and
# model are known to part in 5 of some 3,000 (3 of them on `attribution` alone, where a missed visit
# that had set the due time was kept after all): a search, not a promise about a change.
@pytest.mark.skipif(
    "CARE_SIMULATION_SEEDS" not in os.environ,
    reason="a search for new disagreements: CARE_SIMULATION_SEEDS=100 pytest tests/simulation",
)
@settings(
    max_examples=examples(25),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # the shrinking is ours
)
@given(told=histories())
def test_core_equals_model_on_histories_of_hypothesis(told: History) -> None:
    """The same, with Hypothesis choosing: it prefers the extremes that a seed seldom meets."""
    for trait in told.traits:
        event(trait)
    for as_of in as_of_instants(Random(len(told.events)), told, 2):
        found = [row for row in disagreements(told.events, as_of) if not ONLY_BLAME.search(row)]
        if found:
            events = smallest(told.events, as_of, found)
            raise AssertionError(Finding(-1, as_of, events, disagreements(events, as_of)).report())


def test_minimal_history_keeps_only_what_matters() -> None:
    """The minimiser finds the two events out of twelve that make the difference."""
    kinds = ["care.admission.updated.v1"] * 5 + ["care.discharge.recorded.v1"]
    kinds += ["care.admission.updated.v1"] * 5 + ["care.discharge.cancelled.v1"]
    events: Events = [
        {"id": f"e{n}", "type": kind, "time": "2026-10-06T18:00:00Z", "facility": "GEN", "data": {}}
        for n, kind in enumerate(kinds)
    ]

    def shows(part: Events) -> bool:
        return len({e["type"] for e in part if "discharge" in e["type"]}) == 2

    smaller = fewer(events, shows)
    assert [e["id"] for e in smaller] == ["e5", "e11"]
    assert readable(smaller).count("\n") == 2
