"""``topics read``: the records of a topic, as they lie in the embedded log."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cli import site
from orchestrator.cli.console import counted, hint, say
from orchestrator.cli.faults import Mistake

if TYPE_CHECKING:
    from orchestrator.stream.sqlite_log import Record


def read(topic: str, start: int, *, follow: bool, data_dir: Path | None, as_json: bool) -> None:
    """
    Print *topic* from offset *start* of each partition on, partitions merged by append time.

    With ``--json`` the lines are those that ``replay --journal`` reads back.
    """
    from orchestrator.stream.export import line, records
    from orchestrator.stream.sqlite_log import Log
    from schemas.topics import TOPICS

    here = site.load(data_dir)
    with Log.open(here.data_dir) as log:
        there = log.topics()
        if topic not in TOPICS and topic not in there:
            raise Mistake(f"{topic} is no topic; there is {', '.join(there) or 'nothing yet'}")
        number = 0
        try:
            for record in records(
                log, topic, start=start, follow=(lambda: True) if follow else None
            ):
                number += 1
                if as_json:
                    sys.stdout.buffer.write(line(record) + b"\n")
                    if follow:
                        sys.stdout.buffer.flush()
                else:
                    _print(record)
        except KeyboardInterrupt:
            hint(f"stopped after {counted(number, 'record')}")


def _print(record: "Record") -> None:
    from orchestrator.core.instants import written

    place = f"{record.partition}-{record.offset}"
    headers = "".join(f"  {name}={value}" for name, value in record.headers.items())
    text = "(tombstone)" if record.value is None else record.value.decode("utf-8", "replace")
    say(f"{place}  {written(record.stamp)}  {record.key or '-'}{headers}\n    {text}")
