"""What the operations page knows of lag: the last sample, and how it went before."""

from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.ops.history import History
from orchestrator.ops.lag import Sample
from orchestrator.ops.sampler import Sampler

SamplerOf = Callable[[Callable[[Sample], None]], Sampler]


@dataclass(frozen=True, slots=True)
class Watch:
    """A sampler at work, and what it has seen."""

    sampler: Sampler
    history: History


def watching(sampler_of: SamplerOf) -> Watch:
    """Begin to look."""
    history = History()
    sampler = sampler_of(history.take)
    sampler.start()
    return Watch(sampler, history)
