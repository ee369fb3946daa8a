"""Trying out a policy on past days: what may be asked, the job that answers, and who sees what.

It publishes nothing: no task, no gap, no message to anyone follows from it.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from orchestrator.worklist import views
from orchestrator.worklist.access.roles import Principal
from orchestrator.worklist.audit import Account
from orchestrator.worklist.instants import SECOND, micros
from orchestrator.worklist.jobs import Job, Progress
from orchestrator.worklist.log.feed import LogAway
from orchestrator.worklist.log.trial import Window
from orchestrator.worklist.problems import Problem
from orchestrator.worklist.site import Site
from schemas.policy import Policy

KIND: Final = "what-if"
MOST_DAYS: Final = 90
# Before and after them no patient was discharged, and zones and calendars come to an end.
YEARS: Final = range(1970, 2101)
# Ninety days over the end of summer time are an hour longer.
_MOST: Final = (MOST_DAYS * 24 + 1) * 3600 * SECOND

# What is told of one side; the rest is the task's own page.
_SIDE: Final = (
    "due_at",
    "team",
    "priority",
    "status",
    "status_reason",
    "tcm_contact_by",
    "rule",
    "why",
)


Trouble = Literal["form", "order", "length"]
_COMPLAINTS: Final[dict[Trouble, str]] = {
    "form": "must be a day, 2026-10-06, or an instant with an offset, of 1970 to 2100",
    "order": "must not be before from",
    "length": f"must be at most {MOST_DAYS} days after from",
}


class BadDay(ValueError):
    """A day of the window cannot be used; says which field and why."""

    def __init__(self, field: str, trouble: Trouble) -> None:
        super().__init__(_COMPLAINTS[trouble])
        self.field = field
        self.trouble = trouble


KeyOf = Callable[[str], str]


class Days(NamedTuple):
    """The window: its first and its last instant."""

    since: int
    until: int


def days_of(first: str, last: str, zone: str) -> Days:
    """
    From the start of *first* to the end of *last*, where they are days; instants are themselves.

    Raises:
        BadDay: One is neither, or they are the wrong way round, or too far apart.
    """
    since, until = _begin("from", first, zone), _end("to", last, zone)
    if until < since:
        raise BadDay("to", "order")
    if until - since > _MOST:
        raise BadDay("to", "length")
    return Days(since, until)


def _begin(field: str, text: str, zone: str) -> int:
    day = _day(field, text)
    return _instant(field, text) if day is None else _midnight(day, zone)


def _end(field: str, text: str, zone: str) -> int:
    day = _day(field, text)
    if day is None:
        return _instant(field, text)
    return _midnight(day + timedelta(days=1), zone) - 1


def _day(field: str, text: str) -> date | None:
    try:
        day = date.fromisoformat(text) if len(text) == 10 else None
    except ValueError:
        return None
    if day is not None and day.year not in YEARS:
        raise BadDay(field, "form")
    return day


def _midnight(day: date, zone: str) -> int:
    return micros(datetime.combine(day, time.min, ZoneInfo(zone)).isoformat())


def _instant(field: str, text: str) -> int:
    try:
        at = micros(text)
    except (ValueError, OverflowError):
        raise BadDay(field, "form") from None
    if (
        not _midnight(date(YEARS.start, 1, 1), "UTC")
        <= at
        < _midnight(date(YEARS.stop, 1, 1), "UTC")
    ):
        raise BadDay(field, "form")
    return at


def begin(
    site: Site, who: Principal, proposed: Sequence[Policy], days: Days, request_id: str
) -> Job:
    """
    Start the job.  Whom its answer names is recorded before there is one to read.

    Raises:
        Problem: ``rate-limited``, or ``unavailable`` where there is no journal.
    """
    trial = site.trial
    if trial is None:
        raise Problem("unavailable", "Policies cannot be tried out here.")
    window = Window(days.since, days.until, site.log_now(), who.facilities, who.part2)

    async def work(progress: Progress) -> dict[str, Any]:
        try:
            found = await trial.run(proposed, window, progress.at, lambda: progress.stopped)
        except LogAway as away:
            raise Problem("unavailable") from away
        if found is None:
            return {}
        answer = told(found, who, site.key_of)
        account = Account(
            {one["patient_key"] for one in answer["items"]}, rows=len(answer["items"])
        )
        await site.audit.write(who, "read", "success", account, request_id)
        return answer

    return site.jobs.start(who, KIND, work)


def told(found: Mapping[str, Any], who: Principal, key_of: KeyOf) -> dict[str, Any]:
    """The answer as *who* sees it."""
    return {
        **found,
        "publishes": "nothing",
        "items": [_item(one, who, key_of) for one in found["items"]],
    }


def _item(one: Mapping[str, Any], who: Principal, key_of: KeyOf) -> dict[str, Any]:
    known = one["now"] or one["was"]
    sides = {name: _side(one, name, known, who) for name in ("was", "now")}
    seen = views.item("task", known, None, who)
    return {
        "change": one["change"],
        "fields": one["fields"],
        "task_id": known["task_id"],
        "transition_id": known["transition_id"],
        "kind": known["kind"],
        "facility": known["facility"],
        "zone": known["zone"],
        "patient_key": key_of(known["patient"]),
        "masked": known["masked"],
        "notice": seen.get("notice"),
        **sides,
    }


def _side(
    one: Mapping[str, Any], name: str, known: dict[str, Any], who: Principal
) -> dict[str, Any]:
    thing: dict[str, Any] | None = one[name]
    seen = views.item("task", thing or known, one[f"{name}_why"], who)
    if thing is not None:
        return {field: seen[field] for field in _SIDE}
    why = None if seen["why"] == known["rule"] else seen["why"]  # of no task there is no rule
    return {**dict.fromkeys(_SIDE), "why": why}
