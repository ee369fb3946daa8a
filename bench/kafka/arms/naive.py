"""Naive Faust, as tutorials have it: an agent that takes one event at a time, a Table, `send`."""

import sys
import tempfile
from typing import Any, Final

import faust

from bench.kafka.arms.meter import Meter
from bench.kafka.arms.work import PARTITIONS, WORKS
from bench.kafka.arms.written import meta_of, outputs_of, records_of
from orchestrator.stream.kafka.state import State
from schemas.topics import JOURNAL

TABLE: Final = "state"


def changelog_of(group: str) -> str:
    """The topic that its Table writes to."""
    return f"{group}-{TABLE}-changelog"


def app_for(bootstrap: str, work: str, group: str, limit: int) -> faust.App:
    """The app."""
    app = faust.App(
        group,
        broker=f"kafka://{bootstrap}",
        store="memory://",
        topic_allow_declare=False,
        topic_disable_leader=True,
        topic_partitions=PARTITIONS,
        table_standby_replicas=0,
        consumer_auto_offset_reset="earliest",
        broker_max_poll_records=2000,
        broker_commit_interval=1.0,
        producer_linger=0.02,
        producer_max_batch_size=900_000,
        web_enabled=False,
        datadir=tempfile.mkdtemp(prefix="care-bench-"),
    )
    raw: dict[str, Any] = {"key_serializer": "raw", "value_serializer": "raw"}
    table = app.Table(TABLE, key_type=bytes, value_type=bytes, partitions=PARTITIONS)
    topics: dict[str, Any] = {}
    meter = Meter(limit)
    state = State(PARTITIONS)
    processor = WORKS[work].processor(state)

    @app.agent(app.topic(JOURNAL, **raw))
    async def decide(events: Any) -> None:
        async for event in events.events():
            meter.begin()
            partition = event.message.partition
            message = event.message
            (record,) = records_of(partition, [_Row(message, event.key, event.value)])
            decided = processor.process(partition, [record])
            part, meta = state.part(partition), meta_of(decided, [record])
            for (name, _), rows in outputs_of(decided).items():
                if name not in topics:
                    topics[name] = app.topic(name, **raw)
                for key, value in rows:
                    await topics[name].send(key=key, value=value)
            for key, value in part.rows(decided, meta):
                if value is None:
                    table.pop(key, None)
                else:
                    table[key] = value
            part.commit(decided, meta, 0)
            if meter.add(1):
                await app.producer.flush()
                await app.consumer.commit()
                meter.finish()

    return app


class _Row:
    """A message of Faust's as aiokafka would hand it over."""

    __slots__ = ("key", "offset", "timestamp", "value")

    def __init__(self, message: Any, key: bytes, value: bytes) -> None:
        self.offset = message.offset
        self.timestamp = int(message.timestamp * 1000)
        self.key, self.value = key, value


def main() -> None:
    """Run until the limit is worked off."""
    bootstrap, work, group, limit = sys.argv[1:]
    app = app_for(bootstrap, work, group, int(limit))
    worker = faust.Worker(app, quiet=True, loglevel="warn", redirect_stdouts=False)
    worker.spinner = None
    worker.execute_from_commandline()


if __name__ == "__main__":
    main()
