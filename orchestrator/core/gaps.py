"""The gaps of one transition: what is missing at an instant, and how bad it is.

Only gaps that should be live are returned (open, recorded, suppressed), and those that a person
acknowledged; one that is no longer returned closes, and `reconcile` knows with which reason.
Codes, openings, severities: ``domain/gaps-and-events.md`` and the rulings.
"""

from collections.abc import Callable, Iterable
from datetime import date
from functools import partial

from orchestrator.core import why
from orchestrator.core.calendar import (
    end_of_day,
    local_day,
    local_time,
    nth_business_day,
    spoken,
    spoken_end,
)
from orchestrator.core.horizon import Horizon, Until
from orchestrator.core.instants import HOUR, written
from orchestrator.core.masking import is_masked
from orchestrator.core.scope import Scope
from orchestrator.core.slots import attributed_pcp
from orchestrator.core.tasks import Duties, Duty
from orchestrator.core.transition import Transition
from orchestrator.core.view import View
from orchestrator.core.visit_gaps import visit_gaps
from orchestrator.core.wanted import Wanted


def transition_gaps(
    transition: Transition, found: Duties, view: View, horizon: Horizon
) -> list[Wanted]:
    """All gaps of one transition that should be live."""
    reason = transition.close_reason
    if reason in ("DISCHARGE_CANCELLED", "ADMIT_CANCELLED", "WRONG_PATIENT"):
        return []
    if transition.stillborn:
        return []
    scope = Scope(
        view,
        transition.policy,
        transition.stay.facility,
        transition.id,
        None,
        transition.subject,
        transition.disposition.protocol or "core",
        masked=is_masked(transition.stay, view),
    )
    _facts(scope, transition, found)
    if reason == "MERGED":
        _alerts(scope, transition, found, horizon)
    if transition.status == "closed" and reason != "DECLINED":
        return scope.found
    clock = horizon
    if reason == "DECLINED" and transition.ended_at is not None:
        # What was missing when the patient declined stays on record, suppressed; nothing new opens.
        scope.status = "suppressed"
        clock = Until(horizon, transition.ended_at)
    _overdue(scope, transition, [d for d in found.tasks if not _is_alert(d)], found, clock)
    if transition.disposition.status == "deferred":
        _deferred(scope, transition, clock)
    elif transition.status == "active" or reason == "DECLINED":
        visit_gaps(scope, transition, found, clock)
        _patient(scope, transition, found, view)
    if transition.in_ed:
        stay = next(stay for _, stay, _ in reversed(transition.returns))
        scope.add(
            "READMISSION_RISK_IN_ED",
            stay.start,
            why.says(
                "Back at {where} since {at}, not admitted.",
                transition.zone,
                where=stay.facility,
                at=stay.start,
            ),
            evidence={"visit_number": stay.visit, "facility": stay.facility},
            of=stay,
        )
    # What a clinician must hear of is never suppressed (scenario 21).
    scope.status = "open"
    _alerts(scope, transition, found, horizon)
    return scope.found


def _alerts(scope: Scope, transition: Transition, found: Duties, horizon: Horizon) -> None:
    _overdue(scope, transition, [d for d in found.tasks if _is_alert(d)], found, horizon)
    _red_flag(scope, found)


def _is_alert(duty: Duty) -> bool:
    return duty.kind == "CLINICAL_ESCALATION"


