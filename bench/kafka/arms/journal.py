"""The journal that all arms read, and fresh topics for what each run writes."""

from collections import defaultdict

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from bench.kafka.arms.bare import produce
from bench.kafka.arms.naive import changelog_of
from bench.kafka.arms.work import PARTITIONS, Work
from bench.kafka.arms.written import Place, Row
from orchestrator.stream.kafka.broker import admin
from orchestrator.stream.kafka.connection import Kafka
from orchestrator.stream.kafka.topic_settings import wanted
from orchestrator.stream.keys import partition_of
from schemas.topics import JOURNAL
from tests.kafka.world import no_topics, until


async def fill(kafka: Kafka, work: Work, count: int) -> None:
    """All topics anew, and *count* records in the journal."""
    await no_topics(kafka)
    async with admin(kafka) as broker:
        await broker.create(wanted(PARTITIONS, 1), 1)
    rows: dict[Place, list[Row]] = defaultdict(list)
    for key, value in work.rows(count):
        rows[JOURNAL, partition_of(key, PARTITIONS)].append((key.encode(), value))
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap, acks="all", max_batch_size=900_000
    )
    await producer.start()
    try:
        await produce(producer, rows)
    finally:
        await producer.stop()


async def fresh(kafka: Kafka, group: str) -> None:
    """Everything but the journal anew, and the changelog that naive Faust names after *group*."""
    client = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await client.start()
    try:
        old = sorted(set(await client.list_topics()) - {JOURNAL, "__consumer_offsets"})
        old = [name for name in old if not name.startswith("__")]
        await client.delete_topics(old)

        async def gone() -> bool:
            return not set(old) & set(await client.list_topics())

        await until(gone, "topics deleted")
        config = {"cleanup.policy": "compact"}
        await client.create_topics(
            [NewTopic(changelog_of(group), PARTITIONS, 1, topic_configs=config)]
        )
    finally:
        await client.close()
    async with admin(kafka) as broker:
        await broker.create(wanted(PARTITIONS, 1), 1)
