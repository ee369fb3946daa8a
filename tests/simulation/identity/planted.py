"""Bugs to plant: the protocol with one rule left out or made wrong, as somebody might write it.

Each is a world whose keys, directory or clocks differ from the real ones in one method.
"""

from collections.abc import Iterable

from tests.simulation.identity.care import Chart, Command, Fact, Input
from tests.simulation.identity.directory import Cluster, Decided, Directory, Group, Home, Mark
from tests.simulation.identity.key import Key
from tests.simulation.identity.messages import Ask, Body, Item, Low, State
from tests.simulation.identity.world import World


class AheadOfTheOthers(Key):
    """A group is planned at the latest clock that one of its charts brought along."""

    def known_until(self, charts: list[Chart]) -> int:
        return max(super().known_until(charts), self.floor(charts))


class BackInTime(Key):
    """The clock that a chart brings along is ignored."""

    def floor(self, charts: list[Chart]) -> int:
        return min(super().floor(charts), self.known_until(charts))


class OwnClockOnly(Key):
    """Deadlines fire by the clock of the home's partition alone."""

    def known_until(self, charts: list[Chart]) -> int:
        return max(self.shell.now, self.floor(charts))


class ClockLeftBehind(Key):
    """The chart forgets on its way up to when its deadlines have fired."""

    def _pass_on(self, chart: Chart, n: int, to: str) -> None:
        chart.now = 0
        super()._pass_on(chart, n, to)


class StampLeftBehind(Key):
    """The new home dates changes by the stamps of its own journal."""

    def _pass_on(self, chart: Chart, n: int, to: str) -> None:
        chart.at = 0
        super()._pass_on(chart, n, to)


class NotWhole(Key):
    """A group is planned with the charts that are here, although one is still on its way."""

    def members(self) -> list[Chart] | None:
        here = sorted(self.group.members & self.charts.keys())
        return [self.charts[member] for member in here]


class StrangersPlanned(Key):
    """A chart that is about to leave is planned with the group."""

    def members(self) -> list[Chart] | None:
        if super().members() is None:
            return None
        return [self.charts[stream] for stream in sorted(self.charts)]


class RepeatedState(Key):
    """A chart that comes a second time is taken in a second time."""

    def _state(self, state: State) -> None:
        self.arrived.pop(state.stream, None)
        super()._state(state)


class ArrivalOrder(Key):
    """Items are taken as they come, unnumbered."""

    def _item(self, item: Item) -> None:
        chart = self.charts.get(item.stream)
        if chart is None:
            super()._item(item)
        else:
            chart.taken = max(chart.taken, item.i)
            chart.low = max(chart.low, item.now)
            self.apply(chart, item.body)


class SubjectDecides(Key):
    """A command is decided where it arrives, not where the chart lies."""

    def put(self, stream: str, body: Body) -> None:
        if isinstance(body, Command) and not self.direct(stream):
            self.shell.answered(body, "unknown")
        else:
            super().put(stream, body)


class KeptWhereItCame(Key):
    """An accepted command is kept as a fact of the number it came under."""

    def keeper(self, owner: Chart, through: Chart) -> Chart:
        del owner
        return through


class CommandsLeftBehind(Key):
    """Commands that wait do not move with the chart."""

    def _pass_on(self, chart: Chart, n: int, to: str) -> None:
        chart.undecided, chart.waiting = [], []
        super()._pass_on(chart, n, to)


class HeldLeftBehind(Key):
    """What was said of a time to come does not move with the chart."""

    def _pass_on(self, chart: Chart, n: int, to: str) -> None:
        chart.held = set()
        super()._pass_on(chart, n, to)


class SeqFromOne(Key):
    """The numbers of a subject's changes begin anew at each home."""

    def _pass_on(self, chart: Chart, n: int, to: str) -> None:
        chart.seq = 0
        super()._pass_on(chart, n, to)


class LedgerLeftBehind(Key):
    """The new home derives the rows anew, and publishes them all."""

    def _pass_on(self, chart: Chart, n: int, to: str) -> None:
        chart.rows = {}
        super()._pass_on(chart, n, to)


class KeepsACopy(Key):
    """The old home goes on with what it has."""

    def _pass_on(self, chart: Chart, n: int, to: str) -> None:
        kept = chart.copy()
        super()._pass_on(chart, n, to)
        self.charts[kept.stream] = kept


class LatestGroup(Key):
    """The group that arrived last counts, not the newest."""

    def _group(self, group: Group) -> None:
        self.group = group
        self.dirty = True


class LatestHome(Key):
    """The home that arrived last counts, not the newest."""

    def _home(self, home: Home) -> None:
        if home.stream in self.routes and home.n <= self.routes[home.stream].n:
            self.routes[home.stream].n = home.n - 1
        super()._home(home)


class OldHomeNotTold(Key):
    """A chart that lies elsewhere is not told that its home changed."""

    def _home(self, home: Home) -> None:
        route = self.routes.get(home.stream)
        if route is not None and home.n > route.n and not self.direct(home.stream):
            route.home, route.n = home.to, home.n
        else:
            super()._home(home)


class NeverAsks(Key):
    """The home waits for clocks of other partitions that nobody sends."""

    def tell(self, key: str, message: Item | State | Ask) -> None:
        if not isinstance(message, Ask):
            super().tell(key, message)


