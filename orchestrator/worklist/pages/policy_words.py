"""The rules as a nurse would check them: when, who, what ends it, what is missing otherwise."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final, NamedTuple

import orjson

from orchestrator.worklist.pages import gap_words, wording
from schemas.duration import parse_duration
from schemas.facility import Facility

# How far ahead holidays are looked for.
AHEAD: Final = 400

_PACKS: Final = {
    "core": "Discharged home",
    "ama": "Left against advice",
    "handoff": "Sent to a care facility",
    "custody": "In custody",
    "": "Caused within a transition",
}
_COMPLETES: Final = {
    "CALL_48H": "A call that reached the patient or a carer, with all six answers",
    "PCP_VISIT_7D": "A visit with a primary-care provider that was kept",
    "MED_REC": "The lists brought together",
    "SNF_HANDOFF": "The hand-off reported, or the arrival",
    "RESCHEDULE": "A later visit booked",
    "CLINICAL_ESCALATION": "A clinician has called",
}
_OPENS: Final = {
    "CALL_48H": ("TASK_OVERDUE", "TCM_CONTACT_WINDOW_MISSED", "UNREACHABLE"),
    "PCP_VISIT_7D": ("NO_PCP_APPOINTMENT", "PCP_APPT_OUT_OF_WINDOW", "TASK_OVERDUE"),
    "SNF_HANDOFF": ("TASK_OVERDUE", "TRANSFER_NOT_ARRIVED"),
    "CLINICAL_ESCALATION": ("CLINICAL_RED_FLAG", "TASK_OVERDUE"),
    "RESCHEDULE": ("PCP_NO_SHOW", "TASK_OVERDUE"),
}
_SOURCES: Final = {
    "CALL_48H": "Our practice; CMS TCM asks for contact within 2 business days",
    "PCP_VISIT_7D": "CMS TCM: 7 days (CPT 99496) or 14 (99495)",
    "MED_REC": "CMS TCM: no later than the visit",
    "SNF_HANDOFF": "Our practice",
    "RESCHEDULE": "Our practice",
    "CLINICAL_ESCALATION": "Our practice",
}
_SINCE: Final = {
    "RESCHEDULE": "the visit that was missed",
    "CLINICAL_ESCALATION": "the answer that asks for it",
}
_NAMES: Final = {
    "calls.tcm_contact": "TCM contact counts until",
    "calls.attempt_spacing": "Attempts count when apart by",
    "calls.attempts_for_tcm": "Attempts that meet TCM",
    "calls.attempt_days_for_tcm": "On so many days",
    "calls.unreachable_attempts": "Not reachable after so many attempts",
    "calls.unreachable_days": "On so many days, for not reachable",
    "calls.reached": "Who must be reached",
    "calls.answers": "Answers that a call needs",
    "calls.red_flag_symptoms": "Symptoms that call a clinician",
    "visits.specialties": "Primary care is",
    "visits.modalities": "A visit may be",
    "visits.no_appointment_after": "No visit booked is a gap after",
    "visits.outcome_silent_after": "A visit without a word is a gap after",
    "visits.tcm_days": "Days of the TCM codes",
    "windows.tcm_period_days": "TCM period, days",
    "windows.readmission_days": "Readmission window, days",
    "windows.snf_silent_days": "A care facility is silent after days",
    "windows.planned_within_days": "A planned readmission comes within days",
    "lateness.notification": "A discharge is told late after",
    "lateness.lane": "Told so late it is history",
    "lateness.transfer_not_arrived": "A transfer has not arrived after",
    "lateness.orphan_cancel": "A cancel of nothing is a gap after",
    "lateness.command_wait": "A report waits for its task",
    "lateness.stale.EMERGENCY": "An ED stay without news is a gap after",
    "lateness.stale.OBSERVATION": "An observation without news is a gap after",
    "lateness.stale.INPATIENT": "An inpatient stay without news is a gap after",
    "lateness.feed_silent_intervals": "A feed is silent after so many of its intervals",
    "weekend_escalation_hour": "Where weekends are not staffed, escalates at",
    "seal_after_days": "A stay is put away after days",
}


class Duty(NamedTuple):
    """One row of the table."""

    pack: str
    task: str
    team: str
    due: str
    completes: str
    gaps: str
    source: str
    rule: str


class Difference(NamedTuple):
    """One thing that two versions say."""

    name: str
    was: str
    now: str
    path: str

    @property
    def changed(self) -> bool:
        return self.was != self.now


def duties(policy: Mapping[str, Any]) -> list[Duty]:
    """What is owed, pack by pack."""
    packs = [*policy["protocols"].items(), ("", policy["caused_tasks"])]
    return [_duty(pack, one) for pack, tasks in packs for one in tasks]


def _duty(pack: str, task: Mapping[str, Any]) -> Duty:
    kind = task["kind"]
    who = sorted(task["completed_by"])
    completes = _COMPLETES.get(kind, "Reported done")
    if who:
        completes += f"; by {', '.join(who[:-1])} or {who[-1]}" if who[1:] else f"; by {who[0]}"
    opens = _OPENS.get(kind, ("TASK_OVERDUE",))
    urgent = "" if task["priority"] == "routine" else f", {task['priority']}"
    return Duty(
        pack=_PACKS.get(pack, pack),
        task=wording.kind(kind),
        team=task["team"],
        due=f"{due(task['due'], _SINCE.get(kind, 'discharge'))}{urgent}",
        completes=completes,
        gaps=", ".join(gap_words.name(code) for code in opens),
        source=_SOURCES.get(kind, ""),
        rule=task["rule"],
    )


def due(said: Mapping[str, str], since: str = "discharge") -> str:
    """``48 hours after discharge, elapsed``."""
    length = parse_duration(said["length"])
    if said["clock"] == "elapsed":
        hours = length / timedelta(hours=1)
        return f"{hours:g} {'hour' if hours == 1 else 'hours'} after {since}, elapsed"
    if said["clock"] == "calendar":
        return f"by the end of day {length.days} after {since}, local days"
    days = "business day" if length.days == 1 else "business days"
    return f"by the end of {length.days} {days} after {since}"


def thresholds(policy: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The numbers that the rules use, each by its name."""
    flat = flattened(policy)
    return [(name, flat[path]) for path, name in _NAMES.items() if path in flat]


