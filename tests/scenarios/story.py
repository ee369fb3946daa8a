"""Reads story files: a heading, what it covers, and tables of `when | heard | happens | then`.

    Scenario 2: readmitted in 20 hours
    Covers: scenario 2; rulings 12, 16

    Story 2a: an emergency admission twenty hours after the discharge
    Given: home
    when                | heard | happens                          | then
    Wed 10-07 10:00 EDT |       | admit V2 GEN inpatient emergency | stay V2 open
                        |       |                                  | transition V1 closed READMITTED

`heard` is when the message reached us; empty means at once.  A row without `when` and `happens`
continues the `then` above it; one without `when` only happens at the same instant.  What a `then`
does not name must not change: `runner.py` looks one second before, at and one second after each
row.  `Given` names a block of rows (`Block ...`, shared ones in `00-blocks.txt`).
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import yaml

from tests.scenarios.instants import StoryError

HERE: Final = Path(__file__).parent
_BLOCKS_FILE: Final = "00-blocks.txt"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table, its continuations folded in."""

    line: int
    when: str
    heard: str
    happens: str
    then: tuple[str, ...]


@dataclass(slots=True)
class Story:
    """One table: what happens, and what follows from it."""

    file: str
    name: str
    title: str
    given: list[str] = field(default_factory=list)
    facilities: dict[str, dict[str, Any]] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.file}: {self.name}"


@dataclass(slots=True)
class StoryFile:
    """One scenario with its variants."""

    scenarios: set[int] = field(default_factory=set)
    rulings: set[int] = field(default_factory=set)
    stories: list[Story] = field(default_factory=list)
    blocks: dict[str, Story] = field(default_factory=dict)


def read_stories() -> list[Story]:
    """All stories of this folder, their given rows put in front."""
    shared = read_file(HERE / _BLOCKS_FILE).blocks
    stories: list[Story] = []
    for path in sorted(HERE.glob("*.txt")):
        read = read_file(path)
        stories += [_with_given(story, shared | read.blocks) for story in read.stories]
    return stories


def read_coverage() -> tuple[set[int], set[int]]:
    """Which scenarios and which rulings the files say they cover."""
    files = [read_file(path) for path in sorted(HERE.glob("*.txt"))]
    scenarios: set[int] = set()
    rulings: set[int] = set()
    for read in files:
        scenarios |= read.scenarios
        rulings |= read.rulings
    return scenarios, rulings


def _with_given(story: Story, blocks: dict[str, Story]) -> Story:
    rows: list[Row] = []
    for name in story.given:
        if name not in blocks:
            raise StoryError(f"{story}: no block {name!r}")
        rows += _with_given(blocks[name], blocks).rows
    return replace(story, rows=rows + story.rows)


def read_file(path: Path) -> StoryFile:
    """
    Read one story file.

    Raises:
        StoryError: A line that is no part of the form; it is named.
    """
    read = StoryFile()
    current: Story | None = None
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        line = text.rstrip()
        if not line or line.startswith("#") or set(line) <= set("-="):
            continue
        try:
            if "|" in line:
                _read_row(line, number, current)
            else:
                current = _read_heading(line, path.name, read, current)
        except StoryError as error:
            raise StoryError(f"{path.name}:{number}: {error}") from error
    return read


def _read_heading(line: str, file: str, read: StoryFile, current: Story | None) -> Story | None:
    key, found, value = line.partition(":")
    value = value.strip()
    word, _, rest = key.partition(" ")
    if not found:
        raise StoryError(f"neither a row nor a heading: {line!r}")
    if word in {"Scenario", "Ruling", "Note"}:
        return current
    if word == "Covers":
        read.scenarios |= _numbers(value, "scenario")
        read.rulings |= _numbers(value, "ruling")
        return current
    if word in {"Story", "Block"}:
        story = Story(file=file, name=rest, title=value)
        if word == "Story":
            read.stories.append(story)
        else:
            read.blocks[rest] = story
        return story
    if current is None:
        raise StoryError(f"{key!r} before any story")
    if word == "Given":
        current.given += [name.strip() for name in value.split(",")]
    elif word == "Facility":
        current.facilities[rest] = yaml.safe_load(value)
    else:
        raise StoryError(f"unknown heading {key!r}")
    return current


def _numbers(text: str, word: str) -> set[int]:
    """`scenarios 2, 5; rulings 12, 14-16` -> the numbers after *word* (or its plural)."""
    numbers: set[int] = set()
    for part in text.split(";"):
        name, _, listed = part.strip().partition(" ")
        if name.rstrip("s") == word:
            for one in listed.split(","):
                low, _, high = one.strip().partition("-")
                numbers |= set(range(int(low), int(high or low) + 1))
    return numbers


def _read_row(line: str, number: int, current: Story | None) -> None:
    if current is None:
        raise StoryError("a row before any story")
    body, _, _comment = line.partition("  #")
    cells = [cell.strip() for cell in body.split("|")]
    if len(cells) != 4:
        raise StoryError(f"{len(cells)} columns, not 4")
    when, heard, happens, then = cells
    if when == "when":
        return
    clauses = tuple(clause.strip() for clause in then.split(";") if clause.strip())
    if not when and current.rows:
        last = current.rows[-1]
        if not happens:
            current.rows[-1] = replace(last, then=last.then + clauses)
            return
        when, heard = last.when, last.heard
    if not when or not happens:
        raise StoryError("a row needs `when` and `happens`")
    current.rows.append(Row(number, when, heard, happens, clauses))