class AsksOnce(Key):
    """An answer to an earlier ask of somebody else is taken for one's own."""

    def answer(self, stream: str) -> None:
        if self.asked.get(stream, 0) <= self.charts[stream].low:
            self.asked.pop(stream, None)


class AnswersAtOnce(Key):
    """The router answers before its clock has come so far."""

    def _ask(self, ask: Ask) -> None:
        if ask.stream in self.routes and not self.direct(ask.stream):
            route = self.routes[ask.stream]
            route.i += 1
            self.tell(route.home, Item(ask.stream, route.i, ask.until, Low()))


class ForgetsWhatItSaw(Key):
    """A repeat of an event is an event."""

    def _told(self, said: Input) -> None:
        self.seen.clear()
        super()._told(said)


class LateFactsStay(Key):
    """What is said later of a moved visit stays with the wrong patient."""

    def _told(self, said: Input) -> None:
        if isinstance(said, Fact) and said.event not in self.seen:
            self.seen.add(said.event)
            self.put(self.name, said)
        else:
            super()._told(said)


class SeenTwice(Key):
    """The wrong patient goes on seeing the visit that was moved away."""

    def moved(self) -> dict[str, str | None]:
        return {stream: owner for stream, owner in super().moved().items() if owner is not None}


class MarksAsTheyCome(Directory):
    """Marks count in the order of arrival."""

    def __init__(self) -> None:
        super().__init__()
        self.came: list[Mark] = []

    def take(self, marks: Iterable[Mark]) -> list[tuple[str, Decided]]:
        marks = list(marks)
        self.came += [mark for mark in marks if mark not in self.came]
        return super().take(marks)

    def order(self, marks: set[Mark]) -> list[Mark]:
        return [mark for mark in self.came if mark in marks]


class OnlyWhatChanges(Directory):
    """Marks that change nothing when they come are not kept."""

    def _derive(self, cluster: Cluster) -> list[tuple[str, Decided]]:
        told = super()._derive(cluster)
        if told:
            self.effective = {*getattr(self, "effective", set()), *cluster.marks}
        cluster.marks &= getattr(self, "effective", set())
        return told


class NumbersBeginAnew(Directory):
    """When two clusters unite, their numbers begin anew."""

    def _united(self, names: Iterable[str]) -> Cluster:
        names = list(names)
        known = {id(self.cluster[name]) for name in names if name in self.cluster}
        found = super()._united(names)
        if len(known) > 1:
            found.n = 0
        return found


class NumbersNotAsked(Directory):
    """Only the number that a move names is moved."""

    def asks(self, cluster: Cluster) -> set[str]:
        del cluster
        return set()


class AskedAtTheFirstMove(Directory):
    """Whoever is connected later is not asked."""

    def asks(self, cluster: Cluster) -> set[str]:
        return set() if cluster.asked else super().asks(cluster)


class VoidMovesForgotten(Directory):
    """A visit that once was moved has no home when a late mark makes the move void."""

    def remember(self, cluster: Cluster, owners: dict[tuple[str, str], str]) -> None:
        """Nothing."""


class NumbersAnsweredOnce(Key):
    """What numbers visits go by is told when the directory asks, and never again."""

    def _tell_numbers(self, chart: Chart) -> None:
        if not chart.numbers:
            super()._tell_numbers(chart)


class QuestionLeftBehind(Key):
    """The chart forgets on its way that the directory wants to hear of numbers."""

    def _pass_on(self, chart: Chart, n: int, to: str) -> None:
        chart.numbers = None
        super()._pass_on(chart, n, to)


class NoIdentityGate(World):
    """Clocks do not wait for the directory."""

    def identity_passed(self, at: int) -> bool:
        del at
        return True


class NoIntakeGate(World):
    """Clocks do not wait for intake."""

    def open_gates(self) -> None:
        inputs, self.inputs = self.inputs, []
        super().open_gates()
        self.inputs = inputs


def world_with(part: type[Key] | type[Directory] | type[World]) -> type[World]:
    """A world in which one part is made wrong."""
    if issubclass(part, World):
        return part
    which = "key" if issubclass(part, Key) else "directory"
    return type(part.__name__, (World,), {which: part})


PLANTED: tuple[type[Key] | type[Directory] | type[World], ...] = (
    AheadOfTheOthers,
    BackInTime,
    OwnClockOnly,
    ClockLeftBehind,
    StampLeftBehind,
    NotWhole,
    StrangersPlanned,
    RepeatedState,
    ArrivalOrder,
    SubjectDecides,
    KeptWhereItCame,
    CommandsLeftBehind,
    HeldLeftBehind,
    SeqFromOne,
    LedgerLeftBehind,
    KeepsACopy,
    LatestGroup,
    LatestHome,
    OldHomeNotTold,
    NeverAsks,
    AsksOnce,
    AnswersAtOnce,
    ForgetsWhatItSaw,
    LateFactsStay,
    SeenTwice,
    MarksAsTheyCome,
    OnlyWhatChanges,
    NumbersBeginAnew,
    NumbersNotAsked,
    AskedAtTheFirstMove,
    VoidMovesForgotten,
    NumbersAnsweredOnce,
    QuestionLeftBehind,
    NoIdentityGate,
    NoIntakeGate,
)
