"""The plan: every transition, task and gap that should stand for one patient at an instant.

``plan(view, rules, now)`` is a pure function.  It never reads what was published, holds no value
that varies continuously, and says at which first instant after *now* its answer can differ.
"""

from typing import Any

from orchestrator.core import why
from orchestrator.core.calendar import end_of_day, spoken
from orchestrator.core.gaps import Scope, transition_gaps
from orchestrator.core.horizon import Horizon
from orchestrator.core.instants import HOUR, written
from orchestrator.core.policy import Rules
from orchestrator.core.tasks import Duties, content, duties, tcm_codes
from orchestrator.core.transitions import Transition, derive, open_until
from orchestrator.core.view import View
from orchestrator.core.wanted import Plan, Wanted

ADMISSION_CLASSES = ("INPATIENT", "OBSERVATION", "EMERGENCY", "SNF", "NEWBORN")


def plan(view: View, rules: Rules, now: int) -> Plan:
    """
    Derive what should stand at *now*.

    Args:
        view: All that is known of the patient (or, for a feed, of the facility).
        rules: Policies and facilities.
        now: The partition's clock; moves only by clock records.

    Returns:
        Everything that should stand, terminal things with their reasons included, in a fixed
        order; constant on [now, wake).
    """
    horizon = Horizon(now)
    wanted = Plan()
    if view.said("test_patient") is True:
        return wanted
    for transition in derive(view, rules, horizon):
        found = duties(transition, view, horizon)
        wanted.gaps += transition_gaps(transition, found, view, horizon)
        wanted.transitions.append(_transition(transition, found, view, horizon))
        chart_only = found.declined_at is not None
        for duty in found.tasks:
            wanted.tasks.append(
                Wanted(
                    duty.id,
                    content(duty, transition, view, chart_only),
                    lambda duty=duty, transition=transition: _task_sentence(duty, transition),  # type: ignore[misc]
                )
            )
    wanted.gaps += _stay_gaps(view, rules, horizon)
    wanted.gaps += _person_gaps(view, rules)
    wanted.gaps += _facility_gaps(view, rules, horizon)
    wanted.wake = horizon.wake
    return wanted


def _transition(
    transition: Transition, found: Duties, view: View, horizon: Horizon
) -> Wanted:
    disposition, policy = transition.disposition, transition.policy
    flags = set(disposition.flags)
    if disposition.planned:
        flags.add("PLANNED_READMISSION_EXPECTED")
    if transition.elsewhere is not None:
        flags.add("OPEN_STAY_ELSEWHERE")
    if transition.in_ed and transition.status != "closed":
        flags.add("READMISSION_RISK_IN_ED")
    if transition.discharge.anchor.backfill:
        flags.add("FROM_BACKFILL")
    published: dict[str, Any] = {
        "transition_id": transition.id,
        "patient": view.patient,
        "subject": transition.stay.subject,
        "status": transition.status,
        "close_reason": transition.close_reason,
        "facility": transition.stay.facility,
        "visit_number": transition.discharge.visit,
        "index_discharge_at": written(transition.at),
        "ended_at": None if transition.ended_at is None else written(transition.ended_at),
        "disposition": transition.discharge.disposition,
        "flags": sorted(flags),
        "tcm_period_ends_at": written(
            end_of_day(transition.at, policy.tcm_period_days, transition.zone)
        ),
        "readmission_window_ends_at": written(transition.day30_end),
        "hrrp_index": _hrrp_index(transition),
        "tcm_candidate_codes": tcm_codes(transition, found),
        "navigation_difficulty": sum(slot.status == "no_show" for slot in found.slots),
        "medrec_evidence_at": (
            None if found.reconciled_at is None else written(found.reconciled_at)
        ),
        "accountable_owner": None,
        "protocol": disposition.protocol or None,
        "policy_version": policy.version,
        "caused_by": list(transition.discharge.events[:1]),
    }
    return Wanted(transition.id, published, lambda: _transition_sentence(transition))


def _hrrp_index(transition: Transition) -> bool:
    """Source: CMS HRRP: discharged alive from inpatient acute care, not AMA, not transferred."""
    return (
        transition.stay.cls == "INPATIENT"
        and transition.facility.type in transition.policy.acute_types
        and "AMA" not in transition.disposition.flags
        and transition.disposition.arrival != "acute"
        and transition.disposition.close_reason != "EXPIRED"
        and transition.close_reason
        not in ("TRANSFERRED", "DISCHARGE_CANCELLED", "ADMIT_CANCELLED", "WRONG_PATIENT")
    )


def _lead(transition: Transition) -> str:
    return why.discharged(
        transition.stay.facility, transition.at, transition.zone, transition.disposition
    )


def _transition_sentence(transition: Transition) -> str:
    if transition.status == "closed" and transition.close_reason not in ("COMPLETED", "WINDOW_ENDED"):
        return why.withdrawn(
            transition.close_reason or "", transition.ended_by, transition.ended_at, transition.zone
        )
    if transition.status == "closed":
        return why.clipped(f"{_lead(transition)}; the window has ended.")
    return why.clipped(f"{_lead(transition)}.")


