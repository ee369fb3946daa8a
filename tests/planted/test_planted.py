"""The list of planted bugs can still be planted, and the quick ones of it are noticed."""

import ast
from collections.abc import Iterator

import pytest

from tests.planted.bug import ROOT, Bug
from tests.planted.field import Field, field
from tests.planted.matrix import BUGS, DOCUMENT

# A second or two each; the others have to start processes, brokers or much of the core.
QUICK = (
    "last of two keys wins",
    "done before the brokers have it",
    "a poll that a rebalance crossed is dropped",
    "clock jump believed",
)


@pytest.fixture(scope="module")
def tree() -> Iterator[Field]:
    with field() as copy:
        yield copy


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_it_can_be_planted(bug: Bug) -> None:
    """Its place is found, and the tests that must notice exist: whoever renames one is told."""
    bug.planted()
    for test in bug.tests:
        file, _, function = test.partition("::")
        defined = {
            node.name
            for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8")))
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        }
        assert function.partition("[")[0] in defined, test


def test_names_are_told_apart() -> None:
    """One line of the matrix each."""
    names = [bug.name for bug in BUGS]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_a_quick_one_is_noticed(tree: Field, name: str) -> None:
    """By every test that is said to notice, which passes without it."""
    (bug,) = [bug for bug in BUGS if bug.name == name]
    assert tree.failing(bug.tests) == []
    with tree.with_bug(bug):
        assert tree.failing(bug.tests) == list(bug.tests)


def test_the_matrix_has_every_bug() -> None:
    """`make planted` was run after the last one was added, and all of them were caught."""
    page = DOCUMENT.read_text(encoding="utf-8")
    assert [bug.name for bug in BUGS if f"| {bug.name} |" not in page] == []
    assert "not noticed" not in page
