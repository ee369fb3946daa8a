"""One key of the journal: the router of its own streams, and a home of charts.

The whole protocol.  Everything about an identifier is one numbered stream, written by its own
partition alone; its chart consumes the stream in order, wherever it lies, and moves when the
stream says so.  So a chart exists once, nothing of it is taken twice or left out, and only the
place where it lies publishes for it.  A key that the directory never named is the home of itself
and applies its stream as it comes.
"""

from dataclasses import dataclass
from typing import Protocol

from tests.simulation.identity.care import (
    COMMAND_WAIT,
    OPEN,
    Chart,
    Command,
    Fact,
    Input,
    Row,
    RowId,
    origin_of,
    plan,
    reconcile,
    sight,
)
from tests.simulation.identity.directory import DIRECTORY, Group, Home, Numbers, pair
from tests.simulation.identity.messages import (
    Ask,
    Body,
    Item,
    Low,
    Message,
    Move,
    Said,
    Split,
    State,
    Told,
)


class Shell(Protocol):
    """What a key may do to the world around it."""

    now: int  # the partition's clock
    stamp: int  # when the record that is being worked on was appended

    def send(self, key: str, message: Message) -> None:
        """Append to the journal of another key, in the transaction of this record."""
        ...

    def published(self, key: "Key", chart: Chart, name: RowId, row: Row, at: int) -> None:
        """A row went out."""
        ...

    def answered(self, command: Command, verdict: str) -> None:
        """A verdict went out."""
        ...

    def planned(self, key: "Key", charts: list[Chart], now: int) -> None:
        """Charts were planned together."""
        ...


@dataclass(slots=True)
class Route:
    """Where a stream goes: its n-th home, and the number of its last item."""

    home: str
    n: int = 0
    i: int = 0


