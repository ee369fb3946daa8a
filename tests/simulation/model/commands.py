"""Which commands are accepted: each judged once, in journal order, by what stood at its receipt.

The verdict needs the whole past: what was published before, and what earlier verdicts made of it.
So the world is worked out anew at every receipt.  Source: contract.md §3, design.md (Commands),
rulings 2, 20, 32.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.simulation.model.facts import Event
from tests.simulation.model.tasks import TERMINAL, Task

# Just before the deadlines of an instant: at one instant receipts come first.
BEFORE_DEADLINES = timedelta(microseconds=1)
WAITS_FOR = timedelta(hours=72)
RECONCILERS = ("prescriber", "pharmacist", "rn")

Accepted = tuple[tuple[str, Event], ...]
TasksAt = Callable[[list[Event], datetime, Accepted], list[Task]]


@dataclass
class _Past:
    """What had been published by an instant, and what was decided."""

    published: dict[str, Task] = field(default_factory=dict)
    accepted: Accepted = ()
    refused: dict[str, str] = field(default_factory=dict)  # event id -> reason
    waiting: list[Event] = field(default_factory=list)


def is_command(event: Event) -> bool:
    return event.type.startswith("task.")


def _target(command: Event, past: _Past) -> Task | None:
    named = command.data.get("task_id")
    if named is not None:
        return past.published.get(str(named))
    found = [
        task
        for task in past.published.values()
        if task.kind == command.data.get("kind")
        and task.transition.discharge.known_by.visit == command.visit
        and command.facility in ("", task.transition.stay.facility)
    ]
    return found[-1] if found else None  # in the order in which they became known


def _refusal(command: Event, task: Task | None) -> str | None:
    """Why the command is refused; *task* is how its target stands now, if it stands at all."""
    if task is None or task.status in TERMINAL:
        return "terminal"
    if command.type == "task.completed" and task.kind == "MED_REC":
        return None if command.data.get("role") in RECONCILERS else "role"
    if command.type == "task.accepted" and task.owner not in (None, command.data.get("actor")):
        return "owner"
    return None


def _judge(command: Event, now: datetime, standing: dict[str, Task], past: _Past) -> None:
    target = _target(command, past)
    if now > command.received + WAITS_FOR:
        past.refused[command.id] = "unknown-task"
        return
    if target is None:
        if "task_id" in command.data:
            past.refused[command.id] = "unknown-task"
        else:
            past.waiting.append(command)
        return
    reason = _refusal(command, standing.get(target.id))
    if reason is not None:
        past.refused[command.id] = reason
    else:
        past.accepted += ((target.id, command),)


def verdicts(events: Iterable[Event], tasks_at: TasksAt) -> tuple[Accepted, dict[str, str]]:
    """The accepted commands in the order of their verdicts, and the refused with their reasons."""
    events = list(events)
    commands = [e for e in events if is_command(e)]
    if not commands:
        return (), {}
    past = _Past()
    # A time ahead of its receipt begins to count at an instant at which nothing is received.
    counts_from = {e.time + BEFORE_DEADLINES for e in events if e.time > e.received}
    instants = sorted({e.received for e in events} | counts_from)
    for now in instants:
        facts = [e for e in events if e.received <= now and not is_command(e)]
        arrived = [e for e in commands if e.received == now]
        todo = past.waiting + sorted(arrived, key=lambda e: (e.time, e.source, e.id))
        past.waiting = []
        for command in [None, *todo]:
            standing = {t.id: t for t in tasks_at(facts, now - BEFORE_DEADLINES, past.accepted)}
            for task in standing.values():
                if task.status not in ("cancelled", "entered-in-error"):
                    past.published[task.id] = task
            if command is not None:
                _judge(command, now, standing, past)
    return past.accepted, past.refused
