"""The catalogue says what the policy and the schemas say, no more and no less."""

import re
from pathlib import Path
from typing import Final, get_args

from events.reject import REASONS
from orchestrator.cli import words
from orchestrator.core.commands import Refusal
from orchestrator.core.wanted import TERMINAL
from schemas.gaps import CloseReason
from schemas.policy import GapPart, TaskPart, load_policies
from schemas.topics import TOPICS
from schemas.transitions import TransitionCloseReason
from tests.markdown import code_words, rows

PAGE: Final = (Path(__file__).resolve().parent.parent / "docs/catalogue.md").read_text(
    encoding="utf-8"
)
(P0,) = load_policies(None)


def _section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def _table(title: str) -> dict[str, list[str]]:
    return {row[0].strip("`"): row[1:] for row in rows(_section(title)) if row[0].startswith("`")}


def test_every_task_kind_stands_with_its_words_team_and_due_time() -> None:
    """
    Each task of the policy has one row: its name on screens, its team, its due time.
    """
    table = _table("Tasks")
    tasks = [task for protocol in P0.protocols.values() for task in protocol]
    tasks += P0.caused_tasks

    assert set(table) == {task.kind for task in tasks}
    for task in tasks:
        spoken, team, due, _ = table[task.kind]
        assert (spoken, team) == (words.task(task.kind), task.team)
        assert _due(task) in due


def _due(task: TaskPart) -> str:
    length = task.due.length
    if task.due.clock == "elapsed":
        return f"after {length.total_seconds() / 3600:g} h"
    return f"end of {'local' if task.due.clock == 'calendar' else 'business'} day {length.days}"


def test_every_gap_code_stands_with_its_words_severity_and_team() -> None:
    """
    Each gap of the policy has one row: its name, how bad it is, who looks, and whether a person
    may close it.
    """
    table = _table("Gaps")

    assert list(table) == list(P0.gaps)
    for code, gap in P0.gaps.items():
        assert table[code][:3] == [words.gap(code), _severity(gap), _team(gap)]


def _severity(gap: GapPart) -> str:
    return f"{gap.severity} or {gap.otherwise}" if gap.otherwise else gap.severity


def _team(gap: GapPart) -> str:
    return f"{gap.team}, *ack*" if gap.acknowledged else gap.team


def test_every_reason_is_listed() -> None:
    """
    The reasons for which transitions and gaps close, records and commands are refused, are all
    there.
    """
    listed = {row[0]: set(code_words(row[1])) for row in rows(_section("Reasons"))}

    assert set(get_args(TransitionCloseReason)) == listed["`close_reason` of a transition"]
    assert set(get_args(CloseReason)) == listed["`close_reason` of a gap"]
    assert set(get_args(Refusal)) == listed["a command refused"]
    assert listed["a record refused"] == REASONS


def test_every_topic_is_listed() -> None:
    """
    Each topic of the registry stands once, and none that is not in it.
    """
    listed = [topic for row in rows(_section("Topics")) for topic in code_words(row[0])]

    assert sorted(listed) == sorted(TOPICS)


def test_terminal_statuses_are_named() -> None:
    """
    The text below the tasks names each status from which a task does not come back by itself.
    """
    text = re.sub(r"\s+", " ", _section("Tasks")).partition("Terminal are ")[2].partition(".")[0]

    assert set(code_words(text)) - {"status_reason"} == TERMINAL
