"""How commands speak: results on standard output, progress and hints on standard error.

On a terminal with colour and bars; plain lines when piped, with ``NO_COLOR`` or ``TERM=dumb``
(`screens.md` §11).  Nothing here interprets markup, because what is printed comes from outside.
"""

import os
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol, TextIO

if TYPE_CHECKING:
    from rich.console import Console

WIDTH_MIN: Final = 60
WIDTH_PIPED: Final = 100
PLAIN_EVERY_S: Final = 10.0  # a line each 10 s where there is no bar
BAR_AFTER_S: Final = 1.0  # shorter work needs no bar

Step = Callable[[int, int], None]  # done, in all (0: not known)


def decorated(stream: TextIO) -> bool:
    """Whether colour, bars and cursor movement are welcome on *stream*."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") in ("dumb", "unknown")
    return stream.isatty() and not plain


def console(stream: TextIO | None = None) -> "Console":
    """A console on *stream* (default: standard output) that prints text as it is."""
    from rich.console import Console

    stream = stream or sys.stdout
    fancy = decorated(stream)
    return Console(
        file=stream,
        force_terminal=fancy,
        no_color=not fancy,
        color_system="auto" if fancy else None,
        markup=False,
        highlight=False,
        emoji=False,
        width=None if stream.isatty() else WIDTH_PIPED,
        soft_wrap=not stream.isatty(),
    )


def width() -> int:
    """Columns to lay out for, never below 60."""
    if not sys.stdout.isatty():
        return WIDTH_PIPED
    return max(os.get_terminal_size(sys.stdout.fileno()).columns, WIDTH_MIN)


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Collection[str] = (),
    spared: Sequence[str] = (),
) -> list[str]:
    """
    A line for the names of *columns* and each of *rows*, as wide as the terminal is.

    Args:
        right: Columns of numbers.
        spared: What is left out where the line would be too long, the first of them first.
    """
    whole = [columns, *rows]
    wide = {
        name: max(map(len, column))
        for name, column in zip(columns, zip(*whole, strict=True), strict=True)
    }
    for name in spared:
        if sum(length + 2 for length in wide.values()) > width():
            del wide[name]
    lines = []
    for row in whole:
        cells = dict(zip(columns, row, strict=True))
        texts = [
            cells[name].rjust(length) if name in right else cells[name].ljust(length)
            for name, length in wide.items()
        ]
        lines.append(("  " + "  ".join(texts)).rstrip())
    return lines


def say(text: str) -> None:
    """A result."""
    sys.stdout.write(text + "\n")


def hint(text: str) -> None:
    """Progress, warnings and advice."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def say_json(value: Any) -> None:
    """A result for programs: one JSON object, never decorated."""
    import orjson

    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()


def counted(number: int, noun: str) -> str:
    """``1 patient``, ``2,140 patients``."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


class Progress(Protocol):
    """Makes a bar for each phase of a long piece of work."""

    def __call__(self, verb: str, unit: str = "", scale: int = 1) -> Step:
        """
        The function by which the phase says how far it is.

        Args:
            verb: What is being done, as in ``reading``.
            unit: What is counted, if not plain things: ``MB``.
            scale: How many of what is counted make one unit.
        """
        ...


@contextmanager
def progress() -> Iterator[Progress]:
    """Show long work while it lasts: bars on a terminal, now and then a line elsewhere."""
    if not decorated(sys.stderr):
        yield _plain
        return
    from rich import progress as bars

    columns = (
        bars.TextColumn("  {task.description}"),
        bars.BarColumn(),
        bars.TextColumn("{task.fields[amount]}"),
    )
    with bars.Progress(*columns, console=console(sys.stderr), transient=True) as shown:

        def bar(verb: str, unit: str = "", scale: int = 1) -> Step:
            task = shown.add_task(verb, total=None, amount="", visible=False)
            measure = _Measure(unit, scale)

            def step(done: int, total: int) -> None:
                if measure.seconds >= BAR_AFTER_S:
                    amount = measure.amount(done, total)
                    shown.update(
                        task, completed=done, total=total or None, amount=amount, visible=True
                    )

            return step

        yield bar


def _plain(verb: str, unit: str = "", scale: int = 1) -> Step:
    return _PlainProgress(verb, _Measure(unit, scale)).step


class _PlainProgress:
    def __init__(self, verb: str, measure: "_Measure") -> None:
        self._verb = verb
        self._measure = measure
        self._told_s = 0.0

    def step(self, done: int, total: int) -> None:
        if self._measure.seconds - self._told_s >= PLAIN_EVERY_S:
            self._told_s = self._measure.seconds
            hint(f"  {self._verb}  {self._measure.amount(done, total)}")


class _Measure:
    """Done, in all, rate and time left, as text."""

    def __init__(self, unit: str, scale: int) -> None:
        self._unit = f" {unit}" if unit else ""
        self._scale = scale
        self._began: float | None = None

    @property
    def seconds(self) -> float:
        """Since the first look: a phase begins when it first says something."""
        now = time.monotonic()
        if self._began is None:
            self._began = now
        return now - self._began

    def amount(self, done: int, total: int) -> str:
        rate = done / max(self.seconds, 1e-3)
        text = self._number(done) + (f"/{self._number(total)}" if total else "") + self._unit
        text += f"  {self._number(rate)}{self._unit}/s"
        return text + (f"  {(total - done) / rate:,.0f} s left" if total and rate else "")

    def _number(self, number: float) -> str:
        return (
            f"{number / self._scale:,.0f}" if self._scale == 1 else f"{number / self._scale:,.1f}"
        )
