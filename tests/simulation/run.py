"""Long runs of the differential: `python -m tests.simulation.run --seeds 10000`.

Prints every disagreement as a minimal history, and a count at the end; exit 1 if there was one.
"""

import argparse
import sys
import time
from collections import Counter

from tests.simulation.compare import kinds_of
from tests.simulation.differential import findings


def main(arguments: list[str] | None = None) -> int:
    """Run the differential over a range of seeds."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.run", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many histories")
    parser.add_argument("--start", type=int, default=0, help="the first seed")
    parser.add_argument("--instants", type=int, default=3, help="instants to compare per history")
    parser.add_argument("--stop-after", type=int, default=20, help="stop at so many disagreements")
    parser.add_argument("--whole", action="store_true", help="print whole histories, do not shrink")
    chosen = parser.parse_args(arguments)
    begun, found = time.monotonic(), 0
    sorts: Counter[str] = Counter()
    seeds = range(chosen.start, chosen.start + chosen.seeds)
    for finding in findings(seeds, instants=chosen.instants, shrink=not chosen.whole):
        found += 1
        sorts.update(kinds_of(finding.differences))
        sys.stdout.write(finding.report() + "\n\n")
        sys.stdout.flush()
        if found >= chosen.stop_after:
            break
    for sort, times in sorts.most_common():
        sys.stdout.write(f"{times:5} {sort}\n")
    spent = time.monotonic() - begun
    sys.stdout.write(f"{chosen.seeds} histories from seed {chosen.start}: ")
    stopped = ", stopped there (--stop-after)" if found >= chosen.stop_after else ""
    sys.stdout.write(f"{found} disagree{stopped}, {spent:.0f} s\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
