"""What goes wrong between a hospital and us: repeats, late and shuffled receipts, bad records.

Each kind has its rate in ``RATES``.  What the hospital itself got wrong (a discharge that was
none) belongs to ``pathways``.  Which dirt real feeds have: `domain/messages.md`, "Dirt in real
feeds".
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Final

from orchestrator.simulate.chart import disposition
from orchestrator.simulate.happening import Happening
from orchestrator.simulate.places import LOCAL_DISPOSITIONS

Spoil = Callable[[Happening, Random], list[Happening]]

OUTAGE: Final = timedelta(hours=5)  # an interface engine that is down from midnight on


def repeat(happening: Happening, rng: Random) -> list[Happening]:
    """The sender is not sure that we got it and sends the same bytes again."""
    again = happening.heard_at(happening.received_at + timedelta(minutes=rng.uniform(1, 600)))
    return [happening, again]


def repeat_under_new_id(happening: Happening, rng: Random) -> list[Happening]:
    """The same, from an interface engine that numbers what it re-sends."""
    again = happening.heard_at(happening.received_at + timedelta(minutes=rng.uniform(1, 90)))
    return [happening, replace(again, id=f"{happening.id}R")]


def late(happening: Happening, rng: Random) -> list[Happening]:
    """It lay in a queue for hours, at times for days."""
    return [happening.heard_at(happening.received_at + timedelta(hours=rng.uniform(1, 60)))]


def shuffled(happening: Happening, rng: Random) -> list[Happening]:
    """Overtaken by its neighbours: a minute or an hour, enough to change places."""
    return [happening.heard_at(happening.received_at + timedelta(minutes=rng.uniform(1, 90)))]


def local_code(happening: Happening, rng: Random) -> list[Happening]:
    """The registration desk's own word for where the patient went."""
    if "disposition" not in happening.data:
        return [happening]
    word, _ = rng.choice(LOCAL_DISPOSITIONS)
    return [replace(happening, data={**happening.data, "disposition": disposition(word)})]


def no_visit(happening: Happening, rng: Random) -> list[Happening]:
    """The visit number is missing; a good copy follows when somebody has noticed."""
    if happening.visit is None:
        return [happening]
    mended = happening.heard_at(happening.received_at + timedelta(hours=rng.uniform(0.2, 6)))
    return [replace(happening, visit=None, id=f"{happening.id}X"), mended]


def unknown_type(happening: Happening, _rng: Random) -> list[Happening]:
    """A message type of the vendor's own beside the real one."""
    if not happening.trigger:
        return [happening]
    odd = replace(happening, type="admission.teleported", trigger="ADT^Z99", id=f"{happening.id}Z")
    return [odd, happening]


def far_ahead(happening: Happening, _rng: Random) -> list[Happening]:
    """A mistyped date, forty days ahead; the right one is sent at once."""
    ahead = timedelta(days=40)
    wrong = replace(
        happening,
        at=happening.at + ahead,
        recorded_at=happening.recorded_at + ahead,
        id=f"{happening.id}T",
    )
    return [wrong, happening]


def cut_short(happening: Happening, _rng: Random) -> list[Happening]:
    """A connection broke in the middle of a record; it is sent again."""
    return [replace(happening, cut=True), happening]


RATES: Final[tuple[tuple[Spoil, float], ...]] = (
    (repeat, 0.03),
    (repeat_under_new_id, 0.01),
    (late, 0.025),
    (shuffled, 0.03),
    (local_code, 0.04),
    (no_visit, 0.004),
    (unknown_type, 0.003),
    (far_ahead, 0.002),
    (cut_short, 0.003),
)


def spoil(happenings: Iterable[Happening], rng: Random) -> list[Happening]:
    """Pass one patient's happenings through every kind of dirt, each at its rate."""
    spoiled: list[Happening] = []
    for happening in happenings:
        copies = [happening]
        for kind, rate in RATES:
            if rng.random() < rate:
                copies = kind(copies[0], rng) + copies[1:]
        spoiled += copies
    return spoiled


def outage(happenings: Iterable[Happening], place: str, begins: datetime) -> list[Happening]:
    """One facility's interface is down for some hours; then everything comes at once, in order."""
    ends = begins + OUTAGE
    return [
        happening.heard_at(ends + (happening.received_at - begins) / 300)
        if happening.place.id == place and begins <= happening.received_at < ends
        else happening
        for happening in happenings
    ]
