"""Journal records that lie in another partition than their key's: parked, never decided on.

Our own writers put none there.  A foreign producer, or records that were copied back into a journal
of another partition count, would: the patient would be decided on twice, by two owners who know
nothing of each other.
"""

from collections.abc import Iterable

import structlog

from orchestrator.stream.keys import partition_of
from orchestrator.stream.letters import sent_as
from orchestrator.stream.rounds import JournalRecord, Out
from orchestrator.stream.timekeeper import CLOCK_KEY
from schemas.topics import DEAD_LETTER, JOURNAL

logger = structlog.get_logger()


def parted(
    records: Iterable[JournalRecord], partitions: int
) -> tuple[list[JournalRecord], list[Out]]:
    """Those that belong where they lie, and letters for the others."""
    ours: list[JournalRecord] = []
    letters: list[Out] = []
    for record in records:
        home = partition_of(record.key, partitions)
        # Each partition has its own clock.
        if home == record.partition or record.key == CLOCK_KEY:
            ours.append(record)
        else:
            letters.append(_letter(record, home))
    return ours, letters


def _letter(record: JournalRecord, home: int) -> Out:
    place = {"partition": record.partition, "offset": record.offset}
    logger.error("record.parked", reason="malformed", stage="decide", **place)
    headers = {
        "reason": "malformed",
        "stage": "decide",
        "topic": JOURNAL,
        "partition": str(record.partition),
        "offset": str(record.offset),
        "error": f"its key belongs to partition {home}",
    }
    return Out(DEAD_LETTER, record.key, None, sent_as(record.value) or record.value, headers)
