"""What the commands for Kafka start from: the settings of the connection, whole or refused."""

import asyncio
import logging
from typing import TYPE_CHECKING, TypeVar

from orchestrator.cli.faults import Mistake

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from orchestrator.settings import Settings
    from orchestrator.stream.kafka.broker import Admin
    from orchestrator.stream.kafka.connection import Kafka

T = TypeVar("T")


def brokers(here: "Settings") -> "Kafka":
    """
    Where the cluster is and how it is talked to.

    Raises:
        Mistake: No setting says so.
        UnusableConnection: The settings contradict each other.
    """
    from orchestrator.stream.kafka.connection import Kafka, Security

    if here.kafka_bootstrap_servers is None:
        raise Mistake("CARE_KAFKA_BOOTSTRAP_SERVERS is not set; as in host1:9092,host2:9092")
    password = here.kafka_password
    found = Kafka(
        here.kafka_bootstrap_servers,
        Security(
            here.kafka_security_protocol,
            here.kafka_sasl_mechanism,
            here.kafka_username,
            None if password is None else password.get_secret_value(),
            here.kafka_ca,
        ),
    )
    found.client()  # so that a contradiction is told before anything else is done
    return found


def only_kafka(here: "Settings", command: str) -> None:
    """
    Refuse a command that there is on Kafka alone where the site is told to be embedded.

    Raises:
        Mistake: ``CARE_RUNTIME=embedded`` was said, or nothing that means Kafka.
    """
    if here.runtime == "embedded" and "runtime" in here.model_fields_set:
        raise Mistake(f"`{command}` is for CARE_RUNTIME=kafka; embedded, `up` does all of it")
    if here.kafka_bootstrap_servers is None:
        raise Mistake(
            f"`{command}` is for Kafka alone, and CARE_KAFKA_BOOTSTRAP_SERVERS is not set (as in"
            " host1:9092,host2:9092); without Kafka, `up` does all of it"
        )


def only_embedded(here: "Settings", command: str) -> None:
    """
    The same for a command that there is on the embedded log alone.

    Raises:
        Mistake: ``CARE_RUNTIME=kafka`` was said.
    """
    if here.runtime == "kafka":
        raise Mistake(f"`{command}` is for CARE_RUNTIME=embedded; on Kafka, `worker` decides")


def is_chosen(here: "Settings") -> bool:
    """
    Whether a command that there is on both runtimes means Kafka.

    Raises:
        Mistake: Brokers are named, but no runtime: sent to the wrong place, events look lost.
    """
    unsaid = "runtime" not in here.model_fields_set
    if unsaid and here.kafka_bootstrap_servers is not None:
        raise Mistake(
            "CARE_KAFKA_BOOTSTRAP_SERVERS is set, CARE_RUNTIME is not; say CARE_RUNTIME=kafka for"
            " the brokers, or CARE_RUNTIME=embedded for the log in the data folder"
        )
    return here.runtime == "kafka"


def ask(question: "Callable[[Admin], Awaitable[T]]", here: "Settings") -> T:
    """The brokers' answer to *question*."""
    from orchestrator.stream.kafka.broker import admin

    where = brokers(here)
    hush()

    async def asked() -> T:
        async with admin(where) as broker:
            return await question(broker)

    return asyncio.run(asked())


def hush() -> None:
    """Keep aiokafka's own log quiet: what goes wrong is said once, by us."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
