"""``publish`` as a process of its own that a test may kill; prints what it knows to be durable."""

import sys
from pathlib import Path

from events.files import read
from orchestrator.stream.publish import publish
from orchestrator.stream.sqlite_log import Log
from tests.stream.fakes import FACILITIES


def main() -> None:
    with Log.open(Path(sys.argv[1])) as log:
        report = publish(read(sys.argv[2:]), log, FACILITIES)
    sys.stdout.write(f"{report.sent.total()}\n")


if __name__ == "__main__":
    main()
