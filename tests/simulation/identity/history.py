"""Random histories: what hospitals and nurses say, when workers get on with it, and the end."""

from dataclasses import dataclass
from random import Random

from tests.simulation.identity.care import COMMAND_WAIT, LATE_AFTER, Command, Fact, RowId
from tests.simulation.identity.directory import DIRECTORY, Mark
from tests.simulation.identity.messages import Said, Told
from tests.simulation.identity.world import World

VISITS = ("v1", "v2", "v3")
CLOCKS_AT_THE_END = 12
# How often facts, commands, merges and moves are said.
THEMES = ((8, 4, 6, 2), (12, 1, 5, 0), (3, 6, 4, 0), (8, 2, 2, 3))


@dataclass(slots=True)
class Summary:
    """What a history was like."""

    records: int
    messages: int
    marks: int
    pairs: int
    commands: int
    accepted: int
    rows: int
    deaths: int


class History:
    """One random history in one world."""

    def __init__(
        self,
        seed: int,
        world: type[World] = World,
        themes: tuple[tuple[int, int, int, int], ...] = THEMES,
    ) -> None:
        self.random = random = Random(seed)
        names = list("ABCDE")[: random.choice((2, 3, 3, 4, 5))]
        self.world = world(
            random, names, random.choice((1, 2, 2, 3, 3)), hostile=random.random() < 0.6
        )
        self.event = 0
        self.tasks: list[RowId] = []
        self.pairs: list[tuple[str, str]] = []
        self.moves: list[tuple[str, str, str]] = []
        self.sayings: list[tuple[str, Told | Said]] = []
        self.commands = 0
        self.theme = random.choice(themes)
        self.asleep = 3

    def run(self) -> Summary:
        """Live through it; raises `Violation` when a promise is broken."""
        random, world = self.random, self.world
        talk, restless = random.choice((0.2, 0.4, 0.6)), random.choice((0.03, 0.1, 0.1))
        for _ in range(random.randint(10, 80)):
            if random.random() < restless:
                self.asleep = random.randint(0, 3)  # a partition that nobody works on for a while
            if random.random() < talk:
                self.say()
            for _ in range(random.randint(0, 6)):
                self.progress()
            world.time += random.choice((0, 1, 1, 2, 6))
        last = world.time + COMMAND_WAIT + LATE_AFTER + 20
        for _ in range(CLOCKS_AT_THE_END):
            world.drain()
            world.time = max(world.time, last)
            for p in random.sample(range(len(world.partitions)), len(world.partitions)):
                world.mark_clock(p)
        world.drain()
        world.oracle.ended(world.keys(), world.time)
        oracle = world.oracle
        accepted = sum(verdict == "accepted" for verdict in oracle.verdicts.values())
        return Summary(
            world.records,
            world.sent,
            len(oracle.marks),
            len(oracle.pairs),
            self.commands,
            accepted,
            len(oracle.rows),
            world.deaths,
        )

    def progress(self) -> None:
        """Somebody gets on with something."""
        random, world = self.random, self.world
        what = random.random()
        if what < 0.2:
            world.take_in()
        elif what < 0.4:
            world.deliver()
        elif what < 0.5:
            world.mark_clock(random.randrange(len(world.partitions)))
        elif what < 0.65:
            world.open_gates()
        else:
            p = random.randrange(len(world.partitions))
            if p != self.asleep:
                world.work(p, random.choice((1, 1, 2, 5)))

    def say(self) -> None:
        """Something new is said, or something old again."""
        random, world = self.random, self.world
        self.event += 1
        if self.sayings and random.random() < 0.1:
            world.accept(*random.choice(self.sayings))
            return
        what = random.choices(("fact", "command", "mark", "move"), self.theme)[0]
        message: tuple[str, Told | Said]
        if what == "mark":
            message = DIRECTORY, Said(self.marks())
        elif what == "move":
            message = DIRECTORY, Said((self.move(),))
        elif what == "command" and self.tasks:
            message = self.command()
        else:
            message = self.fact()
        self.sayings.append(message)
        world.accept(*message)

    def fact(self) -> tuple[str, Told]:
        """A discharge, its cancel, a booking or its cancel."""
        random, now = self.random, self.world.time
        subject = random.choice(self.world.names)
        what = random.choice(
            ("discharged",) * 4 + ("not_discharged", "booked", "unbooked", "renumbered")
        )
        number, beside = random.choice(VISITS), ""
        if what in ("discharged", "not_discharged"):
            self.tasks.append(("task", subject, number))
        elif what == "renumbered":
            beside = random.choice([other for other in VISITS if other != number])
        else:
            number = f"b{number}"
        effective = now + random.randint(1, 12) if random.random() < 0.1 else 0
        fact = Fact(self.event, what, number, now - random.randint(0, 8), effective, beside)
        return subject, Told(fact)

    def command(self) -> tuple[str, Told]:
        """Under the subject of the task, or under another number of the patient."""
        random = self.random
        task = random.choice(self.tasks)
        subject = task[1] if random.random() < 0.6 else random.choice(self.world.names)
        version = random.choice((None, None, None, 1, 2))
        self.commands += 1
        return subject, Told(Command(self.event, task, version, self.world.time))

    def mark(self, kind: str, one: str, other: str, visit: str = "", part: str = "") -> Mark:
        """A mark of this event; late and wrongly dated ones are common."""
        random, now = self.random, self.world.time
        time = now - random.choice((0, 0, 1, 5, 20))
        event = f"{self.event}{part}"
        return Mark(time, time + random.randint(0, 2), "adt", event, kind, one, other, visit)

    def marks(self) -> tuple[Mark, ...]:
        """A merge, an inverse or repeated one, an un-merge of something merged or not, an A43."""
        random, names = self.random, self.world.names
        one, other = random.sample(names, 2)
        what = random.random()
        if what < 0.5 or not self.pairs:
            self.pairs.append((one, other))
            return (self.mark("merge", one, other),)
        pair = random.choice(self.pairs)
        if what < 0.6:
            return (self.mark("merge", *random.choice((pair, pair[::-1]))),)
        if what < 0.85:
            return (self.mark("unmerge", *random.choice((pair, pair[::-1]))),)
        if what < 0.92:
            return (self.mark("unmerge", one, other),)
        left = self.mark("unmerge", *pair, part="#1")
        if one == pair[1]:
            one = other
        self.pairs.append((one, pair[1]))
        return left, left._replace(event=f"{self.event}#2", kind="merge", one=one)

    def move(self) -> Mark:
        """A visit of one was another's; sometimes it goes on from there, or back."""
        random, names = self.random, self.world.names
        one, other = random.sample(names, 2)
        visit = random.choice(VISITS)
        if self.moves and random.random() < 0.4:
            other, _, visit = random.choice(self.moves)
            one = random.choice([name for name in names if name != other])
        self.moves.append((one, other, visit))
        self.tasks.append(("task", one, visit))
        return self.mark("move", one, other, visit)
