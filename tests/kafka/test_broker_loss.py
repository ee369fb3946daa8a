"""Brokers die and come back; the workers go on or are started again, and nothing differs."""

import asyncio
from pathlib import Path

import pytest

from orchestrator.stream.kafka.connection import Kafka
from tests.kafka import world
from tests.kafka.broker import cluster
from tests.kafka.test_worker import some_events


@pytest.mark.parametrize(("nodes", "away_s"), [(1, 6), (3, 6)])
async def test_a_broker_killed_and_back(nodes: int, away_s: int, tmp_path: Path) -> None:
    """SIGKILL of a broker under load, back after six seconds: all is decided, byte for byte."""
    with cluster(tmp_path / "cluster", nodes) as brokers:
        kafka = Kafka(brokers.bootstrap)
        await world.fresh_topics(kafka, brokers.replication)
        async with world.workers(kafka, tmp_path) as workers:
            await world.publish(kafka, some_events(1, 100))
            await workers.caught_up()
            await world.publish(kafka, some_events(2, 300, first=1000))
            brokers.nodes[0].stop(kill=True)
            if nodes > 1:  # the others go on taking in
                await world.publish(kafka, some_events(3, 100, first=2000))
            await asyncio.sleep(away_s)
            brokers.nodes[0].start()
            brokers.nodes[0].wait()
            await world.publish(kafka, some_events(4, 100, first=3000))
            await workers.caught_up()
            workers.stop()
            decided = await workers.decided()

        expected = world.replayed(await world.journal_lines(kafka, decided))
        assert await world.published(kafka) == expected
