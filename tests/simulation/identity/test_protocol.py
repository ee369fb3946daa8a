"""The identity protocol holds: random histories with merges, delays, repeats and dying workers."""

from collections import Counter
from dataclasses import asdict
from random import Random

import pytest

from tests.simulation.identity.care import Command, Fact
from tests.simulation.identity.directory import DIRECTORY, Mark
from tests.simulation.identity.history import History
from tests.simulation.identity.messages import Message, Said, Told
from tests.simulation.identity.world import World

SEEDS = 2_000
BLOCKS = 8


@pytest.mark.parametrize("block", range(BLOCKS))
def test_nothing_is_lost_doubled_false_premature_or_answered_twice(block: int) -> None:
    """What `Oracle` demands holds at every plan and output, and the end is the refold."""
    size = SEEDS // BLOCKS
    sums: Counter[str] = Counter()
    for seed in range(block * size, (block + 1) * size):
        sums.update(asdict(History(seed).run()))
    # The histories are not too tame.
    assert sums["marks"] > 4 * size
    assert sums["accepted"] > size // 3
    assert sums["deaths"] > size
    assert sums["messages"] > 10 * size


def test_patients_without_a_merge_send_nothing() -> None:
    """Whoever the directory never named costs no message at all."""
    rows = 0
    for seed in range(100):
        summary = History(seed, themes=((8, 4, 0, 0),)).run()
        assert summary.messages == 0
        rows += summary.rows
    assert rows > 500


class Slowly:
    """A world in which things happen one after another: three numbers in three partitions."""

    def __init__(self, names: str = "ABC") -> None:
        self.world = World(Random(1), list(names), 1, hostile=False)
        world, parts = self.world, self.world.partitions
        world.place = {name: i for i, name in enumerate(names)} | {DIRECTORY: len(names)}
        keys, directory = parts[0].keys, parts[0].directory
        world.partitions = [type(parts[0])({name: keys[name]}, None) for name in names]
        world.partitions.append(type(parts[0])({}, directory))
        world.journals = [[] for _ in world.partitions]
        world.mortal = False
        self.event = 0

    def tell(self, key: str, message: Message) -> None:
        """Accept and journal something, a second later than what was before."""
        assert isinstance(message, Told | Said)
        self.world.time += 1
        self.world.accept(key, message)
        self.world.take_in()

    def fact(self, key: str, what: str, visit: str) -> None:
        """A fact of now."""
        self.event += 1
        self.tell(key, Told(Fact(self.event, what, visit, self.world.time, 0)))

    def command(self, key: str, task: tuple[str, str, str]) -> int:
        """A nurse says that it is done."""
        self.event += 1
        self.tell(key, Told(Command(self.event, task, None, self.world.time)))
        return self.event

    def mark(self, kind: str, one: str, other: str, visit: str = "") -> None:
        """A mark of now."""
        self.event += 1
        time = self.world.time
        event = f"{self.event:03}"
        self.tell(DIRECTORY, Said((Mark(time, time, "adt", event, kind, one, other, visit),)))

    def work(self, *keys: str) -> None:
        """The partitions of these keys read to the end; without keys all, until all is quiet."""
        chosen = [self.world.place[key] for key in keys] or range(len(self.world.partitions))
        while any(self.lag(p) for p in chosen):
            for p in chosen:
                self.world.work(p, 1)

    def lag(self, p: int) -> int:
        return len(self.world.journals[p]) - self.world.partitions[p].read

    def clock(self, *keys: str) -> None:
        """Clocks for the partitions of these keys; all of them without."""
        self.world.time += 1
        places = [self.world.place[key] for key in keys or self.world.place]
        self.world.gates += [(p, self.world.time) for p in places]
        self.world.open_gates()

    def row(self, subject: str, kind: str, visit: str) -> str | None:
        """How a row stands."""
        charts = {s: c for key in self.world.keys().values() for s, c in key.charts.items()}
        row = charts[subject].rows.get((kind, subject, visit))
        return None if row is None else row.status

    def away(self, seconds: int) -> None:
        """Time passes, everybody keeps up."""
        self.world.time += seconds
        self.clock()
        self.work()
        self.clock()
        self.work()


