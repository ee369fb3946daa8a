"""Commands: what care teams do, accepted or refused once, in journal order.

Only an accepted command becomes a fact.  A refusal names the command and one reason, so that
whoever waits gets an answer.  ``contract.md`` §3; rulings 20, 27 and 32.
"""

from typing import Any, Final, Literal

from orchestrator.core.facts import Command
from orchestrator.core.instants import read
from orchestrator.core.policy import Rules
from orchestrator.core.reconcile import LIVE_GAP, Ledger
from orchestrator.core.wanted import TERMINAL

Refusal = Literal["terminal", "unknown-task", "version", "role", "owner"]
WAITS: Final = "waits"


def find(command: Command, ledger: Ledger) -> dict[str, Any] | None:
    """The task that a command means: by its id, or that visit's newest of the kind."""
    if command.task_id is not None:
        return ledger.tasks.get(command.task_id)
    newest = None
    for task in ledger.tasks.values():  # in order of first publication
        if task["kind"] != command.kind or task["visit_number"] != command.visit:
            continue
        if command.facility is not None and task["facility"] != command.facility:
            continue
        newest = task
    return newest


def judge(
    command: Command, ledger: Ledger, rules: Rules
) -> tuple[dict[str, Any] | None, Refusal | Literal["waits"] | None]:
    """
    Accept or refuse one command against what is published.

    Returns:
        The task (or gap) it is about, and the refusal, ``waits`` for a task that may yet come, or
        None when it is accepted.  What is no longer possible is told before what is stale.
    """
    if command.gap_id is not None and command.task_id is None and command.kind is None:
        gap = ledger.gaps.get(command.gap_id)
        if gap is None:
            return None, "unknown-task"
        rule = rules.newest.gaps.get(gap["code"])
        if rule is None or not rule.acknowledged:
            return gap, "role"  # no role may
        return gap, None if gap["status"] in LIVE_GAP else "terminal"
    task = find(command, ledger)
    if task is None:
        return None, WAITS if command.task_id is None else "unknown-task"
    if task["status"] in TERMINAL and not _came_before_the_wish(command, task):
        return task, "terminal"
    transition = ledger.transitions.get(task["transition_id"])
    at = read(transition["index_discharge_at"]) if transition is not None else 0
    policy = rules.policy(at)
    rule_of_kind = policy.tasks.get(task["kind"])
    if (
        command.what == "completed"
        and rule_of_kind is not None
        and rule_of_kind.completed_by
        and command.role not in rule_of_kind.completed_by
    ):
        return task, "role"
    owner = task["owner"]
    if command.what == "accepted" and owner is not None and command.actor != owner:
        return task, "owner"
    if command.if_version is not None and command.if_version != task["version"]:
        return task, "version"
    return task, None


def _came_before_the_wish(command: Command, task: dict[str, Any]) -> bool:
    """
    A call made before, or in which, the patient declined calls, and heard of after the wish.

    What the patient said in it counts (ruling 19), a red flag above all.
    """
    return (
        command.what in ("attempted", "completed")
        and (task["status"], task["status_reason"]) == ("cancelled", "DECLINED")
        and task["ended_at"] is not None
        and command.stamp.time <= read(task["ended_at"])
    )
