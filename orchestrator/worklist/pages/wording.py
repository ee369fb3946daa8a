"""Times, lateness and kinds as nurses read them, in the facility's zone (`screens.md` 0).

Absolute time always stands beside the relative one; the end of a day is named by the day that
ends, never as the midnight after it.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from orchestrator.worklist.instants import SECOND, micros

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
DAY: Final = 24 * 3600 * SECOND

KINDS: Final = {
    "CALL_48H": "48-hour call",
    "PCP_VISIT_7D": "PCP visit",
    "MED_REC": "Medication reconciliation",
    "SNF_HANDOFF": "Facility hand-off",
    "RESCHEDULE": "Reschedule a visit",
    "PENDING_RESULT": "Pending result",
    "CLINICAL_ESCALATION": "Clinician call",
    "REASSESSMENT": "Reassessment",
    "ASSIGN_CM": "Assign a case manager",
    "ASSESSMENT": "Assessment",
    "CARE_PLAN": "Care plan",
    "ED_FOLLOWUP": "ED follow-up",
    "BH_FOLLOWUP": "Behavioral health follow-up",
    "SDOH_BARRIER": "Social barrier",
    "PRIOR_AUTH": "Prior authorization",
    "FINANCIAL_ASSISTANCE": "Financial assistance",
}
FLAGS: Final = {
    "AMA": "Against advice",
    "CHART_ONLY": "Chart only",
    "UNVERIFIED": "Unverified",
    "REACHED_LATE": "Reached late",
    "WRONG_PATIENT": "Wrong patient",
    "FROM_BACKFILL": "From old files",
    "SAME_DAY": "Same-day stay",
}
STATUS: Final = {
    "requested": "Open",
    "accepted": "Accepted",
    "in-progress": "In progress",
    "on-hold": "On hold",
    "completed": "Done",
    "cancelled": "Withdrawn",
    "failed": "Not done",
    "entered-in-error": "Withdrawn",
}
WITHDRAWN: Final = frozenset({"cancelled", "entered-in-error"})

Tone = Literal["red", "amber", "green", "grey", ""]
MARKS: Final[dict[Tone, str]] = {"red": "▲", "amber": "●", "green": "✓", "grey": "◌", "": ""}


class Tag(NamedTuple):
    """An adjective with its colour, which never stands alone."""

    text: str
    tone: Tone

    @property
    def mark(self) -> str:
        return MARKS[self.tone]


class Due(NamedTuple):
    """When a task is due: a tag where it needs one, the time, and lines below it."""

    tag: Tag | None
    text: str
    more: tuple[str, ...] = ()


def kind(code: str) -> str:
    """A task's kind in words; one that is new here is shown as it is."""
    return KINDS.get(code) or code.replace("_", " ").capitalize()


def flag(code: str) -> str:
    return FLAGS.get(code) or code.replace("_", " ").capitalize()


def local(at: int, zone: str) -> datetime:
    return (_EPOCH + timedelta(microseconds=at)).astimezone(ZoneInfo(zone))


def start_of_day(at: int, zone: str, days: int = 0) -> int:
    """The first instant of the local day of *at*, or of the one *days* later."""
    here = local(at, zone)
    day = here.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None) + timedelta(days)
    moment = day.replace(tzinfo=ZoneInfo(zone))
    return (moment.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)


