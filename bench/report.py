"""What is printed and written: one table, the same as JSON and as Markdown."""

import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from bench.measure import Figure

HEAD: Final = ("", "figure", "value", "unit", "target", "met", "note")


def table(figures: Sequence[Figure]) -> str:
    """As Markdown, which a terminal shows well enough."""
    rows = [HEAD, *(_row(one) for one in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = [_line(row, widths) for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines) + "\n"


def _row(one: Figure) -> tuple[str, ...]:
    met = {True: "yes", False: "NO", None: ""}[one.met]
    value = f"{one.value:,.2f}" if one.unit in ("times", "s") else f"{one.value:,.0f}"
    return one.group, one.name, value, one.unit, one.target, met, one.note


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        text.rjust(width) if column == 2 else text.ljust(width)
        for column, (text, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "| " + " | ".join(cells) + " |"


def write(figures: Sequence[Figure], folder: Path, name: str, *, events: int, quick: bool) -> None:
    """Into *folder*, as ``<name>.json`` and ``<name>.md``: a bench taken again replaces its own."""
    run: dict[str, Any] = {
        "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.system(),
        "events": events,
        "quick": quick,
    }
    folder.mkdir(parents=True, exist_ok=True)
    plain = {"run": run, "figures": [one.plain() for one in figures]}
    (folder / f"{name}.json").write_bytes(orjson.dumps(plain, option=orjson.OPT_INDENT_2) + b"\n")
    said = ", ".join(f"{name} {value}" for name, value in run.items())
    (folder / f"{name}.md").write_text(f"{said}\n\n{table(figures)}", encoding="utf-8")
