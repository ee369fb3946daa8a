"""What the demo shows: tasks as they appear, turn overdue, are withdrawn or done, each with why.

Changes of one patient at one instant belong together and become one entry.  A line at the bottom
keeps count; it is redrawn on a terminal and left out elsewhere, except at the end.
"""

import sys
import textwrap
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, Final

from orchestrator.cli import words
from orchestrator.cli.console import console, counted, decorated, width
from orchestrator.cli.report import ALARM, FAINT, OPEN, PLAIN, STRONG, WITHDRAWN

Change = Mapping[str, Any]
INDENT: Final = " " * 24  # under the words, past the instant
# Gaps that repeat what the task beside them says.
_QUIET_GAPS: Final = frozenset({"TASK_OVERDUE"})
_WITHDRAWALS: Final = frozenset({"task.cancelled", "task.withdrawn"})


class Screen:
    """
    Keeps the current things and prints what happens to them.

    Args:
        zone: Of the times in front, one for all, so that they read forward.
        zones: Of the facilities; whose is another is told, since sentences speak its time.
    """

    def __init__(self, zone: str, zones: Mapping[str, str]) -> None:
        self._zone = zone
        self._zones = zones
        self._out = console()
        self._colours = decorated(sys.stdout)
        self._live = decorated(sys.stderr)
        self._tasks: dict[str, Change] = {}
        self._gaps: dict[str, Change] = {}
        self._discharged: dict[str, str] = {}  # whom each transition is about

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
            line = f"{self._status(now)}  ^C stops"
            # A line that wraps would not be redrawn in place.
            sys.stderr.write(f"\r\x1b[2K{line[: width() - 1]}")
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
        if transition := change.get("transition"):
            self._discharged[transition["transition_id"]] = change["patient"]
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
            f"{at}  discharged {len(set(self._discharged.values())):,}"
            f"  open {len(open_tasks):,}  overdue {overdue:,}  gaps {gaps:,}"
        )

    def _entry(self, at: str, patient: str, changes: list[Change]) -> None:
        told = f"{words.moment(words.instant(at), self._zone):<22}"
        patient += self._elsewhere(words.instant(at), changes)
        requested = [change for change in changes if change["change"] == "task.requested"]
        if requested:
            owed = _owed([change["task"] for change in requested])
            self._say(f"{told}+ {patient}  {owed}", PLAIN, requested[0]["why"])
        for change in changes:
            mark, text, style = _shown(change)
            if mark:
                self._say(f"{told}{mark} {patient}  {text}", style, change["why"])
        withdrawn = [change for change in changes if _is_withdrawal(change)]
        if withdrawn:
            names = ", ".join(words.task(change["task"]["kind"]) for change in withdrawn)
            self._say(f"{told}✗ {patient}  withdrawn: {names}", STRONG, withdrawn[0]["why"])

    def _elsewhere(self, at: datetime, changes: list[Change]) -> str:
        """Which facility speaks, and in which time, if not in that of the lines."""
        things = [change.get("task") or change.get("gap") or {} for change in changes]
        facility = next((thing["facility"] for thing in things if thing.get("facility")), "")
        zone = self._zones.get(facility, self._zone)
        return "" if zone == self._zone else f" ({facility}, {words.zone(at, zone)})"

    def _say(self, text: str, style: str, why: str) -> None:
        self._clear()
        for part, look in ((text, style), (INDENT + why, FAINT)):
            for row in textwrap.wrap(part, width(), subsequent_indent=INDENT):
                self._print(row, look)

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
    # Only the change that withdraws it: a withdrawn task may still be corrected.
    task = change.get("task")
    return task is not None and task["status"] in WITHDRAWN and change["change"] in _WITHDRAWALS


def _owed(tasks: Iterable[Change]) -> str:
    """``48-hour call due Sun 11 Oct 04:11 EDT; PCP visit, Reconciliation by end of Fri 16 Oct``."""
    by_due: dict[str, list[str]] = {}
    for task in tasks:
        due = words.due(words.instant(task["due_at"]), task["zone"])
        by_due.setdefault(due, []).append(words.task(task["kind"]))
    return "; ".join(f"{', '.join(names)} {due}" for due, names in by_due.items())