def _task_sentence(duty: Any, transition: Transition) -> str:
    if duty.status == "completed":
        if duty.evidence == "arrival":
            return f"Done: arrived on {spoken(duty.ended_at, transition.zone)}."
        if duty.evidence == "slot":
            return "Done: a new visit is booked."
        late = duty.ended_at is not None and duty.ended_at >= duty.due_at
        return f"Done on {spoken(duty.ended_at, transition.zone)}{', late' if late else ''}."
    if duty.terminal:
        return why.withdrawn(
            duty.reason or "", transition.ended_by, duty.ended_at, transition.zone
        )
    if duty.kind == "RESCHEDULE":
        return "A primary-care visit was not kept; a new one must be booked."
    return why.owed(duty.kind, _lead(transition))


def _stay_gaps(view: View, rules: Rules, horizon: Horizon) -> list[Wanted]:
    found: list[Wanted] = []
    policy = rules.newest
    open_now = []
    for stay in view.stays:
        if stay.planned:
            continue
        scope = Scope(
            view, policy, stay.facility, None, stay_scope(stay.subject, stay.facility, stay.visit), stay.subject
        )
        if stay.cancelled is None and stay.discharge is None:
            until = open_until(stay, policy, horizon)
            if until is not None:
                scope.add(
                    "STALE_STAY",
                    until,
                    lambda stay=stay: f"{stay.facility} has sent no news of this stay for long.",  # type: ignore[misc]
                    subject=stay.visit,
                    evidence={"class": stay.cls, "last_update": written(stay.last_update)},
                )
            elif stay.cls in ("INPATIENT", "OBSERVATION"):
                open_now.append(stay)
        _admit_late(scope, stay, rules)
        found += scope.found
    for index, later in enumerate(open_now[1:], start=1):
        earlier = open_now[index - 1]
        if earlier.visit == later.visit and earlier.facility == later.facility:
            continue
        scope = Scope(
            view, policy, later.facility, None, stay_scope(later.subject, later.facility, later.visit), later.subject
        )
        scope.add(
            "OVERLAPPING_STAYS",
            later.start,
            lambda a=earlier, b=later: f"{a.facility} and {b.facility} both report an open stay.",  # type: ignore[misc]
            subject=later.visit,
            evidence={"facilities": [earlier.facility, later.facility]},
        )
        found += scope.found
    for facility, visit, stamp in view.orphans:
        waits_until = stamp.receipt + policy.orphan_cancel
        if horizon.reached(waits_until):
            scope = Scope(view, policy, facility, None, stay_scope("", facility, visit), "")
            scope.add(
                "ORPHAN_CANCEL",
                stamp.time,
                lambda facility=facility: f"{facility} cancelled something that nobody has reported.",  # type: ignore[misc]
                caused_by=(stamp.event,),
            )
            found += [gap for gap in scope.found if gap.id not in {known.id for known in found}]
    return found


def stay_scope(subject: str, facility: str, visit: str) -> str:
    """The scope of a stay's gaps; two patients may share a visit number by mistake."""
    return f"stay:{facility}|{visit}|{subject}"


def _admit_late(scope: Scope, stay: Any, rules: Rules) -> None:
    if stay.admit is None or stay.admit_at is None or stay.cancelled is not None:
        return
    if stay.admit.backfill or stay.cls not in ADMISSION_CLASSES:
        return
    late = stay.admit.receipt - stay.admit_at
    policy = scope.policy
    zone = rules.facility(stay.facility, stay.admit_at).zone
    if late <= policy.late_notification or stay.admit.receipt >= end_of_day(
        stay.admit_at, policy.readmission_days, zone
    ):
        return
    scope.add(
        "ADMIT_NOTICE_LATE",
        stay.admit.receipt,
        lambda: f"{stay.facility} told us {late // HOUR} h after the admission.",
        recorded=True,
        evidence={"hours": late // HOUR},
        caused_by=(stay.admit.event,),
    )


def _person_gaps(view: View, rules: Rules) -> list[Wanted]:
    if not view.parked:
        return []
    scope = Scope(view, rules.newest, "", None, f"patient:{view.patient}", view.patient)
    newest = max(view.parked.values())
    events = sorted(view.parked, key=lambda event: view.parked[event])
    scope.add(
        "EVENT_PARKED",
        min(at for at, _ in view.parked.values()),
        lambda: "A message about this patient could not be used; somebody must look.",
        evidence={"count": len(events), "reason": newest[1]},
        caused_by=tuple(events),
        known=newest[0],
    )
    return scope.found


def _facility_gaps(view: View, rules: Rules, horizon: Horizon) -> list[Wanted]:
    found: list[Wanted] = []
    policy = rules.newest
    for cell in view.facilities:
        scope = Scope(view, policy, cell.facility, None, f"facility:{cell.facility}", "")
        scope.view.acknowledged.update(cell.acknowledged)
        interval = rules.facility(cell.facility, horizon.now).expected_interval
        if cell.heard and interval is not None:
            silent = cell.heard + policy.feed_silent_intervals * interval
            if horizon.reached(silent):
                scope.add(
                    "FEED_SILENT",
                    silent,
                    lambda cell=cell, interval=interval: (  # type: ignore[misc]
                        f"{cell.facility} has sent nothing for long "
                        f"(usually every {interval // 60_000_000} min)."
                    ),
                    subject=cell.facility,
                    evidence={"last_heard": written(cell.heard)},
                )
        for name, at in sorted(cell.unmapped.items()):
            scope.add(
                "DATA_QUALITY",
                at,
                lambda cell=cell, name=name: f"{cell.facility} sends a {name} that is not mapped.",  # type: ignore[misc]
                subject=name,
                evidence={"field": name},
                known=at,
            )
        found += scope.found
    return found
