"""Sends files to the public topics on Kafka; what each record becomes is `stream.publish`'s.

One idempotent producer, ``acks=all``, and each batch is awaited before it is reported, so a crash
can only lead to repeats, which are dropped where the patient's events are known.  Records are
keyed by patient, so that what one patient's file says in order lies in order on a topic.
"""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaError,
    KafkaTimeoutError,
    RequestTimedOutError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

from events.files import Record as FileRecord
from orchestrator.core.instants import written
from orchestrator.stream.clock import RealClock
from orchestrator.stream.failpoints import hit
from orchestrator.stream.kafka.broker import BrokerAway
from orchestrator.stream.kafka.connection import Kafka, why
from orchestrator.stream.keys import patient_key
from orchestrator.stream.publish import OnProgress, Pace, Report, Row, sending_of
from schemas.facilities import Facilities
from schemas.topics import MAX_MESSAGE_BYTES

STOP_S: Final = 2.0
GRACE_S: Final = 1.0
_LARGEST: Final = MAX_MESSAGE_BYTES  # a dead letter with its headers is more than 1 MiB


async def publish(
    records: Iterable[FileRecord],
    kafka: Kafka,
    facilities: Facilities,
    site_key: bytes,
    *,
    timeout: timedelta,  # noqa: ASYNC109 - of each batch, not of the whole
    on_progress: OnProgress | None = None,
    rate: float | None = None,
) -> Report:
    """
    Send *records*, a batch at a time.

    Args:
        timeout: How long a batch may wait for the brokers before they count as away.
        on_progress: Called after each batch, once every replica in sync has it.
        rate: At most so many a second.

    Raises:
        BrokerAway: What was reported before is sent; of the batch at hand some may be.
    """
    report, pace, clock = Report(), Pace(rate), RealClock()
    producer = await _started(kafka, timeout)
    try:
        for batch in pace.batches(records):
            await asyncio.sleep(pace.pause_s)
            receipt = written(clock.now())
            sendings = [(record, sending_of(record, facilities, receipt)) for record in batch]
            rows = [row for _, sending in sendings for row in sending.rows]
            hit("publish.commit")
            try:
                # An idempotent producer would try for ever.  A moment more than it has itself, so
                # that it can still say what the matter is.
                async with asyncio.timeout(timeout.total_seconds() + GRACE_S):
                    await _send(producer, rows, site_key)
            except (KafkaError, OSError) as problem:
                raise BrokerAway(await _said(kafka, problem)) from problem
            hit("publish.committed")
            report.add(sendings)
            if on_progress is not None:
                on_progress(report)
    finally:
        await _stopped(producer)
    return report


async def _started(kafka: Kafka, timeout: timedelta) -> AIOKafkaProducer:  # noqa: ASYNC109
    producer = AIOKafkaProducer(
        **kafka.client(),
        client_id="care-publish",
        enable_idempotence=True,
        acks="all",
        max_request_size=_LARGEST,
        linger_ms=0,
        request_timeout_ms=int(timeout.total_seconds() * 1000),
    )
    try:
        await producer.start()
    except (KafkaError, OSError) as problem:
        await producer.stop()
        raise BrokerAway(await _said(kafka, problem)) from problem
    return producer


async def _stopped(producer: AIOKafkaProducer) -> None:
    try:
        # It sends what is left, and would wait as long as that takes.
        await asyncio.wait_for(producer.stop(), STOP_S)
    except (TimeoutError, KafkaError):
        await producer.client.close()


async def _send(producer: AIOKafkaProducer, rows: Iterable[Row], site_key: bytes) -> None:
    sent = []
    for row in rows:
        key = None if row.subject is None else patient_key(site_key, row.subject).encode()
        headers = [(name, value.encode()) for name, value in row.headers.items()]
        try:
            sent.append(await producer.send(row.topic, row.value, key, headers=headers))
        except UnknownTopicOrPartitionError:
            raise UnknownTopicOrPartitionError(row.topic) from None
    # Each is looked at: the first failure must not leave others unread.
    for answer in await asyncio.gather(*sent, return_exceptions=True):
        if isinstance(answer, BaseException):
            raise answer


async def _said(kafka: Kafka, problem: BaseException) -> str:
    if isinstance(problem, TimeoutError | KafkaTimeoutError | RequestTimedOutError):
        return f"{kafka.bootstrap}: not stored in time (CARE_STORE_TIMEOUT)"
    if isinstance(problem, UnknownTopicOrPartitionError):
        return f"{kafka.bootstrap}: no topic {_names(problem)} (`topics create` makes it)"
    if isinstance(problem, TopicAuthorizationFailedError):
        return f"{kafka.bootstrap}: this user may not write {_names(problem)} (ACL)"
    return f"{kafka.bootstrap}: {await why(kafka, problem)}"


def _names(problem: BaseException) -> str:
    return ", ".join(str(topic) for topic in problem.args)
