"""How many histories a run looks at: small by default, more with ``CARE_SIMULATION_SEEDS``."""

import os


def _factor() -> float:
    """What the environment asks for, as a multiple of the ordinary run's 100 seeds."""
    return int(os.environ.get("CARE_SIMULATION_SEEDS", "100")) / 100


def seeds(count: int) -> range:
    """The seeds of a test that ordinarily takes *count*."""
    return range(max(1, round(count * _factor())))


def examples(count: int) -> int:
    """The same for Hypothesis."""
    return max(1, round(count * _factor()))
