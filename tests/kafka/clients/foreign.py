"""Two clients that are not ours: Kafka's own in Java, and librdkafka, which most others wrap.

Each can `write` records to the public topics and `read` what the product publishes.
"""

import base64
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from tests.kafka.broker import jars

CODECS: Final = ("none", "gzip", "snappy", "lz4", "zstd")
_SOURCE: Final = Path(__file__).with_name("Client.java")
_WAIT_S: Final = 180

Isolation = Literal["read_committed", "read_uncommitted"]
Headers = Sequence[tuple[str, bytes | None]]


class Sent(NamedTuple):
    """A record to write."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class Seen(NamedTuple):
    """A record that was read."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


class Java:
    """``kafka-clients`` of the broker's own release, with a partitioner of its own."""

    name = "java"

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap

    def write(
        self,
        records: Iterable[Sent | Literal["commit", "abort"]],
        codec: str = "none",
        transactional_id: str = "-",
    ) -> None:
        """Write *records*; in a transaction, if there is an id, that ends where they say so."""
        lines = [one if isinstance(one, str) else _command(one) for one in records]
        self._run("write", self._bootstrap, codec, transactional_id, said="\n".join(lines) + "\n")

    def read(self, topics: Iterable[str], isolation: Isolation | None = None) -> list[Seen]:
        """All of *topics*; at Java's default, which is ``read_uncommitted``."""
        said = self._run("read", self._bootstrap, isolation or "-", *topics)
        return [_seen(line) for line in said.splitlines()]

    def _run(self, *words: str, said: str = "") -> str:
        # Compiled as it is started: no class files to keep or to go stale.
        command = ["java", "-Xmx256m", "-XX:+UseSerialGC", "-cp", jars(), str(_SOURCE), *words]
        ended = subprocess.run(
            command, input=said, capture_output=True, text=True, timeout=_WAIT_S, check=False
        )
        assert ended.returncode == 0, ended.stderr[-3000:]
        return ended.stdout


class Librdkafka:
    """librdkafka through ``confluent-kafka``, with its default partitioner (CRC32)."""

    name = "librdkafka"

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap

    def write(self, records: Iterable[Sent], codec: str = "none") -> None:
        """Write *records*; each is acknowledged."""
        producer = Producer(
            {"bootstrap.servers": self._bootstrap, "compression.type": codec, "linger.ms": 50}
        )
        failed: list[KafkaError] = []

        def delivered(problem: KafkaError | None, _message: Message) -> None:
            if problem is not None:
                failed.append(problem)

        for one in records:
            producer.produce(
                one.topic, one.value, one.key, headers=list(one.headers), on_delivery=delivered
            )
        assert producer.flush(_WAIT_S) == 0
        assert failed == []

    def read(self, topics: Iterable[str], isolation: Isolation | None = None) -> list[Seen]:
        """All of *topics*; at librdkafka's default, which is ``read_committed``."""
        settings = {
            "bootstrap.servers": self._bootstrap,
            "group.id": "reader",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            **({} if isolation is None else {"isolation.level": isolation}),
        }
        consumer = Consumer(settings)
        try:
            open_: set[tuple[str | None, int | None]] = {
                (topic, partition)
                for topic in topics
                for partition in consumer.list_topics(topic, _WAIT_S).topics[topic].partitions
            }
            consumer.assign([TopicPartition(str(topic), p or 0, 0) for topic, p in open_])
            seen = []
            while open_:
                message = consumer.poll(_WAIT_S)
                assert message is not None, f"nothing more of {open_}"
                problem = message.error()
                if problem is None:
                    seen.append(_seen_by_librdkafka(message))
                elif problem.code() == KafkaError._PARTITION_EOF:
                    open_.remove((message.topic(), message.partition()))
                else:
                    raise KafkaException(problem)
            return seen
        finally:
            consumer.close()


def _seen_by_librdkafka(message: Message) -> Seen:
    topic, partition = message.topic(), message.partition()
    assert topic is not None
    assert partition is not None
    headers = cast("list[tuple[str, bytes | None]]", message.headers() or [])
    return Seen(topic, partition, message.key(), message.value(), tuple(headers))


def _command(record: Sent) -> str:
    headers = (f"{_text(name.encode())},{_text(value)}" for name, value in record.headers)
    return " ".join(("send", record.topic, _text(record.key), _text(record.value), *headers))


def _seen(line: str) -> Seen:
    topic, partition, key, value, *headers = line.split(" ")
    pairs = (header.split(",") for header in headers)
    said = tuple(((_bytes(name) or b"").decode(), _bytes(text)) for name, text in pairs)
    return Seen(topic, int(partition), _bytes(key), _bytes(value), said)


def _text(value: bytes | None) -> str:
    return "-" if value is None else ":" + base64.b64encode(value).decode()


def _bytes(text: str) -> bytes | None:
    return None if text == "-" else base64.b64decode(text[1:])