def test_a_merge_costs_what_its_two_patients_cost() -> None:
    """Home, two groups and one chart; then one item per event, two messages per deadline."""
    told = Slowly("ABCDE")
    for name in "ABCDE":
        told.fact(name, "discharged", f"v{name}")
    told.work()
    assert told.world.sent == 0
    told.mark("merge", "B", "A")
    told.work()
    merged = told.world.sent
    assert merged == 4 + 1  # and an ask for the first deadline
    told.fact("A", "booked", "b1")
    told.fact("B", "booked", "b2")
    told.work()
    assert told.world.sent == merged + 1
    told.away(30)
    assert told.row("B", "task", "vB") == "late"
    assert told.world.sent <= merged + 1 + 4


def test_scenario_11() -> None:
    """Two numbers are joined, joined again the other way round, and parted."""
    told = Slowly()
    told.fact("A", "discharged", "v1")
    told.fact("B", "booked", "slot")
    told.away(12)
    assert told.row("A", "gap", "v1") == "open"
    told.mark("merge", "B", "A")
    told.away(1)
    assert told.row("A", "gap", "v1") == "closed"
    told.mark("merge", "A", "B")  # inverse: they are one already
    told.fact("A", "unbooked", "slot")  # the retired number is used still
    told.away(1)
    assert told.row("A", "gap", "v1") == "open"
    told.away(20)
    assert told.row("A", "task", "v1") == "late"  # the timer went on
    command = told.command("B", ("task", "A", "v1"))
    told.work()
    assert told.world.oracle.verdicts[command] == "accepted"
    told.mark("unmerge", "B", "A")
    told.away(1)
    assert told.row("A", "task", "v1") == "completed"  # although it was said under B
    told.world.oracle.ended(told.world.keys(), told.world.time)


def test_scenario_26() -> None:
    """A visit was another's, goes on to a third, and back to the first."""
    told = Slowly()
    told.fact("A", "discharged", "v1")
    told.away(1)
    assert told.row("A", "task", "v1") == "requested"
    told.mark("move", "B", "A", "v1")
    told.away(1)
    assert told.row("A", "task", "v1") == "entered-in-error"
    assert told.row("B", "task", "v1") == "requested"
    told.away(20)
    assert told.row("B", "task", "v1") == "late"  # by the discharge's own time
    told.mark("move", "C", "B", "v1")
    told.fact("A", "not_discharged", "v1")  # sent under the wrong patient still
    told.away(1)
    assert told.row("B", "task", "v1") == "entered-in-error"
    assert told.row("C", "task", "v1") is None  # cancelled before anybody saw it
    told.mark("move", "A", "C", "v1")
    told.away(1)
    assert told.row("A", "task", "v1") == "cancelled"
    told.world.oracle.ended(told.world.keys(), told.world.time)


def test_a_chart_from_a_partition_ahead_waits_for_the_clocks_of_the_others() -> None:
    """
    A lags while B and C have seen a later clock; the deadline of B must wait for what A was told.

    Planned at the clock that C's chart brings along, B's gap would open although the booking that
    settles it was accepted before.
    """
    told = Slowly()
    told.fact("B", "discharged", "v1")
    told.mark("merge", "B", "A")
    told.away(1)
    told.fact("A", "booked", "slot")  # accepted in time; A's partition lies asleep
    told.world.time += 12
    told.clock("C")
    told.mark("merge", "B", "C")
    told.work("C", DIRECTORY, "B", "C", "B")
    assert told.world.keys()["B"].charts.keys() == {"A", "B", "C"}
    assert told.row("B", "gap", "v1") is None
    told.away(1)
    assert told.row("B", "gap", "v1") is None
    told.world.oracle.ended(told.world.keys(), told.world.time)


def test_a_command_on_its_way_during_the_hand_over_is_answered_once() -> None:
    """It waits for the chart, then for the clocks, then it is judged."""
    told = Slowly()
    told.fact("A", "discharged", "v1")
    told.away(1)
    told.mark("merge", "B", "A")
    told.work(DIRECTORY)
    before = told.command("A", ("task", "A", "v1"))
    told.work("A")
    after = told.command("A", ("task", "A", "v1"))
    told.work("A")
    assert not told.world.oracle.verdicts
    told.away(1)
    assert told.world.oracle.verdicts == {before: "accepted", after: "terminal"}
