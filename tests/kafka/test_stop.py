"""A consumer is stopped for good, also when aiokafka lets its own cancellations out."""

import asyncio
from typing import cast

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaConnectionError

from orchestrator.stream.kafka.connection import stop


class Broken:
    """A consumer whose end is not orderly."""

    def __init__(self, fault: type[BaseException] | None) -> None:
        self._fault = fault
        self._client = self
        self.closed = False

    async def stop(self) -> None:
        await asyncio.sleep(0)
        if self._fault is not None:
            raise self._fault

    async def close(self) -> None:
        self.closed = True

    @property
    def consumer(self) -> AIOKafkaConsumer:
        return cast(AIOKafkaConsumer, self)


async def test_whoever_stops_it_is_not_cancelled_in_its_place() -> None:
    """A fetch that waited for a broker is cancelled; its connections are closed all the same."""
    one = Broken(asyncio.CancelledError)

    await stop(one.consumer)

    assert one.closed


async def test_what_else_goes_wrong_is_told() -> None:
    """Only the cancellation is aiokafka's own."""
    with pytest.raises(KafkaConnectionError):
        await stop(Broken(KafkaConnectionError).consumer)
    await stop(Broken(None).consumer)
