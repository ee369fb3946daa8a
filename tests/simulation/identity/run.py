"""Long runs: `python -m tests.simulation.identity.run --seeds 100000`; exit 1 at a violation.

With `--exhaustive` the larger stories of `exhaustive.py` in every order, instead.
"""

import argparse
import sys
import time
from collections import Counter
from dataclasses import asdict

from tests.simulation.identity.exhaustive import LARGE, SMALL, explore, story
from tests.simulation.identity.history import History
from tests.simulation.identity.oracle import Violation


def main(arguments: list[str] | None = None) -> int:
    """Live through a range of random histories."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.identity.run")
    parser.add_argument("--seeds", type=int, default=10_000, help="how many histories")
    parser.add_argument("--start", type=int, default=0, help="the first seed")
    parser.add_argument("--stop-after", type=int, default=5, help="stop at so many violations")
    parser.add_argument("--exhaustive", action="store_true", help="stories in every order")
    chosen = parser.parse_args(arguments)
    if chosen.exhaustive:
        for name, lines in (SMALL | LARGE).items():
            explored = explore(story(*lines))
            sys.stdout.write(f"{name}: {explored.states:,} states, {explored.ends} ends\n")
            sys.stdout.flush()
        return 0
    begun, found, sums = time.monotonic(), 0, Counter[str]()
    for seed in range(chosen.start, chosen.start + chosen.seeds):
        try:
            sums.update(asdict(History(seed).run()))
        except Violation as broken:
            found += 1
            sys.stdout.write(f"seed {seed}: {' '.join(str(part) for part in broken.args)}\n")
            if found >= chosen.stop_after:
                break
    counts = ", ".join(f"{number:,} {name}" for name, number in sums.items())
    spent = time.monotonic() - begun
    sys.stdout.write(f"{seed + 1 - chosen.start:,} histories: {counts}\n")
    sys.stdout.write(f"{found} violations, {spent:.0f} s\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
