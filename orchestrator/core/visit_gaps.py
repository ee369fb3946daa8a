"""The gaps of the primary-care visit: none booked, booked too late, not kept, or never heard of.

Rulings 26 and 29.  A gap is true since the instant by which a visit must stand, or since the one
that stood was lost.
"""

from collections.abc import Sequence

from orchestrator.core import why
from orchestrator.core.calendar import end_of_day
from orchestrator.core.horizon import Horizon
from orchestrator.core.instants import written
from orchestrator.core.scope import Scope
from orchestrator.core.slots import Slot
from orchestrator.core.tasks import Duties, replacement
from orchestrator.core.transition import Transition


def visit_gaps(scope: Scope, transition: Transition, found: Duties, clock: Horizon) -> None:
    """Add what is missing of the primary-care visit."""
    pcp = next((duty for duty in found.tasks if duty.kind == "PCP_VISIT_7D"), None)
    policy, at, zone = transition.policy, transition.at, transition.zone
    cause = (transition.discharge.anchor.event,)
    last_day = transition.visit_days
    in_time = end_of_day(at, last_day, zone)
    opens = at + policy.no_pcp_after
    owed = pcp is not None or (last_day > 0 and transition.is_ahead(in_time))
    kept = any(slot.kept for slot in found.slots) or (pcp is not None and pcp.status == "completed")
    if owed and not kept and clock.reached(opens):
        standing = [slot for slot in found.slots if slot.alive]
        earliest = next(iter(standing), None)
        if earliest is None:
            scope.add(
                "NO_PCP_APPOINTMENT",
                max(opens, _last_gone(found.slots)),
                why.says(
                    "No visit with a primary-care provider is booked before the end of {end}.",
                    zone,
                    end=in_time,
                ),
                evidence={"slots": 0, "window_ends_at": written(in_time)},
                caused_by=cause,
            )
        elif earliest.day > last_day:
            scope.add(
                "PCP_APPT_OUT_OF_WINDOW",
                max(
                    opens,
                    min(slot.set_at for slot in standing),
                    _last_gone([slot for slot in found.slots if slot.day <= last_day]),
                ),
                why.says(
                    "The first primary-care visit is on day {day}; the window ends on {end}.",
                    zone,
                    day=earliest.day,
                    end=in_time,
                ),
                second=earliest.day <= policy.tcm_visit_days[1],
                evidence={"day": earliest.day, "appointment_id": earliest.id},
                caused_by=cause,
            )
    for slot in found.slots:
        if slot.starts_at >= transition.window_end:
            continue
        stamp = slot.said.stamp
        if last_day and slot.missed is not None and replacement(slot, found.slots) is None:
            scope.add(
                "PCP_NO_SHOW",
                min(slot.starts_at, slot.missed.stamp.time),  # it may have been moved since
                why.says("The visit of {at} was not kept.", zone, at=slot.starts_at),
                subject=slot.id,
                evidence={"appointment_id": slot.id},
                caused_by=(slot.missed.stamp.event,),
            )
        elif slot.status == "booked":
            silent = (slot.ends_at or slot.starts_at) + policy.appointment_silent
            if clock.reached(silent):
                scope.add(
                    "APPT_OUTCOME_UNKNOWN",
                    silent,
                    why.says("Nothing was heard of the visit of {at}.", zone, at=slot.starts_at),
                    subject=slot.id,
                    evidence={"appointment_id": slot.id},
                    caused_by=(stamp.event,),
                )


def _last_gone(slots: Sequence[Slot]) -> int:
    """When the last of *slots* was given up; 0: none stood."""
    return max((slot.gone_at or 0 for slot in slots), default=0)
