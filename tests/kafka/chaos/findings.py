"""The classes of what may go wrong (reliability.md 3.3), and one finding of one."""

from collections import Counter
from collections.abc import Iterable
from typing import Final, Literal, NamedTuple, get_args

Class = Literal[
    "LOST",
    "DUP",
    "FALSE",
    "STALE",
    "PREMATURE",
    "LATE",
    "WRONG_PATIENT",
    "RESURRECTED",
    "DIVERGED",
    "UNACCOUNTED",
]
CLASSES: Final[tuple[Class, ...]] = get_args(Class)


class Finding(NamedTuple):
    """One thing that is wrong; it names places and ids, never a value of a record."""

    sort: Class
    where: str
    text: str


def counted(findings: Iterable[Finding]) -> dict[str, int]:
    """How many of each class, those that do not occur included."""
    found = Counter(finding.sort for finding in findings)
    return {sort: found[sort] for sort in CLASSES}
