"""``topics create``, ``topics check`` and ``topics list`` on Kafka."""

from typing import TYPE_CHECKING, Any

from orchestrator.cli import on_kafka, site
from orchestrator.cli.console import counted, hint, say, say_json
from orchestrator.cli.faults import No

if TYPE_CHECKING:
    from orchestrator.settings import Settings
    from orchestrator.stream.kafka.broker import Admin
    from orchestrator.stream.kafka.topic_settings import Difference, Wanted


def create(*, as_json: bool) -> None:
    """Create the topics that are missing; change none that is there."""
    here = _here("topics create")

    async def made(broker: "Admin") -> list[str]:
        return await broker.create(_wanted(here), here.replication)

    created = on_kafka.ask(made, here)
    if not as_json:
        for name in created:
            say(name)
    _tell(_found(here), {"created": created}, as_json=as_json)
    if not as_json:
        hint("every topic is as it must be")


def check(*, as_json: bool) -> None:
    """Say how the topics on Kafka differ from what the worker needs."""
    here = _here("topics check")
    _tell(_found(here), {"topics": len(_wanted(here))}, as_json=as_json)
    if not as_json:
        hint(f"{counted(len(_wanted(here)), 'topic')}, each as it must be")


def listed(here: "Settings") -> list[dict[str, Any]]:
    """The product's topics that are there, by name: partitions, and offsets in each."""
    from aiokafka import TopicPartition

    names = {one.name for one in _wanted(here)}

    async def rows(broker: "Admin") -> list[dict[str, Any]]:
        counts = await broker.partitions(sorted(names & await broker.topics()))
        tps = [TopicPartition(name, p) for name, count in counts.items() for p in range(count)]
        firsts, ends = await broker.beginnings(tps), await broker.ends(tps)
        return [
            {
                "topic": name,
                "partitions": counts[name],
                "first": [firsts[tp] for tp in tps if tp.topic == name],
                "next": [ends[tp] for tp in tps if tp.topic == name],
            }
            for name in sorted(counts)
        ]

    return on_kafka.ask(rows, here)


def _here(command: str) -> "Settings":
    here = site.load()
    on_kafka.only_kafka(here, command)
    return here


def _wanted(here: "Settings") -> "list[Wanted]":
    from orchestrator.stream.kafka.topic_settings import wanted

    return wanted(here.partitions, here.replication, site.teams_of(here))


def _found(here: "Settings") -> "list[Difference]":
    from orchestrator.stream.kafka.topic_settings import differences

    topics = _wanted(here)

    async def differ(broker: "Admin") -> "list[Difference]":
        return differences(topics, await broker.found([one.name for one in topics]))

    return on_kafka.ask(differ, here)


def _tell(wrong: "list[Difference]", more: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        say_json({**more, "differences": [one._asdict() for one in wrong]})
    else:
        for one in wrong:
            say(str(one))
    if wrong:
        raise No(f"{counted(len(wrong), 'difference')}; a worker will not start")
