"""``python -m tests.planted``: plant each bug, run its tests, write ``docs/planted-bugs.md``.

``--quick`` leaves out what needs a broker, ``--kafka`` all else; names plant those bugs alone.  The
page keeps its lines for the bugs that were not planted this time.
"""

import argparse
import sys
import time

from tests.planted.bug import Bug
from tests.planted.field import Field, field
from tests.planted.matrix import BUGS, DOCUMENT, Row, written


def main() -> int:
    """The number of bugs that nobody noticed."""
    parser = argparse.ArgumentParser(prog="python -m tests.planted", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="without those that need a broker")
    parser.add_argument("--kafka", action="store_true", help="only those that need a broker")
    parser.add_argument("names", nargs="*", help="only these; a part of the name will do")
    asked = parser.parse_args()
    left_out = {True} if asked.quick else {False} if asked.kafka else set()
    bugs = [bug for bug in BUGS if bug.broker not in left_out]
    if asked.names:
        bugs = [bug for bug in bugs if any(name in bug.name for name in asked.names)]
    with field() as tree:
        healthy = sorted({test for bug in bugs for test in bug.tests})
        sick = tree.failing(tuple(healthy))
        if sick:
            sys.stderr.write("these fail without any bug: " + ", ".join(sick) + "\n")
            return len(bugs)
        rows = [_planted(tree, bug) for bug in bugs]
    before = DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.exists() else ""
    DOCUMENT.write_text(written(rows, before), encoding="utf-8")
    return sum(not row.caught for row in rows)


def _planted(tree: Field, bug: Bug) -> Row:
    began = time.monotonic()
    with tree.with_bug(bug):
        noticed = tree.failing(bug.tests)
    row = Row(bug, tuple(noticed))
    took = f"{time.monotonic() - began:.0f} s"
    sys.stdout.write(f"{'caught' if row.caught else 'NOT CAUGHT':10}  {took:>6}  {bug.name}\n")
    for test in set(bug.tests) - set(noticed):
        sys.stdout.write(f"{'':20}not by {test}\n")
    sys.stdout.flush()
    return row


if __name__ == "__main__":
    sys.exit(main())
