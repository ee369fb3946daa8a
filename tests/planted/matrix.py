"""All planted bugs, and the page that says who catches which."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tests.planted import everywhere, on_kafka
from tests.planted.bug import ROOT, Bug
from tests.simulation import test_planted_bugs as in_process

BUGS: Final[tuple[Bug, ...]] = (*everywhere.BUGS, *on_kafka.BUGS)
DOCUMENT: Final[Path] = ROOT / "docs" / "planted-bugs.md"

_HEAD: Final = """\
# Planted bugs

Do the tests test? Each line is a mistake that somebody might make one day, planted in a copy of the
tree, and the tests that noticed it. `make planted` plants them all, which takes a while, for some
need workers that are killed on a real broker, and writes this page. `make test` plants those of the
core, and checks that the others can still be planted. Without the bug each of these tests passes.
*Listed*: the bug's name in the list that the project set out with.

"""
_NOBODY: Final = "**not noticed**"
_OF_PATCHES: Final = "| bug | what it does | listed | where | noticed by |\n|---|---|---|---|---|\n"
_OF_PLANTS: Final = """
Planted in the running process by `tests/simulation/planted.py`, with histories drawn from seeds, by
`tests/simulation/test_planted_bugs.py` and so with every `make test`:

| bug | noticed by |
|---|---|
"""


class Row(NamedTuple):
    """What became of one bug."""

    bug: Bug
    noticed: tuple[str, ...]

    @property
    def caught(self) -> bool:
        """Whether every test that should notice did."""
        return set(self.noticed) == set(self.bug.tests)


def written(rows: Sequence[Row], before: str = "") -> str:
    """The page: new lines for *rows*, those of the page *before* for the other bugs."""
    fresh = {row.bug.name: _row(row) for row in rows}
    kept = {line.split(" | ")[0][2:]: line for line in before.splitlines() if line[:2] == "| "}
    lines = [fresh.get(bug.name) or kept.get(bug.name) or _row(Row(bug, ())) for bug in BUGS]
    caught = sum(_NOBODY not in line for line in lines) + len(in_process.BUGS)
    verdict = f"**{caught} of {len(lines) + len(in_process.BUGS)} are caught.**\n\n"
    plants = [line for line in (in_process.__doc__ or "").splitlines() if line.startswith("| ")][1:]
    tables = [_OF_PATCHES, *(f"{line}\n" for line in lines), _OF_PLANTS]
    return _HEAD + verdict + "".join(tables) + "\n".join(plants) + "\n"


def _row(row: Row) -> str:
    bug = row.bug
    names = [f"`{test.rpartition('::')[2]}`" for test in row.noticed]
    names += [f"{_NOBODY} by `{test}`" for test in bug.tests if test not in row.noticed]
    cells = (bug.name, bug.about, bug.listed, f"`{bug.file}`", "<br>".join(names))
    return f"| {' | '.join(cells)} |"
