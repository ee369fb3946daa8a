"""What a second worker costs: events per CPU-second of the workers, of two against one.

``python -m bench.kafka.scaling [--events 30000]``: runs of `bench.kafka.product`, by turns.
"""

import argparse
import sys
from statistics import median
from typing import Final

from bench import report
from bench.kafka.product import EVENTS, drained, figure, prepared
from bench.measure import Figure

TURNS: Final = 3
LEAST: Final = 0.9


def main() -> int:
    """Take the figures and print them."""
    parser = argparse.ArgumentParser(prog="python -m bench.kafka.scaling")
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--turns", type=int, default=TURNS)
    chosen = parser.parse_args()
    with prepared(chosen.events) as events:
        turns = [(drained(events), drained(events, ("a", "b"))) for _ in range(chosen.turns)]
    one = sorted((run for run, _ in turns), key=lambda run: run.rate)[len(turns) // 2]
    two = sorted((run for _, run in turns), key=lambda run: run.rate)[len(turns) // 2]
    ratio = median(b.rate / a.rate for a, b in turns)
    said = ", ".join(f"{b.rate / a.rate:.2f}" for a, b in turns)
    figures = [
        figure("scaling", "one worker", one, "median"),
        figure("scaling", "two workers", two, "median"),
        Figure(
            "scaling",
            "two against one, per CPU-second",
            ratio,
            "times",
            f"at least {LEAST}",
            ratio >= LEAST,
            f"median of {said}",
        ),
    ]
    print(report.table(figures), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
