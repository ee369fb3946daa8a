"""What operators want to know of identity, kept in the meta row of each journal partition."""

from typing import Any, Final

CONFLICTS: Final = ("MERGE_CONFLICT", "IDENTITY_UNRESOLVED")
_STEP: Final = {"gap.opened": 1, "gap.closed": -1}


class Tally:
    """
    Hand-overs and conflicts of one partition.

    Attributes:
        moving: By key since when a group waits for its members.
        conflicts: Opened here less closed here; charts move, so only the sum of all partitions
            is a number of conflicts.
    """

    def __init__(self, meta: dict[str, Any]) -> None:
        self.moving: dict[str, int] = meta.get("moving", {})
        self.conflicts: int = meta.get("conflicts", 0)

    def moves(self, key: str, stamp: int, *, under_way: bool) -> None:
        """Note whether the group of *key* waits for its members."""
        if not under_way:
            self.moving.pop(key, None)
        elif key not in self.moving:
            self.moving[key] = stamp

    def count(self, change: dict[str, Any]) -> None:
        """Note a change of a gap that was published."""
        if change["gap"]["code"] in CONFLICTS:
            self.conflicts += _STEP.get(change["change"], 0)

    def dump(self) -> dict[str, Any]:
        """What the meta row holds of it: for nearly every site and time, nothing."""
        found: dict[str, Any] = {}
        if self.moving:
            found["moving"] = self.moving
        if self.conflicts:
            found["conflicts"] = self.conflicts
        return found
