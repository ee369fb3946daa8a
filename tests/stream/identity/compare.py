"""A run over several partitions against a refold of the same events in one."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import Any, Final

from orchestrator.core.instants import DAY, HOUR, read, written
from orchestrator.stream.replay import replay_events
from tests.stream.identity.histories import START, Event, Teller
from tests.stream.identity.site import FACILITIES_YAML
from tests.stream.identity.witness import Witness, demand, verdicts
from tests.stream.identity.world import World

Plain = dict[str, Any]
OVER: Final = ("completed", "cancelled", "failed", "entered-in-error", "closed")
# What only the ledger knows: how often, and since when we knew.
HISTORY: Final = ("version", "occurrence", "opened_at", "closed_at", "why", "patient_key")
LONG: Final = 30 * DAY
IDENTITY_WORDS: Final = {"retired", "from", "identifiers"}
COMMANDS_WAIT: Final = 3 * DAY
CLOCKS_AT_THE_END: Final = 8


@dataclass(slots=True)
class Ran:
    """What a history was like."""

    events: int
    records: int
    marks: int
    commands: int
    things: int
    deadlines: int
    deaths: int
    compared: int  # 1 where every command got the verdict that the refold gives it


def live(things: Iterable[Plain]) -> dict[str, Plain]:
    """By id what stands, without its history."""
    out = {}
    for thing in things:
        if thing["status"] not in OVER:
            name = next(
                thing[key] for key in ("task_id", "gap_id", "transition_id") if key in thing
            )
            out[name] = {key: value for key, value in thing.items() if key not in HISTORY}
    return out


def run(seed: int, *, commands: bool = True, most: int = 30) -> Ran:
    """Live through a random history; raises `Broken` when a promise is."""
    rng = Random(seed)
    world = World(rng, rng.randint(1, 4))
    teller = Teller(rng, commands=commands)
    witness = world.witness
    last = START
    for _ in range(rng.randint(4, most)):
        event = teller.next(lambda: [t for t in witness.things.values() if "task_id" in t])
        receipt = read(event["receivedtime"])
        if receipt - last > LONG:
            # Stays are put away on the way, and nothing is planned anew because of it: what was
            # still to come before must have come in both runs; what was said ahead of its time (a
            # day at most) comes first, as clocks never leap.
            for at in (last + DAY, receipt - 1):
                for _ in range(2):
                    world.clock(at)
                    world.settle()
            last = receipt - 1
        for _ in range(rng.randint(0, 3)):
            at = rng.randint(last, max(last, receipt - 1))
            some = rng.sample(world.partitions, rng.randint(1, len(world.partitions)))
            world.clock(at, *some)
            _turns(world, rng)
            last = max(last, at)
        world.accept(event)
        last = receipt
        _turns(world, rng)
    end = last + rng.choice((HOUR, DAY, 5 * DAY))
    for _ in range(CLOCKS_AT_THE_END):
        world.clock(end)
        world.settle()
    demand(not world.under_way(), "a hand-over without an end", world.under_way())
    _answered(witness, teller.said, end)
    compared = _refolded(witness, teller.said, end)
    marks = sum(bool(IDENTITY_WORDS & event["data"].keys()) for event in teller.said)
    return Ran(
        len(teller.said),
        world.records,
        marks,
        len(witness.commands),
        len(witness.things),
        witness.deadlines,
        world.deaths,
        compared,
    )


def _turns(world: World, rng: Random) -> None:
    for _ in range(rng.randint(0, 6)):
        world.turn()


def _answered(witness: Witness, said: list[Event], end: int) -> None:
    """Every command got its verdict, those aside that may wait for a task yet."""
    for event in said:
        waits = "task_id" not in event["data"] and read(event["receivedtime"]) + COMMANDS_WAIT > end
        if event["id"] in witness.commands and not waits:
            demand(event["id"] in witness.verdicts, "a command without a verdict", event)


def _refolded(witness: Witness, said: list[Event], end: int) -> bool:
    """Compare what stands; where a command was judged in another order, its verdict may differ."""
    answer = replay_events(said, as_of=written(end), facilities=FACILITIES_YAML, changes=True)
    changes = answer["changes"]
    if witness.verdicts != dict(one for c in changes for one in verdicts(c, witness.commands)):
        return False
    wanted = live(
        thing
        for patient in answer["patients"]
        for kind in ("tasks", "gaps", "transitions")
        for thing in patient[kind]
    )
    found = live(witness.things.values())
    if any(after - before > LONG for before, after in pairwise(_receipts(said))):
        # What is put away is planned no more, and its gaps stand or close by when else something
        # was planned: in two partitions not as in one.
        found, wanted = _of_transitions(found), _of_transitions(wanted)
    wrong = [
        (found.get(name), wanted.get(name))
        for name in sorted(found.keys() | wanted.keys())
        if found.get(name) != wanted.get(name)
    ]
    demand(not wrong, "what stands is not the refold", *(_told(*pair) for pair in wrong))
    return True


def _receipts(said: list[Event]) -> list[int]:
    return [START, *(read(event["receivedtime"]) for event in said)]


def _of_transitions(things: dict[str, Plain]) -> dict[str, Plain]:
    return {name: thing for name, thing in things.items() if thing.get("transition_id")}


def _told(found: Plain | None, wanted: Plain | None) -> str:
    if found is None or wanted is None:
        one = found or wanted or {}
        names = ("kind", "code", "status", "subject", "patient", "scope")
        side = "only in the run" if wanted is None else "only in the refold"
        return f"{side}: { {name: one.get(name) for name in names} }"
    differ = {
        key: (found.get(key), wanted.get(key))
        for key in found.keys() | wanted.keys()
        if found.get(key) != wanted.get(key)
    }
    return f"{found.get('kind') or found.get('code')}, run and refold: {differ}"
