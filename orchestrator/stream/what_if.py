"""What another policy would have made of past discharges: decides, compares, publishes nothing.

Whoever tries out changed rules asks: had these been in force, what would my teams have had to do?
So the newest version of the proposed file is taken to have come into force where the window of
days begins, whatever its ``effective_from`` says (usually a day still to come), and to have stayed;
before the window the versions hold that held then.  On the other side stand the policies as they
are, each discharge under the version that was in force at it.

Every patient with something in the window is decided twice, from all that the journal still holds
of them, as ``replay`` decides; what is compared are the tasks and gaps of the transitions whose
discharge lies in the window.  What the journal no longer holds (it keeps 120 days) is not known
here: an admission before that is missing on both sides.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

import structlog

from orchestrator.core.instants import read, written
from orchestrator.core.policy import Rules
from orchestrator.stream.compared import Sight, Standing, differences
from orchestrator.stream.keys import patient_key
from orchestrator.stream.replay import REPLAY_KEY, Input, Run
from orchestrator.stream.rules import rules
from orchestrator.stream.shelf import Journal, Shelf
from orchestrator.stream.story import History, Story
from schemas.facilities import Facilities
from schemas.policy import Policy

WAYS: Final = ("earlier", "later", "new", "gone", "changed")
LISTED: Final = 100  # of each way to differ; the counts tell of all
OnProgress = Callable[[int, int], None]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

logger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Question:
    """
    What is asked.

    Attributes:
        since: The first instant of the window; discharges count from it on.
        until: The last one.
        now: How far the clock has come; both sides are decided up to it.
        sight: What whoever asks may see.
    """

    in_force: tuple[Policy, ...]
    proposed: tuple[Policy, ...]
    facilities: Facilities
    since: int
    until: int
    now: int
    sight: Sight = field(default_factory=Sight)


def tried(in_force: Sequence[Policy], proposed: Sequence[Policy], since: int) -> tuple[Policy, ...]:
    """The versions as they would be, had the newest of *proposed* come into force at *since*."""
    begin = _EPOCH + timedelta(microseconds=since)
    before = [policy for policy in in_force if policy.effective_from < begin]
    return (*before, proposed[-1].model_copy(update={"effective_from": begin}))


def what_if(asked: Question, journal: Journal, on_progress: OnProgress) -> dict[str, Any]:
    """
    Decide under both and compare.

    Args:
        journal: All of it that there is.
        on_progress: Told how much of how much is done; half of it is reading.

    Returns:
        Counts of all, and of what differs the first of each way to differ.
    """
    size = max(1, journal.size())
    tally = _Tally(asked)
    with Shelf(asked.facilities, asked.since, asked.until) as shelf:
        for number in shelf.fill(journal):
            on_progress(min(number, size), 2 * size)
        groups = shelf.groups()
        for number, names in enumerate(groups, 1):
            tally.take(shelf, names)
            on_progress(size + size * number // len(groups), 2 * size)
        return {
            "version": asked.proposed[-1].version,
            "from": written(asked.since),
            "to": written(asked.until),
            "as_of": written(asked.now),
            "journal_from": None if shelf.first is None else written(shelf.first),
            **tally.answer(),
        }


class _Tally:
    """The counts so far, and the first that differ."""

    def __init__(self, asked: Question) -> None:
        self._asked = asked
        new = tried(asked.in_force, asked.proposed, asked.since)
        self._was = rules(asked.in_force, asked.facilities)
        self._now = rules(new, asked.facilities)
        self._patients = 0
        self._failed = 0
        self._transitions = 0
        self._tasks: Counter[str] = Counter()
        self._gaps: Counter[str] = Counter()
        self._listed: dict[str, list[dict[str, Any]]] = {}

    def take(self, shelf: Shelf, names: Sequence[str]) -> None:
        """Decide about one patient, under all names that were ever theirs."""
        asked = self._asked
        try:
            told = self._told(shelf, names)
            was, now = (self._decided(one, told) for one in (self._was, self._now))
        except Exception:
            # A bug of ours at one patient keeps nobody from the answer about the others.
            logger.exception("record.failed", stage="what-if")
            self._failed += 1
            return
        inside = was.within(asked.since, asked.until) | now.within(asked.since, asked.until)
        inside = {one for one in inside if asked.sight.sees_transition(was, now, one)}
        self._patients += bool(inside)
        self._transitions += len(inside)
        for kind, counts in (("task", self._tasks), ("gap", self._gaps)):
            for one in differences(kind, was, now, inside, asked.sight):
                counts[one.way] += 1
                listed = self._listed.setdefault(one.way, [])
                if kind == "task" and one.way != "same" and len(listed) < LISTED:
                    listed.append(one.told())

    def _told(self, shelf: Shelf, names: Sequence[str]) -> dict[str, History]:
        run = Run(self._was, self._asked.facilities, self._asked.now)
        run.take(Input(list(shelf.events(names))))
        # That others go by the same visit number opens a gap of a stay, which is not compared.
        return {name: run.subjects[name] for name in names if name in run.subjects}

    def _decided(self, under: Rules, told: Mapping[str, History]) -> Standing:
        zone = under.facility("", self._asked.now).zone
        story = Story(under, partial(patient_key, REPLAY_KEY), zone)
        story.run(told, self._asked.now)
        return Standing(story.changes)

    def answer(self) -> dict[str, Any]:
        differing = self._tasks.total() - self._tasks["same"]
        items = [one for way in WAYS for one in sorted(self._listed.get(way, ()), key=_when)]
        return {
            "patients": self._patients,
            "transitions": self._transitions,
            "tasks": {way: self._tasks[way] for way in ("same", *WAYS)},
            "gaps": {way: self._gaps[way] for way in ("same", "new", "gone", "changed")},
            "differing": differing,
            "items": items,
            "failed": self._failed,
        }


def _when(one: Mapping[str, Any]) -> tuple[int, str]:
    known = one["now"] or one["was"]
    return read(known["due_at"]), known["task_id"]
