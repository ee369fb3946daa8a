"""The events that are measured: a simulated hospital's, drawn from a seed.

Two mixes.  *Ward*: what a hospital sends, about fifteen records a stay, most of them A08s that
say again what is known.  *Teams*: the demo's hospital without those A08s, where every fourth
record is a care team's command and nearly every record changes a task; the hardest mix we have.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from random import Random
from typing import Any, Final

import orjson

from events.canonical import decode
from orchestrator.simulate import canonical, hl7v2
from orchestrator.simulate.generate import Plan, generate
from orchestrator.simulate.happening import Happening
from schemas.facilities import Facilities

SEED: Final = 20261006
START: Final = date(2026, 9, 1)
DAYS: Final = 45
FACILITIES: Final = Facilities.parse("default: {zone: America/New_York}\n")
# Registration systems send the whole visit again whenever somebody saves it.
AGAIN_WHILE_IN: Final = 6
AGAIN_AFTER: Final = 1
# Of the hospitals' records, this share comes hours or days after it should.
LATE_SHARE: Final = 0.01
LATE_HOURS: Final = (6, 72)

Event = dict[str, Any]


def happenings(count: int, *, ward: bool = True, start: date = START) -> list[Happening]:
    """The first *count* or a few more, of as many patients as it takes, in order of receipt."""
    patients = max(20, count // (14 if ward else 7))
    while True:
        heard = generate(Plan(patients, SEED, start, DAYS))
        if ward:
            heard = sorted([*heard, *_said_again(heard)], key=lambda one: one.order)
        if len(heard) >= count:
            return heard
        patients = patients * count // len(heard) + 10


def _said_again(heard: Iterable[Happening]) -> Iterator[Happening]:
    rng = Random(SEED)
    opened: dict[tuple[str, str], Happening] = {}
    for one in heard:
        if one.visit is None:
            continue
        visit = (one.place.id, one.visit.number)
        if one.type == "admission.opened":
            opened[visit] = one
        elif one.type == "discharge.recorded" and visit in opened:
            first = opened.pop(visit)
            stay = one.received_at - first.received_at
            moments = [
                first.received_at + stay * rng.uniform(0.02, 0.98) for _ in range(AGAIN_WHILE_IN)
            ]
            moments += [
                one.received_at + timedelta(hours=rng.uniform(1, 40)) for _ in range(AGAIN_AFTER)
            ]
            for number, at in enumerate(moments):
                yield replace(
                    first,
                    type="admission.updated",
                    trigger="ADT^A08",
                    id=f"{first.id}-again-{number}",
                    at=at,
                    recorded_at=at,
                    received_at=at + timedelta(seconds=2),
                )


def late(heard: Iterable[Happening]) -> list[Happening]:
    """The same with 1 % of the hospitals' records late, in their new order of receipt."""
    rng = Random(SEED)
    return sorted(
        (
            one.heard_at(one.received_at + timedelta(hours=rng.uniform(*LATE_HOURS)))
            if one.source != "care-team" and rng.random() < LATE_SHARE
            else one
            for one in heard
        ),
        key=lambda one: one.order,
    )


def lines(heard: Iterable[Happening], *, receipt: bool = True) -> list[bytes]:
    """As canonical records."""
    return [orjson.dumps(canonical.event(one, receipt=receipt)) for one in heard]


def discharge_messages(heard: Iterable[Happening]) -> list[bytes]:
    """The A03s among them as HL7 v2."""
    return [hl7v2.message(one) for one in heard if one.trigger == "ADT^A03"]


def accepted(heard: Iterable[Happening]) -> list[Event]:
    """As accepted events."""
    return [decode(line, FACILITIES) for line in lines(heard)]
