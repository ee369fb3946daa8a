"""``python -m tests.worklist.slow_rebuild FOLDER BATCH``: a rebuild to be killed; says each step.

The log, the rebuild and the file are the product's; only the reading takes its time.
"""

import sys
import time
from pathlib import Path

from orchestrator.stream.clock import ManualClock
from orchestrator.worklist.log.embedded import EmbeddedFeed
from orchestrator.worklist.log.feed import Fetched, Positions
from orchestrator.worklist.model.rebuild import rebuild
from tests.worklist.by_hand import file_of
from tests.worklist.history import BEGIN, key_of

NAP_S = 0.01


class SlowFeed(EmbeddedFeed):
    """Whoever kills has time to aim."""

    def read(self, positions: Positions, limit: int, wait_s: float) -> Fetched:
        time.sleep(NAP_S)
        return super().read(positions, limit, wait_s)


def main() -> None:
    folder, batch = Path(sys.argv[1]), int(sys.argv[2])
    feed = SlowFeed(folder, ManualClock(BEGIN))
    rebuild(
        file_of(folder),
        feed,
        key_of,
        lambda done, whole: print(done, whole, flush=True),  # noqa: T201 - to be read
        batch=batch,
    )
    feed.close()


if __name__ == "__main__":
    main()
