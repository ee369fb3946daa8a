"""The medication lists side by side: one row an ingredient, one column a list, what differs.

`contract.md` 6: ``{ingredient: {list: {entry…}}}`` with the issues found.  A list that never came
says so; it is never taken for an empty one.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

# In the order in which a patient's medicines go through hands.
LISTS: Final = (
    ("home", "At home"),
    ("inpatient", "In hospital"),
    ("discharge", "Discharge"),
    ("pharmacy", "Pharmacy"),
    ("pcp", "PCP"),
)
GRAVE: Final = ("high", "critical")


class Cell(NamedTuple):
    text: str
    differs: bool


class Ingredient(NamedTuple):
    name: str
    cells: tuple[Cell, ...]


class Difference(NamedTuple):
    """One issue that is open or was accepted."""

    id: str
    text: str
    severity: str
    accepted: str | None  # the reason


class Matrix(NamedTuple):
    """
    Attributes:
        columns: Names of the lists with their dates, where one is known.
        received: Whether any list has come.
    """

    columns: tuple[str, ...]
    rows: tuple[Ingredient, ...]
    differences: tuple[Difference, ...]
    received: bool

    @property
    def open_grave(self) -> str | None:
        """What a completion leaves open that may do harm, in a few words."""
        found = [
            one.text for one in self.differences if one.accepted is None and one.severity in GRAVE
        ]
        return ", ".join(found) or None


def matrix(
    medications: Mapping[str, Mapping[str, Any]],
    issues: Sequence[Mapping[str, Any]],
    accepted: Mapping[str, str],
) -> Matrix:
    """
    The table.

    Args:
        accepted: By the id of a difference, why it is accepted.
    """
    came = {name for lists in medications.values() for name in lists}
    columns = [(name, title) for name, title in LISTS]
    columns += [(name, name.capitalize()) for name in sorted(came - {name for name, _ in LISTS})]
    rows = tuple(
        Ingredient(
            ingredient, tuple(_cell(lists.get(name), lists, name in came) for name, _ in columns)
        )
        for ingredient, lists in sorted(medications.items())
    )
    titles = tuple(_dated(title, name, medications) for name, title in columns)
    differences = tuple(
        Difference(key, _words(one), str(one.get("severity", "")), accepted.get(key))
        for one in issues
        if one.get("status", "open") == "open" and (key := issue_id(one))
    )
    return Matrix(titles, rows, differences, bool(came))


def issue_id(issue: Mapping[str, Any]) -> str:
    """How a completion names an accepted difference."""
    return f"{issue.get('code', '')}:{issue.get('ingredient', '')}"[:128]


def _cell(entry: Any, lists: Mapping[str, Any], came: bool) -> Cell:
    if not came:
        return Cell("list never received", differs=False)
    if not isinstance(entry, Mapping):
        return Cell("not listed", differs=True)
    if entry.get("status") in ("stopped", "completed", "cancelled", "not-taken"):
        return Cell("stopped", differs=True)
    dose = _dose(entry)
    others = {_dose(one) for one in lists.values() if isinstance(one, Mapping)} - {""}
    if dose and len(others) > 1:
        return Cell(f"dose differs: {dose}", differs=True)
    return Cell(f"same: {dose}" if dose else "same", differs=False)


def _dose(entry: Mapping[str, Any]) -> str:
    parts = [entry.get("dose"), entry.get("frequency")]
    return " ".join(str(part) for part in parts if part)


def _dated(title: str, name: str, medications: Mapping[str, Mapping[str, Any]]) -> str:
    dates = [
        str(lists[name].get("as_of") or "")
        for lists in medications.values()
        if isinstance(lists.get(name), Mapping)
    ]
    newest = max(filter(None, dates), default="")
    return f"{title}, {newest[:10]}" if newest else title


def _words(issue: Mapping[str, Any]) -> str:
    text = str(issue.get("ingredient") or "a medicine")
    sides = [str(side) for side in (issue.get("left"), issue.get("right")) if side]
    if len(sides) == 2:
        return f"{text}: {sides[0]} against {sides[1]}"
    return f"{text}: {sides[0]}" if sides else f"{text} open"
