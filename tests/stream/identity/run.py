"""Long runs: `python -m tests.stream.identity.run --seeds 100000`; exit 1 at a broken promise."""

import argparse
import logging
import sys
import time
import traceback
from collections import Counter
from dataclasses import asdict

import structlog

from tests.stream.identity.compare import run
from tests.stream.identity.witness import Broken


def main(arguments: list[str] | None = None) -> int:
    """Live through a range of random histories with the product's own processor."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.stream.identity.run", description=__doc__
    )
    parser.add_argument("--seeds", type=int, default=1_000, help="how many histories")
    parser.add_argument("--start", type=int, default=0, help="the first seed")
    parser.add_argument("--stop-after", type=int, default=5, help="stop at so many broken ones")
    parser.add_argument("--minutes", type=float, default=1e6, help="stop after so long")
    parser.add_argument("--facts-only", action="store_true", help="no commands")
    parser.add_argument("--most", type=int, default=30, help="events in a history")
    chosen = parser.parse_args(arguments)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    begun, found, done, sums = time.monotonic(), 0, 0, Counter[str]()
    for seed in range(chosen.start, chosen.start + chosen.seeds):
        done += 1
        try:
            sums.update(asdict(run(seed, commands=not chosen.facts_only, most=chosen.most)))
        except Broken as broken:
            found += 1
            sys.stdout.write(f"seed {seed}: {' | '.join(str(part) for part in broken.args)}\n")
        except Exception:  # noqa: BLE001 a crash is a finding
            found += 1
            sys.stdout.write(f"seed {seed}: {traceback.format_exc()}\n")
        sys.stdout.flush()
        if found >= chosen.stop_after or time.monotonic() - begun > chosen.minutes * 60:
            break
    counts = ", ".join(f"{number:,} {name}" for name, number in sums.items())
    spent = time.monotonic() - begun
    sys.stdout.write(f"{done:,} histories: {counts}\n{found} broken, {spent:.0f} s\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
