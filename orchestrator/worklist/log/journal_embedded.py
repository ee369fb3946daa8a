"""The journal of the embedded log, all that is there of it; only read."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from orchestrator.stream.clock import ManualClock
from orchestrator.stream.sqlite_log import Log
from schemas.topics import JOURNAL

# Short reads, not one long one: that would keep the write-ahead log from being reset.
BATCH: Final = 1_000


@dataclass(frozen=True, slots=True)
class EmbeddedJournal:
    """That of the log in *folder*; plain enough to be handed to another process."""

    folder: Path

    def size(self) -> int:
        with self._opened() as log:
            bounds = zip(log.first_offsets(JOURNAL), log.end_offsets(JOURNAL), strict=True)
            return sum(end - first for first, end in bounds)

    def values(self) -> Iterator[bytes]:
        with self._opened() as log:
            ends = log.end_offsets(JOURNAL)
            for partition, first in enumerate(log.first_offsets(JOURNAL)):
                at = first
                while at < ends[partition]:
                    records = log.read(JOURNAL, partition, at, BATCH)
                    if not records:
                        break
                    yield from (one.value for one in records if one.value is not None)
                    at = records[-1].offset + 1

    def _opened(self) -> Log:
        # Nothing is asked of its clock; a demo's would be somebody else's to turn.
        return Log.open(self.folder, clock=ManualClock(0))
