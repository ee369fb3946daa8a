"""From a change record to the records of the public topics (``contract.md`` §1, §3 to §5).

Each change goes to the change log; a task or gap also goes, whole, to its compacted topic; a task
change also to the queue of its team, and to the queue of the team that lost it, in the view that
either has.
"""

from collections.abc import Iterator
from typing import Any, Final

import orjson

from orchestrator.core.showing import Showing
from orchestrator.stream.rounds import Out
from schemas.queues import WITHDRAWN, queued

TASKS: Final = "care.task.v1"
GAPS: Final = "care.gap.v1"
CHANGES: Final = "care.change.v1"
PATIENTS: Final = "care.patient-view.v1"
LOST: Final = ("cancelled", "entered-in-error")


def outputs(change: dict[str, Any], partition: int, teams: dict[str, str]) -> Iterator[Out]:
    """
    The records that one change becomes.

    Args:
        change: As the core made it.
        partition: That of the immutable subject.
        teams: By task id the team that had it last; kept up to date here.
    """
    key = change["patient_key"]
    yield Out(CHANGES, key, partition, orjson.dumps(change))
    task = change.get("task")
    if task is not None:
        yield from _task(change, task, key, partition, teams)
    gap = change.get("gap")
    if gap is not None:
        yield Out(GAPS, gap["gap_id"], partition, orjson.dumps(gap))


def shown(showing: Showing, partition: int) -> Out:
    """The record of a patient view; *partition* is that of the immutable subject."""
    value = None if showing.view is None else orjson.dumps(showing.view)
    return Out(PATIENTS, showing.whose.key, partition, value)


def _task(
    change: dict[str, Any], task: dict[str, Any], key: str, partition: int, teams: dict[str, str]
) -> Iterator[Out]:
    yield Out(TASKS, task["task_id"], partition, orjson.dumps(task))
    at, why = change["at"], change["why"]
    what = WITHDRAWN if task["status"] in LOST else change["change"]
    yield _queued(key, partition, *queued(task["team"], what, at, task, why))
    before = teams.get(task["task_id"])
    if before is not None and before != task["team"]:
        gone = f"Passed on to {task['team']}."
        yield _queued(key, partition, *queued(before, WITHDRAWN, at, task, gone))
    teams[task["task_id"]] = task["team"]


def _queued(key: str, partition: int, topic: str, value: dict[str, Any]) -> Out:
    return Out(topic, key, partition, orjson.dumps(value))
