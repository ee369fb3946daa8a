"""Two ways the same patient was decided about, side by side: what is the same, what is not.

A task is the same when it is due at the same instant, for the same team, as urgent, and stands
where it stood.  Ids do not depend on the policy, so one is found on the other side by its id.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Literal

from orchestrator.core.instants import read

Way = Literal["same", "earlier", "later", "new", "gone", "changed"]
Thing = Mapping[str, Any]

# What makes other work of a task or gap; a renamed rule alone does not.
FIELDS: Final = {
    "task": ("due_at", "team", "priority", "status", "status_reason", "tcm_contact_by"),
    "gap": ("severity", "team", "status"),
}
RESTRICTED: Final = "restricted"  # the team whose work only a Part 2 right shows


@dataclass(frozen=True, slots=True)
class Sight:
    """
    What whoever asks may see.

    Attributes:
        facilities: ``None``: all.
        part2: Whether also the work of the restricted team.
    """

    facilities: frozenset[str] | None = None
    part2: bool = True

    def sees_transition(self, was: "Standing", now: "Standing", name: str) -> bool:
        """Whether the discharge was at a facility of theirs."""
        one = was.things["transition"].get(name) or now.things["transition"][name]
        return self.facilities is None or one["facility"] in self.facilities

    def sees(self, *things: Thing | None) -> bool:
        """Whether one that stands so on either side may be counted and shown."""
        known = [one for one in things if one is not None]
        return all(
            (self.facilities is None or one["facility"] in self.facilities)
            and (self.part2 or one["team"] != RESTRICTED)
            for one in known
        )


class Standing:
    """Where everything of one patient stands at the end of its changes."""

    def __init__(self, changes: Sequence[Thing]) -> None:
        self.things: dict[str, dict[str, Thing]] = {"task": {}, "gap": {}, "transition": {}}
        self._said: dict[tuple[str, str], list[Thing]] = {}
        for change in changes:
            for kind, known in self.things.items():
                if kind in change:
                    thing = change[kind]
                    name = thing[f"{kind}_id"]
                    self._said.setdefault((kind, name), []).append(change)
                    if name not in known or known[name]["version"] < thing["version"]:
                        known[name] = thing

    def within(self, since: int, until: int) -> set[str]:
        """The transitions whose discharge lies there."""
        return {
            name
            for name, one in self.things["transition"].items()
            if since <= read(one["index_discharge_at"]) <= until
        }

    def why(self, kind: str, name: str, fields: Sequence[str]) -> str:
        """The sentence of the change by which these *fields* came to be what they are."""
        said = self._said[kind, name]
        why: str = said[0]["why"]
        for before, after in pairwise(said):
            if any(before[kind].get(one) != after[kind].get(one) for one in fields):
                why = after["why"]
        return why

    def why_none(self, transition: str) -> str:
        """Why there is no such task."""
        if transition not in self.things["transition"]:
            return "This discharge opens no follow-up."
        said = self.why("transition", transition, ("status", "protocol"))
        return f"{said.removesuffix('.')}; no such task is owed."


@dataclass(frozen=True, slots=True)
class Difference:
    """One task or gap on both sides; on one of them it may not be."""

    kind: str
    way: Way
    was: Thing | None
    now: Thing | None
    fields: tuple[str, ...]  # in which they differ
    sides: tuple[Standing, Standing]

    def told(self) -> dict[str, Any]:
        """As plain data, with both reasons."""
        known = self.was or self.now
        assert known is not None
        name, transition = known[f"{self.kind}_id"], known["transition_id"]
        whys = [
            side.why_none(transition) if thing is None else side.why(self.kind, name, self.fields)
            for side, thing in zip(self.sides, (self.was, self.now), strict=True)
        ]
        return {
            "change": self.way,
            "fields": list(self.fields),
            "was": self.was,
            "was_why": whys[0],
            "now": self.now,
            "now_why": whys[1],
        }


def differences(
    kind: str, was: Standing, now: Standing, inside: set[str], sight: Sight
) -> Iterator[Difference]:
    """Every task or gap of the transitions *inside*, and how it differs."""
    before, after = was.things[kind], now.things[kind]
    for name in sorted(before.keys() | after.keys()):
        one, other = before.get(name), after.get(name)
        known = one or other
        if known is None or known["transition_id"] not in inside or not sight.sees(one, other):
            continue
        fields = _unlike(kind, one, other)
        yield Difference(kind, _way(kind, one, other, fields), one, other, fields, (was, now))


def _unlike(kind: str, one: Thing | None, other: Thing | None) -> tuple[str, ...]:
    if one is None or other is None:
        return ()
    return tuple(name for name in FIELDS[kind] if one.get(name) != other.get(name))


def _way(kind: str, one: Thing | None, other: Thing | None, fields: tuple[str, ...]) -> Way:
    if one is None:
        return "new"
    if other is None:
        return "gone"
    if kind == "task" and "due_at" in fields:
        return "earlier" if read(other["due_at"]) < read(one["due_at"]) else "later"
    return "changed" if fields else "same"
