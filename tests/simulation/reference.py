"""What should stand at an instant, worked out from all events at once and from the documents alone.

`expected` is the whole interface: canonical events as a publisher writes them, the facilities
file as a mapping, an instant; out come the transitions, the live tasks and the live gaps.  It
keeps no state, publishes nothing and takes its time; what it shares with the core is the wording
of the rules.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from tests.simulation.model.calendar import instant
from tests.simulation.model.commands import Accepted, is_command, verdicts
from tests.simulation.model.facts import Event, earliest_copies
from tests.simulation.model.gaps import Gap, gaps
from tests.simulation.model.tasks import VISIT_DAYS, Task, every_core_task_done, tasks_of
from tests.simulation.model.transitions import End, Transition, transitions
from tests.simulation.model.visits import slots
from tests.simulation.model.world import Facilities, World


@dataclass(frozen=True)
class Standing:
    """What should stand for one patient."""

    transitions: tuple[Transition, ...] = ()
    tasks: tuple[Task, ...] = ()  # live, and those of open transitions that are done
    gaps: tuple[Gap, ...] = ()
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def live_tasks(self) -> tuple[Task, ...]:
        return tuple(t for t in self.tasks if t.is_live)


def _closed_well(transition: Transition, world: World) -> Transition:
    """A window that ran out with everything done was completed."""
    end = transition.end
    if end is None or end.reason != "WINDOW_ENDED" or not every_core_task_done(transition, world):
        return transition
    return replace(transition, end=End(end.at, "COMPLETED"))


def _pulled_afterwards(task: Task, world: World) -> bool:
    """Ruling 28: a visit set the due time of the reconciliation when it was past already."""
    if task.kind != "MED_REC":
        return False
    transition = task.transition
    slot = next((s for s in slots(world, transition) if s.qualifies and s.may_count), None)
    pulled = slot is not None and task.due_at < transition.end_of_day(VISIT_DAYS)
    if slot is None or not pulled:
        return False
    return max(slot.timed_by.received, slot.counts_since) >= task.due_at


def _blamed(task: Task, world: World) -> Task:
    """Whose lateness it is: theirs who had the task, due by then, when the time came."""
    if not task.overdue:
        return task
    if task.born_overdue:
        return replace(task, attribution="FEED")
    if _pulled_afterwards(task, world):
        return replace(task, attribution="CORRECTION")
    then = world.before(task.due_at)
    had = any(
        one.id == task.id and one.due_at <= task.due_at and one.is_live
        for transition in transitions(then)
        for one in tasks_of(transition, then)
    )
    return replace(task, attribution="STAFF" if had else "CORRECTION")


def standing(world: World) -> Standing:
    found = [(t, tasks_of(t, world)) for t in transitions(world)]
    return Standing(
        transitions=tuple(_closed_well(t, world) for t, _ in found),
        tasks=tuple(_blamed(task, world) for _, tasks in found for task in tasks),
        gaps=tuple(gaps(world, found)),
    )


def for_patient(events: list[Event], facilities: Facilities, as_of: datetime) -> Standing:
    """What should stand at *as_of* for the patient whose events these are."""

    def tasks_at(facts: list[Event], now: datetime, accepted: Accepted) -> list[Task]:
        world = World(now, tuple(facts), facilities, accepted)
        return [task for t in transitions(world) for task in tasks_of(t, world)]

    accepted, refused = verdicts(events, tasks_at)
    facts = tuple(e for e in events if not is_command(e))
    return replace(standing(World(as_of, facts, facilities, accepted)), refused=refused)


def expected(
    raws: list[dict[str, Any]], facilities: Facilities, as_of: str | datetime
) -> dict[str, Standing]:
    """What should stand at *as_of*, per patient.

    Args:
        raws: Events in any order; copies count at their earliest receipt.
        facilities: The facilities file, read; `default` serves those it does not list.
        as_of: The clock at the end, inclusive for receipts and deadlines.
    """
    at = instant(as_of) if isinstance(as_of, str) else as_of
    of: dict[str, list[Event]] = {}
    for event in earliest_copies(raws, at):
        of.setdefault(event.subject, []).append(event)
    return {subject: for_patient(events, facilities, at) for subject, events in of.items()}
