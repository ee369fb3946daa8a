"""Appointments as the rules of a transition see them: which are primary-care slots, on which day.

Rulings 25 to 29.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from operator import attrgetter
from typing import Any, NamedTuple

from orchestrator.core.calendar import day_number
from orchestrator.core.cells import AppointmentCell
from orchestrator.core.policy import Policy
from orchestrator.core.registers import Register, value_of
from orchestrator.core.transition import Transition
from orchestrator.core.view import View, starts

ALIVE = ("booked", "checked_in")
KEPT = "fulfilled"
VOID = "entered_in_error"


class Slot(NamedTuple):
    """One primary-care slot beside one transition."""

    id: str
    starts_at: int
    ends_at: int | None
    status: str
    day: int  # local day after the discharge
    said: Register  # the status, with its stamp
    receipt: int  # when we knew that it stands (or does not any more) and when it starts
    told: int  # when we knew when it starts
    set_at: int  # when that was so
    missed: Register | None  # that it was not kept, even where it was moved to a new time since
    unkept: tuple[int, int] | None = None  # from when to when we took it for kept, mistakenly

    @property
    def alive(self) -> bool:
        return self.status in ALIVE

    @property
    def gone_at(self) -> int | None:
        """When it stopped standing; None: it stands, was kept, or never was (entered in error)."""
        if self.alive or self.kept or self.status == VOID:
            return None
        return min(self.said.stamp.time, self.said.since)

    @property
    def kept(self) -> bool:
        return self.status == KEPT


def attributed_pcp(view: View) -> Mapping[str, Any] | None:
    """The PCP that was named last, of the person or in the messages of a visit (PD1-4)."""
    said = [held for stay in view.stays if (held := stay.said.get("pcp")) is not None]
    person = view.register("pcp")
    if person is not None:
        said.append(person)
    newest = max(said, key=attrgetter("stamp"), default=None)
    value = None if newest is None else newest.value
    return value if isinstance(value, Mapping) and value else None


def is_primary_care(
    provider: Mapping[str, Any], pcp: Mapping[str, Any] | None, policy: Policy
) -> bool:
    """Ruling 25, for the provider of a slot."""
    said = provider.get("is_pcp")
    if said is True:
        return True
    if pcp is not None:
        # A local id stands in where a sender gives no NPI.
        if any(provider.get(name) and provider[name] == pcp.get(name) for name in ("npi", "id")):
            return True
        organization = _folded(provider.get("organization"))
        if organization and organization == _folded(pcp.get("organization")):
            return True
    if said is not None:
        return False
    return _folded(provider.get("specialty")) in policy.pcp_specialties


def _folded(text: Any) -> str:
    if isinstance(text, Mapping):
        text = text.get("text") or text.get("code")
    return " ".join(str(text).casefold().split()) if text else ""


def primary_care_slots(view: View, transition: Transition) -> list[Slot]:
    """All primary-care slots from day 1 of the transition on, by their start."""
    if not view.appointments:
        return []
    pcp = attributed_pcp(view)
    # Beyond the window nothing of this transition is settled, but a slot may be booked there.
    first = bisect_right(view.appointments, transition.at, key=starts)
    beyond = bisect_left(view.appointments, transition.window_end, key=starts)
    near = view.appointments[first:beyond]
    near += [c for c in view.appointments[beyond:] if value_of(c.said, "status") in ALIVE]
    found = [slot for cell in near if (slot := _slot(cell, transition, pcp)) is not None]
    found.sort(key=lambda slot: (slot.starts_at, slot.id))
    return found


def _slot(
    cell: AppointmentCell, transition: Transition, pcp: Mapping[str, Any] | None
) -> Slot | None:
    said = cell.said
    at = starts(cell)
    day = day_number(at, transition.at, transition.zone)
    if day < 1:  # day 0 belongs to the discharge
        return None
    provider = value_of(said, "provider") or {}
    modality = value_of(said, "modality") or "in-person"
    if modality not in transition.policy.visit_modalities:
        return None
    if not is_primary_care(provider, pcp, transition.policy):
        return None
    held = said["status"]
    told = said["starts_at"].since
    set_at = min(said["starts_at"].stamp.time, told)
    receipt = max(told, said["counts"].since)
    status = held.value
    if transition.ended_before(held.stamp.time):
        status = "booked"  # what became of it after the transition's end is no longer its matter
    missed = said.get("missed")
    if missed is not None and (
        missed.value is not True or transition.ended_before(missed.stamp.time)
    ):
        missed = None
    kept = said.get("kept_told")
    unkept = None if kept is None or status == KEPT else (kept.since, held.since)
    ends = value_of(said, "ends_at")
    return Slot(
        cell.appointment, at, ends, status, day, held, receipt, told, set_at, missed, unkept
    )
