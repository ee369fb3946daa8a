"""Cells of an export: what a spreadsheet would take for a formula is a text."""

import pytest

from orchestrator.worklist.api.exports import cell


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\uff1d"])
def test_no_cell_is_a_formula(start: str) -> None:
    """A name of `=HYPERLINK(…)` must not run on somebody's desk."""
    assert cell(f"{start}HYPERLINK(1)") == f"'{start}HYPERLINK(1)"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (True, "true"), (False, "false"), (3, "3"), (["A", "B"], "A B"), ("a=b", "a=b")],
)
def test_other_values_are_plain(value: object, text: str) -> None:
    """Nothing is decorated without need."""
    assert cell(value) == text
