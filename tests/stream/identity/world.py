"""Several journal partitions with the product's own processor, in any interleaving.

Every partition has a worker of its own, which may lose all but what was committed, and takes its
records in batches of any size.  What a round appends lies in the other partitions' journals once it
is committed; which partition decides next is drawn.
"""

from dataclasses import dataclass, field
from random import Random
from typing import Any

import orjson

from orchestrator.core.instants import read, written
from orchestrator.stream.identity import IDENTITY
from orchestrator.stream.identity.tally import Tally
from orchestrator.stream.intake import Intake, Signs
from orchestrator.stream.keys import partition_of
from orchestrator.stream.memory_store import MemoryStore
from orchestrator.stream.processor import Processor
from orchestrator.stream.rounds import JournalRecord
from orchestrator.stream.sqlite_log import Record
from tests.stream.identity.site import RULES, SETTINGS, SITE_KEY
from tests.stream.identity.witness import Witness

TOPIC = "care.admission.v1"


@dataclass
class Partition:
    """One journal partition and the worker that owns it."""

    number: int
    journal: list[JournalRecord] = field(default_factory=list)
    position: int = 0
    store: MemoryStore = field(default_factory=MemoryStore)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """A new process: all but what was committed is gone."""
        self.processor = Processor(self.store, RULES, SETTINGS, SITE_KEY, patients_in_memory=3)


class World:
    """All partitions."""

    def __init__(self, rng: Random, partitions: int) -> None:
        self._rng = rng
        self.partitions = [Partition(number) for number in range(partitions)]
        self.now = 0
        self.deaths = 0
        self.records = 0
        self.witness = Witness()
        self._intake = Intake(SETTINGS, SITE_KEY, Signs())

    def accept(self, event: dict[str, Any]) -> None:
        """Intake: decoded, stamped with the receipt, journalled under its subject's key."""
        at = read(event["receivedtime"])
        self.now = max(self.now, at)
        record = Record(TOPIC, 0, 0, at, None, orjson.dumps(event), {})
        taken = self._intake.take(record)
        assert taken.result == "journalled", taken
        self.witness.accepted(at, event)
        for key, value in taken.journal:
            self._append(key, value)

    def clock(self, at: int, *partitions: Partition) -> None:
        """
        A clock for some partitions, each behind what was accepted before.

        What is on its way between partitions may come later: that is what the test is about; only
        what the directory was told must have been decided (the clock's gate).
        """
        self.settle_identity()
        self.now = max(self.now, at)
        value = orjson.dumps({"kind": "clock", "at": written(at)})
        for partition in partitions or self.partitions:
            self._to(partition, "clock", value)

    def turn(self) -> bool:
        """One partition takes some of its records; whether there was any."""
        waiting = [p for p in self.partitions if p.position < len(p.journal)]
        if not waiting:
            return False
        self._decide(self._rng.choice(waiting), self._rng.randint(1, 4))
        return True

    def settle(self) -> None:
        """Until nothing is on its way."""
        while self.turn():
            pass

    def settle_identity(self) -> None:
        """Until all that was said of who is whom is decided and told."""
        home = self.partitions[partition_of(IDENTITY, len(self.partitions))]
        while home.position < len(home.journal):
            self._decide(home, 3)

    def under_way(self) -> list[str]:
        """Keys whose hand-over has not ended, as metrics and ``doctor`` count them."""
        metas = (partition.store.meta(partition.number) for partition in self.partitions)
        return [key for meta in metas if meta for key in Tally(orjson.loads(meta)).moving]

    def _decide(self, partition: Partition, most: int) -> None:
        if self._rng.random() < 0.1:
            partition.restart()
        batch = partition.journal[partition.position : partition.position + most]
        with self.witness.watching():
            rnd = partition.processor.process(partition.number, batch)
        if self._rng.random() < 0.1:
            partition.restart()  # died before the commit: all of it is done again
            self.deaths += 1
            return
        self.witness.committed()
        partition.store.commit(rnd)
        partition.position += len(batch)
        self.records += len(batch)
        self.witness.published(rnd.outputs)
        for key, value in rnd.journal:
            self._append(key, value)

    def _append(self, key: str, value: bytes) -> None:
        self._to(self.partitions[partition_of(key, len(self.partitions))], key, value)

    def _to(self, partition: Partition, key: str, value: bytes) -> None:
        record = JournalRecord(partition.number, len(partition.journal), self.now, key, value)
        partition.journal.append(record)
