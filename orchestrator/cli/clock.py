"""``clock confirm`` and ``clock release``: what an operator says to clocks that are held.

Clocks are held rather than let deadlines fire that nobody missed: after a jump of the time of day,
and while an input cannot be read.  Both are alarms, and both may need a person to end them.
"""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cli import door, on_kafka, site
from orchestrator.cli.console import hint
from orchestrator.cli.faults import Mistake, No

if TYPE_CHECKING:
    from orchestrator.settings import Settings
    from orchestrator.stream.kafka.broker import Admin


def confirm(data_dir: Path | None) -> None:
    """Say that the time of day is right: the machine's; on Kafka, the brokers'."""
    here = site.load(data_dir)
    running = _running(here)
    if on_kafka.is_chosen(here):
        from orchestrator.stream.kafka.operating import confirm_clock as confirm_all

        where = on_kafka.brokers(here)
        on_kafka.hush()
        asyncio.run(confirm_all(where, here.partitions))
    else:
        _confirm_embedded(here)
    if running is None:
        hint("confirmed; clocks that were held after a jump go on in a moment")
    else:
        hint(f"noted, but no clock seems to be held: the last one is {running} old")


def _running(here: "Settings") -> str | None:
    """How old the last clock is, if clocks go on."""
    from orchestrator.ops import spans
    from orchestrator.ops.lag import CLOCK_OLD

    with door.looks(here)() as look:
        seen = look.look()
    # One that lies ahead is held, too: the time of day was set back.
    if seen.clock is None or not 0 <= seen.at - seen.clock <= CLOCK_OLD:
        return None
    return spans.of_seconds((seen.at - seen.clock) / 1_000_000)


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
        No: No clock waits for it.
    """
    from orchestrator.stream.kafka.operating import release_clock
    from orchestrator.stream.topic_layout import LIVE_INPUTS

    here = site.load()
    on_kafka.only_kafka(here, "clock release")
    if topic not in LIVE_INPUTS:
        raise Mistake(f"no clock waits for {topic}; clocks wait for {', '.join(LIVE_INPUTS)}")

    _refuse_idle(here, topic, partition)
    where = on_kafka.brokers(here)
    on_kafka.hush()
    asyncio.run(release_clock(where, here.partitions, topic, partition))
    hint(f"clocks no longer wait for {topic}-{partition}, until it is read again")
    hint("deadlines may now fire that a message lying there would have settled")


def _refuse_idle(here: "Settings", topic: str, partition: int) -> None:
    """Only what intake has yet to read can hold a clock."""
    from aiokafka import TopicPartition

    async def looked(broker: "Admin") -> tuple[int, bool]:
        count = (await broker.partitions([topic]))[topic]
        tp = TopicPartition(topic, partition)
        if not 0 <= partition < count:
            return count, False
        stand = (await broker.committed(f"{here.group}-intake")).get(tp, 0)
        return count, stand < (await broker.ends([tp]))[tp]

    count, behind = on_kafka.ask(looked, here)
    if not 0 <= partition < count:
        raise Mistake(f"{topic} has partitions 0 to {count - 1}")
    if not behind:
        raise No(f"no clock waits for {topic}-{partition}: intake has read it to its end")
