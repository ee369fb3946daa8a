"""Happenings: statements about one thing that happened, and the cancel that takes it back.

Statements of one kind are one happening until something lies between them; a cancel takes back
the one it names, else the latest at or before its own time.  Nothing depends on the order of
arrival.  Source: contract.md §2, rulings 6, 14, 34, 35.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import pairwise

from tests.simulation.model.calendar import instant
from tests.simulation.model.facts import Event

Happening = list[Event]


def stated_discharge(event: Event) -> datetime | None:
    said = event.data.get("discharged_at")
    if said is not None:
        return instant(said)
    return event.time if event.type == "discharge.recorded" else None


def discharged_at(statements: Iterable[Event]) -> datetime | None:
    """When the patient left, by the statement that holds."""
    said = [e for e in statements if stated_discharge(e) is not None]
    return stated_discharge(max(said, key=lambda e: e.order)) if said else None


def admission_stands(event: Event) -> datetime:
    said = event.data.get("admitted_at")
    at = instant(said) if said is not None and event.type == "admission.opened" else event.time
    return min(at, event.recorded)


def discharge_stands(event: Event) -> datetime:
    """Where a discharge stands among cancels."""
    stated = stated_discharge(event)
    assert stated is not None, "only a stated discharge stands anywhere"
    return min(stated, event.recorded)


def corrects(event: Event, recorded: list[Happening], cuts: list[datetime]) -> bool:
    """Is there a discharge before the correction was made, with nothing in between?"""
    starts = [min(map(discharge_stands, h)) for h in recorded]
    return any(
        at <= event.time and not any(at <= cut <= event.time for cut in cuts) for at in starts
    )


def cut(
    events: Iterable[Event], stands: Callable[[Event], datetime], cuts: Iterable[datetime]
) -> list[Happening]:
    """One happening until a cut lies between; a cut at the same instant lies behind it."""
    ordered = sorted(events, key=lambda e: (stands(e), e.order))
    out = [ordered[:1]] if ordered else []
    cuts = list(cuts)
    for before, after in pairwise(ordered):
        if any(stands(before) <= cut < stands(after) for cut in cuts):
            out.append([])
        out[-1].append(after)
    return out


def target(
    cancel: Event, happenings: list[Happening], stands: Callable[[Event], datetime]
) -> Happening | None:
    named = cancel.data.get("cancels_at")
    if named is not None:
        at = instant(named)
        for happening in reversed(happenings):
            if any(at in (stands(e), stated_discharge(e)) for e in happening):
                return happening
    before = [h for h in happenings if min(map(stands, h)) <= cancel.time]
    return before[-1] if before else None
