"""The words of tasks, gaps and times on a screen: what a nurse calls them, in the facility's zone.

Wording: `screens.md` §0.  An end of a day is named by the day that ends, never as the midnight
after it.
"""

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

TASKS: Final = {
    "CALL_48H": "48-hour call",
    "PCP_VISIT_7D": "PCP visit",
    "MED_REC": "Reconciliation",
    "SNF_HANDOFF": "Facility hand-off",
    "RESCHEDULE": "Reschedule",
}
GAPS: Final = {
    "TASK_OVERDUE": "Overdue",
    "TCM_CONTACT_WINDOW_MISSED": "TCM contact missed",
    "NO_PCP_APPOINTMENT": "No PCP visit",
    "PCP_APPT_OUT_OF_WINDOW": "PCP visit too late",
    "PCP_NO_SHOW": "PCP visit missed",
    "APPT_OUTCOME_UNKNOWN": "Visit outcome unknown",
    "NO_PCP_ON_FILE": "No PCP on file",
    "LATE_NOTIFICATION": "Discharge told late",
    "ADMIT_NOTICE_LATE": "Admission told late",
    "READMISSION_30D": "Readmitted",
    "RETURN_ED": "Back in the ED",
    "RETURN_OBS": "Back for observation",
    "READMISSION_RISK_IN_ED": "In the ED now",
    "TRANSFER_NOT_ARRIVED": "Transfer not arrived",
    "SNF_STATUS_UNKNOWN": "Facility silent",
    "DISPOSITION_UNKNOWN": "Disposition unknown",
    "DISPOSITION_CONFLICT": "Disposition conflict",
    "OVERLAPPING_STAYS": "Overlapping stays",
    "STALE_STAY": "Stay without news",
    "ORPHAN_CANCEL": "Cancel of nothing",
    "UNREACHABLE": "Not reachable",
    "EVENT_PARKED": "Message unreadable",
    "DATA_QUALITY": "Data quality",
    "FEED_SILENT": "Feed silent",
}
# Commas are no part of a spoken date; `%-d` is not portable.
_DAY_FORMAT: Final = "{0:%a} {0.day} {0:%b}"


def task(kind: str) -> str:
    """A task kind in words; one that is new here is shown as it is."""
    return TASKS.get(kind) or kind.replace("_", " ").capitalize()


def gap(code: str) -> str:
    """A gap code in words; one that is new here is shown as it is."""
    return GAPS.get(code) or code.replace("_", " ").capitalize()


def reason(code: str) -> str:
    """A reason's code in small letters: ``discharge cancelled``."""
    return code.replace("_", " ").lower()


def instant(text: str) -> datetime:
    """A published time; always UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)


def dated(at: datetime, zone: str) -> str:
    """``Tue 6 Oct 2026 14:00 EDT``: an instant that stands alone, with its year."""
    local = at.astimezone(ZoneInfo(zone))
    return f"{_DAY_FORMAT.format(local)} {local:%Y %H:%M %Z}"


def zone(at: datetime, name: str) -> str:
    """``EDT``: how the zone is called at that instant."""
    return f"{at.astimezone(ZoneInfo(name)):%Z}"


def moment(at: datetime, zone: str, near: datetime | None = None) -> str:
    """``Tue 6 Oct 14:00 EDT``; with its year, if that is not the year of *near*."""
    local = at.astimezone(ZoneInfo(zone))
    return f"{_day(local, near)} {local:%H:%M %Z}"


def due(at: datetime, zone: str, near: datetime | None = None) -> str:
    """``due Tue 6 Oct 14:00 EDT``; ``by end of Tue 13 Oct`` where a whole day may be used."""
    local = at.astimezone(ZoneInfo(zone))
    if (local.hour, local.minute, local.second) == (0, 0, 0):
        return f"by end of {_day(local - timedelta(days=1), near)}"
    return f"due {moment(at, zone, near)}"


def since(at: datetime, zone: str, near: datetime | None = None) -> str:
    """``since Tue 6 Oct 14:00 EDT``; ``since the end of Tue 13 Oct`` at a midnight."""
    return due(at, zone, near).replace("by end", "since the end").replace("due", "since", 1)


def _day(local: datetime, near: datetime | None) -> str:
    text = _DAY_FORMAT.format(local)
    if near is None or near.astimezone(local.tzinfo).year == local.year:
        return text
    return f"{text} {local.year}"
