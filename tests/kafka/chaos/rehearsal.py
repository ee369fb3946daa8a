"""A run without brokers, processes and faults, recorded as a real one is: the checker's own test.

The product's intake and processor are driven over lists.  Polls mix the topics, so that the
journal's order is not that of the receipts; now and then a poll is taken in twice, as after a
crash, and decide's state goes through the rows of its changelog.
"""

import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from random import Random
from typing import Final

import orjson

from orchestrator.core.instants import SECOND, read, written
from orchestrator.stream.intake import Intake, Signs
from orchestrator.stream.kafka.state import Meta, State
from orchestrator.stream.keys import partition_of
from orchestrator.stream.processor import Processor
from orchestrator.stream.rounds import JournalRecord
from orchestrator.stream.sqlite_log import Record
from orchestrator.stream.timekeeper import CLOCK_KEY
from orchestrator.stream.topic_layout import is_keyed
from schemas.topics import DEAD_LETTER
from tests.kafka.chaos.feed import Plan, Say, feed, large
from tests.kafka.chaos.recorded import (
    CHANGES,
    Landed,
    Letter,
    Recorded,
    Row,
    Sight,
    StateRow,
    named,
)
from tests.kafka.chaos.sender import Attempt, sha
from tests.simulation.journal import RULES, SETTINGS, SITE_KEY

PARTITIONS: Final = 4
POLL: Final = 20
REDONE: Final = 0.05
CLOCK_EVERY: Final = 2  # polls
EVENTS_A_SECOND: Final = 3
# Beyond every bound, so that nothing may stay unseen.
FOLLOWED_ON: Final = 600 * SECOND


class Rehearsal:
    """Lists where a run has topics."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._rng = Random(f"rehearsal {plan.seed}")
        self._now = read(plan.begins)
        self._step = plan.seconds * SECOND // (2 * plan.events)
        self._ends: Counter[tuple[str, int]] = Counter()
        self._intake = Intake(SETTINGS, SITE_KEY, Signs())
        self.state = State(PARTITIONS)
        self._processor = Processor(self.state, RULES, SETTINGS, SITE_KEY)
        self.recorded = Recorded(
            {},
            [],
            {p: [] for p in range(PARTITIONS)},
            {},
            defaultdict(list),
            [],
            {p: [] for p in range(PARTITIONS)},
        )
        self.recorded.state = {p: [] for p in range(PARTITIONS)}
        self.recorded.seen = {p: {} for p in range(PARTITIONS)}

    @property
    def _journal(self) -> Iterable[tuple[int, list[Row]]]:
        return self.recorded.journal.items()

    def run(self) -> Recorded:
        """All of it; what a checker would read."""
        # The last of the large ones is what a broker refuses.
        said = [*feed(self._plan), *list(large(self._rng, self._plan, 0))[:-1]]
        for number, start in enumerate(range(0, len(said), POLL)):
            poll = [self._land(say) for say in said[start : start + POLL]]
            poll.sort(key=lambda record: (record.topic, record.partition, record.offset))
            self._take(poll)
            if self._rng.random() < REDONE:
                self._take(poll)
            if number % CLOCK_EVERY == 0:
                self._clock()
            self._decide()
        self._now += 30 * SECOND
        self._clock()
        while any(len(rows) > self.recorded.decided.get(p, 0) for p, rows in self._journal):
            self._decide()
        self.recorded.outputs = dict(self.recorded.outputs)
        self.recorded.looked = self._now + FOLLOWED_ON
        return self.recorded

    def _tick(self) -> int:
        # Brokers stamp in milliseconds, and two records may share one.
        self._now += self._rng.randrange(2 * self._step) // 1000 * 1000
        return self._now

    def _land(self, say: Say) -> Record:
        name = f"s-{len(self.recorded.attempts)}"
        where = (say.topic, self._rng.randrange(PARTITIONS))
        offset, stamp = self._ends[where], self._tick()
        self._ends[where] += 1
        digest = sha(say.value)
        attempt = Attempt(name, say.topic, digest, say.fate, stamp, "ok", stamp, where[1], offset)
        self.recorded.attempts[name] = attempt
        self.recorded.landed.append(Landed(*where, offset, stamp, name, digest, named(say.value)))
        key = None if say.key is None else say.key.decode("utf-8", "replace")
        return Record(*where, offset, stamp, key, say.value or b"", {"attempt": name})

    def _take(self, poll: list[Record]) -> None:
        for record in poll:
            taken = self._intake.take(record)
            for key, value in taken.journal:
                self._append(partition_of(key, PARTITIONS), key, value)
            for letter in taken.dead_letters:
                headers = {**record.headers, **letter.headers}
                self.recorded.letters.append(Letter(headers, sha(letter.value)))

    def _append(self, partition: int, key: str, value: bytes) -> None:
        rows = self.recorded.journal[partition]
        rows.append(Row(partition, len(rows), self._tick(), key, value))

    def _clock(self) -> None:
        at = written(self._tick())
        self._tick()
        for partition in range(PARTITIONS):
            self._append(partition, CLOCK_KEY, orjson.dumps({"kind": "clock", "at": at}))

    def _decide(self) -> None:
        for partition, rows in self._journal:
            part = self.state.part(partition)
            fresh = [JournalRecord(*row) for row in rows[part.meta.following :]]
            if not fresh:
                continue
            decided = self._processor.process(partition, fresh)
            meta = Meta(fresh[-1].offset + 1, fresh[-1].stamp, 0, decided.meta[1])
            changelog = self.recorded.state[partition]
            changelog += [StateRow(*row) for row in part.rows(decided, meta)]
            part.commit(decided, meta, len(changelog) - 1)
            self.recorded.decided[partition] = len(fresh) + fresh[0].offset
            for key, value in decided.journal:
                self._append(partition_of(key, PARTITIONS), key, value)
            for out in decided.outputs:
                headers = out.headers or {}
                if out.topic == DEAD_LETTER:
                    self.recorded.letters.append(Letter(headers, sha(out.value)))
                    continue
                where = (out.topic, (out.partition or 0) if is_keyed(out.topic) else 0)
                said = (out.key, out.value, tuple(sorted(headers.items())))
                self.recorded.outputs[where].append(said)
                if out.topic == CHANGES:
                    self._see(where[1], out.value or b"")

    def _see(self, partition: int, value: bytes) -> None:
        offsets = self.recorded.offsets[partition]
        offsets.append(2 * len(offsets))  # markers lie between them
        sight = Sight(self._now + SECOND // 10, zlib.crc32(value))
        self.recorded.seen[partition][offsets[-1]] = sight


def rehearsed(seed: int, events: int) -> Recorded:
    """A recorded run in which nothing went wrong."""
    seconds = events // EVENTS_A_SECOND
    return Rehearsal(Plan(seed, "2026-11-20T15:00:00Z", seconds, 0, events)).run()
