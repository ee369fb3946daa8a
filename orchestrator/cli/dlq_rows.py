"""Dead letters folded into memory: their topic, and what people did about them.

What became of a letter stands in the audit log alone, which is kept for years: it is read from the
oldest letter's time on.  No letter's bytes are held, and nothing outlives the command.
"""

import sqlite3
import threading
from collections.abc import Callable
from typing import Final, Protocol

import orjson

from orchestrator.cli.console import Step
from orchestrator.cli.faults import No
from orchestrator.worklist import edge
from orchestrator.worklist.instants import SECOND
from orchestrator.worklist.log.feed import (
    AUDIT,
    CHANGES,
    LETTERS,
    Feed,
    LogAway,
    Place,
    Positions,
    Record,
)
from orchestrator.worklist.model import letters, tables
from orchestrator.worklist.model.fold import Fold
from orchestrator.worklist.model.freshness import Freshness

# What is needed to look, and what to know what followed from sending again.
LOOKED_AT: Final = (LETTERS, AUDIT)
FOLLOWED: Final = (*LOOKED_AT, CHANGES)

BATCH: Final = 5_000
WAIT_S: Final = 0.2
AWAY_S: Final = 15.0  # without any progress
SAMPLE_EACH_S: Final = 0.5
# Brokers' and machines' clocks differ: who was asked to record a deed may have been behind.
SKEW: Final = 3600 * SECOND
# In every audit record about a letter; of a million others it is all that is looked at.
_ABOUT_ONE: Final = f"{letters.OBJECT}/".encode()


class Searched(Feed, Protocol):
    """A feed in which one can begin at a time."""

    def since(self, topic: str, at: int) -> Positions:
        """Per place of *topic*, where what was appended at *at* or later begins."""
        ...


class Rows:
    """
    The rows, and how they follow the log; for one thread.

    Args:
        stopped: Somebody wants to end: reading ends at once.
    """

    def __init__(
        self, feed: Searched, key_of: Callable[[str], str], stopped: threading.Event
    ) -> None:
        self._feed = feed
        self._stopped = stopped
        self.db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        tables.prepare(self.db, feed.name, {}, edge.new_id())
        self._fold = Fold(self.db, key_of)
        self._positions: dict[Place, int] = {}
        self._next_sample = 0.0
        self.freshness = Freshness(behind_after=0.0)

    def fill(self, told: Step) -> None:
        """
        Read all letters and what was done about them; of the rest only what comes from now on.

        Raises:
            LogAway: The log does not answer.
            No: It was stopped.
        """
        ends = dict(self._feed.ends())
        firsts = self._feed.firsts()
        self._positions = {**ends, **{p: at for p, at in firsts.items() if p[0] == LETTERS}}
        self._reach({p: end for p, end in ends.items() if p[0] == LETTERS}, told)
        (oldest,) = self.db.execute("SELECT min(at) FROM letters").fetchone()
        if oldest is None:
            return
        self._positions.update(self._feed.since(AUDIT, oldest - SKEW))
        self._reach({p: end for p, end in ends.items() if p[0] == AUDIT}, told)

    def _reach(self, goal: Positions, told: Step) -> None:
        begun = {place: self._positions[place] for place in goal}
        whole = sum(max(0, end - begun[place]) for place, end in goal.items())
        moved = edge.elapsed()
        while left := sum(max(0, end - self._positions[place]) for place, end in goal.items()):
            told(whole - left, whole)
            if self._stopped.is_set():
                raise No("stopped while reading; nothing was changed")
            if self._step(without_bytes=True):
                moved = edge.elapsed()
            elif edge.elapsed() - moved > AWAY_S:
                raise LogAway(f"no answer for {AWAY_S:.0f} s")

    def follow(self, wait_s: float) -> None:
        """Take in what comes within *wait_s*, and how far the deciding process is."""
        now = edge.elapsed()
        if now >= self._next_sample:
            self._next_sample = now + SAMPLE_EACH_S
            sample = self._feed.sample()
            if sample is not None:
                self.freshness.sampled(sample, now)
        self._step(wait_s=wait_s)
        self.freshness.reached(self._positions, edge.elapsed())

    def _step(self, *, wait_s: float = WAIT_S, without_bytes: bool = False) -> bool:
        """Read once; whether anything moved."""
        records, moved = self._feed.read(self._positions, BATCH, wait_s)
        self.db.execute("BEGIN")
        (known,) = self.db.execute("SELECT coalesce(max(id), 0) FROM letters").fetchone()
        for record in records:
            self._take(record)
        if without_bytes:
            # Days of them are more than memory should hold; who asks for one reads that one.
            self.db.execute("UPDATE letters SET value = x'' WHERE id > ?", (known,))
        self.db.execute("COMMIT")
        self._positions.update(moved)
        return bool(moved)

    def _take(self, record: Record) -> None:
        if record.topic != AUDIT:
            self._fold.apply(record)
        elif record.value is not None and _ABOUT_ONE in record.value:
            audit = orjson.loads(record.value)
            if audit["action"] in letters.DEEDS:
                letters.deed(self.db, audit)

    def close(self) -> None:
        self.db.close()
        self._feed.close()
