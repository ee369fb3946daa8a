"""What the demo shows: tasks as they appear, turn overdue, are withdrawn or done, each with why.

Changes of one patient at one instant belong together and become one entry.  A line at the bottom
keeps count; it is redrawn on a terminal and left out elsewhere, except at the end.
"""

import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, Final

from orchestrator.cli import words
from orchestrator.cli.console import console, counted, decorated
from orchestrator.cli.report import ALARM, FAINT, OPEN, PLAIN, STRONG, WITHDRAWN

Change = Mapping[str, Any]
INDENT: Final = " " * 24
# Gaps that repeat what the task beside them says.
_QUIET_GAPS: Final = frozenset({"TASK_OVERDUE"})


class Screen:
    """Keeps the current things and prints what happens to them."""

    def __init__(self, zone: str) -> None:
        self._zone = zone
        self._out = console()
        self._colours = decorated(sys.stdout)
        self._live = decorated(sys.stderr)
        self._tasks: dict[str, Change] = {}
        self._gaps: dict[str, Change] = {}
        self._patients: set[str] = set()

    def show(self, now: int, changes: Iterable[Change], *, aloud: bool = True) -> None:
        """Print *changes*, which came since the last call; not *aloud*: only count them."""
        changes = list(changes)
        for change in changes:
            self._count(change)
        if aloud:
            for (at, patient), group in groupby(
                changes, key=lambda row: (row["at"], row["patient"])
            ):
                self._entry(at, patient, list(group))
        if self._live:
            sys.stderr.write(f"\r\x1b[2K  {self._status(now)}  [Ctrl-C stops]")
            sys.stderr.flush()

    def close(self, now: int) -> None:
        """The sum of it all."""
        self._clear()
        self._print(f"\nStopped at {self._status(now)}", STRONG)
        done = sum(task["status"] == "completed" for task in self._tasks.values())
        gone = sum(task["status"] in WITHDRAWN for task in self._tasks.values())
        tasks = counted(len(self._tasks), "task")
        self._print(f"  {tasks} so far, of which {done:,} done and {gone:,} withdrawn", PLAIN)

    def _count(self, change: Change) -> None:
        self._patients.add(change["patient"])
        if task := change.get("task"):
            self._tasks[task["task_id"]] = task
        if gap := change.get("gap"):
            self._gaps[gap["gap_id"]] = gap

    def _status(self, now: int) -> str:
        at = words.moment(
            datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=now), self._zone
        )
        open_tasks = [task for task in self._tasks.values() if task["status"] in OPEN]
        overdue = sum(task["overdue"] for task in open_tasks)
        gaps = sum(gap["status"] == "open" for gap in self._gaps.values())
        return (
            f"{at}  patients {len(self._patients):,}  open {len(open_tasks):,}"
            f"  overdue {overdue:,}  gaps {gaps:,}"
        )

    def _entry(self, at: str, patient: str, changes: list[Change]) -> None:
        told = f"{words.moment(words.instant(at), self._zone):<22}  "
        requested = [c["task"] for c in changes if c["change"] == "task.requested"]
        if requested:
            owed = ", ".join(_owed(task) for task in requested)
            self._say(told, f"+ {patient}: {owed}", PLAIN, _why(changes, "task.requested"))
        for change in changes:
            mark, text, style = _shown(change)
            if mark:
                self._say(told, f"{mark} {patient}: {text}", style, change["why"])
        withdrawn = [c["task"] for c in changes if _is_withdrawal(c)]
        if withdrawn:
            names = ", ".join(words.task(task["kind"]) for task in withdrawn)
            why = next(c["why"] for c in changes if _is_withdrawal(c))
            self._say(told, f"✗ {patient}: withdrawn: {names}", STRONG, why)

    def _say(self, told: str, text: str, style: str, why: str) -> None:
        self._clear()
        self._print(told + text, style)
        if why:
            self._print(INDENT + "  " + why, FAINT)

    def _print(self, text: str, style: str) -> None:
        self._out.print(text, style=style if self._colours else None)

    def _clear(self) -> None:
        if self._live:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()


def _shown(change: Change) -> tuple[str, str, str]:
    """Mark, words and style of a change that gets an entry of its own; an empty mark: none."""
    name = change["change"]
    task, gap = change.get("task"), change.get("gap")
    if task and name == "task.overdue":
        return "▲", f"overdue: {words.task(task['kind'])}, {task['team']}", ALARM
    if task and name == "task.completed":
        return "✓", f"done: {words.task(task['kind'])}", "green"
    if gap and name == "gap.opened" and gap["code"] not in _QUIET_GAPS:
        return "●", f"{words.gap(gap['code'])} ({gap['severity']})", PLAIN
    return "", "", PLAIN


def _is_withdrawal(change: Change) -> bool:
    task = change.get("task")
    return task is not None and task["status"] in WITHDRAWN and change["change"] != "task.requested"


def _owed(task: Change) -> str:
    return f"{words.task(task['kind'])} {words.due(words.instant(task['due_at']), task['zone'])}"


def _why(changes: Iterable[Change], name: str) -> str:
    return next((str(change["why"]) for change in changes if change["change"] == name), "")
