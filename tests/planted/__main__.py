"""``python -m tests.planted``: plant each bug, run its tests, write ``docs/planted-bugs.md``.

``--quick`` leaves out what needs a broker and writes nothing; names plant those bugs alone.
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
    parser.add_argument("names", nargs="*", help="only these; a part of the name will do")
    asked = parser.parse_args()
    bugs = [bug for bug in BUGS if not (asked.quick and bug.broker)]
    if asked.names:
        bugs = [bug for bug in bugs if any(name in bug.name for name in asked.names)]
    with field() as tree:
        healthy = sorted({test for bug in bugs for test in bug.tests})
        sick = tree.failing(tuple(healthy))
        if sick:
            sys.stderr.write("these fail without any bug: " + ", ".join(sick) + "\n")
            return len(bugs)
        rows = [_planted(tree, bug) for bug in bugs]
    if len(rows) == len(BUGS):
        DOCUMENT.write_text(written(rows), encoding="utf-8")
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