def checksum(policy: Mapping[str, Any]) -> str:
    """Names what a version says, whatever its file looks like."""
    said = {name: value for name, value in policy.items() if name != "version"}
    plain = orjson.dumps(_ordered(said), option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(plain).hexdigest()[:12]


def compared(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[Difference]:
    """All that two versions say, what differs first."""
    before, after = flattened(was), flattened(now)
    found = [
        Difference(_named(path), before.get(path, "-"), after.get(path, "-"), path)
        for path in dict.fromkeys([*before, *after])
        if path not in ("version", "effective_from")
    ]
    return sorted(found, key=lambda one: not one.changed)


def _named(path: str) -> str:
    """What a path of `flattened` is about; as it stands where nobody has a word for it."""
    match path.split("."):
        case ["protocols", pack, kind, field]:
            about = f"{_PACKS.get(pack, pack)}: {wording.kind(kind)}"
        case ["caused_tasks", kind, field]:
            about = wording.kind(kind)
        case ["gaps", code, field]:
            about = f"Gap, {gap_words.name(code)}"
        case ["dispositions", codes, field]:
            about = f"Disposition {codes.replace('+', ', ')}"
        case _:
            return _NAMES.get(path, path)
    return f"{about}, {field.replace('_', ' ')}"


def flattened(policy: Mapping[str, Any]) -> dict[str, str]:
    """Each thing that is said, by its path, in words."""
    found: dict[str, str] = {}

    def walk(path: str, value: Any) -> None:
        if isinstance(value, Mapping) and set(value) == {"clock", "length"}:
            found[path] = due(value)
        elif isinstance(value, Mapping):
            for name in value:
                walk(f"{path}.{name}" if path else str(name), value[name])
        elif isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
            for number, one in enumerate(value):
                name = one.get("kind") or "+".join(one.get("codes") or [str(number)])
                walk(f"{path}.{name}", one)
        else:
            found[path] = _spoken(path, value)

    walk("", policy)
    return found


def _spoken(path: str, value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(str(one) for one in _ordered(value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if path == "weekend_escalation_hour":
        return f"{value:02d}:00"
    if isinstance(value, str) and value.startswith("P") and value[1:2].isalnum():
        try:
            return span(parse_duration(value))
        except ValueError:
            return value
    return "none" if value in (None, "") else str(value)


def span(length: timedelta) -> str:
    """``24 h``, ``60 days``: as rules are spoken of."""
    if length >= timedelta(days=7) and not length % timedelta(days=1):
        return f"{length.days} days"
    hours = length / timedelta(hours=1)
    return f"{hours:g} h" if hours >= 1 else f"{hours * 60:g} min"


def _ordered(value: Any) -> Any:
    """Sets have no order of their own: they get one."""
    if isinstance(value, Mapping):
        return {name: _ordered(one) for name, one in value.items()}
    if isinstance(value, list):
        plain = [_ordered(one) for one in value]
        return sorted(plain) if all(isinstance(one, str) for one in plain) else plain
    return value


def holidays(facility: Facility, today: date, count: int = 3) -> list[date]:
    """The next holidays of *facility*."""
    days = (today + timedelta(days=n) for n in range(AHEAD))
    found: Sequence[date] = [day for day in days if day in facility.holidays]
    return list(found[:count])


def day_words(day: date, today: date) -> str:
    text = f"{day:%a} {day.day} {day:%b}"
    return text if day.year == today.year else f"{text} {day.year}"


def business_day(facility: Facility, today: date, count: int) -> date:
    """The *count*-th business day after *today*."""
    day = today
    while count:
        day += timedelta(days=1)
        count -= facility.is_business_day(day)
    return day
