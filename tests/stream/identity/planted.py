"""Bugs to plant in the identity protocol of the product: one rule left out or made wrong."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.core.identity import Homes, homes
from orchestrator.core.marks import Mark
from orchestrator.core.patient import Patient
from orchestrator.stream.identity import directory, streams
from orchestrator.stream.identity.desk import Body, Chart, Desk
from orchestrator.stream.identity.shell import AtDesk
from orchestrator.stream.identity.streams import Streams
from tests.stream.identity.world import World

Plant = Callable[[pytest.MonkeyPatch], None]


def _leaving(patch: pytest.MonkeyPatch, change: Callable[[Chart], None]) -> None:
    """Change what a chart takes along."""
    real = Streams._pass_on

    def pass_on(self: Streams, name: str, chart: Chart, number: int, to: str) -> None:
        change(chart)
        real(self, name, chart, number, to)

    patch.setattr(Streams, "_pass_on", pass_on)


def own_clock_only(patch: pytest.MonkeyPatch) -> None:
    """Deadlines fire by the clock of the home's partition alone."""
    patch.setattr(Streams, "_low", lambda self, _name: self._shell.now)


def never_asks(patch: pytest.MonkeyPatch) -> None:
    """The home waits for clocks of other partitions that nobody sends."""
    real = Streams._send

    def send(self: Streams, key: str, message: dict[str, Any]) -> None:
        if message["kind"] != "ask":
            real(self, key, message)

    patch.setattr(Streams, "_send", send)


def not_whole(patch: pytest.MonkeyPatch) -> None:
    """A group is planned with the charts that are here, although one is still on its way."""
    real = Streams._settle

    def settle(self: Streams) -> None:
        group = self._desk.group
        here = {name: one for name, one in group.members.items() if name in self._desk.charts}
        if self._desk.subject in here:
            self._desk.group = replace(group, members=here)
        real(self)
        self._desk.group = group

    patch.setattr(Streams, "_settle", settle)


def queue_left_behind(patch: pytest.MonkeyPatch) -> None:
    """What was told while the group was not whole does not move with the chart."""
    _leaving(patch, lambda chart: chart.queue.clear())


def future_left_behind(patch: pytest.MonkeyPatch) -> None:
    """What waits for its time, or for its task, does not move with the chart."""

    def forget(chart: Chart) -> None:
        chart.patient.held.clear()
        chart.patient.waiting.clear()

    _leaving(patch, forget)


def seq_from_one(patch: pytest.MonkeyPatch) -> None:
    """The numbers of a subject's changes begin anew at each home."""

    def begin(chart: Chart) -> None:
        chart.patient.seq = 0

    _leaving(patch, begin)


def ledger_left_behind(patch: pytest.MonkeyPatch) -> None:
    """The new home publishes all rows anew."""

    def forget(chart: Chart) -> None:
        chart.patient.ledger = Patient("").ledger

    _leaving(patch, forget)


def clock_left_behind(patch: pytest.MonkeyPatch) -> None:
    """The new home does not know under which clock the rows were planned before."""

    def forget(chart: Chart) -> None:
        chart.patient.floor = 0

    _leaving(patch, forget)


def keeps_a_copy(patch: pytest.MonkeyPatch) -> None:
    """The old home goes on with what it has."""
    patch.setattr(Streams, "_leave", lambda _self, _name: None)


def old_home_not_told(patch: pytest.MonkeyPatch) -> None:
    """A chart that lies elsewhere does not hear that its home changed."""
    real = Streams._put

    def put(self: Streams, name: str, body: Body) -> None:
        if body["kind"] != "move" or self._is_direct(name):
            real(self, name, body)

    patch.setattr(Streams, "_put", put)


def late_facts_stay(patch: pytest.MonkeyPatch) -> None:
    """What is said later of a moved visit stays with the wrong patient."""
    real = Streams._put

    def put(self: Streams, name: str, body: Body) -> None:
        if name == self._desk.subject or body["kind"] != "event":
            real(self, name, body)

    patch.setattr(Streams, "_put", put)


def marks_as_they_come(patch: pytest.MonkeyPatch) -> None:
    """Marks count in the order of arrival."""

    def in_order(marks: Iterable[Mark]) -> Homes:
        once = list({mark[:5]: mark for mark in marks}.values())
        return homes(mark._replace(time=i, recorded=i) for i, mark in enumerate(once))

    patch.setattr(directory, "homes", in_order)


def no_gate(patch: pytest.MonkeyPatch) -> None:
    """Clocks do not wait for the directory."""
    patch.setattr(World, "settle_identity", lambda _self: None)


def moved_visit_begins_empty(patch: pytest.MonkeyPatch) -> None:
    """What was said of a visit before it was moved does not go along."""
    patch.setattr(streams, "copy_of", lambda _origin, name, key: Patient(name, key))


def numbers_not_asked(patch: pytest.MonkeyPatch) -> None:
    """A visit moves under the number that was named alone."""
    patch.setattr(directory.Directory, "_asks", lambda *_: [])


def later_numbers_not_told(patch: pytest.MonkeyPatch) -> None:
    """Of a visit that was moved, the numbers that it gets later stay behind."""
    real = Streams._tell_numbers

    def tell(self: Streams, chart: Chart) -> None:
        if not chart.numbers:
            real(self, chart)

    patch.setattr(Streams, "_tell_numbers", tell)


def void_moves_forgotten(patch: pytest.MonkeyPatch) -> None:
    """A visit whose move turned out void is nobody's."""
    patch.setattr(directory, "remember", lambda _found, _ever: None)


def handovers_without_end(patch: pytest.MonkeyPatch) -> None:
    """Operators hear of a hand-over, and never that it has ended."""
    real = AtDesk.settled

    def settled(self: AtDesk, desk: Desk, *, settled: bool) -> None:
        if not settled:
            real(self, desk, settled=False)

    patch.setattr(AtDesk, "settled", settled)


PLANTED: tuple[Plant, ...] = (
    own_clock_only,
    never_asks,
    not_whole,
    queue_left_behind,
    future_left_behind,
    seq_from_one,
    ledger_left_behind,
    clock_left_behind,
    keeps_a_copy,
    old_home_not_told,
    late_facts_stay,
    marks_as_they_come,
    no_gate,
    moved_visit_begins_empty,
    numbers_not_asked,
    later_numbers_not_told,
    void_moves_forgotten,
    handovers_without_end,
)
