"""The same facility and visit number under two identifiers: all of them are told of each other.

Each visit number has a key of its own; whoever hears of a visit for the first time says so there.
Nothing is joined by it (ruling 17): somebody looks.  Real interfaces send one number for thousands
of patients (a constant, ``0``): only the first few are told of each other, who comes later of them.
"""

from typing import Any, Final, Protocol

import orjson

from orchestrator.core.cells import Cell, VisitCell
from orchestrator.core.facts import OF_VISIT, Contested, Fact

MOST: Final = 4  # claimants that know of each other


class Rows(Protocol):
    """What the key of a visit number remembers, and its way to others."""

    def read(self, kind: str, name: str, key: str) -> bytes | None:
        """One row."""
        ...

    def write(self, kind: str, name: str, value: bytes, key: str) -> None:
        """Write one row."""
        ...

    def send(self, key: str, message: dict[str, Any]) -> None:
        """Append to the journal, under *key*."""
        ...


def is_news(fact: Fact, held: Cell | None) -> bool:
    """Whether *fact* is the first that an identifier is told of a visit."""
    if not isinstance(fact, OF_VISIT) or isinstance(fact, Contested):
        return False
    return held is None or is_bare(held)


def is_bare(held: Cell) -> bool:
    """Whether nothing is known of a visit but that it was moved away."""
    return isinstance(held, VisitCell) and not held.last_update


def take(rows: Rows, key: str, message: dict[str, Any]) -> None:
    """Note who was told of the visit; from the second on, tell all."""
    row = rows.read("claims", "", key)
    held: list[list[str]] = [] if row is None else orjson.loads(row)[1]
    claimant = [message["subject"], message["key"]]
    if claimant in held:
        return
    told = [*held, claimant]
    if len(told) <= MOST:
        rows.write("claims", "", orjson.dumps([1, told]), key)
    if len(told) == 1:
        return
    facility, _, visit = message["visit"].partition("|")
    claimants = sorted(subject for subject, _ in told)
    for subject, where in told if len(told) <= MOST else (claimant,):
        contested = {"kind": "contested", "facility": facility, "visit": visit}
        rows.send(where, contested | {"subject": subject, "claimants": claimants})