def _facts(scope: Scope, transition: Transition, found: Duties) -> None:
    """Recorded facts, which outlive the transition, and the doubts about its disposition."""
    at, zone, policy = transition.at, transition.zone, transition.policy
    discharge, facility = transition.discharge, transition.stay.facility
    cause = (discharge.anchor.event,)
    late = transition.receipt - at
    if late > policy.late_notification and not discharge.anchor.backfill:
        scope.add(
            "LATE_NOTIFICATION",
            transition.receipt,
            why.says(
                "{who} told us {hours} h after the discharge.", who=facility, hours=late // HOUR
            ),
            recorded=True,
            evidence={"hours": late // HOUR},
            caused_by=cause,
        )
    contact_by = found.tcm_contact_by
    if (
        contact_by is not None
        and found.call is not None
        and found.call.tcm_contact_status == "MISSED"
        and transition.is_ahead(contact_by)
    ):
        feed = transition.receipt >= contact_by
        scope.add(
            "TCM_CONTACT_WINDOW_MISSED",
            contact_by,
            why.says("Nobody was reached by the end of {end}.", zone, end=contact_by),
            recorded=True,
            evidence={
                "cause": "LATE_FEED" if feed else "NO_CONTACT",
                "attempts": len(found.attempts),
            },
            caused_by=cause,
        )
    for code, stay, since in transition.returns:
        scope.add(
            code,
            since,
            why.says("Came back to {where} on {at}.", zone, where=stay.facility, at=since),
            subject=stay.visits[0],  # the number it came under, whatever it became
            recorded=True,
            evidence={
                "hours": (since - at) // HOUR,
                "facility": stay.facility,
                "same_facility": stay.facility == facility,
            },
            of=stay,
        )
    if transition.readmission is not None and not transition.readmission[2]:
        stay, since, _ = transition.readmission
        scope.add(
            "READMISSION_30D",
            since,
            why.says("Admitted again at {where} on {at}.", zone, where=stay.facility, at=since),
            subject=stay.visit,
            recorded=True,
            evidence={
                "hours": (since - at) // HOUR,
                "planned": False,
                "facility": stay.facility,
                "same_facility": stay.facility == facility,
            },
            of=stay,
        )
    if transition.transferred_to is not None and transition.disposition.says_home:
        other = transition.transferred_to
        scope.add(
            "DISPOSITION_CONFLICT",
            other.start,
            why.says(
                "{who} said home; {other} admitted on {at}.",
                zone,
                who=facility,
                other=other.facility,
                at=other.start,
            ),
            evidence={"disposition": discharge.disposition, "facility": other.facility},
            caused_by=cause,
            of=other,
        )


def _overdue(
    scope: Scope,
    transition: Transition,
    tasks: Iterable[Duty],
    found: Duties,
    horizon: Horizon,
) -> None:
    for duty in tasks:
        if not duty.overdue:
            continue
        subject = f"{duty.kind}:{duty.cause}" if duty.cause else duty.kind
        scope.add(
            "TASK_OVERDUE",
            duty.due_at,
            partial(_overdue_sentence, duty, transition),
            subject=subject,
            severity=_overdue_severity(duty, transition, found, horizon),
            evidence={
                "kind": duty.kind,
                "task_id": duty.id,
                "due_at": written(duty.due_at),
                "attribution": duty.attribution,
            },
            caused_by=duty.caused_by,
        )


def _overdue_severity(
    duty: Duty, transition: Transition, found: Duties, horizon: Horizon
) -> str | None:
    """``low`` once the attempts are documented; ``info`` while nobody is there to act."""
    if duty is found.call and duty.tcm_contact_status == "ATTEMPTS_MET":
        return transition.policy.gaps["TASK_OVERDUE"].otherwise
    return weekend_severity(duty, transition, horizon)


def _overdue_sentence(duty: Duty, transition: Transition) -> str:
    what = why.obligation(duty.kind, duty.rule.due.length)
    elapsed = duty.rule.due.clock == "elapsed"
    since = (
        spoken(duty.due_at, transition.zone)
        if elapsed
        else (f"the end of {spoken_end(duty.due_at, transition.zone)}")
    )
    return why.clipped(f"Overdue since {since}: {what}.")


def _patient(scope: Scope, transition: Transition, found: Duties, view: View) -> None:
    at, facility = transition.at, transition.stay.facility
    cause = (transition.discharge.anchor.event,)
    if not transition.disposition.known:
        scope.add(
            "DISPOSITION_UNKNOWN",
            at,
            why.says("{who} did not say where the patient went; taken as home.", who=facility),
            evidence={"disposition": transition.discharge.disposition},
            caused_by=cause,
        )
    if attributed_pcp(view) is None:
        scope.add(
            "NO_PCP_ON_FILE",
            at,
            why.says("No primary-care provider is on file."),
            caused_by=cause,
        )
    _unreachable(scope, transition, found, view)


def _red_flag(scope: Scope, found: Duties) -> None:
    """Ruling 23: until a clinician has called."""
    if found.work is None or not found.work.red_flags:
        return
    alert = next((duty for duty in reversed(found.tasks) if _is_alert(duty)), None)
    if alert is not None and alert.terminal:
        return
    flag = found.work.red_flags[0]
    if alert is not None:
        flag = next(one for one in found.work.red_flags if one.stamp.event == alert.cause)
    scope.add(
        "CLINICAL_RED_FLAG",
        flag.stamp.time,
        why.says("An answer in the call asks for a clinician within the hour."),
        caused_by=(flag.stamp.event,),
        known=found.work.red_flags[-1].stamp.receipt,
    )


_UNREACHED = {
    "wrong number": "The telephone number on file is wrong; nobody was reached.",
    "tried": "Tried {count} times without reaching anybody.",
}


def _unreachable(scope: Scope, transition: Transition, found: Duties, view: View) -> None:
    """Three counted attempts on two days without contact, or a wrong number."""
    if found.call is None or found.call.terminal or not found.work or not found.work.attempts:
        return
    policy = transition.policy
    reached = [
        command.stamp.time
        for command in found.work.attempts
        if command.reached in policy.reached_contact
    ]
    attempts = [
        attempt
        for attempt in found.attempts
        if attempt.reached not in policy.reached_contact
        and attempt.stamp.time > max(reached, default=0)
    ]
    # A wrong number says it at once, also where the attempt comes too soon to count.
    wrong = [
        command.stamp.time
        for command in found.work.attempts
        if command.reached == "wrong-number"
        and command.stamp.time >= max([transition.at, *reached])
    ]
    ends = list(wrong)
    days: set[int] = set()
    for count, attempt in enumerate(attempts, start=1):
        days.add(local_day(attempt.stamp.time, transition.zone))
        if count >= policy.unreachable_attempts and len(days) >= policy.unreachable_days:
            ends.append(attempt.stamp.time)
            break
    since = min(ends, default=None)
    phones = view.register("phones")
    if since is None or (phones is not None and phones.value and phones.stamp.time > since):
        return
    scope.add(
        "UNREACHABLE",
        since,
        why.says(_UNREACHED["wrong number" if wrong else "tried"], count=len(attempts)),
        evidence={"attempts": len(attempts), "wrong_number": bool(wrong)},
        caused_by=tuple(a.stamp.event for a in attempts),
    )


def _not_arrived(transition: Transition) -> Callable[[], str]:
    away = transition.turned_away
    if away is None or away.ended_at is None:
        words = "No facility has reported an arrival since {at}."
        return why.says(words, transition.zone, at=transition.at)
    words = "The emergency department of {where} let the patient go on {at}; nobody has admitted."
    return why.says(words, transition.zone, where=away.facility, at=away.ended_at)


def _deferred(scope: Scope, transition: Transition, clock: Horizon) -> None:
    """Rulings 10 and 15: whether the next place has reported an arrival."""
    policy, at = transition.policy, transition.at
    cause = (transition.discharge.anchor.event,)
    if not transition.disposition.arrival or transition.arrival is not None:
        return
    silent = at + policy.transfer_not_arrived
    if transition.is_ahead(silent) and clock.reached(silent):
        scope.add(
            "TRANSFER_NOT_ARRIVED",
            silent,
            _not_arrived(transition),
            subject=transition.discharge.visit,
            evidence={"disposition": transition.discharge.disposition},
            caused_by=cause,
        )
    unheard = end_of_day(at, policy.snf_silent_days, transition.zone)
    if transition.disposition.arrival == "facility" and clock.reached(unheard):
        scope.add(
            "SNF_STATUS_UNKNOWN",
            unheard,
            why.says("Nothing was heard from the facility by {end}.", transition.zone, end=unheard),
            caused_by=cause,
        )


def weekend_severity(duty: Duty, transition: Transition, horizon: Horizon) -> str | None:
    """
    Ruling 24: where nobody works at weekends, an overdue gap is only noted until they are back.

    Returns:
        ``info`` until the policy's hour of the next business day, then None.
    """
    facility = transition.facility
    day = local_day(duty.due_at, facility.zone)
    if facility.weekend_staffing or facility.is_business_day(date.fromordinal(day)):
        return None
    back = nth_business_day(day, 1, facility)
    hour = transition.policy.weekend_escalation_hour
    return None if horizon.reached(local_time(back, hour, facility.zone)) else "info"
