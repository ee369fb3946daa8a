"""The plan: every transition, task and gap that should stand for one patient at an instant.

``plan(view, rules, now)`` is a pure function.  It never reads what was published, holds no value
that varies continuously, and says at which first instant after *now* its answer can differ.
"""

from functools import partial
from typing import Any

from orchestrator.core.calendar import end_of_day
from orchestrator.core.gaps import transition_gaps
from orchestrator.core.horizon import Horizon
from orchestrator.core.instants import written
from orchestrator.core.masking import is_masked
from orchestrator.core.policy import Rules
from orchestrator.core.sentences import task_sentence, transition_sentence
from orchestrator.core.standing_gaps import standing_gaps
from orchestrator.core.task_form import content, tcm_codes
from orchestrator.core.tasks import Duties, duties
from orchestrator.core.transition import Transition
from orchestrator.core.transitions import derive
from orchestrator.core.view import View
from orchestrator.core.wanted import Plan, Wanted


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
    wanted = Plan(visits=view.visits)
    if view.said("test_patient") is True:
        return wanted
    for transition in derive(view, rules, horizon):
        found = duties(transition, view, horizon)
        wanted.gaps += transition_gaps(transition, found, view, horizon)
        wanted.transitions.append(_transition(transition, found, view))
        if transition.discharge.others:
            wanted.doubled |= frozenset(transition.doubles())
        chart_only = found.declined_at is not None and transition.status != "closed"
        for duty in found.tasks:
            wanted.tasks.append(
                Wanted(
                    duty.id,
                    content(duty, transition, view, chart_only),
                    partial(task_sentence, duty, transition),
                    transition.subject,
                )
            )
    wanted.gaps += standing_gaps(view, rules, horizon)
    wanted.wake = horizon.wake
    return wanted


def _transition(transition: Transition, found: Duties, view: View) -> Wanted:
    disposition, policy = transition.disposition, transition.policy
    flags = set(disposition.flags)
    if disposition.planned:
        flags.add("PLANNED_READMISSION_EXPECTED")
    if transition.elsewhere:
        flags.add("OPEN_STAY_ELSEWHERE")
    if transition.in_ed and transition.status != "closed":
        flags.add("READMISSION_RISK_IN_ED")
    if transition.discharge.anchor.backfill:
        flags.add("FROM_BACKFILL")
    published: dict[str, Any] = {
        "transition_id": transition.id,
        "patient": view.patient,
        "patient_key": view.key,
        "subject": transition.subject,
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
        "navigation_difficulty": sum(slot.missed is not None for slot in found.slots),
        "medrec_evidence_at": (
            None if found.reconciled_at is None else written(found.reconciled_at)
        ),
        "accountable_owner": None,
        "masked": is_masked(transition.stay, view),
        "protocol": disposition.protocol or None,
        "policy_version": policy.version,
        "caused_by": list(transition.discharge.events[:1]),
    }
    sentence = partial(transition_sentence, transition)
    return Wanted(transition.id, published, sentence, transition.subject)


def _hrrp_index(transition: Transition) -> bool:
    """Source: CMS HRRP: discharged alive from inpatient acute care, not AMA, not transferred."""
    return (
        transition.stay.cls == "INPATIENT"
        and transition.facility.type in transition.policy.acute_types
        and "AMA" not in transition.disposition.flags
        and transition.disposition.arrival != "acute"
        and transition.disposition.close_reason != "EXPIRED"
        and transition.close_reason
        not in ("DISCHARGE_CANCELLED", "ADMIT_CANCELLED", "WRONG_PATIENT")
        and (transition.close_reason != "TRANSFERRED" or _through_care_facility(transition))
    )


def _through_care_facility(transition: Transition) -> bool:
    """A nursing facility between takes the index from nobody; another hospital does."""
    return transition.disposition.arrival == "facility" and transition.transferred_to is None
