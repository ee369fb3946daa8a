"""What a worker must know of its site, before anything of Faust is loaded."""

from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.stream.kafka.connection import Kafka
from orchestrator.stream.rounds import Processor, Store
from schemas.facilities import Facilities


@dataclass(frozen=True, slots=True)
class Site:
    """
    The settings of a worker.

    Attributes:
        instance: A name that a restarted replica has again, so that no rebalance is needed.
        session_s: How long a silent worker keeps its partitions.
        teams: Those that the policies name; each has a queue.
        sign_of_life_s: The longest time between two clocks of a partition.
    """

    kafka: Kafka
    group: str
    partitions: int
    replication: int
    facilities: Facilities
    site_key: bytes
    processor: Callable[[Store], Processor]
    instance: str | None = None
    session_s: float = 10.0
    poll_records: int = 1000
    sign_of_life_s: float = 30.0
    teams: frozenset[str] = frozenset()

    def group_of(self, role: str) -> str:
        """The consumer group of *role*."""
        return f"{self.group}-{role}"
