"""Who is whom, from all marks at once, in another way than the directory's.

Groups by growing sets along the merges that count; a home by following survivors back in time.
"""

from collections.abc import Iterable
from typing import NamedTuple

from tests.simulation.identity.directory import Mark


class Truth(NamedTuple):
    """By identifier its group and home; by identifier and visit the owner of what was moved."""

    groups: dict[str, set[str]]
    homes: dict[str, str]
    owners: dict[tuple[str, str], str]


def truth(
    names: Iterable[str], marks: Iterable[Mark], pairs: Iterable[tuple[str, str, str]] = ()
) -> Truth:
    """
    What follows from *marks*, in whatever order they came.

    Args:
        pairs: Identifier, visit and the other number that it goes by, whenever that was said.
    """
    pairs = [pair for pair in pairs if pair[2]]
    counting: list[Mark] = []
    owners: dict[tuple[str, str], str] = {}
    for mark in sorted(marks):
        if mark.kind == "merge" and mark.other not in _grown(mark.one, counting):
            counting.append(mark)
        elif mark.kind == "unmerge":
            pair = {mark.one, mark.other}
            counting = [merge for merge in counting if {merge.one, merge.other} != pair]
        elif mark.kind == "move":
            _moved(owners, mark, pairs)
    names = list(names)
    groups = {name: _grown(name, counting) for name in names}
    return Truth(groups, {name: _home(name, counting) for name in names}, owners)


def _grown(name: str, merges: list[Mark]) -> set[str]:
    found, size = {name}, 0
    while len(found) > size:
        size = len(found)
        for merge in merges:
            if found & {merge.one, merge.other}:
                found |= {merge.one, merge.other}
    return found


def _home(name: str, merges: list[Mark]) -> str:
    """The survivor of the last merge; of its own merges before that, again the last; and so on."""
    group = _grown(name, merges)
    last = max((i for i, merge in enumerate(merges) if merge.one in group), default=None)
    return name if last is None else _home(merges[last].one, merges[:last])


def _moved(
    owners: dict[tuple[str, str], str], mark: Mark, pairs: list[tuple[str, str, str]]
) -> None:
    here = {origin for (origin, _), owner in owners.items() if owner == mark.other} | {mark.other}
    beside = [{visit, number} for name, visit, number in pairs if name in here]
    numbers = {mark.visit}
    for _ in beside:  # each can add one number at most
        numbers = numbers.union(*(both for both in beside if both & numbers))
    for number in numbers:
        owners.setdefault((mark.other, number), mark.other)
        for (origin, visit), owner in list(owners.items()):
            if (visit, owner) == (number, mark.other):
                owners[origin, visit] = mark.one