def length(span: int) -> str:
    """``3 h 5 min``, ``1 d 20 h``, ``under 1 min``: the two largest units of *span* µs."""
    minutes = abs(span) // (60 * SECOND)
    units = ((minutes // 1440, "d"), (minutes // 60 % 24, "h"), (minutes % 60, "min"))
    first = next((i for i, (number, _) in enumerate(units) if number), None)
    if first is None:
        return "under 1 min"
    shown = [f"{number} {unit}" for number, unit in units[first : first + 2] if number]
    return " ".join(shown)


def age(seconds: float) -> str:
    """``4 s``, ``12 min``, ``3 h``: one unit, as ages are told."""
    if seconds < 60:
        return f"{int(seconds)} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min"
    if seconds < 48 * 3600:
        return f"{int(seconds // 3600)} h"
    return f"{int(seconds // 86400)} d"


def clock(at: int, zone: str) -> str:
    """``14:02``."""
    return f"{local(at, zone):%H:%M}"


def moment(at: int, zone: str, now: int | None = None) -> str:
    """``Thu 8 Oct 14:00 EDT``; ``today 14:00 EDT`` where *now* is the same day."""
    here = local(at, zone)
    return f"{day(at, zone, now)} {here:%H:%M %Z}"


def day(at: int, zone: str, now: int | None = None) -> str:
    """``Thu 8 Oct``, or ``today``, ``tomorrow``, ``yesterday``; with its year if it is another."""
    here = local(at, zone)
    text = f"{here:%a} {here.day} {here:%b}"
    if now is None:
        return text
    today = local(now, zone)
    away = here.date().toordinal() - today.date().toordinal()
    near = {0: "today", 1: "tomorrow", -1: "yesterday"}.get(away)
    if near is not None:
        return near
    return text if here.year == today.year else f"{text} {here.year}"


def is_end_of_day(at: int, zone: str) -> bool:
    here = local(at, zone)
    return (here.hour, here.minute, here.second, here.microsecond) == (0, 0, 0, 0)


def due_at(at: int, zone: str, now: int | None = None) -> str:
    """``Thu 8 Oct 14:00 EDT``, or ``by end of Tue 13 Oct`` where the whole day may be used."""
    if not is_end_of_day(at, zone):
        return moment(at, zone, now)
    before = at - 1  # still in the day that ends there
    named = day(before, zone, now)
    if named in ("today", "tomorrow", "yesterday"):
        return f"by end of {named}, {day(before, zone)}"
    return f"by end of {named}"


def due(task: dict[str, Any], now: int) -> Due:
    """When *task* is due, as its row and page say it."""
    at, zone = micros(task["due_at"]), task["zone"]
    if task["status"] == "completed":
        return _done(task, at, zone, now)
    if task["status"] in WITHDRAWN:
        return Due(Tag("Withdrawn", "grey"), f"was due {due_at(at, zone, now)}")
    if task["status"] == "failed":
        return Due(Tag("Not done", "grey"), f"was due {due_at(at, zone, now)}")
    more = _second_clock(task, zone, now)
    if task["overdue"] and task["born_overdue"]:
        told = f"{task['facility']} told us {_late(task)} after the discharge."
        worth = f"{told} A call is still worth making."
        if not task["kind"].startswith("CALL"):
            worth = f"{told} It is still worth doing."
        text = f"was due {due_at(at, zone, now)}"
        return Due(Tag("Arrived late", "amber"), text, (worth, *more))
    if task["overdue"]:
        text = f"{length(now - at)}, was due {due_at(at, zone, now)}"
        return Due(Tag("Overdue", "red"), text, more)
    return Due(_soon(at, zone, now), _ahead(at, zone, now), more)


def _ahead(at: int, zone: str, now: int) -> str:
    left = at - now
    when = due_at(at, zone, now)
    if left <= 0:
        # Past, but not called overdue: what was told may not be here yet.
        return f"due {when}"
    if left >= DAY:
        return f"{when}, in {length(left)}"
    return f"{length(left)} left, {when}"


def _soon(at: int, zone: str, now: int) -> Tag | None:
    return Tag("Due today", "amber") if at <= start_of_day(now, zone, 1) else None


def _done(task: dict[str, Any], at: int, zone: str, now: int) -> Due:
    ended = task.get("ended_at") or task.get("closed_at")
    if ended is None:
        return Due(Tag("Done", "green"), "")
    when = micros(ended)
    text = moment(when, zone, now)
    if when >= at:
        return Due(Tag(f"Done, {length(when - at)} late", "green"), text)
    return Due(Tag("Done", "green"), text)


def _second_clock(task: dict[str, Any], zone: str, now: int) -> tuple[str, ...]:
    by = task.get("tcm_contact_by")
    if by is None or task.get("tcm_contact_status") == "MET":
        return ()
    return (f"TCM contact {due_at(micros(by), zone, now)}",)


def _late(task: dict[str, Any]) -> str:
    late = task.get("lateness")
    if late is None:
        return "late"
    return hours(late)


def hours(duration: str) -> str:
    """``72 h`` of an ISO 8601 duration ``P3DT1H``: lateness is told in hours."""
    days, _, clock_part = duration.removeprefix("P").partition("T")
    total = 24 * int(days.removesuffix("D") or 0)
    if "H" in clock_part:
        total += int(clock_part.partition("H")[0])
    return f"{total} h"
