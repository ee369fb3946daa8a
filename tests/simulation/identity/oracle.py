"""What must hold at every instant and in the end, told by somebody who sees everything.

Independent of the protocol: groups are derived here from all marks at once, in another way than
the directory's, and the refold takes all facts in one partition.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from tests.simulation.identity.care import (
    Chart,
    Command,
    Fact,
    Input,
    Row,
    RowId,
    origin_of,
    plan,
    sight,
    standing,
    visit_stream,
)
from tests.simulation.identity.directory import Decided, Group, Mark
from tests.simulation.identity.messages import Said, Told
from tests.simulation.identity.truth import truth

if TYPE_CHECKING:
    from tests.simulation.identity.key import Key


class Published(NamedTuple):
    """A row that went out, and the home that planned it."""

    subject: str
    seq: int
    name: RowId
    row: Row
    at: int
    home: str


class Answered(NamedTuple):
    """A verdict that went out."""

    command: Command
    verdict: str


class Violation(AssertionError):
    """A promise was broken."""


def demand(holds: bool, promise: str, *what: object) -> None:
    """Raise unless *holds*."""
    if not holds:
        raise Violation(promise, *what)


class Oracle:
    """Sees what is accepted, planned and published, and complains."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self.said: list[tuple[int, str, Input]] = []  # accepted at, key, what
        self.marks: set[Mark] = set()
        self.pairs: set[Mark] = set()  # told of numbers, where the directory asked
        self.marks_at: list[tuple[int, tuple[Mark, ...]]] = []
        self.told_by: dict[tuple[Mark, ...], list[Group]] = {}
        self.rows: dict[tuple[str, int], tuple[RowId, Row]] = {}
        self.newest: dict[str, int] = defaultdict(int)
        self.dated: dict[str, int] = defaultdict(int)
        self.planned_at: dict[str, int] = {}
        self.verdicts: dict[int, str] = {}
        self.leaked: set[int] = set()  # answered by a worker that died before its commit
        self.names_of_rows: set[RowId] = set()
        self.accepted_commands: set[RowId] = set()

    def memory(self) -> dict[str, int]:
        """What a dying worker takes with it: plans that were never committed."""
        return dict(self.planned_at)

    def remember(self, memory: dict[str, int]) -> None:
        """The worker died."""
        self.planned_at = memory

    def accepted(self, at: int, key: str, message: Told | Said) -> None:
        """A sender was told that we have it."""
        if isinstance(message, Told):
            self.said.append((at, key, message.said))
        else:
            self.marks |= set(message.marks)
            self.marks_at.append((at, message.marks))

    def directory_took(self, marks: tuple[Mark, ...], told: list[tuple[str, Decided]]) -> None:
        """The directory decided marks."""
        self.pairs |= {mark for mark in marks if mark.kind == "pair"}
        groups = [message for _, message in told if isinstance(message, Group)]
        self.told_by.setdefault(marks, groups)

    def undecided_marks(self, at: int) -> bool:
        """Whether marks accepted before *at* are still to be decided."""
        return any(when < at and marks not in self.told_by for when, marks in self.marks_at)

    # At every plan.

    def planned(self, key: "Key", planned: list[Chart], now: int) -> None:
        """A group was planned: nothing accepted before may be missing, and no clock goes back."""
        charts = {chart.stream: chart for chart in planned}
        demand(charts.keys() <= key.group.members, "stranger planned", key.name, charts.keys())
        known = {
            stream: {fact.event for fact in chart.facts | chart.held}
            for stream, chart in charts.items()
        }
        for at, subject, said in self.said:
            if at < now and isinstance(said, Fact):
                for stream in (subject, visit_stream(subject, said.visit)):
                    if stream in key.group.members:
                        there = stream in known and said.event in known[stream]
                        demand(there, "premature", now, stream, said, key.name)
        for at, marks in self.marks_at:
            if at < now:
                demand(marks in self.told_by, "premature: mark not decided", now, marks)
                for group in self.told_by[marks]:
                    if group.home == key.name:
                        demand(key.group.n >= group.n, "premature: group not heard", now, group)
        for stream in charts:
            before = self.planned_at.get(stream, 0)
            demand(now >= before, "clock ran backwards", stream, before, now)
            self.planned_at[stream] = now

    # At every output.

    def published(self, out: Published) -> None:
        """One publisher at a time: numbers without gap, one content per number."""
        content = (out.name, out.row)
        known = self.rows.get((out.subject, out.seq))
        if known is not None:
            demand(known == content, "two publishers", out, known)
            return
        demand(out.seq == self.newest[out.subject] + 1, "gap in seq", out)
        demand(out.at >= self.dated[out.subject], "dated back", out)
        self.dated[out.subject] = out.at
        self.newest[out.subject] = out.seq
        self.rows[out.subject, out.seq] = content
        self.names_of_rows.add(out.name)

    def answered(self, out: Answered, *, leaked: bool) -> None:
        """Each command is answered once, and rightly; a redo says the same again."""
        command, verdict = out
        known = self.verdicts.get(command.event)
        if known is None:
            through = next(key for _, key, said in self.said if said == command)
            if verdict == "unknown" and through == command.task[1]:
                demand(command.task not in self.names_of_rows, "false refusal", command)
        else:
            redone = command.event in self.leaked
            demand(redone and known == verdict, "answered twice", out, known)
            self.leaked.discard(command.event)
        if leaked:
            self.leaked.add(command.event)
        self.verdicts[command.event] = verdict
        if verdict == "accepted":
            self.accepted_commands.add(command.task)

    # In the end.

    def ended(self, keys: Mapping[str, "Key"], now: int) -> None:
        """Everybody has a home, and what stands is what a single partition would say."""
        pairs = {(name, s.visit, s.beside) for _, name, s in self.said if isinstance(s, Fact)}
        groups, homes, owners = truth(self.names, self.marks, pairs)
        charts: dict[str, Chart] = {}
        for name, key in keys.items():
            for stream, chart in key.charts.items():
                demand(stream not in charts, "two charts", stream, name)
                charts[stream] = chart
                demand(not chart.undecided and not chart.waiting, "unanswered", stream)
                demand(not chart.held, "held for ever", stream)
                origin = origin_of(stream)
                owner = owners.get((origin, stream.partition("#")[2]), origin)
                demand(homes[owner] == name, "not at home", stream, name, homes)
        demand(charts.keys() >= set(self.names), "lost chart", charts.keys())
        facts: dict[str, set[Fact]] = {name: set() for name in self.names}
        for _, key_name, said in self.said:
            if isinstance(said, Fact):
                owner = owners.get((key_name, said.visit), key_name)
                facts[owner].add(said)
        for home in set(homes.values()):
            members = groups[home]
            whole = [Chart(name, facts=facts[name]) for name in members]
            for chart in whole:
                chart.done = {task for task in self.accepted_commands if task[1] == chart.stream}
            wanted, _ = plan(sight(whole, {}), now)
            rows = {name: row for member in members for name, row in charts[member].rows.items()}
            wrong = standing(rows, wanted)
            demand(not wrong, "current is not the refold", home, wrong)
        for _, _, said in self.said:
            if isinstance(said, Command):
                demand(said.event in self.verdicts, "command without answer", said)
