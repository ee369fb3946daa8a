"""The protocol: streams of identifiers, and the charts that consume them.

Everything about an identifier is one numbered stream, written by its own key alone; its chart
consumes the stream in order, wherever it lies, and moves when the stream says so.  So a chart
exists once, nothing of it is taken twice or left out, and only the place where it lies publishes
for it.  ``tests/simulation/identity`` models this file, with delay, reordering, repetition and
crashes.
"""

from collections.abc import Iterable
from typing import Any, Protocol

import orjson

from orchestrator.core.announce import Joined
from orchestrator.core.facts import Told
from orchestrator.core.identity import GroupCell
from orchestrator.core.joining import GROUP, copy_of, flag_moved, moved_cell, said_of
from orchestrator.core.marks import Mark
from orchestrator.core.numbers import numbers_of
from orchestrator.core.patient import Patient
from orchestrator.core.stored import load_cell
from orchestrator.stream.identity import IDENTITY
from orchestrator.stream.identity.charts import Row, packed, unpacked
from orchestrator.stream.identity.desk import Body, Chart, Desk, Route

Message = dict[str, Any]


class Shell(Protocol):
    """What a desk may ask of the round that is being worked out."""

    now: int  # the partition's clock
    partition: int

    def send(self, key: str, message: Message) -> None:
        """Append to the journal, under *key*."""
        ...

    def told(self, body: Body) -> tuple[Told, str]:
        """What an item tells, and its lane."""
        ...

    def put_away(self, desk: Desk, name: str) -> Iterable[Row]:
        """The sealed cells of a chart that lies here, as stored."""
        ...

    def left(self, desk: Desk, name: str) -> None:
        """A chart lies here no longer: its rows go."""
        ...

    def arrived(self, desk: Desk, name: str, patient: Patient) -> None:
        """A chart lies here now."""
        ...

    def step(
        self, desk: Desk, patient: Patient, told: list[tuple[Told, str]], joined: Joined | None
    ) -> None:
        """Decide about what a settled group was told, and publish."""
        ...

    def fire(self, desk: Desk, patient: Patient, until: int) -> None:
        """Fire what falls due up to *until*, and publish."""
        ...

    def settled(self, desk: Desk, *, settled: bool) -> None:
        """Whether all members of the group are here, and their clocks met."""
        ...


