"""The topics on the broker are what the registry says, or nothing starts."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from orchestrator.stream.kafka.broker import BrokerAway, TooFewBrokers, TopicMismatch, admin
from orchestrator.stream.kafka.connection import Kafka
from orchestrator.stream.kafka.topic_settings import ALL, wanted
from schemas.topics import INPUTS
from tests.kafka import world
from tests.kafka.commands import publish_settings, run

WANTED = wanted(partitions=4, replication=1)


async def test_what_was_created_is_as_it_should_be(nobodys: str) -> None:
    """A fresh cluster has nothing, then everything, and creating again does nothing."""
    kafka = Kafka(nobodys)
    await world.no_topics(kafka)
    async with admin(kafka) as broker:
        with pytest.raises(TopicMismatch, match=r"care\.journal\.v1: missing"):
            await broker.check(WANTED)

        created = await broker.create(WANTED, 1)

        assert sorted(created) == sorted(topic.name for topic in ALL)
        await broker.check(WANTED)
        assert await broker.create(WANTED, 1) == []


async def test_a_journal_with_another_partition_count_is_refused(nobodys: str) -> None:
    """A patient's next record would lie where nobody looks for it."""
    async with admin(Kafka(nobodys)) as broker:
        await broker.create(WANTED, 1)

        with pytest.raises(TopicMismatch) as refusal:
            await broker.check(wanted(partitions=6, replication=1))

    lines = str(refusal.value).splitlines()
    assert "care.journal.v1: 4 partitions, not 6" in lines
    assert not [line for line in lines if line.startswith("care.admission.v1")]


async def test_each_setting_that_differs_is_named(nobodys: str) -> None:
    """A site that made a topic by hand learns what to change; more than asked is no fault."""
    journal = next(one for one in WANTED if one.name == "care.journal.v1")
    other = {"retention.ms": "3600000", "max.message.bytes": "4194304"}
    async with admin(Kafka(nobodys)) as broker:
        await broker.create(WANTED, 1)
        await alter(nobodys, journal.name, other)
        try:
            with pytest.raises(TopicMismatch) as refusal:
                await broker.check(WANTED)
        finally:
            await alter(nobodys, journal.name, journal.config)

    assert sorted(str(refusal.value).splitlines()) == [
        "care.journal.v1: message.timestamp.type=CreateTime, not LogAppendTime",
        "care.journal.v1: retention.ms=3600000, not 10368000000",
    ]


async def test_a_team_of_the_policy_has_its_queue(nobodys: str) -> None:
    """A hospital's own team is written to like the others; without its topic nothing starts."""
    with_team = wanted(4, 1, teams=["pharmacy", "night-desk"])
    async with admin(Kafka(nobodys)) as broker:
        await broker.create(WANTED, 1)
        with pytest.raises(TopicMismatch, match=r"^care\.queue\.night-desk\.v1: missing$"):
            await broker.check(with_team)

        assert await broker.create(with_team, 1) == ["care.queue.night-desk.v1"]
        await broker.check(with_team)
        await broker._client.delete_topics(["care.queue.night-desk.v1"])


async def test_too_few_copies_are_named(nobodys: str) -> None:
    """A topic that one lost disk takes away is wrong; more copies than brokers cannot be had."""
    async with admin(Kafka(nobodys)) as broker:
        await broker.create(WANTED, 1)
        with pytest.raises(TopicMismatch) as refusal:
            await broker.check(wanted(4, replication=3))
        with pytest.raises(TooFewBrokers, match="CARE_REPLICATION is 9"):
            await broker.create(wanted(4, 9, teams=["x"])[-1:], 9)

    lines = str(refusal.value).splitlines()
    assert "care.task.v1: replication.factor=1, not 3" in lines
    assert "care.task.v1: min.insync.replicas=1, not 2" in lines


async def test_a_site_may_have_inputs_with_more_partitions(nobodys: str) -> None:
    """Public topics may be there already, as wide as the site likes; inner ones may not."""
    await world.no_topics(Kafka(nobodys))
    async with admin(Kafka(nobodys)) as broker:
        wide = [replace(one, partitions=7) for one in WANTED if one.name == "care.admission.v1"]
        await broker.create(wide, 1)
        await broker.create(WANTED, 1)
        await broker.check(WANTED)

        assert (await broker.partitions(["care.admission.v1"])) == {"care.admission.v1": 7}


async def test_the_command_says_for_programs_what_differs(kafka: Kafka) -> None:
    """`topics check --json`: topic, setting, what is there and what must be."""
    settings = publish_settings(kafka)
    fine = await run("topics", "check", "--json", **settings)
    other = await run("topics", "check", "--json", **settings | {"CARE_PARTITIONS": "8"})

    assert (fine.code, fine.json) == (0, {"topics": len(ALL), "differences": []})
    assert other.code == 1
    assert {
        "topic": "care.journal.v1",
        "setting": "partitions",
        "found": "4",
        "wanted": "8",
    } in other.json["differences"]
    assert not [one for one in other.json["differences"] if one["topic"] in INPUTS]


async def alter(nobodys: str, topic: str, config: Mapping[str, str]) -> None:
    """Set *config*, and put everything else to the broker's default."""
    client = AIOKafkaAdminClient(bootstrap_servers=nobodys)
    await client.start()
    await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, dict(config))])
    await client.close()
    async with admin(Kafka(nobodys)) as broker:  # brokers hear of it a moment later
        for _ in range(100):
            there = (await broker.found([topic]))[topic].config
            if config.items() <= there.items():
                return
            await asyncio.sleep(0.1)
    raise AssertionError("the broker did not take it over")


async def test_without_a_broker_it_is_said_which_one_was_tried() -> None:
    """Away is not wrong: another exit code, and the address."""
    with pytest.raises(BrokerAway, match=r"127\.0\.0\.1:1: "):
        async with admin(Kafka("127.0.0.1:1")):
            pass
