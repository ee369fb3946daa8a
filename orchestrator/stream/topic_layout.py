"""How the topics of the contract lie in the embedded log: partitioned or not, kept how long."""

from datetime import timedelta
from typing import Final

from schemas.topics import BACKFILL, INPUTS, TOPICS, topic_of

__all__ = ["COMPACTED", "LIVE_INPUTS", "is_keyed", "retention", "topic_of"]

LIVE_INPUTS: Final = tuple(topic for topic in INPUTS if topic != BACKFILL)
COMPACTED: Final = frozenset(name for name, topic in TOPICS.items() if topic.compacted)
# Teams are configuration: a queue of a team that the registry does not list is one all the same.
_QUEUE: Final = "care.queue."
_QUEUE_KEPT: Final = timedelta(days=30)


def is_keyed(topic: str) -> bool:
    """Journal and outputs are partitioned by patient; inputs and dead letters are one log each."""
    known = TOPICS.get(topic)
    return topic.startswith(_QUEUE) if known is None else known.partitioned


def retention(topic: str) -> timedelta | None:
    """How long a record of *topic* is kept; ``None``: until a later one of its key."""
    known = TOPICS.get(topic)
    return _QUEUE_KEPT if known is None else known.retention
