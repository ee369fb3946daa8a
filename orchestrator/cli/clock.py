"""``clock confirm`` and ``clock release``: what an operator says to clocks that are held.

Clocks are held rather than let deadlines fire that nobody missed: after a jump of the time of day,
and while an input cannot be read.  Both are alarms, and both may need a person to end them.
"""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cli import on_kafka, site
from orchestrator.cli.console import hint
from orchestrator.cli.faults import Mistake

if TYPE_CHECKING:
    from orchestrator.settings import Settings


def confirm(data_dir: Path | None) -> None:
    """Say that the time of day is right: the machine's; on Kafka, the brokers'."""
    here = site.load(data_dir)
    if on_kafka.is_chosen(here):
        from orchestrator.stream.kafka.operating import confirm_clock as confirm_all

        where = on_kafka.brokers(here)
        on_kafka.hush()
        asyncio.run(confirm_all(where, here.partitions))
    else:
        _confirm_embedded(here)
    hint("confirmed; clocks that were held after a jump go on in a moment")


def _confirm_embedded(here: "Settings") -> None:
    from orchestrator.stream.sqlite_log import Log
    from orchestrator.stream.timekeeper import confirm_clock

    with Log.open(here.data_dir) as log:
        confirm_clock(log)


def release(topic: str, partition: int) -> None:
    """
    Let clocks go on without a partition of an input that intake cannot read.

    Raises:
        Mistake: It is no partition of a live input, or this is no matter of this runtime.
    """
    from orchestrator.stream.kafka.operating import release_clock
    from orchestrator.stream.topic_layout import LIVE_INPUTS

    here = site.load()
    on_kafka.only_kafka(here, "clock release")
    if topic not in LIVE_INPUTS:
        raise Mistake(f"no clock waits for {topic}; clocks wait for {', '.join(LIVE_INPUTS)}")

    counts = on_kafka.ask(lambda broker: broker.partitions([topic]), here)
    if not 0 <= partition < counts[topic]:
        raise Mistake(f"{topic} has partitions 0 to {counts[topic] - 1}")
    where = on_kafka.brokers(here)
    on_kafka.hush()
    asyncio.run(release_clock(where, here.partitions, topic, partition))
    hint(f"clocks no longer wait for {topic}-{partition}, until it is read again")
    hint("deadlines may now fire that a message lying there would have settled")
