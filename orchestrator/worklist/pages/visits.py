"""The appointments beside a PCP visit that is owed: which one counts, and why another does not."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final, NamedTuple

from orchestrator.worklist.instants import micros
from orchestrator.worklist.pages import wording

ALIVE: Final = ("booked", "checked_in", "checked-in", "arrived", "fulfilled")
STATUS: Final = {
    "booked": "booked",
    "checked_in": "checked in",
    "fulfilled": "kept",
    "cancelled": "cancelled",
    "noshow": "not kept",
}


class SlotLine(NamedTuple):
    """One appointment in words."""

    id: str
    when: str
    with_whom: str
    status: str
    counts: bool
    why: str


def slot_lines(
    appointments: Sequence[Mapping[str, Any]],
    task: Mapping[str, Any],
    discharged: int | None,
    policy: Mapping[str, Any],
    now: int,
) -> list[SlotLine]:
    """
    The appointments of a patient beside *task*.

    Which one counts, the deciding process has said (``appointment_id``); here stands why another
    does not.
    """
    zone = str(task["zone"])
    found = [one for one in appointments if one.get("starts_at")]
    return [
        _line(one, task, discharged, policy, zone, now)
        for one in sorted(found, key=lambda one: micros(str(one["starts_at"])))
    ]


def _line(
    one: Mapping[str, Any],
    task: Mapping[str, Any],
    discharged: int | None,
    policy: Mapping[str, Any],
    zone: str,
    now: int,
) -> SlotLine:
    at = micros(str(one["starts_at"]))
    status = str(one.get("status") or "unknown")
    counts = one["appointment_id"] == task["appointment_id"]
    why = "counts" if counts else _why_not(one, task, at, discharged, policy, zone)
    return SlotLine(
        str(one["appointment_id"]),
        wording.moment(at, zone, now),
        _with(one),
        STATUS.get(status, status),
        counts,
        why,
    )


def _why_not(
    one: Mapping[str, Any],
    task: Mapping[str, Any],
    at: int,
    discharged: int | None,
    policy: Mapping[str, Any],
    zone: str,
) -> str:
    if one.get("status") not in ALIVE:
        return STATUS.get(str(one.get("status")), "not booked")
    if discharged is not None:
        first = wording.local(discharged, zone).date()
        number = _days(first, at, zone)
        last = _days(first, micros(str(task["due_at"])) - 1, zone)
        if number < 1:
            return "before the discharge"
        if number > last:
            return f"day {number}; window ends day {last}"
    visits = policy.get("visits") or {}
    specialty = _specialty(one)
    if specialty and specialty.casefold() not in (visits.get("specialties") or ()):
        return f"{specialty}; not primary care"
    if not specialty:
        return "specialty not known; not taken for primary care"
    modality = one.get("modality")
    if modality and modality not in (visits.get("modalities") or ()):
        return f"by {modality}; not a visit"
    return "another visit counts already"


def _days(first: date, at: int, zone: str) -> int:
    return (wording.local(at, zone).date() - first).days


def _specialty(one: Mapping[str, Any]) -> str:
    provider = one.get("provider")
    said = provider.get("specialty") if isinstance(provider, Mapping) else one.get("service")
    if isinstance(said, Mapping):
        said = said.get("text") or said.get("code")
    return str(said) if said else ""


def _with(one: Mapping[str, Any]) -> str:
    provider = one.get("provider")
    if isinstance(provider, Mapping):
        name = provider.get("name")
        if isinstance(name, Mapping):
            name = name.get("text") or name.get("family")
        parts = [name, _specialty(one), provider.get("organization")]
        return ", ".join(str(part) for part in parts if isinstance(part, str) and part) or "unknown"
    return str(provider) if provider else _specialty(one) or "unknown"
