"""``replay --journal``: an exported journal run as it stands, giving what was published then.

The lines are those of ``topics read --json``; their stamp is that of the journal record from which
they follow, since nothing is appended here.  The journal must be whole from its first record on.
"""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cli import site
from orchestrator.cli.console import Step, counted, hint, progress
from orchestrator.cli.faults import Mistake, as_mistakes

if TYPE_CHECKING:
    from orchestrator.settings import Settings
    from orchestrator.stream.rounds import JournalRecord
    from orchestrator.stream.sqlite_log import Record
    from schemas.facilities import Facilities

PROGRESS_EACH = 500


def run(export: Path, here: "Settings") -> None:
    """Print every record that follows from the journal in *export*."""
    from orchestrator.stream.export import ExportError, journal, line

    listed = site.facilities_of(here)
    number = 0
    with as_mistakes(), export.open("rb") as lines, progress() as bar:
        try:
            entries = journal(lines, whole=True)
            for record in _published(entries, here, listed, bar("deciding")):
                sys.stdout.buffer.write(line(record) + b"\n")
                number += 1
        except ExportError as fault:
            raise Mistake(f"{export}: {fault}") from None
        sys.stdout.buffer.flush()
    hint(f"{counted(number, 'record')} published")


def _published(
    journal: "Iterable[JournalRecord]", here: "Settings", listed: "Facilities", step: Step
) -> Iterator["Record"]:
    from orchestrator.stream.memory_store import MemoryStore
    from orchestrator.stream.replay import REPLAY_KEY
    from orchestrator.stream.sqlite_log import Record
    from orchestrator.stream.topic_layout import is_keyed

    store = MemoryStore()
    processor = site.processor_of(here, listed, REPLAY_KEY)(store)
    offsets: Counter[tuple[str, int]] = Counter()
    for number, entry in enumerate(journal, 1):
        store.commit(processor.process(entry.partition, [entry]))
        for out in store.published:
            # As the log lays them: what is not partitioned by patient is one log.
            partition = (out.partition or 0) if is_keyed(out.topic) else 0
            offset = offsets[out.topic, partition]
            offsets[out.topic, partition] += 1
            yield Record(
                out.topic, partition, offset, entry.stamp, out.key, out.value, out.headers or {}
            )
        store.published.clear()
        if number % PROGRESS_EACH == 0:
            step(number, 0)
