"""What the operations page knows of lag: the last sample, and how it went before."""

from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.ops.history import History
from orchestrator.ops.lag import Sample
from orchestrator.ops.sampler import Sampler
from orchestrator.worklist import edge
from orchestrator.worklist.model.freshness import Freshness, Now

SamplerOf = Callable[[Callable[[Sample], None]], Sampler]


@dataclass(frozen=True, slots=True)
class Watch:
    """A sampler at work, and what it has seen."""

    sampler: Sampler
    history: History


def watching(sampler_of: SamplerOf, freshness: Freshness, log_now: Callable[[], int]) -> Watch:
    """Begin to look; the curve says of an instant what the page's first line said then."""
    history = History()

    def take(sample: Sample) -> None:
        history.take(sample, freshness.behind(Now(log_now(), edge.elapsed())))

    sampler = sampler_of(take)
    sampler.start()
    return Watch(sampler, history)
