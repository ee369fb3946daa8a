"""``topics read`` and ``topics list``, of the embedded log or on Kafka (``CARE_RUNTIME``)."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator import log
from orchestrator.cli import on_kafka, site
from orchestrator.cli.console import counted, hint, say, say_json
from orchestrator.cli.faults import Mistake

if TYPE_CHECKING:
    from orchestrator.settings import Settings
    from orchestrator.stream.sqlite_log import Record


def read(topic: str, start: int, *, follow: bool, data_dir: Path | None, as_json: bool) -> None:
    """
    Print *topic* from offset *start* of each partition on, partitions merged by append time.

    With ``--json`` the lines are those that ``replay --journal`` reads back.
    """
    here = site.load(data_dir)
    log.configure("error", here.log_format)
    printed = _Printed(as_json=as_json, at_once=follow)
    try:
        if on_kafka.is_chosen(here):
            asyncio.run(_read_kafka(here, topic, start, printed, follow=follow))
        else:
            _read_embedded(here, topic, start, printed, follow=follow)
    except KeyboardInterrupt:
        hint(f"stopped after {counted(printed.number, 'record')}")


def listed(*, data_dir: Path | None, as_json: bool) -> None:
    """Print each topic with its partitions and how many offsets it holds."""
    here = site.load(data_dir)
    if on_kafka.is_chosen(here):
        from orchestrator.cli import kafka_topics

        rows = kafka_topics.listed(here)
    else:
        rows = _listed_embedded(here)
    if as_json:
        say_json({"topics": rows})
        return
    for row in rows:
        held = sum(row["next"]) - sum(row["first"])
        say(f"{held:>12,}  {row['partitions']:>4}  {row['topic']}")
    hint(f"{counted(len(rows), 'topic')}: offsets held, partitions, name")


def _listed_embedded(here: "Settings") -> list[dict[str, Any]]:
    from orchestrator.stream.sqlite_log import Log

    with Log.open(here.data_dir) as log:
        return [
            {
                "topic": name,
                "partitions": log.partitions_of(name),
                "first": log.first_offsets(name),
                "next": log.end_offsets(name),
            }
            for name in log.topics()
        ]


def _read_embedded(
    here: "Settings", topic: str, start: int, printed: "_Printed", *, follow: bool
) -> None:
    from orchestrator.stream.export import records
    from orchestrator.stream.sqlite_log import Log
    from schemas.topics import TOPICS

    with Log.open(here.data_dir) as log:
        there = log.topics()
        if topic not in TOPICS and topic not in there:
            raise Mistake(f"{topic} is no topic; there is {', '.join(there) or 'nothing yet'}")
        for record in records(log, topic, start=start, follow=(lambda: True) if follow else None):
            printed.add(record, None)


async def _read_kafka(
    here: "Settings", topic: str, start: int, printed: "_Printed", *, follow: bool
) -> None:
    from orchestrator.stream.kafka.reading import records

    where = on_kafka.brokers(here)
    on_kafka.hush()
    async for place in records(where, topic, start=start, follow=follow):
        printed.add(place.record, place.after)


class _Printed:
    """What was printed so far."""

    def __init__(self, *, as_json: bool, at_once: bool) -> None:
        from orchestrator.core.instants import written
        from orchestrator.stream.export import line

        self.number = 0
        self._as_json = as_json
        self._at_once = at_once
        self._line = line
        self._written = written

    def add(self, record: "Record", after: int | None) -> None:
        self.number += 1
        if self._as_json:
            sys.stdout.buffer.write(self._line(record, after) + b"\n")
        else:
            self._say(record)
        if self._at_once:
            sys.stdout.flush()

    def _say(self, record: "Record") -> None:
        place = f"{record.partition}-{record.offset}"
        headers = "".join(f"  {name}={value}" for name, value in record.headers.items())
        text = "(tombstone)" if record.value is None else record.value.decode("utf-8", "replace")
        say(f"{place}  {self._written(record.stamp)}  {record.key or '-'}{headers}\n    {text}")
