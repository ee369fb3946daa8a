"""What should stand for one patient after each record of the journal, by the reference model.

The model (`tests.simulation.model`) shares no code with the core.  Here it is asked over the
journal's own facts, receipts and clocks: facts in the journal's order, commands judged in that
order too, and `now` as the partition's clock had it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tests.kafka.chaos.stories import Step
from tests.simulation.model.commands import _judge, _Past, is_command
from tests.simulation.model.facts import Event, accepted
from tests.simulation.model.world import World
from tests.simulation.reference import Standing, standing
from tests.simulation.tale import FACILITIES

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WITHDRAWN = ("cancelled", "entered-in-error")


@dataclass
class Believer:
    """One patient as the model sees them, one journal record at a time."""

    facts: list[Event] = field(default_factory=list)
    past: _Past = field(default_factory=_Past)
    clock: datetime = EPOCH
    _last: tuple[tuple[datetime, int, int], Standing] | None = None

    def after(self, steps: Iterable[Step], *, judging: bool) -> Iterator["Believer"]:
        """
        Itself after each step and the clocks behind it.

        Args:
            judging: Whether there are commands; without them nothing but the facts counts.
        """
        for step in steps:
            event = accepted(step.event, EPOCH)
            self._pass(moment(step.before), judging=judging)
            if is_command(event):
                self._look(event)
            else:
                self.facts.append(event)
                if judging:
                    self._look(None)
            self._pass(moment(step.after), judging=judging)
            yield self

    def at(self, now: datetime) -> Standing:
        """What should stand at *now* with what is known so far."""
        known = (now, len(self.facts), len(self.past.accepted))
        if self._last is None or self._last[0] != known:
            facts = tuple(sorted(self.facts, key=lambda event: event.arrival))
            self._last = (known, standing(World(now, facts, FACILITIES, self.past.accepted)))
        return self._last[1]

    def _pass(self, until: datetime, *, judging: bool) -> None:
        """The clock moves; what was ahead of its receipt begins to count on the way."""
        if judging:
            ahead = {e.time for e in self.facts if self.clock < e.time <= until}
            for at in sorted(ahead):
                self.clock = at
                self._look(None)
        self.clock = max(self.clock, until)

    def _look(self, arrived: Event | None) -> None:
        todo = [*self.past.waiting, *([arrived] if arrived is not None else [])]
        self.past.waiting = []
        for command in [None, *todo]:
            tasks = {task.id: task for task in self.at(self.clock).tasks}
            for task in tasks.values():
                if task.status not in WITHDRAWN:
                    self.past.published[task.id] = task
            if command is not None:
                _judge(command, self.clock, tasks, self.past)


def moment(at: int) -> datetime:
    """Microseconds as the model writes an instant."""
    return EPOCH + timedelta(microseconds=at)
