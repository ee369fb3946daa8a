"""Quix Streams: a stateful dataframe over the journal, RocksDB state with its changelog.

Its state is kept by key, so here the processor's store is that of the record's patient: a head, one
value with all open cells, one per sealed cell and one per event that was seen.
"""

import sys
import tempfile
from typing import Any, Final

import orjson
from quixstreams import Application, message_context
from quixstreams.models import Serializer

from bench.kafka.arms.meter import Meter
from bench.kafka.arms.work import WORKS
from orchestrator.stream.rounds import JournalRecord, Out, Round
from schemas.topics import JOURNAL

_CELLS: Final = "cells"


class OneKey:
    """`rounds.Store` over the state that Quix hands over with a record."""

    state: Any = None

    def __init__(self) -> None:
        self._metas: dict[int, bytes] = {}

    def head(self, key: str) -> bytes | None:
        del key
        found: bytes | None = self.state.get_bytes("head")
        return found

    def cells(self, key: str) -> list[tuple[str, str, bytes]]:
        del key
        return [(kind, name, value.encode()) for kind, name, value in self._open()]

    def cell(self, key: str, kind: str, name: str) -> bytes | None:
        for known, its, value in self.cells(key):
            if (known, its) == (kind, name):
                return value
        found: bytes | None = self.state.get_bytes(f"sealed {kind} {name}")
        return found

    def put_away(self, key: str) -> list[tuple[str, str, bytes]]:
        raise NotImplementedError("nobody is merged in this journal")

    def seen(self, key: str, event_hash: str) -> bytes | None:
        del key
        found: bytes | None = self.state.get_bytes(f"seen {event_hash}")
        return found

    def due(self, partition: int, until: int) -> list[str]:
        raise NotImplementedError("there are no clocks in this journal")

    def meta(self, partition: int) -> bytes | None:
        return self._metas.get(partition)

    def commit(self, rnd: Round) -> None:
        """Write what *rnd* says of the one key."""
        for value, _ in rnd.heads.values():
            self.state.set_bytes("head", value)
        for (_, name), (value, _) in rnd.seen.items():
            self.state.set_bytes(f"seen {name}", value)
        if rnd.cells:
            cells = {(kind, name): value for kind, name, value in self._open()}
            for (_, kind, name), (value, sealed) in rnd.cells.items():
                if sealed:
                    cells.pop((kind, name), None)
                    self.state.set_bytes(f"sealed {kind} {name}", value)
                else:
                    cells[kind, name] = value.decode()
            plain = [[*name, value] for name, value in cells.items()]
            self.state.set_bytes(_CELLS, orjson.dumps(plain))
        self._metas[rnd.meta[0]] = rnd.meta[1]

    def _open(self) -> list[tuple[str, str, str]]:
        kept = self.state.get_bytes(_CELLS)
        return [] if kept is None else orjson.loads(kept)


class ItsValue(Serializer):  # type: ignore[misc]  # it is not installed here
    """What is written of an output."""

    def __call__(self, value: Out, ctx: Any) -> bytes:
        """A tombstone as no bytes, which here costs the same."""
        del ctx
        return value.value or b""


def main() -> None:
    """Run until the limit is worked off."""
    bootstrap, work, group, limit = sys.argv[1:]
    meter = Meter(int(limit))
    store = OneKey()
    processor = WORKS[work].processor(store)
    app = Application(
        broker_address=bootstrap,
        consumer_group=group,
        auto_offset_reset="earliest",
        commit_interval=1.0,
        state_dir=tempfile.mkdtemp(prefix="care-bench-"),
        loglevel="WARNING",
        producer_extra_config={"acks": "all", "enable.idempotence": True, "linger.ms": 5},
        processing_guarantee="at-least-once",
    )
    topics: dict[str, Any] = {}

    def topic_of(out: Out, *_: Any) -> Any:
        if out.topic not in topics:
            topics[out.topic] = app.topic(
                out.topic, value_serializer=ItsValue(), key_serializer="bytes"
            )
        return topics[out.topic]

    def decide(value: bytes, key: bytes, at: int, _headers: Any, state: Any) -> list[Out]:
        meter.begin()
        place = message_context()
        store.state = state
        record = JournalRecord(place.partition, place.offset or 0, at * 1000, key.decode(), value)
        decided = processor.process(place.partition, [record])
        store.commit(decided)
        return decided.outputs

    def count(_outputs: Any) -> None:
        if meter.add(1):
            app.stop()

    journal = app.topic(JOURNAL, value_deserializer="bytes", key_deserializer="bytes")
    frame = app.dataframe(journal).apply(decide, stateful=True, metadata=True)
    frame = frame.update(count).apply(lambda outs: outs, expand=True)
    frame.to_topic(topic_of, key=lambda out: out.key.encode())
    app.run()  # the last checkpoint is part of the work
    meter.finish()


if __name__ == "__main__":
    main()
