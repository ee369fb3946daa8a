"""Why a task or a transition stands as it does, in one sentence for whoever must act.

Made from its state, so the same change always gives the same sentence; the wording is in `why`.
"""

from orchestrator.core import why
from orchestrator.core.calendar import spoken, spoken_end
from orchestrator.core.instants import HOUR
from orchestrator.core.tasks import Duty
from orchestrator.core.transition import Transition


def _lead(transition: Transition) -> str:
    return why.discharged(
        transition.stay.facility, transition.at, transition.zone, transition.disposition
    )


def transition_sentence(transition: Transition) -> str:
    """Where the follow-up of this discharge stands."""
    if transition.status == "closed" and transition.close_reason not in (
        "COMPLETED",
        "WINDOW_ENDED",
    ):
        return why.withdrawn(
            transition.close_reason or "", transition.ended_by, transition.ended_at, transition.zone
        )
    if transition.status == "closed":
        return why.clipped(f"{_lead(transition)}; the window has ended.")
    return why.clipped(f"{_lead(transition)}.")


def task_sentence(duty: Duty, transition: Transition) -> str:
    """Why this task is there, late, done or gone."""
    if duty.terminal:
        return _ended(duty, transition)
    if duty.overdue:
        return _overdue(duty, transition)
    if duty.kind == "RESCHEDULE":
        return "A primary-care visit was not kept; a new one must be booked."
    if duty.tcm_contact_status == "ATTEMPTS_MET":
        return f"{duty.attempts} attempts on separate days are documented; keep trying."
    if duty.reason == "incomplete":
        return "Somebody was reached, but the script was not finished: it counts as an attempt."
    if duty.status == "in-progress" and not duty.attempts:
        return "Tried, but not in a way that counts: it is still owed."
    if duty.status == "in-progress":
        return f"In progress, {duty.attempts} attempt{'' if duty.attempts == 1 else 's'} so far."
    if duty.kind == "PCP_VISIT_7D" and duty.appointment is not None:
        return "A primary-care visit in time is booked; it is done once the visit was kept."
    if duty.kind == "MED_REC" and duty.due_at < duty.due_at_discharge:
        end = spoken_end(duty.due_at, transition.zone)
        return f"Owed by the end of {end}, the day of the primary-care visit."
    if duty.owner is not None:
        return why.clipped(f"{_lead(transition)}; somebody has taken it.")
    return why.owed(duty.kind, duty.rule.due.length, _lead(transition))


def _ended(duty: Duty, transition: Transition) -> str:
    if duty.status != "completed":
        reason = duty.reason or ""
        if duty.status == "failed":
            end = spoken_end(transition.window_end, transition.zone)
            return f"Not done: the window ended on {end}."
        return why.withdrawn(reason, transition.ended_by, duty.ended_at, transition.zone)
    if duty.evidence == "slot" or duty.ended_at is None:
        return "Done: a new visit is booked."
    when = spoken(duty.ended_at, transition.zone)
    if duty.evidence == "arrival":
        return f"Done: arrived on {when}."
    return f"Done on {when}{', late' if duty.ended_at >= duty.due_at else ''}."


def _overdue(duty: Duty, transition: Transition) -> str:
    elapsed = duty.rule.due.clock == "elapsed"
    due = (
        spoken(duty.due_at, transition.zone)
        if elapsed
        else f"by the end of {spoken_end(duty.due_at, transition.zone)}"
    )
    if duty.born_overdue and transition.receipt >= duty.due_at:
        hours = (transition.receipt - transition.at) // HOUR
        told = f"{transition.stay.facility} told us {hours} h after the discharge"
        return why.clipped(f"Overdue, was due {due}: {told}. It is still worth doing.")
    return why.clipped(f"Overdue, was due {due}. {_lead(transition)}.")
