"""From an event published to its task readable at ``read_committed``: intake, journal, decide.

``python -m bench.kafka.latency [--rates 10 500] [--seconds 30]``: open loop, so that a slow worker
is not sent less.  The clients are a process of their own; a latency begins at the instant at
which an event was to be sent.  Deadlines: calls that become overdue one after the other while
nobody sends anything; late is what passes from the due instant until that can be read.
"""

import argparse
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import orjson
from confluent_kafka import Consumer, Producer, TopicPartition

from bench import report
from bench.kafka import stage
from bench.measure import Figure

TARGET_MS: Final = 250
TASKS: Final = "care.task.v1"
CHANGES: Final = "care.change.v1"
DISCHARGES: Final = "care.discharge.v1"
CALLS: Final = 20
EVERY_S: Final = 1.7
_MARK: Final = b"LAT-"


def main() -> int:
    """Take the figures and print them."""
    parser = argparse.ArgumentParser(prog="python -m bench.kafka.latency")
    parser.add_argument("--rates", type=int, nargs="+", default=[10, 100, 500])
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--bootstrap", help="an empty broker that nobody else uses")
    chosen = parser.parse_args()
    figures: list[Figure] = []
    with stage.broker(chosen.bootstrap) as kafka, stage.workers(kafka) as workers:
        measured(kafka.bootstrap, 20, 5)  # both hops are up, and everything was loaded once
        for rate in chosen.rates:
            before = [one.cpu_seconds() for one in workers]
            latencies = measured(kafka.bootstrap, rate, chosen.seconds)
            cpu = [one.cpu_seconds() - b for one, b in zip(workers, before, strict=True)]
            figures += _figures(rate, chosen.seconds, latencies)
            used = ", ".join(f"{w.role} {s:.1f}" for w, s in zip(workers, cpu, strict=True))
            sys.stderr.write(f"{rate}/s: CPU seconds {used}\n")
        figures += _deadlines(kafka.bootstrap)
    print(report.table(figures), end="")
    return 0


def measured(bootstrap: str, rate: int, seconds: int) -> list[float]:
    """Milliseconds of each event that was seen as a task; ``inf`` for those that were not."""
    command = [sys.executable, "-m", "bench.kafka.latency", "--as-client"]
    command += [bootstrap, str(rate), str(seconds)]
    done = subprocess.run(command, check=True, capture_output=True)
    return [float(word) for word in done.stdout.split()]


def _figures(rate: int, seconds: int, latencies: Sequence[float]) -> list[Figure]:
    ordered = sorted(latencies)
    note = f"{len(ordered):,} events in {seconds} s, {ordered.count(float('inf'))} not seen"
    found = []
    for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
        value = ordered[min(len(ordered) - 1, int(len(ordered) * share))]
        judged = name == "p99"
        found.append(
            Figure(
                "latency",
                f"published to readable, {rate}/s, {name}",
                value,
                "ms",
                f"under {TARGET_MS}" if judged else "",
                value < TARGET_MS if judged else None,
                note,
            )
        )
    return found


def _deadlines(bootstrap: str) -> list[Figure]:
    command = [sys.executable, "-m", "bench.kafka.latency", "--as-deadlines", bootstrap]
    done = subprocess.run(command, check=True, capture_output=True)
    late = sorted(float(word) / 1000 for word in done.stdout.split())
    note = f"{len(late)} calls on an idle topic, one every {EVERY_S:g} s"
    return [
        Figure("deadlines", "overdue to readable, median", late[len(late) // 2], "s", note=note),
        Figure("deadlines", "the latest", late[-1], "s", "under 2", 0 <= late[-1] < 2, note),
        Figure("deadlines", "the earliest", late[0], "s", "not early", late[0] >= 0, note),
    ]


def deadlines(bootstrap: str) -> None:
    """Have calls fall due while nothing else happens, and time their becoming overdue."""
    reader = _Reader(bootstrap, CHANGES, b'"task.overdue"')
    reader.start()
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0, "acks": "all"})
    first = datetime.now(UTC) + timedelta(seconds=8)
    due = {}
    for number in range(CALLS):
        name = f"LAT-{first.microsecond % 100_000:05d}{number:08d}"
        at = first + timedelta(seconds=EVERY_S * number)
        due[name.encode()] = at
        producer.produce(DISCHARGES, _discharge(name, at - timedelta(hours=48)), name.encode())
    producer.flush(30)
    # The reader's clock has no date: what lies between the two now.
    offset = time.time() - time.monotonic()
    until = max(due.values()).timestamp() - offset + 20
    while len(reader.seen) < len(due) and time.monotonic() < until:
        time.sleep(0.05)
    reader.stop()
    for name_, at in due.items():
        seen = reader.seen.get(name_)
        late = float("inf") if seen is None else seen + offset - at.timestamp()
        print(f"{late * 1000:.1f}")


def client(bootstrap: str, rate: int, seconds: int) -> None:
    """Send *rate* discharges a second, each of another patient, and time their first tasks."""
    reader = _Reader(bootstrap, TASKS)
    reader.start()
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0, "acks": "all"})
    producer.list_topics(DISCHARGES, timeout=20)
    run = f"{time.time_ns() // 1_000_000 % 100_000:05d}"
    due: dict[bytes, float] = {}
    start = time.monotonic() + 0.2
    for number in range(rate * seconds):
        at = start + number / rate
        if (early := at - time.monotonic()) > 0:
            time.sleep(early)
        name = f"LAT-{run}{number:08d}"
        due[name.encode()] = at
        producer.produce(DISCHARGES, _discharge(name), name.encode())
        producer.poll(0)
    producer.flush(30)
    until = time.monotonic() + 10
    while len(reader.seen) < len(due) and time.monotonic() < until:
        time.sleep(0.05)
    reader.stop()
    for name_, at in due.items():
        seen = reader.seen.get(name_)
        print("inf" if seen is None else f"{(seen - at) * 1000:.1f}")


class _Reader(threading.Thread):
    """Notes when the first record of each patient in *topic*, with *word*, could be read."""

    def __init__(self, bootstrap: str, topic: str, word: bytes = b"") -> None:
        super().__init__(daemon=True)
        self._word = word
        self.seen: dict[bytes, float] = {}
        self._stopping = False
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "bench-latency",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 10,
            }
        )
        parts = self._consumer.list_topics(topic, timeout=20).topics[topic].partitions
        tps = [TopicPartition(topic, p) for p in parts]
        for tp in tps:
            tp.offset = self._consumer.get_watermark_offsets(tp, timeout=20)[1]
        self._consumer.assign(tps)

    def run(self) -> None:
        while not self._stopping:
            for message in self._consumer.consume(500, 0.02):
                value = message.value()
                if message.error() is not None or value is None:
                    continue
                place = value.find(_MARK)
                if place >= 0 and self._word in value:
                    name = value[place : place + len(_MARK) + 13]
                    self.seen.setdefault(name, time.monotonic())

    def stop(self) -> None:
        self._stopping = True
        self.join()
        self._consumer.close()


def _discharge(name: str, at: datetime | None = None) -> bytes:
    at = at or datetime.now(UTC) - timedelta(minutes=5)
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": name,
            "source": "hospital/GEN/adt",
            "type": "care.discharge.recorded.v1",
            "time": at.isoformat(timespec="milliseconds"),
            "subject": f"GEN|{name}",
            "facility": "GEN",
            "data": {"visit_number": f"V{name}", "disposition": {"code": "01"}},
        }
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--as-client"]:
        client(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    elif sys.argv[1:2] == ["--as-deadlines"]:
        deadlines(sys.argv[2])
    else:
        sys.exit(main())
