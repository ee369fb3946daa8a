"""The topics on the broker are what the registry says, or nothing starts."""

import asyncio
from collections.abc import Mapping

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from orchestrator.stream.kafka.broker import BrokerAway, TopicMismatch, admin
from orchestrator.stream.kafka.connection import Kafka
from orchestrator.stream.kafka.topic_settings import ALL, wanted
from tests.kafka import world

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
