"""``python -m bench [--quick] [NAME...]``: takes the figures that `README.md` explains."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench import age, durable, growth, joining, report, size, speed
from bench.measure import Figure
from orchestrator import log

EVENTS: Final = 10_000
QUICK_EVENTS: Final = 4_000
RESULTS: Final = Path(__file__).parent / "results"


def main(arguments: list[str] | None = None) -> int:
    """
    Take the figures and report them.

    Returns:
        0, whether or not a target was missed: the machine may be busy.  The report says so.
    """
    benches = _benches()
    parser = argparse.ArgumentParser(prog="python -m bench", description="Takes the figures.")
    parser.add_argument("names", metavar="NAME", nargs="*", help=f"of {', '.join(benches)}")
    parser.add_argument("--quick", action="store_true", help="small sizes, one run each")
    parser.add_argument("--events", type=int, help=f"default {EVENTS:,}, quick {QUICK_EVENTS:,}")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where to write the figures")
    chosen = parser.parse_args(arguments)
    unknown = sorted(set(chosen.names) - set(benches))
    if unknown:
        parser.error(f"no such bench: {', '.join(unknown)}; there are {', '.join(benches)}")
    events = chosen.events or (QUICK_EVENTS if chosen.quick else EVENTS)
    figures: list[Figure] = []
    for name in chosen.names or benches:
        _tell(f"{name} ...")
        found = benches[name](events, chosen.quick)
        report.write(found, chosen.results, name, events=events, quick=chosen.quick)
        figures += found
    print(report.table(figures), end="")
    return 0


def _benches() -> dict[str, Callable[[int, bool], list[Figure]]]:
    return {
        "speed": lambda events, quick: speed.figures(events, 1 if quick else 5),
        "durable": lambda events, quick: durable.figures(events, 1 if quick else 3),
        "age": lambda events, quick: age.figures(
            min(age.QUICK_OLD, events) if quick else age.OLD, 1 if quick else 5
        ),
        "state": lambda events, _: size.figures(events),
        "patients": _patients,
        "joining": _joining,
    }


def _patients(events: int, quick: bool) -> list[Figure]:
    if quick:
        stages = (min(events, growth.QUICK_STAGES[0]), min(10 * events, growth.QUICK_STAGES[1]))
        return growth.figures(stages, events=min(events, 1_000), repeats=1)
    return growth.figures(on_progress=lambda done: _tell(f"  {done:,} patients", end="\r"))


def _joining(events: int, quick: bool) -> list[Figure]:
    if quick:
        stages = (min(events, joining.QUICK_STAGES[0]), min(10 * events, joining.QUICK_STAGES[1]))
        return joining.figures(events, stages, merges=20, repeats=1)
    return joining.figures(events, on_progress=lambda done: _tell(f"  {done:,} patients", end="\r"))


def _tell(text: str, end: str = "\n") -> None:
    print(text, end=end, file=sys.stderr, flush=True)


if __name__ == "__main__":
    log.configure("error")
    sys.exit(main())
