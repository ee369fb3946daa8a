"""Makes the read model anew from the topics; killed at any point, the next run goes on."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from orchestrator.worklist.log.feed import Feed
from orchestrator.worklist.model import tables
from orchestrator.worklist.model.projector import Projection

BATCH: Final = 5_000
WAIT_S: Final = 1.0


def rebuild(
    path: Path,
    feed: Feed,
    key_of: Callable[[str], str],
    told: Callable[[int, int], None],
    *,
    batch: int = BATCH,
) -> int:
    """
    Fold the topics of *feed*, from their beginning to where they end now, into the file at *path*.

    Args:
        told: How many offsets are behind, of how many; compaction leaves some without a record.

    Returns:
        How many records this run has taken in.

    Raises:
        InUse: A worklist keeps the file up to date.
        LogAway: The log cannot be read; what was read stays.
    """
    if not tables.is_half_rebuilt(path, feed.name):
        tables.remove(path)
    projection = Projection(path, feed, key_of, rebuilding=True)
    try:
        firsts = feed.firsts()
        whole = sum(end - firsts.get(place, 0) for place, end in feed.ends().items())
        left = projection.left()
        while left:
            told(whole - left, whole)
            projection.step(batch, WAIT_S)
            left = projection.left()
        told(whole, whole)
        projection.finished()
    finally:
        projection.close()
    return projection.taken
