"""Reads `*.table` files: a heading row, then one case in each line, columns parted by `|`."""

from pathlib import Path

from tests.scenarios.story import HERE


def read_table(name: str) -> list[dict[str, str]]:
    """
    The rows of the table *name* as dictionaries by heading.

    Raises:
        ValueError: A row has another number of columns than the heading.
    """
    path: Path = HERE / name
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    rows = [line.split("|") for line in lines if not line.startswith("#")]
    heading = [cell.strip() for cell in rows[0]]
    return [dict(zip(heading, (cell.strip() for cell in row), strict=True)) for row in rows[1:]]
