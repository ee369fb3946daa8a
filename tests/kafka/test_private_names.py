"""What the runtime relies on in Faust and aiokafka without it being their public interface."""

import inspect
from importlib.metadata import version

import aiokafka
import faust
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.producer.message_accumulator import BatchBuilder
from faust.tables.recovery import Recovery
from faust.transport import consumer
from faust.transport.drivers import TRANSPORTS
from faust.transport.drivers import aiokafka as driver
from mode import Service

from orchestrator.stream.kafka import apps

# Overridden: a name that is gone would silently not be called any more.
OVERRIDDEN = [
    (driver.Consumer, "_drain_messages"),
    (driver.Consumer, "_getmany"),
    (driver.Consumer, "_filter_committable_offsets"),
    (driver.Consumer, "_wait_next_records"),
    (driver.Consumer, "_new_consumer_thread"),
    (driver.Consumer, "perform_seek"),
    (driver.Consumer, "on_partitions_revoked"),
    (driver.Consumer, "on_partitions_assigned"),
    (driver.AIOKafkaConsumerThread, "_create_worker_consumer"),
    (driver.Producer, "_settings_extra"),
    (driver.Consumer, "verify_all_partitions_active"),
    (faust.Worker, "_gather_all"),
    (faust.Worker, "_sentinel_task"),
]
# Called.
CALLED = [
    (driver.Consumer, "_to_message"),
    (driver.Consumer, "flow_active"),
    (driver.Consumer, "highwaters"),
    (driver.Consumer, "earliest_offsets"),
    (driver.AIOKafkaConsumerThread, "_ensure_consumer"),
    (driver.AIOKafkaConsumerThread, "call_thread"),
    (driver.Producer, "_ensure_producer"),
    (driver.Producer, "_new_producer"),
    (driver, "ensure_aiokafka_TP"),
    (Recovery, "_restart_recovery"),
    (BatchBuilder, "append"),
    (BatchBuilder, "record_count"),
    (AIOKafkaAdminClient, "_send_request"),
    (aiokafka.AIOKafkaProducer, "send_batch"),
    (aiokafka.AIOKafkaProducer, "begin_transaction"),
    (aiokafka.AIOKafkaProducer, "commit_transaction"),
]


def test_the_versions_are_those_that_were_looked_into() -> None:
    """A new version is a decision: read what changed, then change this."""
    assert (version("faust-streaming"), version("aiokafka")) == ("0.15.3", "0.14.0")


@pytest.mark.parametrize(("owner", "name"), [*OVERRIDDEN, *CALLED])
def test_the_name_is_there(owner: object, name: str) -> None:
    """Each name that is overridden or called exists."""
    assert hasattr(owner, name)


@pytest.mark.parametrize(
    ("where", "name"),
    [
        (aiokafka.AIOKafkaConsumer.__init__, "self._isolation_level"),
        (aiokafka.AIOKafkaConsumer.start, "self._isolation_level"),
        (aiokafka.AIOKafkaConsumer.__init__, "self._fetch_max_wait_ms"),
        (aiokafka.AIOKafkaConsumer.start, "self._fetch_max_wait_ms"),
        (aiokafka.AIOKafkaConsumer.stop, "await self._client.close()"),
        (consumer.Consumer.__init__, "self._acked"),
        (consumer.Consumer.__init__, "self._acked_index"),
        (consumer.Consumer.__init__, "self._committed_offset"),
        (Recovery.__init__, "self.active_tps"),
        (Recovery.__init__, "self.active_offsets"),
        (Recovery.__init__, "self.active_highwaters"),
        (Recovery._set_recovery_started, "self.in_recovery"),
        (Service.add_future, "fut.set_name(repr(coro))"),
        (Service.add_future, "self._futures.add(fut)"),
    ],
)
def test_the_attribute_is_set_and_used_where_we_set_it(where: object, name: str) -> None:
    """aiokafka reads both settings when it starts, after we changed them; Faust keeps its own."""
    assert name in inspect.getsource(where)  # type: ignore[arg-type]


def test_the_plug_ins_are_found_by_their_schemes() -> None:
    """A scheme that is not registered would fail at start; a store's would be ignored."""
    assert TRANSPORTS.by_name("care-intake").__module__ == f"{apps.MODULES}.rounds_in"
    assert TRANSPORTS.by_name("care-decide").__module__ == f"{apps.MODULES}.recovery"
