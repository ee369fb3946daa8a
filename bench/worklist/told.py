"""What was measured of a load, and how much of it is how fast."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field


@dataclass
class Told:
    """What was measured, in seconds by kind, and what went wrong."""

    took: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    shown: int = 0  # events that arrived on streams
    resyncs: int = 0
    rss: list[int] = field(default_factory=list)
    cpu_s: float = 0.0


def percentile(values: list[float], share: float) -> float:
    """The smallest value that *share* of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
