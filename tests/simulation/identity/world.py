"""Partitions, journals and workers that die; a network that delays, reorders and repeats.

Two networks.  `journal` is the product's: what a record causes is appended to the journals of its
receivers in the transaction of its round, in order, once.  `hostile` keeps every message back as
long as it likes, changes their order and delivers each up to three times.  In both, a worker may
die before any commit; in the hostile one the messages of the lost round get out as well.
"""

import pickle
from dataclasses import dataclass, field
from random import Random

from tests.simulation.identity.care import Chart, Command, Row, RowId
from tests.simulation.identity.directory import (
    DIRECTORY,
    Decided,
    Directory,
    Group,
    Home,
    Mark,
)
from tests.simulation.identity.key import Key
from tests.simulation.identity.messages import Clock, Message, Said, Told
from tests.simulation.identity.oracle import Answered, Oracle, Published


@dataclass(slots=True)
class Partition:
    """Committed state of one partition; its journal lies outside, in the log."""

    keys: dict[str, Key]
    directory: Directory | None
    now: int = 0
    read: int = 0


@dataclass(slots=True)
class Round:
    """What one round would commit."""

    messages: list[tuple[str, Message]] = field(default_factory=list)
    outputs: list[Published | Answered] = field(default_factory=list)
    decided: list[tuple[tuple[Mark, ...], list[tuple[str, Decided]]]] = field(default_factory=list)


@dataclass(slots=True)
class Arrival:
    """Something accepted, and when; on its way to the journal."""

    at: int
    key: str
    message: Told | Said


class World:
    """All of it."""

    key = Key
    directory = Directory

    def __init__(self, random: Random, names: list[str], partitions: int, *, hostile: bool) -> None:
        self.random = random
        self.names = names
        self.hostile = hostile
        self.mortal = True  # workers die now and then
        self.place = {name: random.randrange(partitions) for name in names}
        self.place[DIRECTORY] = random.randrange(partitions)
        self.partitions = [
            Partition(
                {name: self.key(name) for name in names if self.place[name] == p},
                self.directory() if self.place[DIRECTORY] == p else None,
            )
            for p in range(partitions)
        ]
        self.journals: list[list[tuple[int, str, Message]]] = [[] for _ in range(partitions)]
        self.net: list[tuple[str, Message]] = []
        self.inputs: list[Arrival] = []
        self.gates: list[tuple[int, int]] = []  # partition, T: clocks that wait
        self.time = 1
        self.oracle = Oracle(names)
        self.deaths = 0
        self.records = 0
        self.sent = 0

    # The shell of the key that is being worked on.

    now = 0
    stamp = 0

    def send(self, key: str, message: Message) -> None:
        """See `Shell`."""
        self.round.messages.append((key, message))

    def published(self, key: Key, chart: Chart, name: RowId, row: Row, at: int) -> None:
        """See `Shell`."""
        said = Published(chart.stream, chart.seq, name, row, at, key.name)
        self.round.outputs.append(said)

    def answered(self, command: Command, verdict: str) -> None:
        """See `Shell`."""
        self.round.outputs.append(Answered(command, verdict))

    def planned(self, key: Key, charts: list[Chart], now: int) -> None:
        """See `Shell`."""
        self.oracle.planned(key, charts, now)

    # What may happen next.

    def accept(self, key: str, message: Told | Said) -> None:
        """A sender was told that we have it."""
        self.inputs.append(Arrival(self.time, key, message))
        self.oracle.accepted(self.time, key, message)

    def take_in(self) -> None:
        """Intake appends one accepted event to the journal: any, inputs have many partitions."""
        if self.inputs:
            arrival = self.inputs.pop(self.random.randrange(len(self.inputs)))
            self._append(arrival.key, arrival.message)

    def mark_clock(self, partition: int) -> None:
        """The owner of a partition appends its mark; the clock must wait for the gate."""
        self.gates.append((partition, self.time))
        self.time += 1

    def open_gates(self) -> None:
        """Append the clocks of which it has become true what they say."""
        shut = []
        for partition, at in self.gates:
            if any(arrival.at < at for arrival in self.inputs) or not self.identity_passed(at):
                shut.append((partition, at))
            else:
                self.journals[partition].append((self.time, "", Clock(at)))
        self.gates = shut

    def identity_passed(self, at: int) -> bool:
        """Whether the directory has decided all marks accepted before *at*, and told so."""
        if self.oracle.undecided_marks(at):
            return False
        return not any(isinstance(message, Home | Group) for _, message in self.net)

    def deliver(self) -> None:
        """One message of the hostile network arrives."""
        if self.net:
            key, message = self.net.pop(self.random.randrange(len(self.net)))
            self._append(key, message)

    def _append(self, key: str, message: Message) -> None:
        self.journals[self.place[key]].append((self.time, key, message))

    def work(self, p: int, length: int) -> None:
        """A worker takes up to *length* records of a partition in one round, and may die."""
        partition, journal = self.partitions[p], self.journals[p]
        if partition.read >= len(journal):
            return
        dies = self.mortal and self.random.random() < 0.03
        before = pickle.dumps((partition, self.oracle.memory())) if dies else b""
        self.round = Round()
        for self.stamp, key, message in journal[partition.read : partition.read + length]:
            partition.read += 1
            self.records += 1
            self._record(partition, key, message)
        if dies:
            self.deaths += 1
            self.partitions[p], memory = pickle.loads(before)  # noqa: S301 our own bytes
            self.oracle.remember(memory)
            if self.hostile and self.random.random() < 0.5:
                self._commit(leaked=True)
            return
        self._commit(leaked=False)

    def _record(self, partition: Partition, key: str, message: Message) -> None:
        self.now = partition.now
        if isinstance(message, Clock):
            if message.at > partition.now:
                self.now = partition.now = message.at
                for name in sorted(partition.keys):
                    if partition.keys[name].due(message.at):
                        partition.keys[name].clock(self)
        elif isinstance(message, Said):
            assert partition.directory is not None
            told = partition.directory.take(message.marks)
            self.round.decided.append((message.marks, told))
            self.round.messages += told
        else:
            partition.keys[key].receive(message, self)

    def _commit(self, *, leaked: bool) -> None:
        """One transaction: messages, outputs, and the state that `work` has changed already."""
        self.sent += len(self.round.messages)
        for key, message in self.round.messages:
            if self.hostile:
                self.net += [(key, message)] * self.random.choice((1, 1, 2, 3))
            else:
                self._append(key, message)
        if not leaked:
            for marks, told in self.round.decided:
                self.oracle.directory_took(marks, told)
        for output in self.round.outputs:
            if isinstance(output, Published):
                self.oracle.published(output)
            else:
                self.oracle.answered(output, leaked=leaked)

    # The end.

    def drain(self) -> None:
        """Nobody says anything more: let everything that is under way arrive."""
        idle = False
        while not idle:
            idle = True
            while self.inputs:
                self.take_in()
                idle = False
            for p in range(len(self.partitions)):
                while self.partitions[p].read < len(self.journals[p]):
                    self.work(p, self.random.randint(1, 6))
                    idle = False
            while self.net:
                self.deliver()
                idle = False
            if self.gates:
                self.open_gates()
                idle = False

    def keys(self) -> dict[str, Key]:
        """All keys, as committed."""
        return {name: key for part in self.partitions for name, key in part.keys.items()}
