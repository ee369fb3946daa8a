"""``topics create`` and ``topics check``: the topics as they must lie on Kafka."""

from typing import TYPE_CHECKING

from orchestrator.cli import on_kafka, site
from orchestrator.cli.console import counted, hint, say
from orchestrator.cli.faults import No

if TYPE_CHECKING:
    from orchestrator.settings import Settings
    from orchestrator.stream.kafka.broker import Admin


def create() -> None:
    """Create the topics that are missing; change none that is there."""
    from orchestrator.stream.kafka.topic_settings import wanted

    here = site.load()

    async def made(broker: "Admin") -> list[str]:
        return await broker.create(wanted(here.partitions, here.replication), here.replication)

    for name in on_kafka.ask(made, here):
        say(name)
    _refuse_differences(here)
    hint("every topic is as it must be")


def check() -> None:
    """Say how the topics on Kafka differ from what the worker needs."""
    from orchestrator.stream.kafka.topic_settings import ALL

    _refuse_differences(site.load())
    hint(f"{counted(len(ALL), 'topic')}, each as it must be")


def _refuse_differences(here: "Settings") -> None:
    from orchestrator.stream.kafka.topic_settings import differences, wanted

    topics = wanted(here.partitions, here.replication)

    async def differ(broker: "Admin") -> list[str]:
        return differences(topics, await broker.found([one.name for one in topics]))

    wrong = on_kafka.ask(differ, here)
    for line in wrong:
        say(line)
    if wrong:
        raise No(f"{counted(len(wrong), 'difference')}; a worker will not start")
