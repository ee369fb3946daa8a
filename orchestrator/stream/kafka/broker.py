"""Where the brokers are, and what is asked of them outside the streams: topics, ends, offsets."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import ClassVar, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    InvalidReplicationFactorError,
    KafkaError,
    NotCoordinatorForGroupError,
    TopicAlreadyExistsError,
    for_code,
)

from orchestrator.stream.kafka.connection import Kafka, stop, why
from orchestrator.stream.kafka.topic_ids import topic_ids
from orchestrator.stream.kafka.topic_settings import Found, Wanted, differences

_REQUEST_MS: Final = 10_000
_NO_COORDINATOR: Final = (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    NotCoordinatorForGroupError,
)


class BrokerAway(Exception):
    """No broker answers, or it refuses what is asked."""

    exit_code: ClassVar[int] = 3


class TopicMismatch(Exception):
    """The topics are not as the product needs them; says which, one line each."""

    exit_code: ClassVar[int] = 1


class TooFewBrokers(Exception):
    """More copies are asked for than there are brokers."""

    exit_code: ClassVar[int] = 2


@asynccontextmanager
async def admin(kafka: Kafka, isolation: str = "read_uncommitted") -> AsyncIterator["Admin"]:
    """
    A connection for questions; closed at the end.

    Args:
        isolation: ``read_committed``: ends are those of what lies in no open transaction.

    Raises:
        BrokerAway: Nobody answers, or a request fails.
    """
    client = AIOKafkaAdminClient(
        **kafka.client(), request_timeout_ms=_REQUEST_MS, client_id="care-admin"
    )
    # Ends of partitions are a consumer's question, one without a group.
    reader = AIOKafkaConsumer(
        **kafka.client(),
        enable_auto_commit=False,
        client_id="care-admin",
        isolation_level=isolation,
    )
    try:
        await client.start()
        await reader.start()
        yield Admin(client, reader)
    except (KafkaError, OSError) as problem:
        raise BrokerAway(f"{kafka.bootstrap}: {await why(kafka, problem)}") from problem
    finally:
        await stop(reader)
        await client.close()


class Admin:
    """Questions to the brokers."""

    def __init__(self, client: AIOKafkaAdminClient, reader: AIOKafkaConsumer) -> None:
        self._client = client
        self._reader = reader

    async def create(self, wanted: Iterable[Wanted], replication: int) -> list[str]:
        """Create those that are missing; their names."""
        have = set(await self._client.list_topics())
        missing = [one for one in wanted if one.name not in have]
        if not missing:
            return []
        answer = await self._client.create_topics(
            [
                NewTopic(one.name, one.partitions, replication, topic_configs=dict(one.config))
                for one in missing
            ]
        )
        for name, code, *_ in answer.topic_errors:
            if code == InvalidReplicationFactorError.errno:
                raise TooFewBrokers(
                    f"{name}: CARE_REPLICATION is {replication}, and there are not so many brokers"
                )
            if code and code != TopicAlreadyExistsError.errno:
                raise BrokerAway(f"{name}: {for_code(code).__name__}")
        # Leaders come to know of their partitions a moment later; the ends are theirs to tell.
        await self.ends(
            TopicPartition(one.name, p) for one in missing for p in range(one.partitions)
        )
        return [one.name for one in missing]

    async def topics(self) -> set[str]:
        """The names of all topics that this user may see."""
        return set(await self._client.list_topics())

    async def found(self, names: Iterable[str]) -> dict[str, Found]:
        """What there is of *names*."""
        have = sorted(set(await self._client.list_topics()) & set(names))
        if not have:
            return {}
        replicas = await self._replicas(have)
        configs: dict[str, dict[str, str]] = {name: {} for name in have}
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in have]
        for answer in await self._client.describe_configs(resources):
            for code, _, _, name, entries in answer.resources:
                if code:
                    raise BrokerAway(f"{name}: {for_code(code).__name__}")
                configs[name] = {entry[0]: entry[1] for entry in entries}
        return {
            name: Found(len(replicas[name]), min(replicas[name]), configs[name]) for name in have
        }

    async def check(self, wanted: list[Wanted]) -> None:
        """
        Look whether the topics are as they must be.

        Raises:
            TopicMismatch: They are not.
        """
        wrong = differences(wanted, await self.found(one.name for one in wanted))
        if wrong:
            raise TopicMismatch("\n".join(map(str, wrong)))

    async def cluster(self) -> str:
        """The id that the cluster gave itself."""
        return str((await self._client.describe_cluster()).get("cluster_id") or "kafka")

    async def topic_id(self, name: str) -> str:
        """The id that a topic got when it was made; one made anew has another."""
        return (await topic_ids(self._client, [name]))[name]

    async def partitions(self, names: Iterable[str]) -> dict[str, int]:
        """How many partitions each topic has."""
        return {name: len(each) for name, each in (await self._replicas(names)).items()}

    async def _replicas(self, names: Iterable[str]) -> dict[str, list[int]]:
        """By topic, how many copies each partition has."""
        answers = await self._client.describe_topics(list(names))
        return {
            answer["topic"]: [len(partition["replicas"]) for partition in answer["partitions"]]
            for answer in answers
        }

    async def ends(self, tps: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        """The offset that the next record of each partition gets: its high watermark."""
        ends: Mapping[TopicPartition, int] = await self._reader.end_offsets(list(tps))
        return ends

    async def beginnings(self, tps: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        """The first offset that each partition still holds."""
        firsts: Mapping[TopicPartition, int] = await self._reader.beginning_offsets(list(tps))
        return firsts

    async def first_value(self, tp: TopicPartition) -> bytes | None:
        """What the first record that *tp* still holds says; ``None``: it holds none."""
        first, end = (await self.beginnings([tp]))[tp], (await self.ends([tp]))[tp]
        if first >= end:
            return None
        self._reader.assign([tp])
        self._reader.seek(tp, first)
        try:
            async with asyncio.timeout(_REQUEST_MS / 1000):
                while await self._reader.position(tp) < end:
                    found = await self._reader.getmany(tp, timeout_ms=200, max_records=1)
                    for rows in found.values():
                        return bytes(rows[0].value or b"")
        except TimeoutError:
            raise BrokerAway(f"{tp.topic}: it cannot be read") from None
        finally:
            self._reader.unsubscribe()
        return None

    async def committed(self, group: str) -> dict[TopicPartition, int]:
        """
        Where *group* goes on, in the partitions where it ever committed.

        Empty, too, while the group has no coordinator: then nobody can commit either.
        """
        try:
            found = await self._client.list_consumer_group_offsets(group)
        except _NO_COORDINATOR:
            return {}
        return {tp: at.offset for tp, at in found.items() if at.offset >= 0}
