"""Counts what Rounds bring: changes to tasks and gaps, deadlines fired, dead letters, how fast.

Called once per committed Round (`status.Observer`), in the loop that committed it, so it looks
at changes as the processor made them and decodes nothing.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, Final

import orjson
import structlog

from orchestrator.core.instants import SECOND, read
from orchestrator.log import debugs
from orchestrator.stream.clock import Clock
from orchestrator.stream.identity.tally import Tally
from orchestrator.stream.outputs import LOST
from orchestrator.stream.rounds import DEADLINE, JournalRecord, Round
from orchestrator.stream.status import BUCKETS, Histogram
from schemas.topics import DEAD_LETTER

# Fire delay and lateness go on where seconds end: an hour, six, a day, three, seven.
LONG_BUCKETS: Final = (*BUCKETS, 3600.0, 21_600.0, 86_400.0, 259_200.0, 604_800.0)
OTHER: Final = "OTHER"
# Reasons are codes; a label that is none could be anything a sender wrote.
_CODE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
_TRANSITION: Final = "TRANSITION"

logger = structlog.get_logger()


class Work:
    """
    What followed from the journal since this process began.

    Attributes:
        fired: By kind of what fell due: a task's kind, a gap's code, or ``TRANSITION``.
        early: Changes of deadlines whose instant lay after the append time of the clock record.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.records: Counter[tuple[str, str, str]] = Counter()
        self.late: Counter[tuple[str, ...]] = Counter()
        self.letters: Counter[tuple[str, str, str]] = Counter()
        self.task_changes: Counter[tuple[str, ...]] = Counter()
        self.retractions: Counter[tuple[str, ...]] = Counter()
        self.gap_changes: Counter[tuple[str, ...]] = Counter()
        self.fired: Counter[tuple[str, ...]] = Counter()
        self.early = 0
        self.identity: dict[int, Tally] = {}  # by partition
        self.fire_delay: dict[tuple[str, ...], Histogram] = defaultdict(
            lambda: Histogram(LONG_BUCKETS)
        )
        self.event_to_task: dict[tuple[str, ...], Histogram] = defaultdict(Histogram)

    def __call__(self, partition: int, records: Sequence[JournalRecord], rnd: Round) -> None:
        """Take in one Round that was just committed."""
        self.records.update(rnd.results)
        self._handovers(partition, rnd)
        for topic, count in rnd.late.items():
            self.late[topic,] += count
        for out in rnd.outputs:
            if out.topic == DEAD_LETTER and out.headers is not None:
                self.letters[letter_labels(out.headers)] += 1
        if not rnd.made:
            return
        now, last = self._clock.now(), records[-1].stamp
        told = partition if debugs() else None
        fired: Counter[str] = Counter()
        for change, lane, receipt in rnd.made:
            self._count(change, told)
            if lane == DEADLINE:
                fired[self._fired(change, now, last)] += 1
            elif lane and "task" in change:
                seconds = max(0, now - receipt) / SECOND
                self.event_to_task["published", lane].observe(seconds)
        for kind, count in fired.items():
            logger.info("deadline.fired", kind=kind, count=count, partition=partition)

    def _handovers(self, partition: int, rnd: Round) -> None:
        # The meta row of a processor that moves nobody, and that of tests, say nothing of it.
        self.identity[partition] = Tally(orjson.loads(rnd.meta[1]) if rnd.meta[1] else {})

    def _count(self, change: dict[str, Any], told: int | None) -> None:
        what = change["change"]
        task, gap = change.get("task"), change.get("gap")
        if task is not None:
            self.task_changes[task["kind"], what] += 1
            if task["status"] in LOST:
                self.retractions[task["kind"], code(task["status_reason"])] += 1
            if told is not None:
                words = {name: task[name] for name in ("task_id", "kind", "status", "team")}
                logger.debug("task.changed", change=what, partition=told, **words)
        if gap is not None:
            self.gap_changes[gap["code"], what] += 1
            if gap["code"] == "FEED_SILENT":
                _tell_of_feed(what, gap["facility"])
            if told is not None:
                words = {name: gap[name] for name in ("gap_id", "code", "status", "severity")}
                logger.debug("gap.changed", change=what, partition=told, **words)
        if told is not None and change.get("transition") is not None:
            transition = change["transition"]["transition_id"]
            logger.debug(
                "transition.changed", change=what, partition=told, transition_id=transition
            )

    def _fired(self, change: dict[str, Any], now: int, last: int) -> str:
        at = read(change["at"])
        if at > last:
            self.early += 1
        kind: str = _TRANSITION
        if change.get("task") is not None:
            kind = change["task"]["kind"]
        elif change.get("gap") is not None:
            kind = change["gap"]["code"]
        self.fired[kind,] += 1
        self.fire_delay[kind,].observe(max(0, now - at) / SECOND)
        return kind


def letter_labels(headers: dict[str, str]) -> tuple[str, str, str]:
    """Reason, stage and topic of a dead letter, all of them words of ours."""
    return code(headers.get("reason")), code(headers.get("stage")), headers.get("topic", "")


def code(text: str | None) -> str:
    """*text* if it is a code, as reasons are; what is none becomes ``OTHER``."""
    return text if text is not None and _CODE.fullmatch(text) else OTHER


def _tell_of_feed(what: str, facility: str) -> None:
    if what == "gap.opened":
        logger.warning("feed.silent", facility=facility)
    elif what == "gap.closed":
        logger.warning("feed.resumed", facility=facility)
