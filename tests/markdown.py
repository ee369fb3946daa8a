"""The parts of a Markdown page that tests hold to their word: blocks, tables, named things."""

import fnmatch
import re
from collections.abc import Iterator
from dataclasses import dataclass

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")
_ROW = re.compile(r"^\|(.*)\|$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """One fenced block; *language* is empty where none is named."""

    language: str
    text: str
    line: int


def blocks(page: str) -> list[Block]:
    """All fenced blocks, in order."""
    return [
        Block(found[1], found[2], page.count("\n", 0, found.start()) + 1)
        for found in _FENCE.finditer(page)
    ]


def without_blocks(page: str) -> str:
    """The page's prose and tables."""
    return _FENCE.sub("", page)


def code_words(page: str) -> list[str]:
    """What stands between single backticks, outside of fenced blocks."""
    return _CODE.findall(without_blocks(page))


def rows(page: str) -> Iterator[list[str]]:
    """The cells of every table row; headings and rulers too."""
    for found in _ROW.finditer(without_blocks(page)):
        yield [cell.strip() for cell in found[1].split("|")]


def difference(shown: str, actual: str) -> str | None:
    """
    Where *actual* is not what *shown* says, or None.

    A line ``...`` stands for any number of lines, ``...`` inside a line for any characters.
    """
    lines = [line.rstrip() for line in actual.strip("\n").split("\n")]
    at, skipping = 0, False
    for wanted in (line.rstrip() for line in shown.strip("\n").split("\n")):
        if wanted == "...":
            skipping = True
            continue
        while at < len(lines) and skipping and not _fits(wanted, lines[at]):
            at += 1
        if at == len(lines) or not _fits(wanted, lines[at]):
            return f"no line {wanted!r} at line {at + 1} of\n{actual}"
        at, skipping = at + 1, False
    return None if skipping or at == len(lines) else f"more than is shown: {lines[at]!r}"


def _fits(wanted: str, line: str) -> bool:
    pattern = "*".join(_literal(part) for part in wanted.split("..."))
    return fnmatch.fnmatchcase(line, pattern)


def _literal(text: str) -> str:
    return re.sub(r"([\[*?])", r"[\1]", text)
