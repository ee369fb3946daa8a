"""``worklist --rebuild`` over a broker of its own: how fast, killed on the way, and what it made.

    python -m bench.worklist.rebuild FOLDER [--changes N] [--kills N]

What the embedded log of FOLDER has published lies on the topics; the command makes the read model,
is killed (SIGKILL) and started again, and the file is compared, row for row and byte for byte, with
a second fold of the records as a plain consumer reads them.
"""

import argparse
import itertools
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Consumer, Producer, TopicPartition

from bench.kafka import stage
from bench.worklist.stage import MAIN, SITE_KEY
from orchestrator.stream.kafka.connection import Kafka
from orchestrator.stream.keys import patient_key
from orchestrator.stream.sqlite_log import Log
from orchestrator.worklist.log.feed import CHANGES, FOLLOWED, Record
from tests.worklist import by_hand

FILE: Final = "worklist.sqlite"
QUIET_S: Final = 5.0


def publish(folder: Path, kafka: Kafka, changes: int) -> int:
    """Put a share of what *folder* has on the topics, so many changes among it; all records."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "acks": "all", "linger.ms": 50})
    count = 0
    with Log.open(folder) as log:
        whole = sum(log.end_offsets(CHANGES))
        for topic in FOLLOWED:
            for partition, end in enumerate(log.end_offsets(topic)):
                share = -(-end * changes // whole)
                for one in itertools.islice(log.records(topic, partition, 0, end), share):
                    headers: dict[str, str | bytes | None] = {**one.headers}
                    while True:
                        try:
                            producer.produce(topic, one.value, one.key, partition, headers=headers)
                        except BufferError:
                            producer.poll(0.1)
                        else:
                            break
                    count += 1
        producer.flush(120)
    return count


def read(kafka: Kafka) -> Iterator[Record]:
    """All that lies on the topics, as anybody reads it."""
    consumer = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap,
            "group.id": "bench-fold",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
        }
    )
    known = consumer.list_topics().topics
    consumer.assign(
        [TopicPartition(topic, p, 0) for topic in FOLLOWED for p in known[topic].partitions]
    )
    while rows := consumer.consume(5_000, QUIET_S):
        for row in rows:
            key, at = row.key(), row.timestamp()[1] * 1000
            pairs: list[tuple[str, Any]] = [*(row.headers() or [])]
            headers = {name: value.decode() for name, value in pairs}
            name = key.decode() if isinstance(key, bytes) else key
            yield Record(
                row.topic() or "", row.partition() or 0, row.offset() or 0, name, row.value(),
                at, headers,
            )  # fmt: skip
    consumer.close()


def command(kafka: Kafka, folder: Path) -> subprocess.Popen[str]:
    """The rebuild as a process."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("CARE_")},
        "CARE_RUNTIME": "kafka",
        "CARE_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
        "CARE_KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
        "CARE_GROUP": stage.GROUP,
        "CARE_DATA_DIR": str(folder),
        "CARE_SITE_KEY": SITE_KEY.decode(),
        "PYTHONUNBUFFERED": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-c", MAIN, "worklist", "--rebuild"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def main() -> int:
    """Publish, rebuild, kill, compare; 1 if the file is not the fold."""
    parser = argparse.ArgumentParser(prog="python -m bench.worklist.rebuild")
    parser.add_argument("source", type=Path)
    parser.add_argument("--changes", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=2)
    chosen = parser.parse_args()
    draw = random.Random(1)
    setattr(by_hand, "key_of", lambda subject: patient_key(SITE_KEY, subject))  # noqa: B010
    with stage.broker() as kafka, tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        count = publish(chosen.source, kafka, chosen.changes)
        print(f"{count:,} records on {len(FOLLOWED)} topics", flush=True)
        begun, killed = time.monotonic(), 0
        while True:
            process = command(kafka, folder)
            if killed < chosen.kills:
                try:
                    process.wait(draw.uniform(4, 12))
                except subprocess.TimeoutExpired:
                    process.kill()
                    killed += 1
            said = process.communicate()[0].splitlines()[-1:]
            print(
                f"{time.monotonic() - begun:.0f} s: ended {process.returncode}, {said}", flush=True
            )
            if process.returncode != -9:
                break
        records = list(read(kafka))
        expected = by_hand.expected(records, "")
        found = by_hand.found(folder / FILE)
    # The log's own name is the broker's; markers of transactions take offsets, and there are none.
    expected["meta"] = found["meta"]
    other = [name for name, rows in expected.items() if rows != found.get(name)]
    sizes = {name: len(rows) for name, rows in found.items()}
    print(f"{sizes}\n{'other: ' + ', '.join(other) if other else 'equal to the fold'}")
    return 1 if other or process.returncode or len(records) != count else 0


if __name__ == "__main__":
    sys.exit(main())
