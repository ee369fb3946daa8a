"""``up`` with small batches, as a process of its own that a test may kill."""

import signal
import sys
from pathlib import Path

from orchestrator import log
from orchestrator.core.instants import MINUTE
from orchestrator.stream import inflow
from orchestrator.stream.embedded import Pace, opened
from tests.stream.fakes import FACILITIES, PARTITIONS, SITE_KEY, product

# Many transactions to be killed in, each with something in it, and many clocks.
PACE = Pace(intake_records=16, decide_records=5, sign_of_life=20 * MINUTE, poll_s=0.005)


def main() -> None:
    inflow.GATE_RECORDS = 4  # type: ignore[misc]
    log.configure(level="info", form="json")
    with opened(
        Path(sys.argv[1]), product, FACILITIES, SITE_KEY, partitions=PARTITIONS, pace=PACE
    ) as runtime:
        signal.signal(signal.SIGTERM, lambda *_: runtime.stop())
        runtime.run()


if __name__ == "__main__":
    main()
