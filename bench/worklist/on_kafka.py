"""The worklist over Kafka: a broker, both roles of the worker and ``worklist``, each a process."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
from confluent_kafka import Consumer, Producer

from bench.kafka import stage
from bench.worklist.stage import Product, discharged, product
from orchestrator.stream.kafka.connection import Kafka
from schemas.topics import topic_of

QUIET_S = 5.0


@contextmanager
def product_on_kafka(folder: Path, patients: int) -> Iterator[tuple[Product, Kafka]]:
    """All of it, with the tasks of so many discharges to come."""
    with stage.broker() as kafka, stage.workers(kafka):
        _publish(kafka, patients)
        with product(
            folder,
            "worklist",
            CARE_RUNTIME="kafka",
            CARE_KAFKA_BOOTSTRAP_SERVERS=kafka.bootstrap,
            CARE_KAFKA_SECURITY_PROTOCOL="PLAINTEXT",
            CARE_GROUP=stage.GROUP,
        ) as running:
            yield running, kafka


def _publish(kafka: Kafka, patients: int) -> None:
    draw = random.Random(1)
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "acks": "all"})
    for number in range(patients):
        for event in discharged(number, draw):
            topic = topic_of(event["type"])
            assert topic is not None
            producer.produce(topic, orjson.dumps(event))
    producer.flush(60)


def values(kafka: Kafka, topic: str) -> Iterator[bytes]:
    """What lies on *topic*."""
    consumer = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap,
            "group.id": "bench-audit",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([topic])
    try:
        while found := consumer.consume(1_000, QUIET_S):
            yield from (one.value() or b"" for one in found if one.error() is None)
    finally:
        consumer.close()
