"""What is done about a discharge: appointments, calls, reconciliation, the facility's own stay.

Most of it is done in time, some late, some never; that is what makes tasks turn overdue.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Final

from orchestrator.simulate.chart import Appointment, Chart
from orchestrator.simulate.happening import Visit
from orchestrator.simulate.places import PCPS, SNF1, SPECIALISTS

HOME: Final = frozenset({"01", "04", "06", "07", "81", ""})
FACILITY: Final = frozenset({"03", "62", "63", "65"})
NURSES: Final = ("rn-heath", "rn-moor")
PHARMACISTS: Final = ("pharm-reed", "pharm-sage")
ALL_ANSWERED: Final = {
    "understanding": "yes",
    "medicines": "yes",
    "symptoms": "no",
    "appointment": "yes",
    "help_at_home": "yes",
    "education_given": "yes",
}


@dataclass(frozen=True, slots=True)
class Leaving:
    """One discharge: of *visit*, at *at*, with disposition *code*."""

    visit: Visit
    at: datetime
    code: str
    until: datetime | None = None  # work on it ends here: cancelled, or back in hospital


def follow_up(chart: Chart, leaving: Leaving) -> None:
    """Play the partners' and the teams' part for one discharge."""
    if leaving.code == "20" and chart.rng.random() < 0.5:
        chart.die(leaving.visit.place, leaving.at)
    if leaving.code in HOME:
        _call(chart, leaving)
        _reconcile(chart, leaving)
        _see_a_doctor(chart, leaving)
    elif leaving.code in FACILITY:
        _go_to_the_facility(chart, leaving)


def _call(chart: Chart, leaving: Leaving) -> None:
    """The nurse's call: three in four in time, some after a voicemail, some never."""
    rng = chart.rng
    nurse = rng.choice(NURSES)
    at = _office_hours(leaving.at + timedelta(hours=rng.uniform(3, 40)), rng)
    if rng.random() < 0.13 or _over(leaving, at):
        return
    chart.task("accepted", "CALL_48H", leaving.visit, at, nurse, "rn")
    if rng.random() < 0.25:
        missed = at + timedelta(minutes=4)
        chart.task("attempted", "CALL_48H", leaving.visit, missed, nurse, "rn", reached="voicemail")
        at = _office_hours(at + timedelta(hours=rng.uniform(2, 24)), rng)
        if rng.random() < 0.3:
            return  # nobody tried again
    done = at + timedelta(minutes=rng.randrange(6, 20))
    if _over(leaving, done):
        return
    reached = "caregiver" if chart.person.caregiver and rng.random() < 0.2 else "patient"
    chart.task(
        "completed", "CALL_48H", leaving.visit, done, nurse, "rn",
        outcome="ok", reached=reached, answers=ALL_ANSWERED,
    )  # fmt: skip


def _reconcile(chart: Chart, leaving: Leaving) -> None:
    """The pharmacist compares the lists, usually within the week."""
    at = _office_hours(leaving.at + timedelta(days=chart.rng.uniform(0.3, 6)), chart.rng)
    if chart.rng.random() < 0.2 or _over(leaving, at):
        return
    who = chart.rng.choice(PHARMACISTS)
    chart.task("completed", "MED_REC", leaving.visit, at, who, "pharmacist", outcome="ok")


def _see_a_doctor(chart: Chart, leaving: Leaving) -> None:
    """A visit is booked, before the discharge or after, and kept, moved, missed or dropped."""
    rng = chart.rng
    if rng.random() < 0.2:
        return
    place = leaving.visit.place
    booked = leaving.at + timedelta(hours=rng.uniform(-20, 60))
    day = rng.choices((1, 2, 3, 4, 5, 6, 7, 9, 12), (1, 3, 4, 4, 4, 3, 2, 2, 1))[0]
    starts = _slot(leaving.at + timedelta(days=day), rng)
    doctor = chart.person.pcp or rng.choice(PCPS)
    if rng.random() < 0.12:
        doctor = rng.choice(SPECIALISTS)  # a visit, but not the one that is owed
    if _over(leaving, booked) or booked >= starts:
        return
    slot = chart.book(place, booked, doctor, starts)
    fate = rng.choices(("kept", "moved", "missed", "dropped", "silent"), (70, 8, 10, 7, 5))[0]
    if fate == "moved":
        moved_at = booked + (starts - booked) * rng.uniform(0.1, 0.7)
        if _over(leaving, moved_at):
            return
        slot = chart.reschedule(slot, moved_at, starts + timedelta(days=rng.choice((1, 2, 5))))
    _happens(chart, leaving, slot, fate)


def _happens(chart: Chart, leaving: Leaving, slot: Appointment, fate: str) -> None:
    rng = chart.rng
    told = slot.starts_at + timedelta(minutes=rng.randrange(20, 180))
    if fate == "dropped":
        told = slot.starts_at - timedelta(hours=rng.uniform(2, 30))
    if _over(leaving, told) or fate == "silent":
        return
    if fate == "dropped":
        if told > leaving.at:
            chart.cancel_appointment(slot, told)
    elif fate == "missed":
        chart.miss_appointment(slot, told)
        again = _office_hours(told + timedelta(hours=rng.uniform(1, 30)), rng)
        if rng.random() < 0.6 and not _over(leaving, again):
            chart.book(slot.place, again, slot.provider, _slot(again + timedelta(days=3), rng))
    else:
        chart.keep_appointment(slot, told)


def _go_to_the_facility(chart: Chart, leaving: Leaving) -> None:
    """The nursing facility admits (which is the hand-off), keeps, and sends home."""
    rng = chart.rng
    if leaving.code != "03" or rng.random() < 0.15:
        return  # rehabilitation and others do not report to us
    arrives = leaving.at + timedelta(hours=rng.uniform(1, 7))
    stay = chart.admit(SNF1, arrives, "SNF", admit_type="R", admit_source="4")
    home = arrives + timedelta(days=rng.uniform(6, 24))
    home = home.replace(hour=rng.randrange(10, 17), minute=rng.randrange(60))
    chart.discharge(stay, home, "01")
    follow_up(chart, Leaving(stay, home, "01"))


def _over(leaving: Leaving, at: datetime) -> bool:
    return leaving.until is not None and at >= leaving.until


def _office_hours(at: datetime, rng: Random) -> datetime:
    """The next instant from *at* on in which an office works: 8 to 18, no Sunday."""
    if at.hour >= 18:
        at += timedelta(days=1)
    if at.weekday() == 6:
        at += timedelta(days=1)
    elif 8 <= at.hour < 18:
        return at
    return at.replace(hour=rng.randrange(8, 11), minute=rng.randrange(60))


def _slot(at: datetime, rng: Random) -> datetime:
    """An appointment on that day, or on Monday where the practice is closed."""
    if at.weekday() >= 5:
        at += timedelta(days=7 - at.weekday())
    return at.replace(hour=rng.randrange(8, 17), minute=rng.choice((0, 20, 40)), second=0)
