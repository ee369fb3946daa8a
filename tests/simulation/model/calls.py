"""What the call commands amount to: contact, counted attempts, the CMS contact status.

Source: rulings 19, 21, 22, 23; scenario 22.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from tests.simulation.model.calendar import local_date
from tests.simulation.model.facts import Event
from tests.simulation.model.transitions import Transition

PEOPLE = ("patient", "caregiver")
ANSWERS = {
    "understanding",
    "medicines",
    "symptoms",
    "appointment",
    "help_at_home",
    "education_given",
}
BETWEEN_ATTEMPTS = timedelta(hours=1)
ATTEMPTS_FOR_TCM = 2
UNREACHABLE_ATTEMPTS = 3
UNREACHABLE_DAYS = 2


def is_contact(event: Event) -> bool:
    """Does this completion of a call complete it, or was it one more attempt?"""
    if event.type != "task.completed" or event.data.get("reached") not in PEOPLE:
        return False
    outcome = event.data.get("outcome")
    if outcome == "scheduling-only":
        return False
    return outcome != "ok" or (event.data.get("answers") or {}).keys() >= ANSWERS


@dataclass(frozen=True)
class CallRecord:
    """The accepted commands on one call, read together."""

    contact: Event | None
    attempts: tuple[Event, ...]  # those that count
    wrong_number: bool  # since somebody was reached
    declined_at: datetime | None
    unanswered: int  # attempts that count, since somebody was reached
    contact_by: datetime
    days: int

    def status(self, now: datetime) -> str | None:
        if self.contact is not None and self.contact.time < self.contact_by:
            return "MET"
        if self.attempts_met:
            return "ATTEMPTS_MET"
        return "MISSED" if now >= self.contact_by else None

    attempts_met: bool = False

    @property
    def unreachable(self) -> bool:
        tried = self.unanswered >= UNREACHABLE_ATTEMPTS and self.days >= UNREACHABLE_DAYS
        return tried or self.wrong_number


def counted_attempts(transition: Transition, tried: list[Event]) -> list[Event]:
    """After the discharge, not a bot's, an hour after the last one that counted."""
    counted: list[Event] = []
    for event in sorted(tried, key=lambda e: (e.time, e.source, e.id)):
        far_enough = not counted or event.time >= counted[-1].time + BETWEEN_ATTEMPTS
        if event.time > transition.at and event.data.get("reached") != "bot" and far_enough:
            counted.append(event)
    return counted


def read_calls(transition: Transition, commands: list[Event]) -> CallRecord:
    contacts = [e for e in commands if is_contact(e) and e.time >= transition.at]
    tried = [
        e
        for e in commands
        if e.type == "task.attempted" or (e.type == "task.completed" and not is_contact(e))
    ]
    counted = counted_attempts(transition, tried)
    contact_by = transition.stay.at_facility.end_of_business_days(transition.at, 2)

    def day(event: Event) -> date:
        return local_date(event.time, transition.zone)

    timely = {day(e) for e in counted if e.time < contact_by}
    spoken = max((e.time for e in commands if e.data.get("reached") in PEOPLE), default=None)
    unanswered = [e for e in counted if spoken is None or e.time > spoken]
    return CallRecord(
        contact=min(contacts, key=lambda e: e.time, default=None),
        attempts=tuple(counted),
        wrong_number=any(
            e.data.get("reached") == "wrong-number"
            and e.time > transition.at
            and (spoken is None or e.time > spoken)
            for e in tried
        ),
        declined_at=max(
            (e.time for e in contacts if e.data.get("outcome") == "declined_followup"),
            default=None,
        ),
        unanswered=len(unanswered),
        contact_by=contact_by,
        days=len({day(e) for e in unanswered}),
        attempts_met=len(timely) >= ATTEMPTS_FOR_TCM,
    )
