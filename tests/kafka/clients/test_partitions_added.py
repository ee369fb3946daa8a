"""A hospital's topic gets more partitions, and what lies in the new ones is read."""

from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from orchestrator.stream.kafka.connection import Kafka
from tests.kafka import world
from tests.kafka.clients.envelopes import TOPIC, discharged, plain
from tests.kafka.clients.foreign import Librdkafka
from tests.kafka.clients.test_producers import with_a_task


async def add_partitions(kafka: Kafka, count: int) -> None:
    client = AIOKafkaAdminClient(bootstrap_servers=kafka.servers)
    await client.start()
    try:
        await client.create_partitions({TOPIC: NewPartitions(count)})
    finally:
        await client.close()


@pytest.mark.parametrize("how", ["running", "restarted"])
async def test_partitions_added(how: str, kafka: Kafka, tmp_path: Path) -> None:
    """While the worker runs; and while it is away for a moment and gets its old place again."""
    client = Librdkafka(kafka.bootstrap)
    client.write([plain(discharged("before"), None)])
    async with world.workers(kafka, tmp_path) as workers:
        await workers.caught_up()
        if how == "restarted":
            workers.kill("intake", "a")
        await add_partitions(kafka, 12)
        workers.revive()
        sent = {f"GEN|{how}-{n}" for n in range(100)}
        # By their keys they lie everywhere.
        client.write(plain(discharged(one.removeprefix("GEN|")), one.encode()) for one in sent)

        async def taken_in() -> bool:
            return sent <= await with_a_task(kafka)

        await world.until(taken_in, "all partitions read", 90, every=1)
