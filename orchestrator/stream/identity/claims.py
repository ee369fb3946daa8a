"""The same facility and visit number under two identifiers: all of them are told of each other.

Each visit number has a key of its own; whoever hears of a visit for the first time says so there.
Nothing is joined by it (ruling 17): somebody looks.
"""

from typing import Any, Protocol

import orjson


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


def take(rows: Rows, key: str, message: dict[str, Any]) -> None:
    """Note who was told of the visit; from the second on, tell all."""
    row = rows.read("claims", "", key)
    held: list[list[str]] = [] if row is None else orjson.loads(row)[1]
    claimant = [message["subject"], message["key"]]
    if claimant in held:
        return
    held.append(claimant)
    rows.write("claims", "", orjson.dumps([1, held]), key)
    if len(held) == 1:
        return
    facility, _, visit = message["visit"].partition("|")
    claimants = sorted(subject for subject, _ in held)
    for subject, where in held:
        contested = {"kind": "contested", "facility": facility, "visit": visit}
        rows.send(where, contested | {"subject": subject, "claimants": claimants})
