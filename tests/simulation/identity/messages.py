"""What keys tell each other; each is one journal record under the receiver's key."""

from typing import NamedTuple

from tests.simulation.identity.care import Chart, Input
from tests.simulation.identity.directory import Group, Home, Mark, Numbers


class Told(NamedTuple):
    """An accepted event, from intake to the key of its subject."""

    said: Input


class Said(NamedTuple):
    """The marks of one event, from intake to the directory."""

    marks: tuple[Mark, ...]


class Clock(NamedTuple):
    """Everything accepted before *at* precedes this record in its partition."""

    at: int


class Move(NamedTuple):
    """In a stream: the chart goes to its n-th home here."""

    n: int
    to: str


class Split(NamedTuple):
    """In an identifier's stream: one visit has a stream of its own from here on."""

    stream: str
    n: int
    to: str


class Low(NamedTuple):
    """In a stream: nothing but its `now`."""


Body = Input | Move | Split | Low | Numbers


class Item(NamedTuple):
    """From a router to the present home of a stream; all of it accepted before *now* is <= i."""

    stream: str
    i: int
    now: int
    body: Body


class State(NamedTuple):
    """A chart on its way to its n-th home."""

    stream: str
    n: int
    chart: Chart


class Ask(NamedTuple):
    """From a home to a router: say when your clock has passed *until*."""

    stream: str
    until: int


Message = Told | Said | Clock | Item | State | Ask | Home | Group | Numbers
