"""Small stories in every order in which partitions can get on: nothing is left to luck.

The product's network: what a record causes lies in its receivers' journals, in order, once.  What
is said goes into the journals in the order in which it was accepted, clocks when their gate opens;
between any two of these, every partition may have read as far as it likes.
"""

import pickle
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from random import Random
from typing import Final

from tests.simulation.identity.care import COMMAND_WAIT, LATE_AFTER, Chart, Command, Fact
from tests.simulation.identity.directory import DIRECTORY, Cluster, Directory, Mark
from tests.simulation.identity.key import Key, Route
from tests.simulation.identity.messages import Clock, Said, Told
from tests.simulation.identity.world import Partition, World

Happening = tuple[int, str, Told | Said | Clock]
NAMES = "ABC"

SMALL: Final = {
    "a booking under the survivor settles the gap of the retired": (
        "1 discharged A v1",
        "2 booked B s1",
        "3 merge B A",
        "14 clock AB",
    ),
    "commands on their way during the hand-over": (
        "1 discharged A v1",
        "3 merge B A",
        "4 done A v1 A",
        "5 done A v1 B",
        "30 clock AB",
    ),
    "done under the survivor, then parted": (
        "1 discharged A v1",
        "3 merge B A",
        "4 done A v1 B",
        "5 unmerge B A",
        "30 clock AB",
    ),
    "a moved visit that is cancelled under the wrong patient": (
        "1 discharged A v1",
        "3 move B A v1",
        "4 not_discharged A v1",
        "30 clock AB",
    ),
    "a visit that is moved under its other number": (
        "1 discharged A v1",
        "2 renumbered A v1 v2",
        "3 move B A v2",
        "4 not_discharged A v1",
        "30 clock AB",
    ),
}
LARGE: Final = {
    "a chain": (
        "1 discharged A v1",
        "2 merge B A",
        "3 merge C B",
        "4 booked A s1",
        "14 clock ABC",
    ),
    "again after the un-merge": (
        "1 discharged A v1",
        "2 merge B A",
        "3 unmerge B A",
        "4 merge B A",
        "5 booked B s1",
        "14 clock AB",
    ),
    "a visit of somebody who is merged": (
        "1 discharged A v1",
        "2 move B A v1",
        "3 merge C B",
        "4 booked C s1",
        "14 clock ABC",
    ),
    "another number, told when the right patient is merged": (
        "1 discharged A v1",
        "2 move B A v2",
        "3 renumbered A v1 v2",
        "4 merge C B",
        "14 clock ABC",
    ),
}


def story(*lines: str) -> list[Happening]:
    """
    What happens, from lines of "instant what who …".

    `discharged A v1`, `booked B s1`, `renumbered A v1 v2`, … are facts, `done A v1 B` a command
    under B for A's task, `merge B A` and `move B A v1` are marks, `clock A` of A's partition.
    """
    found: list[Happening] = []
    for event, line in enumerate(lines):
        instant, what, *who = line.split()
        at = int(instant)
        if what == "clock":
            found += [(at, name, Clock(at)) for name in who[0]]
        elif what == "done":
            task = ("task", who[0], who[1])
            found.append((at, who[2], Told(Command(event, task, None, at))))
        elif what in ("merge", "unmerge", "move"):
            mark = Mark(at, at, "adt", f"{event:02}", what, who[0], who[1], *who[2:])
            found.append((at, DIRECTORY, Said((mark,))))
        else:
            found.append((at, who[0], Told(Fact(event, what, who[1], at, 0, *who[2:]))))
    return found


@dataclass(slots=True)
class Explored:
    """How much there was to see."""

    states: int = 0
    ends: int = 0


def _begin(world: type[World]) -> World:
    begun = world(Random(0), list(NAMES), 1, hostile=False)
    keys, directory = begun.partitions[0].keys, begun.partitions[0].directory
    begun.place = {name: i for i, name in enumerate(NAMES)} | {DIRECTORY: len(NAMES)}
    begun.partitions = [Partition({name: keys[name]}, None) for name in NAMES]
    begun.partitions.append(Partition({}, directory))
    begun.journals = [[] for _ in begun.partitions]
    begun.mortal = False
    return begun


def _lag(world: World, p: int) -> bool:
    return world.partitions[p].read < len(world.journals[p])


def _next(world: World, happenings: list[Happening], told: int) -> bool:
    """Journal the next happening; False where its gate is shut."""
    at, key, message = happenings[told]
    if isinstance(message, Clock):
        if not world.identity_passed(at):
            return False
        world.journals[world.place[key]].append((0, "", message))
    else:
        world.oracle.accepted(at, key, message)
        world.journals[world.place[key]].append((0, key, message))
    return True


def _end(world: World, last: int) -> None:
    """Clocks until nothing happens any more, and the oracle's last word."""
    for at in range(last, last + 6):
        world.time = at
        world.gates = [(p, at) for p in range(len(world.partitions))]
        world.drain()
    world.oracle.ended(world.keys(), last + 5)


def _plain(thing: object) -> object:
    """Equal for equal states, however they came about."""
    if isinstance(thing, dict):
        return sorted(((_plain(key), _plain(value)) for key, value in thing.items()), key=repr)
    if isinstance(thing, set | frozenset):
        return sorted(map(_plain, thing), key=repr)
    if isinstance(thing, list | tuple):
        return [type(thing).__name__, *map(_plain, thing)]
    if isinstance(thing, Chart):
        return [_plain(getattr(thing, name)) for name in Chart.__slots__]
    if isinstance(thing, Key | Route | Partition | Directory | Cluster):
        names = getattr(thing, "__slots__", ()) or [name for name in vars(thing) if name != "shell"]
        return [(name, _plain(getattr(thing, name))) for name in names if name != "read"]
    return thing


def _state(world: World) -> bytes:
    tails = [
        [record[1:] for record in journal[part.read :]]
        for part, journal in zip(world.partitions, world.journals, strict=True)
    ]
    parts = [(part.now, _plain(part.keys), _plain(part.directory)) for part in world.partitions]
    said = (parts, _plain(tails), _plain(world.oracle.verdicts), _plain(world.oracle.planned_at))
    return sha256(repr(said).encode()).digest()


def explore(happenings: Iterable[Happening], world: type[World] = World) -> Explored:
    """Go through every order; raises `Violation` where one breaks a promise."""
    told = list(happenings)
    last = told[-1][0] + COMMAND_WAIT + LATE_AFTER
    found = Explored()
    begun = _begin(world)
    stack = [(0, pickle.dumps(vars(begun)))]
    seen = {(0, _state(begun))}
    while stack:
        done, frozen = stack.pop()
        found.states += 1
        moved = False
        for count, after in _followers(world, done, frozen, told):
            moved = True
            name = (count, _state(after))
            if name not in seen:
                seen.add(name)
                stack.append((count, pickle.dumps(vars(after))))
        if not moved:
            assert done == len(told), "a gate that never opens"
            found.ends += 1
            _end(_thawed(world, frozen), last)
    return found


def _thawed(world: type[World], frozen: bytes) -> World:
    found = world.__new__(world)
    vars(found).update(pickle.loads(frozen))  # noqa: S301 our own bytes
    return found


def _followers(
    kind: type[World], done: int, frozen: bytes, told: list[Happening]
) -> Iterator[tuple[int, World]]:
    world = _thawed(kind, frozen)
    busy = [p for p in range(len(world.partitions)) if _lag(world, p)]
    if done < len(told) and _next(world, told, done):
        yield done + 1, world
    for p in busy:
        world = _thawed(kind, frozen)
        world.work(p, 1)
        yield done, world
