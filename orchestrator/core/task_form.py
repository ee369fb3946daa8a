"""A task in its published form, and the billing codes its evidence allows (``contract.md`` §3)."""

from typing import Any

from orchestrator.core.calendar import local_day
from orchestrator.core.instants import HOUR, duration_written, written
from orchestrator.core.masking import is_masked
from orchestrator.core.tasks import Duties, Duty
from orchestrator.core.transition import Transition
from orchestrator.core.view import View


def content(duty: Duty, transition: Transition, view: View, chart_only: bool) -> dict[str, Any]:
    """The task in its published form, but for what only its history knows."""
    late = transition.receipt - transition.at
    born = duty.born_overdue
    urgent = duty.urgent or born
    flags = [*duty.flags, "CHART_ONLY"] if chart_only and duty.kind == "MED_REC" else duty.flags
    return {
        "task_id": duty.id,
        "patient": view.patient,
        "patient_key": view.key,
        "subject": transition.subject,
        "transition_id": transition.id,
        "facility": transition.stay.facility,
        "visit_number": transition.discharge.visit,
        "kind": duty.kind,
        "cause": duty.cause,
        "status": duty.status,
        "team": duty.team,
        "priority": "urgent" if urgent and duty.rule.priority == "routine" else duty.rule.priority,
        "due_at": written(duty.due_at),
        "zone": transition.zone,
        "tcm_contact_by": None if duty.tcm_contact_by is None else written(duty.tcm_contact_by),
        "owner": duty.owner,
        "status_reason": duty.reason,
        "outcome": duty.outcome,
        "ended_at": None if duty.ended_at is None else written(duty.ended_at),
        "overdue": duty.overdue,
        "born_overdue": born,
        "lateness": duration_written(late) if late >= HOUR else None,
        "attribution": duty.attribution,
        "attempts": duty.attempts,
        "tcm_contact_status": duty.tcm_contact_status,
        "flags": sorted(flags),
        "masked": is_masked(transition.stay, view),
        "appointment_id": duty.appointment,
        "evidence": duty.evidence,
        "protocol": transition.disposition.protocol,
        "rule": duty.rule.rule,
        "policy_version": transition.policy.version,
        "caused_by": list(duty.caused_by),
    }


def tcm_codes(transition: Transition, found: Duties) -> list[str]:
    """
    The CPT codes that the evidence allows; nobody infers the complexity of the decision.

    Source: CPT 99495, 99496; ruling 30.
    """
    call = found.call
    kept = next((slot for slot in found.slots if slot.kept), None)
    if call is None or kept is None or found.reconciled_at is None:
        return []
    if call.tcm_contact_status not in ("MET", "ATTEMPTS_MET"):
        return []
    zone = transition.zone
    if local_day(found.reconciled_at, zone) > local_day(kept.starts_at, zone):
        return []
    high, moderate = transition.policy.tcm_visit_days
    return [code for code, days in (("99496", high), ("99495", moderate)) if kept.day <= days]