class Key:
    """State of one key."""

    shell: Shell  # of the record that is being worked on; no state

    def __init__(self, name: str) -> None:
        self.name = name
        self.seen: set[int] = set()
        self.routes = {name: Route(name)}
        self.asks: dict[str, int] = {}
        self.group = Group(name, 0, frozenset({name}), ())
        self.charts = {name: Chart(name)}
        self.arrived: dict[str, int] = {}
        self.early: dict[str, dict[int, Item]] = {}
        self.asked: dict[str, int] = {}
        self.dirty = False
        self.plan_wake: int | None = None
        self.wake: int | None = None  # when its own clock matters next

    def receive(self, message: Message, shell: Shell) -> None:
        """Take one record of the journal."""
        self.shell = shell
        self._settle()  # the clock passed in silence: the charts learn that nothing fell due
        match message:
            case Told():
                self._told(message.said)
            case Home():
                self._home(message)
            case Group():
                self._group(message)
            case Item():
                self._item(message)
            case State():
                self._state(message)
            case Ask():
                self._ask(message)
            case Numbers():
                self.put(message.stream, message)
        self._close()

    def clock(self, shell: Shell) -> None:
        """The partition's clock has moved past the wake."""
        self.shell = shell
        self._close()

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name != "shell"}

    def due(self, until: int) -> bool:
        """Whether the key must be looked at when the clock has come to *until*."""
        wakes = [*self.asks.values(), *([] if self.wake is None else [self.wake])]
        return any(wake <= until for wake in wakes)

    def _close(self) -> None:
        for stream, until in list(self.asks.items()):
            if until <= self.shell.now and stream in self.routes:
                del self.asks[stream]
                if not self.direct(stream):
                    self.put(stream, Low())
        self._settle()

    # The router.

    def direct(self, stream: str) -> bool:
        """
        Whether the chart lies here at home: nothing to number.

        Then all of the stream has been consumed: what went elsewhere ended with the move back,
        and what was said since then waited here.
        """
        route = self.routes.get(stream)
        return route is not None and route.home == self.name and stream in self.charts

    def put(self, stream: str, body: Body) -> None:
        """Append to a stream of this key."""
        route = self.routes[stream]
        if self.direct(stream):
            assert self.charts[stream].taken == route.i
            self.apply(self.charts[stream], body)
            return
        route.i += 1
        item = Item(stream, route.i, self.shell.now, body)
        self.tell(route.home, item)

    def tell(self, key: str, message: Item | State | Ask) -> None:
        """Send, to itself without the journal."""
        if key != self.name:
            self.shell.send(key, message)
        elif isinstance(message, Item):
            self._item(message)
        elif isinstance(message, State):
            self._state(message)
        else:
            self._ask(message)

    def _told(self, said: Input) -> None:
        if said.event in self.seen:
            return
        self.seen.add(said.event)
        self.put(self.name, said)
        if isinstance(said, Fact):
            stream = f"{self.name}#{said.visit}"
            if stream in self.routes:
                self.put(stream, said)

    def _home(self, home: Home) -> None:
        stream = home.stream
        if stream not in self.routes:
            self.put(self.name, Split(stream, home.n, home.to))
            self.routes[stream] = Route(home.to, home.n)
            return
        route = self.routes[stream]
        if home.n <= route.n:
            return
        if home.to != route.home:
            self.put(stream, Move(home.n, home.to))
            route.home = home.to
        route.n = home.n

    def _ask(self, ask: Ask) -> None:
        # One instant per stream is enough: whoever asked for a later one asks again.
        self.asks[ask.stream] = min(ask.until, self.asks.get(ask.stream, ask.until))

    # The home.

    def _group(self, group: Group) -> None:
        if group.n > self.group.n:
            self.group = group
            self.dirty = True

    def _item(self, item: Item) -> None:
        self.early.setdefault(item.stream, {})[item.i] = item
        self._take(item.stream)

    def _take(self, stream: str) -> None:
        """Consume what has its turn."""
        early = self.early.get(stream, {})
        while (chart := self.charts.get(stream)) is not None:
            item = early.pop(chart.taken + 1, None)
            if item is None:
                break
            chart.taken = item.i
            chart.low = max(chart.low, item.now)
            self.apply(chart, item.body)
        if chart is not None:
            for i in [i for i in early if i <= chart.taken]:
                del early[i]

    def apply(self, chart: Chart, body: Body) -> None:
        """What one item does to its chart."""
        chart.at = max(chart.at, self.shell.stamp)
        if isinstance(body, Fact):
            # A join needs nobody's leave; only what is published waits for the group.
            (chart.held if body.effective > chart.now else chart.facts).add(body)
            self.dirty = True
        elif isinstance(body, Command):
            chart.undecided.append(body)
        elif isinstance(body, Move):
            self._pass_on(chart, body.n, body.to)
        elif isinstance(body, Split):
            visit = body.stream.partition("#")[2]
            part = Chart(body.stream, low=self.low(chart.stream), now=chart.now)
            part.facts = {fact for fact in chart.facts if fact.visit == visit}
            part.held = {fact for fact in chart.held if fact.visit == visit}
            self.tell(body.to, State(body.stream, body.n, part))
        elif isinstance(body, Numbers):
            chart.numbers = chart.numbers or set()
            self._tell_numbers(chart)
        else:
            self.answer(chart.stream)

    def _tell_numbers(self, chart: Chart) -> None:
        """Tell the directory what visits of this chart go by, where it does not know."""
        if chart.numbers is None:
            return
        found = {(fact.visit, fact.beside) for fact in chart.facts if fact.beside}
        fresh = sorted(found - chart.numbers)
        if fresh:
            chart.numbers |= found
            self.shell.send(DIRECTORY, Said(tuple(pair(chart.stream, *one) for one in fresh)))

    def answer(self, stream: str) -> None:
        """Somebody was answered, perhaps another home: what it leaves open is asked again."""
        self.asked.pop(stream, None)

    def _pass_on(self, chart: Chart, n: int, to: str) -> None:
        chart.low = self.low(chart.stream)
        del self.charts[chart.stream]
        self.asked.pop(chart.stream, None)
        self.dirty = True
        self.tell(to, State(chart.stream, n, chart))

    def _state(self, state: State) -> None:
        if state.n <= self.arrived.get(state.stream, 0):
            return  # a repeat: the chart has been here and may have gone on
        self.arrived[state.stream] = state.n
        self.charts[state.stream] = state.chart.copy()
        self.asked.pop(state.stream, None)
        self.dirty = True
        self._take(state.stream)

    def low(self, stream: str) -> int:
        """All of the stream accepted before this instant is in the chart."""
        return self.shell.now if self.direct(stream) else self.charts[stream].low

    def members(self) -> list[Chart] | None:
        """The charts of the group; None while one is missing."""
        if any(member not in self.charts for member in self.group.members):
            return None
        return [self.charts[member] for member in sorted(self.group.members)]

    def moved(self) -> dict[str, str | None]:
        """The owners of moved visits that concern the group."""
        return dict(self.group.moved)

    def known_until(self, charts: list[Chart]) -> int:
        """Of all members, everything accepted before this instant is known."""
        return min(self.low(chart.stream) for chart in charts)

    def _settle(self) -> None:
        """Plan, decide and fire, as far as the clocks of all members allow."""
        self.wake = None
        charts = self.members()
        if not charts:
            return
        # A chart may come from a partition that is ahead: its rows never go back, and the
        # deadlines of the others never run ahead of their facts.  So the clocks must meet first.
        now = self.floor(charts)
        low = self.known_until(charts)
        if low < now:
            self._need(charts, now)
            return
        self._step(charts, now)
        while (wake := self._next(charts, now)) is not None and wake <= low:
            now = wake
            self.dirty = True
            self._step(charts, now)
        for chart in charts:
            chart.now = low
            self._tell_numbers(chart)
        if wake is not None:
            self._need(charts, wake)

    def floor(self, charts: list[Chart]) -> int:
        """No earlier may the group be planned."""
        return max(chart.now for chart in charts)

    def _need(self, charts: list[Chart], until: int) -> None:
        """See to it that the clocks of all members reach an instant."""
        for chart in charts:
            stream = chart.stream
            if self.low(stream) >= until:
                continue
            if origin_of(stream) == self.name:
                self.wake = until
            elif self.asked.get(stream, until + 1) > until:
                self.asked[stream] = until
                self.tell(origin_of(stream), Ask(stream, until))

    def _next(self, charts: list[Chart], now: int) -> int | None:
        """The next instant at which something falls due by itself."""
        wakes = [] if self.plan_wake is None else [self.plan_wake]
        for chart in charts:
            wakes += [fact.effective for fact in chart.held]
            wakes += [command.receipt + COMMAND_WAIT for command in chart.waiting]
        return min((wake for wake in wakes if wake > now), default=None)

    def _step(self, charts: list[Chart], now: int) -> None:
        for chart in charts:
            ripe = {fact for fact in chart.held if fact.effective <= now}
            if ripe:
                chart.held -= ripe
                chart.facts |= ripe
                self.dirty = True
        if self.dirty:
            self._plan(charts, now)
        for chart in charts:
            undecided, chart.undecided = chart.undecided, []
            for command in undecided:
                self._decide(charts, chart, command, now)
        for chart in charts:
            waiting, chart.waiting = chart.waiting, []
            for command in waiting:
                self._decide(charts, chart, command, now)

    def _plan(self, charts: list[Chart], now: int) -> None:
        self.dirty = False
        self.shell.planned(self, charts, now)
        seen = sight(charts, self.moved())
        wanted, self.plan_wake = plan(seen, now)
        at = max(now, *(chart.at for chart in charts))
        for chart in charts:
            mine = {name: status for name, status in wanted.items() if name[1] == chart.stream}
            for name, row in reconcile(chart.rows, mine):
                chart.seq += 1
                chart.at = at
                self.shell.published(self, chart, name, row, at)

    def _decide(self, charts: list[Chart], chart: Chart, command: Command, now: int) -> None:
        """Accept, refuse, or let wait; *chart* is the one through which the command came."""
        owner = next((one for one in charts if one.stream == command.task[1]), None)
        row = None if owner is None else owner.rows.get(command.task)
        if owner is None or row is None:
            if command.receipt + COMMAND_WAIT > now:
                chart.waiting.append(command)
            else:
                self.shell.answered(command, "unknown")
        elif command.if_version not in (None, row.version):
            self.shell.answered(command, "version")
        elif row.status not in OPEN:
            self.shell.answered(command, "terminal")
        else:
            self.shell.answered(command, "accepted")
            self.keeper(owner, chart).done.add(command.task)
            self._plan(charts, now)

    def keeper(self, owner: Chart, through: Chart) -> Chart:  # noqa: ARG002 planted bugs differ
        """An accepted command is a fact of the row's subject: an un-merge must not part them."""
        return owner
