"""One site key for all workers and worklists of a cluster: who comes with another is refused.

Patients' keys and the ids of tasks follow from the site key.  A worker with another one would take
the same patients for strangers, and publish each of their tasks a second time.  So the first
worker writes a fingerprint of its key (not to be turned back) to ``care.site.v1``, of which nothing
is ever deleted; the first record there counts, also when several started at once.
"""

import hashlib
import hmac
from typing import ClassVar, Final

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from orchestrator.stream.kafka.broker import Admin, BrokerAway
from orchestrator.stream.kafka.connection import Kafka
from orchestrator.stream.kafka.topic_settings import SITE

_PLACE: Final = TopicPartition(SITE.name, 0)
_TEXT: Final = b"care-orchestrator: fingerprint of the site key"
_DIGITS: Final = 16


class OtherSiteKey(Exception):
    """This process has another site key than those that came before."""

    exit_code: ClassVar[int] = 2

    def __init__(self) -> None:
        super().__init__(
            "CARE_SITE_KEY is not the one with which the records on these brokers were made: each"
            " patient would be a second one, with tasks of their own. Give every worker and"
            f" worklist the first one, or other topics ({SITE.name} knows a fingerprint of it)"
        )


def fingerprint(site_key: bytes) -> bytes:
    """What may be shown of the key."""
    return hmac.new(site_key, _TEXT, hashlib.sha256).hexdigest()[:_DIGITS].encode()


async def claim(kafka: Kafka, broker: Admin, site_key: bytes) -> None:
    """
    Be the first worker, or one with the same key.

    Raises:
        OtherSiteKey: Another key was there before.
        BrokerAway: No broker takes it.
    """
    if await is_ours(broker, site_key) is None:
        await _write(kafka, fingerprint(site_key))
    if not await is_ours(broker, site_key):
        raise OtherSiteKey


async def is_ours(broker: Admin, site_key: bytes) -> bool | None:
    """Whether the workers of this cluster have this key; ``None``: there was none yet."""
    if not (await broker.partitions([SITE.name])).get(SITE.name):
        return None  # `topics create` has not been here either
    first = await broker.first_value(_PLACE)
    return None if first is None else hmac.compare_digest(first, fingerprint(site_key))


async def _write(kafka: Kafka, value: bytes) -> None:
    producer = AIOKafkaProducer(**kafka.client(), acks="all", enable_idempotence=True)
    try:
        await producer.start()
        await producer.send_and_wait(SITE.name, value, partition=0)
    except (KafkaError, OSError) as problem:
        raise BrokerAway(f"{kafka.bootstrap}: {type(problem).__name__}") from problem
    finally:
        await producer.stop()