class Streams:
    """One record at one desk."""

    def __init__(self, shell: Shell, desk: Desk) -> None:
        self._shell = shell
        self._desk = desk

    def receive(self, message: Message) -> None:
        """Take a message of the protocol."""
        self._settle()  # deadlines up to here have fired, and the charts know it
        kind = message["kind"]
        if kind == "home":
            self._home(message)
        elif kind == "group":
            self._group(message)
        elif kind == "item":
            self._item(message)
        elif kind == "state":
            self._state(message)
        elif kind == "ask":
            until = message["until"]
            known = self._desk.asks.get(message["name"], until)
            self._desk.asks[message["name"]] = min(known, until)
        elif kind == "numbers":
            self._put(message["name"], {"kind": "numbers"})
        self._close()

    def tell(self, body: Body, told: Told) -> None:
        """Take what the identifier of this key was told."""
        self._settle()
        self._put(self._desk.subject, body)
        for name in list(self._desk.routes):
            visit = name != self._desk.subject
            if visit and said_of(told, name) is not None:
                self._put(name, body)
        self._close()

    def clock(self) -> None:
        """The partition's clock has moved."""
        self._close()

    def _close(self) -> None:
        desk = self._desk
        for name, until in list(desk.asks.items()):
            if until <= self._shell.now:
                del desk.asks[name]
                if not self._is_direct(name):
                    self._put(name, {"kind": "low"})
        self._settle()

    # The router

    def _is_direct(self, name: str) -> bool:
        """Whether the chart lies here and consumed all of its stream: nothing to number."""
        desk = self._desk
        route, chart = desk.routes.get(name), desk.charts.get(name)
        return (
            route is not None
            and chart is not None
            and route.home == desk.key
            and chart.taken == route.i
        )

    def _put(self, name: str, body: Body) -> None:
        """Append to a stream of this key."""
        if self._is_direct(name):
            self._apply(name, self._desk.charts[name], body)
            return
        route = self._desk.routes[name]
        route.i += 1
        item = {"kind": "item", "name": name, "i": route.i, "now": self._shell.now, "body": body}
        self._send(route.home, item)

    def _send(self, key: str, message: Message) -> None:
        """To another key by its journal, to this one at once."""
        if key != self._desk.key:
            self._shell.send(key, message)
        elif message["kind"] == "item":
            self._item(message)
        else:
            self._state(message)

    def _changed(self, why: list[str]) -> None:
        self._desk.why = self._desk.why or (why[0], why[1])

    def _home(self, message: Message) -> None:
        name, number, home = message["name"], message["n"], message["to"]
        route = self._desk.routes.get(name)
        if route is not None and number <= route.n:
            return
        if route is None:  # a visit that is moved for the first time
            self._desk.routes[name] = Route(home, number)
            split = {"kind": "split", "name": name, "n": number, "to": home}
            said = {"mark": message["mark"], "why": [message["event"], message["why"]]}
            self._put(self._desk.subject, split | said)
            return
        if home != route.home:
            self._put(name, {"kind": "move", "n": number, "to": home})
            route.home = home
        route.n = number

    # The home

    def _group(self, message: Message) -> None:
        group = GroupCell.load(message["group"])
        if group.number > self._desk.group.number:
            self._desk.group = group
            self._desk.why = (message["event"], message["why"])

    def _item(self, item: Message) -> None:
        early = self._desk.early.setdefault(item["name"], {})
        early[item["i"]] = item
        self._take(item["name"])

    def _take(self, name: str) -> None:
        """Consume what has its turn."""
        early = self._desk.early.get(name, {})
        while (chart := self._desk.charts.get(name)) is not None:
            item = early.pop(chart.taken + 1, None)
            if item is None:
                break
            chart.taken = item["i"]
            chart.low = max(chart.low, item["now"])
            self._apply(name, chart, item["body"])
        if chart is not None:
            for number in [number for number in early if number <= chart.taken]:
                del early[number]
        if not early:
            self._desk.early.pop(name, None)

    def _apply(self, name: str, chart: Chart, body: Body) -> None:
        """What one item does to its chart."""
        kind = body["kind"]
        if kind == "low":
            # An answer to whoever asked; what it leaves open is asked again.
            self._desk.asked.pop(name, None)
        elif kind == "move":
            self._pass_on(name, chart, body["n"], body["to"])
        elif kind == "split":
            self._split(chart, body)
        elif kind == "numbers":
            chart.numbers = chart.numbers or []
            self._tell_numbers(chart)
        else:
            chart.queue.append(body)

    def _tell_numbers(self, chart: Chart) -> None:
        """Tell the directory what visits of this chart go by, where it does not know."""
        if chart.numbers is None:
            return
        found = numbers_of(chart.patient.subject, chart.patient.cells.values())
        marks = [mark for mark in found if mark.source not in chart.numbers]
        if marks:
            chart.numbers += [mark.source for mark in marks]
            said = {"kind": "marks", "marks": [list(mark) for mark in marks]}
            self._shell.send(IDENTITY, said)

    def _split(self, chart: Chart, body: Body) -> None:
        """A visit of this chart belongs to somebody else: it gets a chart of its own."""
        name = body["name"]
        here, cell = chart.patient, moved_cell(name)
        for kind, number, value in self._shell.put_away(self._desk, here.subject):
            if (kind, number) == cell and cell not in here.cells:
                here.sealed.setdefault(cell, load_cell(kind, orjson.loads(value)))
        # What waits to be told of the visit goes along; it is told of the origin, too.
        queue = [one for one in chart.queue if said_of(self._shell.told(one)[0], name) is not None]
        patient = copy_of(here, name, "")
        patient.floor = here.floor
        part = Chart(patient, chart.router, chart.partition, 0, self._low(here.subject), queue)
        flag_moved(here, name, Mark(*body["mark"]))
        self._changed(body["why"])
        self._ship(name, part, (), body["n"], body["to"])

    def _pass_on(self, name: str, chart: Chart, number: int, to: str) -> None:
        chart.low = self._low(name)
        put_away = list(self._shell.put_away(self._desk, name))
        self._leave(name)
        self._ship(name, chart, put_away, number, to)

    def _leave(self, name: str) -> None:
        del self._desk.charts[name]
        self._desk.asked.pop(name, None)
        self._shell.left(self._desk, name)

    def _ship(self, name: str, chart: Chart, rows: Iterable[Row], number: int, to: str) -> None:
        for part in packed(chart, rows):
            self._send(to, {"kind": "state", "name": name, "n": number, **part})

    def _state(self, message: Message) -> None:
        name, number, desk = message["name"], message["n"], self._desk
        if number <= desk.arrived.get(name, 0):
            return  # a repeat: the chart has been here and may have gone on
        parts = desk.parts.setdefault(f"{number} {name}", {})
        parts[message["part"]] = message
        if len(parts) < message["of"]:
            return
        del desk.parts[f"{number} {name}"]
        desk.arrived[name] = number
        chart = desk.charts[name] = unpacked(parts)
        desk.asked.pop(name, None)
        self._shell.arrived(desk, name, chart.patient)
        self._take(name)

    def _low(self, name: str) -> int:
        """All of the stream that was accepted before this instant is in the chart."""
        return self._shell.now if self._is_direct(name) else self._desk.charts[name].low

    def _settle(self) -> None:
        """Plan, decide and fire, as far as the clocks of all members allow."""
        desk = self._desk
        desk.wake = None
        if desk.group.number:
            names = list(desk.group.members)
        else:  # nobody's home but its own, until its chart leaves
            names = [desk.subject] if desk.subject in desk.charts else []
        missing = any(name not in desk.charts for name in names)
        self._shell.settled(desk, settled=not missing)
        if missing or not names:
            return
        charts = {name: desk.charts[name] for name in names}
        # A chart may come from a partition that is ahead: its rows never go back, and the deadlines
        # of the others never run ahead of their facts.  So the clocks must meet first.
        floor = max(chart.patient.floor for chart in charts.values())
        low = min(self._low(name) for name in charts)
        if low < floor:
            self._shell.settled(desk, settled=False)
            self._need(charts, floor)
            return
        patient = self._united(charts)
        told = [
            (told, lane)
            for name, chart in charts.items()
            for told, lane in self._queued(name, chart, patient)
        ]
        why, desk.why = desk.why, None
        for chart in charts.values():
            chart.patient.floor = floor
        if told or why is not None:
            self._shell.step(desk, patient, told, None if why is None else Joined(*why))
        self._shell.fire(desk, patient, low)
        for chart in charts.values():
            chart.patient.floor = low
            self._tell_numbers(chart)
        if patient.wake is not None:
            self._need(charts, patient.wake)

    def _united(self, charts: dict[str, Chart]) -> Patient:
        """The patient of this home, with all members and what contradicts."""
        desk = self._desk
        patient = charts[desk.subject].patient
        patient.others = {n: c.patient for n, c in charts.items() if n != desk.subject}
        for name, (_, counts_as, given) in desk.group.members.items():
            charts[name].patient.counts_as = "" if counts_as == name else counts_as
            charts[name].patient.given = given
        if patient.others or desk.group.conflicts:
            patient.cells[GROUP] = desk.group
        else:
            patient.cells.pop(GROUP, None)
        return patient

    def _queued(self, name: str, chart: Chart, patient: Patient) -> list[tuple[Told, str]]:
        queue, chart.queue = chart.queue, []
        found = []
        for body in queue:
            told, lane = self._shell.told(body)
            here = said_of(told, name, "" if name == patient.subject else name)
            if here is not None:
                found.append((here, lane))
        return found

    def _need(self, charts: dict[str, Chart], until: int) -> None:
        """See to it that the clocks of all members reach an instant."""
        desk = self._desk
        for name, chart in charts.items():
            if self._low(name) >= until:
                continue
            if chart.router == desk.key:
                desk.wake = until
            elif desk.asked.get(name, until + 1) > until:
                desk.asked[name] = until
                self._send(chart.router, {"kind": "ask", "name": name, "until": until})
