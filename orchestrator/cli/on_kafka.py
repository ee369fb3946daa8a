"""What the commands for Kafka start from: the settings that they need and that have no default."""

import asyncio
import logging
from typing import TYPE_CHECKING, TypeVar

from orchestrator.cli.faults import Mistake

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from orchestrator.settings import Settings
    from orchestrator.stream.kafka.broker import Admin, Kafka

T = TypeVar("T")


def brokers(here: "Settings") -> "Kafka":
    """
    Where the cluster is.

    Raises:
        Mistake: No setting says so.
    """
    from orchestrator.stream.kafka.broker import Kafka

    if here.kafka_bootstrap_servers is None:
        raise Mistake("CARE_KAFKA_BOOTSTRAP_SERVERS is not set; as in host1:9092,host2:9092")
    return Kafka(here.kafka_bootstrap_servers)


def ask(question: "Callable[[Admin], Awaitable[T]]", here: "Settings") -> T:
    """The brokers' answer to *question*."""
    from orchestrator.stream.kafka.broker import admin

    where = brokers(here)
    # What goes wrong is said once, by us.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)

    async def asked() -> T:
        async with admin(where) as broker:
            return await question(broker)

    return asyncio.run(asked())
