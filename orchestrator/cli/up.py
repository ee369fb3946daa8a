"""``up``: intake, clock and decisions in one process over the embedded log, on the real clock."""

import signal
import sys
from pathlib import Path
from types import FrameType

from orchestrator import log
from orchestrator.cli import door, on_kafka, site, worklist
from orchestrator.cli.console import counted, hint, say_json
from orchestrator.settings import site_key


def run(
    *, data_dir: Path | None, facilities: Path | None, policy: Path | None, as_json: bool
) -> None:
    """Decide what lies in the log and what arrives, until SIGINT or SIGTERM."""
    from orchestrator.stream import embedded

    here = site.load(data_dir, facilities, policy)
    log.configure(here.log_level, here.log_format)
    on_kafka.only_embedded(here, "up")
    listed = site.facilities_of(here)
    key = site_key(here)
    entry = worklist.entry_of(here)
    with embedded.opened(
        here.data_dir, site.processor_of(here, listed, key), listed, key, partitions=here.partitions
    ) as runtime:

        def stop(_signal: int, _frame: FrameType | None) -> None:
            runtime.stop()

        signal.signal(signal.SIGINT, stop)
        signal.signal(signal.SIGTERM, stop)
        # Piped, standard error is for a log collector: JSON lines and nothing else.
        tell = hint if sys.stderr.isatty() else _nothing
        if sys.stderr.isatty():
            site.warn_of_empty(here, listed)
        tell(f"Deciding on what arrives in {here.data_dir}.  [Ctrl-C stops]")
        with (
            worklist.beside(here, entry, tell) as teams,
            door.of_status(
                here,
                runtime.status,
                runtime.log.clock,
                runtime="embedded",
                usual=door.UP,
                lag=door.sampler(here, runtime.status),
                beside=teams.part,
            ),
        ):
            runtime.run()
        done = runtime.health
        if as_json:
            say_json({"taken": done.results.total(), "published": done.published})
        taken = counted(done.results.total(), "record")
        tell(f"Stopped: {taken} taken in, {done.published:,} published. Nothing was lost.")


def _nothing(_text: str) -> None:
    pass
