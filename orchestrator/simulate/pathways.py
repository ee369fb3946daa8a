"""What happens to a simulated patient, from the door to the end of the follow-up.

Each pathway is a row of ``PATHWAYS`` with its share.  A pathway ends in discharges; ``follow_up``
then plays what the hospital's partners and the care teams do about each.  With *dirt*, hospitals
also change their minds: discharges cancelled and corrected, admissions that never were, visits
that nobody ever ends.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Final

from orchestrator.simulate.chart import Chart
from orchestrator.simulate.follow_up import Leaving, follow_up
from orchestrator.simulate.happening import Happening, Visit
from orchestrator.simulate.people import person
from orchestrator.simulate.places import DISPOSITIONS, GEN, HOSPITALS, MID, Place

Pathway = Callable[[Chart, Place, datetime, bool], Leaving | None]

# How often, of discharges or admissions, a hospital changes its mind.
CANCELLED: Final = 0.06
CORRECTED: Final = 0.06
ADMITTED_IN_ERROR: Final = 0.02
NEVER_ENDED: Final = 0.015

RETURNS: Final = 0.14  # of those at home: readmitted within 30 days, or seen in the ED
RETURNS_MAX: Final = 2  # nobody's story goes on for ever


def hours(rng: Random, low: float, high: float) -> timedelta:
    """A span between *low* and *high* hours, to the minute."""
    return timedelta(minutes=round(rng.uniform(low, high) * 60))


def ed_visit(chart: Chart, place: Place, at: datetime, dirt: bool) -> Leaving | None:
    """Seen in the emergency department and sent home."""
    visit = chart.admit(place, at, "EMERGENCY", admit_type="E", admit_source="7")
    if dirt and chart.rng.random() < NEVER_ENDED * 4:
        return None  # the hanging ED visit: everybody has gone home, the record has not
    left = at + hours(chart.rng, 2, 9)
    chart.discharge(visit, left, "01")
    return Leaving(visit, left, "01")


def through_the_ed(chart: Chart, place: Place, at: datetime, dirt: bool) -> Leaving | None:
    """From the emergency department to a bed."""
    visit = chart.admit(place, at, "EMERGENCY", admit_type="E", admit_source="7")
    up = at + hours(chart.rng, 3, 10)
    visit = chart.change_class(visit, up, "INPATIENT", renumber=chart.rng.random() < 0.2)
    return _stay_on_the_ward(chart, visit, up, dirt)


def direct_admission(chart: Chart, place: Place, at: datetime, dirt: bool) -> Leaving | None:
    """Sent in by a physician."""
    visit = chart.admit(place, at, "INPATIENT", admit_type="U", admit_source="1")
    if dirt and chart.rng.random() < ADMITTED_IN_ERROR * 3:
        chart.cancel_admission(visit, at + hours(chart.rng, 0.2, 5))
        return None
    return _stay_on_the_ward(chart, visit, at, dirt)


def elective(chart: Chart, place: Place, at: datetime, dirt: bool) -> Leaving | None:
    """Planned beforehand, admitted in the morning, operated on, sent home."""
    planned = chart.plan_admission(place, at, at + timedelta(days=2))
    comes = at + timedelta(days=2) + hours(chart.rng, -1, 1)
    visit = chart.admit(
        place, comes, "INPATIENT", admit_type="C", admit_source="1", planned=planned
    )
    return _stay_on_the_ward(chart, visit, comes, dirt)


def observation(chart: Chart, place: Place, at: datetime, dirt: bool) -> Leaving | None:
    """Watched for a day; every third is admitted after all."""
    visit = chart.admit(place, at, "OBSERVATION", admit_type="E", admit_source="7")
    if chart.rng.random() < 0.33:
        up = at + hours(chart.rng, 8, 30)
        visit = chart.change_class(visit, up, "INPATIENT", renumber=chart.rng.random() < 0.5)
        return _stay_on_the_ward(chart, visit, up, dirt)
    left = at + hours(chart.rng, 14, 40)
    chart.discharge(visit, left, "01")
    return Leaving(visit, left, "01")


PATHWAYS: Final[tuple[tuple[Pathway, int], ...]] = (
    (ed_visit, 24),
    (through_the_ed, 36),
    (direct_admission, 14),
    (elective, 10),
    (observation, 16),
)


def _stay_on_the_ward(chart: Chart, visit: Visit, at: datetime, dirt: bool) -> Leaving | None:
    rng = chart.rng
    left = at + timedelta(days=min(14.0, rng.lognormvariate(0.75, 0.6)))
    left = _daytime(left, rng)
    if left <= at:
        left += timedelta(days=1)
    stay = left - at
    for _ in range(rng.choice((0, 0, 1, 2))):
        visit = chart.move_bed(visit, at + stay * rng.uniform(0.1, 0.5))
    for _ in range(rng.choice((0, 1, 2, 4))):
        chart.update(visit, at + stay * rng.uniform(0.05, 0.95))
    if dirt and rng.random() < NEVER_ENDED:
        return None
    if rng.random() < 0.6:
        chart.expect_discharge(visit, left - stay * 0.3, left)
    code = _disposition(rng)
    return _leave(chart, visit, left, code, dirt)


def _leave(chart: Chart, visit: Visit, left: datetime, code: str, dirt: bool) -> Leaving | None:
    rng = chart.rng
    chart.discharge(visit, left, code)
    if dirt and rng.random() < CANCELLED:
        # Noticed the same evening, sometimes only the next day; the patient goes home later.
        noticed = left + hours(rng, 0.5, 26)
        follow_up(chart, Leaving(visit, left, code, until=noticed))
        chart.cancel_discharge(visit, noticed, left)
        left = _daytime(noticed + timedelta(days=1), rng)
        chart.discharge(visit, left, code)
    elif dirt and rng.random() < CORRECTED:
        entered = left + hours(rng, 2, 30)
        at = left + hours(rng, -3, 1.5)
        chart.correct_discharge(visit, entered, at=at, code=_disposition(rng) or "01")
    return Leaving(visit, left, code)


def story(
    number: int, begins: datetime, rng: Random, *, until: datetime, dirt: bool
) -> list[Happening]:
    """
    All that happens to one patient.

    Args:
        number: Which patient; from 1.
        begins: When the first stay begins.
        rng: This patient's own generator.
        until: The end of the simulation; nothing is told that we hear of at or after it.
        dirt: Whether hospitals change their minds.

    Returns:
        In the order in which things are said to have happened; sort by ``order`` to hear them.
    """
    who = person(number, begins.date(), rng)
    chart = Chart(who, number, rng)
    place = rng.choices(HOSPITALS, (2, 1))[0]
    if rng.random() < 0.3:
        chart.demographics(place, begins - timedelta(minutes=3))
    at: datetime | None = begins
    for _ in range(1 + RETURNS_MAX):
        if at is None or at >= until:
            break
        pathway = rng.choices([row for row, _ in PATHWAYS], [share for _, share in PATHWAYS])[0]
        leaving = pathway(chart, place, at, dirt)
        at = None if leaving is None else _after(chart, leaving, dirt)
    return [happening for happening in chart.happenings if happening.received_at < until]


def _after(chart: Chart, leaving: Leaving, dirt: bool) -> datetime | None:
    """Play what follows a discharge; when the patient is back in hospital, if so."""
    rng = chart.rng
    if leaving.code == "02":
        other = MID if leaving.visit.place is GEN else GEN
        if rng.random() < 0.85:
            arrives = leaving.at + hours(rng, 1, 6)
            visit = chart.admit(other, arrives, "INPATIENT", admit_type="U", admit_source="4")
            onward = _stay_on_the_ward(chart, visit, arrives, dirt)
            # A patient is moved on once; a second transfer ends as a discharge home.
            if onward is not None and onward.code != "02":
                follow_up(chart, onward)
        return None
    if leaving.visit.cls == "EMERGENCY":
        return None
    returns = rng.random() < RETURNS and leaving.code in ("01", "06", "07", "")
    back = leaving.at + timedelta(days=rng.uniform(0.6, 25)) if returns else None
    follow_up(chart, replace(leaving, until=back))
    return back


def _disposition(rng: Random) -> str:
    return rng.choices([row[0] for row in DISPOSITIONS], [row[2] for row in DISPOSITIONS])[0]


def _daytime(at: datetime, rng: Random) -> datetime:
    """The same local day between 10 and 19 o'clock: when wards send people home."""
    return at.replace(hour=rng.randrange(10, 19), minute=rng.randrange(60), second=0, microsecond=0)
