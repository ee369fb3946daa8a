"""Transitions: which discharge opened one, what state it is in, and what ended it.

One per discharge happening of a stay whose class opens transitions.  Its end is the earliest of
the things that can end it; all of them are looked for in the whole set of facts, so a cancelled
readmission simply is not there any more.  Rulings 7 to 16, 19 and 40.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import islice
from operator import attrgetter, itemgetter

from orchestrator.core import ids
from orchestrator.core.calendar import day_number, end_of_day
from orchestrator.core.facts import Stamp
from orchestrator.core.horizon import Horizon
from orchestrator.core.policy import Policy, Rules
from orchestrator.core.registers import value_of
from orchestrator.core.stays import Discharge, Stay
from orchestrator.core.transition import Transition, disposition_of, open_until
from orchestrator.core.view import View


def derive(view: View, rules: Rules, horizon: Horizon) -> list[Transition]:
    """All transitions of the patient, in order of their discharge; cancelled ones included."""
    # Most stays of a patient who is often seen are visits to the ED, which open nothing.
    classes = {cls for policy in rules.policies for cls in policy.transition_classes}
    found = [
        transition
        for stay in view.stays
        if stay.cls in classes
        for discharge in (*stay.taken_back, *([stay.discharge] if stay.discharge else []))
        if (transition := _opened(stay, discharge, rules)) is not None
    ]
    found.sort(key=lambda transition: (transition.at, transition.id))
    dead_at = _dead_at(view, rules)
    for position, transition in enumerate(found, start=1):
        _settle(transition, islice(found, position, None), view, rules, horizon, dead_at)
    return found


def _opened(stay: Stay, discharge: Discharge, rules: Rules) -> Transition | None:
    policy = rules.policy(discharge.at)
    if stay.cls not in policy.transition_classes:
        return None
    disposition = disposition_of(discharge.disposition, policy)
    if disposition.status in ("none", "interim"):
        return None
    facility = rules.facility(stay.facility, discharge.at)
    anchor = discharge.anchor
    day30_end = end_of_day(discharge.at, policy.readmission_days, facility.zone)
    window_end = end_of_day(discharge.at, disposition.window_days, facility.zone)
    transition = Transition(
        ids.transition_id(
            discharge.subject, stay.facility, discharge.visit, anchor.source, anchor.event
        ),
        stay,
        discharge,
        policy,
        facility,
        disposition,
        discharge.at,
        day30_end,
        window_end,
    )
    transition.stillborn = anchor.receipt >= window_end
    transition.restricted = anchor.backfill or anchor.receipt - discharge.at > policy.late_lane
    return transition


def _dead_at(view: View, rules: Rules) -> int | None:
    """When the patient died, as told by the person's record or by a discharge that says so."""
    known = []
    policy = rules.newest
    died = view.register("died_at")
    if died is not None and died.value is not None:
        known.append(min(int(died.value), died.stamp.receipt))
    for stay in view.stays:
        if stay.discharge is not None and stay.cancelled is None:
            row = disposition_of(stay.discharge.disposition, policy)
            if row.close_reason == "EXPIRED":
                known.append(stay.discharge.at)
    return min(known, default=None)


def _settle(
    transition: Transition,
    later: Iterable[Transition],
    view: View,
    rules: Rules,
    horizon: Horizon,
    dead_at: int | None,
) -> None:
    stay, at = transition.stay, transition.at
    transition.status = "deferred" if transition.disposition.status == "deferred" else "active"
    undone = _undone(transition)
    if undone is not None:
        stamp = undone[1]  # said ahead of its time it takes effect when it is heard
        return _close(transition, undone[0], min(stamp.time, stamp.receipt), stay.facility)
    after = _after(transition, view)
    _find_elsewhere(transition, view, horizon)
    _find_arrival(transition, after, rules)
    ends: list[tuple[int, int, str, str]] = []  # instant, rank, reason, told by
    if dead_at is not None:
        ends.append((max(dead_at, at), 0, "EXPIRED", stay.facility))
    readmission = _first_inpatient(transition, after, view, rules)
    if readmission is not None:
        ends.append((readmission[0], 1, readmission[1], readmission[2].facility))
    soft = _soft_end(transition, view, horizon)
    over_at = min([end[0] for end in ends] + ([] if soft is None else [soft[0]]), default=None)
    superseded = _superseded(transition, later, rules, view, over_at)
    if superseded is not None:
        ends.append(superseded)
    hard = min(ends, default=None)
    if soft is not None and hard is not None and (soft[0], 1) <= hard[:2]:
        # Already over: only a readmission still renames it (ruling 12).
        hard = hard if hard[2] in ("READMITTED", soft[1]) else None
    if hard is not None and readmission is not None and hard[2] == readmission[1]:
        _readmitted(transition, *readmission)
    _find_returns(transition, after, transition.transferred_to, hard, horizon)
    if hard is not None:
        _close(transition, hard[2], hard[0], hard[3])
        if soft is not None and soft[0] <= hard[0]:
            transition.stopped_at, transition.stop_reason = soft
        return None
    if soft is not None:
        return _close(transition, soft[1], soft[0], stay.facility)
    if transition.elsewhere:
        transition.status = "deferred"
    return None


def _undone(transition: Transition) -> tuple[str, Stamp] | None:
    """What took the discharge back, as if it had never been."""
    stay, discharge = transition.stay, transition.discharge
    if stay.moved and stay.cancelled is not None:
        return "WRONG_PATIENT", stay.cancelled
    if discharge.cancelled is not None:
        return "DISCHARGE_CANCELLED", discharge.cancelled
    return None if stay.cancelled is None else ("ADMIT_CANCELLED", stay.cancelled)


def _close(transition: Transition, reason: str, instant: int, told_by: str) -> None:
    transition.status = "closed"
    transition.close_reason = reason
    transition.ended_at = transition.stopped_at = instant
    transition.ended_by = told_by
    if reason not in ("EXPIRED", "HOSPICE", "READMITTED"):
        transition.in_ed = False


def _after(transition: Transition, view: View) -> list[Stay]:
    """The stays that may end this transition: those that begin, or change class, in its windows."""
    stays, begins = view.stays, attrgetter("start")
    first = bisect_left(stays, transition.at, key=begins)
    last = bisect_left(stays, max(transition.window_end, transition.day30_end), key=begins)
    changed = (stay for stay in islice(stays, first) if len(stay.classes) > 1)
    return [s for s in (*changed, *stays[first:last]) if _begins_after(s, transition)]


def _begins_after(stay: Stay, transition: Transition) -> bool:
    return (
        stay is not transition.stay
        and stay.admitted_at is not None  # a discharge without any admission is no arrival
        and stay.cancelled is None
        and not stay.planned
        and (stay.start >= transition.at or stay.class_since("INPATIENT") not in (None, stay.start))
    )


def _find_elsewhere(transition: Transition, view: View, horizon: Horizon) -> None:
    """Ruling 15: another stay open at another facility at the discharge."""
    for stay in view.stays:
        if stay.start >= transition.at:
            return
        if (
            stay is transition.stay
            or stay.facility == transition.stay.facility
            or stay.cancelled is not None
            or stay.planned
            or stay.cls not in transition.policy.stay_elsewhere_classes
        ):
            continue
        since = stay.class_since(stay.cls)
        until = open_until(stay, transition.policy, horizon)
        stale = until is not None and stay.discharge is None
        open_then = (until is None or until > transition.at) and not stale
        if open_then and since is not None and since < transition.at:
            transition.elsewhere.append(stay)


def _find_arrival(transition: Transition, after: Sequence[Stay], rules: Rules) -> None:
    expected = transition.disposition.arrival
    if not expected:
        return
    # Clocks differ: the next place may have admitted before the discharge.  A nursing home that has
    # kept the bed since before the hospital stay has not.
    places = ("SNF",) if expected == "facility" else ("SNF", "INPATIENT", "OBSERVATION")
    since = transition.stay.start if expected == "facility" else 0
    transition.arrival = next(
        (stay for stay in transition.elsewhere if stay.cls in places and stay.start >= since), None
    )
    if transition.arrival is not None:
        return
    for stay in after:
        own = stay.facility == transition.stay.facility
        # A hospital's own nursing unit is a place to arrive at; its ward is a readmission.
        if stay.cls in ("OUTPATIENT", "RECURRING") or (own and stay.cls != "SNF"):
            continue
        if not transition.at <= stay.start < transition.window_end:
            continue
        if stay.cls == "EMERGENCY" and stay.discharge is not None:
            transition.turned_away = stay  # nobody took the patient in
            continue
        if expected == "acute" or _is_care_facility(stay, transition.policy, rules):
            transition.arrival = stay
            return


def _is_expected(transition: Transition, stay: Stay, rules: Rules) -> bool:
    """Whether this is the kind of place the patient was sent to, although no admission told so."""
    if stay.facility == transition.stay.facility:
        return False
    if transition.disposition.arrival == "acute":
        return rules.facility(stay.facility, stay.start).type in transition.policy.acute_types
    return transition.disposition.arrival == "facility" and _is_care_facility(
        stay, transition.policy, rules
    )


def _is_care_facility(stay: Stay, policy: Policy, rules: Rules) -> bool:
    """A nursing, rehabilitation, long-term or psychiatric facility, by its file or by the class."""
    return (
        stay.cls == "SNF" or rules.facility(stay.facility, stay.start).type in policy.facility_types
    )


def _first_inpatient(
    transition: Transition, after: Sequence[Stay], view: View, rules: Rules
) -> tuple[int, str, Stay] | None:
    """Rulings 10, 12, 13: the first admission to a bed after the discharge, and what it is."""
    candidates: list[tuple[int, str, bool, Stay]] = []
    own = transition.stay.facility
    for stay in after:
        if candidates and stay.start > candidates[0][0]:
            break  # nothing that begins later was an inpatient earlier
        # Sent to another hospital, the patient arrives wherever a bed is taken (ruling 10).
        arrives = transition.disposition.arrival == "acute" and (
            stay.cls == "SNF" or (stay.cls == "INPATIENT" and stay.facility != own)
        )
        if stay.cls != "INPATIENT" and not arrives:
            continue
        since = stay.class_since(stay.cls)
        if since is None or since < transition.at or since >= transition.day30_end:
            continue
        kind = rules.facility(stay.facility, since).type
        elsewhere = stay.facility != own
        if transition.disposition.arrival == "facility" and elsewhere:
            if kind in transition.policy.facility_types:
                continue
        elif kind not in transition.policy.hospital_types and not arrives:
            continue
        in_time = day_number(stay.start, transition.at, transition.zone) <= 1
        transfer = arrives or (elsewhere and kind in transition.policy.acute_types and in_time)
        candidates.append((since, stay.visit, transfer, stay))
    if not candidates:
        return None
    since, _, transfer, stay = min(candidates, key=itemgetter(0, 1))
    if transfer:
        return since, "TRANSFERRED", stay
    planned = _planned(transition, stay, since, view)
    return since, "PLANNED_READMISSION" if planned else "READMITTED", stay


def _planned(transition: Transition, stay: Stay, since: int, view: View) -> bool:
    policy = transition.policy
    zone = transition.zone
    announced = named = False
    for other in view.announced:
        expected = value_of(other.said, "expected_at")
        if other.facility != stay.facility or expected is None or other.cancelled is not None:
            continue
        if abs(day_number(int(expected), since, zone)) <= policy.planned_within_days:
            announced = True
        if other.visit == stay.visit:
            named = True
    if not (transition.disposition.planned or announced):
        return False
    admit_type = value_of(stay.said, "admit_type")
    if admit_type is None:
        return named
    return admit_type in policy.elective_admit_types


def _readmitted(transition: Transition, instant: int, reason: str, stay: Stay) -> None:
    if reason == "TRANSFERRED":
        transition.transferred_to = stay
    else:
        transition.readmission = (stay, instant, reason == "PLANNED_READMISSION")


def _superseded(
    transition: Transition,
    later: Iterable[Transition],
    rules: Rules,
    view: View,
    over_at: int | None,
) -> tuple[int, int, str, str] | None:
    """A later discharge that opened a transition of its own."""
    for other in later:
        if other.discharge.cancelled is not None or other.stay.cancelled is not None:
            continue
        arrived = (
            other.stay is transition.arrival
            or any(other.stay is stay for stay in transition.elsewhere)
            or _is_expected(transition, other.stay, rules)
        )
        sent_on = other.disposition.status == "deferred"
        if arrived and sent_on and transition.disposition.arrival != "acute":
            continue  # not home yet (rulings 10 and 15): back in hospital is a readmission
        if arrived:
            reason = "TRANSFERRED"
        elif other.subject == transition.subject or _came_back(transition, other):
            reason = "SUPERSEDED"
        else:
            # Nothing but the joining of two records makes it the later one; and what was over when
            # they were joined stays as it ended (ruling 17 speaks of active ones).
            heard = view.joined_at(transition.subject, other.subject)
            if over_at is not None and over_at <= heard:
                return None
            reason = "MERGED"
        return (other.at, 2, reason, other.stay.facility)
    return None


def _came_back(transition: Transition, other: Transition) -> bool:
    """Whether the other discharge ends a stay that began after this one (ruling 14)."""
    return other.stay.admitted_at is not None and other.stay.start >= transition.at


def _soft_end(transition: Transition, view: View, horizon: Horizon) -> tuple[int, str] | None:
    if transition.disposition.status == "closed":
        return transition.at, transition.disposition.close_reason
    wish = view.wish(transition.at, transition.window_end)
    if wish is not None and wish[0] == "decline-all":
        return wish[1], "DECLINED"
    if transition.stillborn or horizon.reached(transition.window_end):
        return transition.window_end, "WINDOW_ENDED"
    return None


def _find_returns(
    transition: Transition,
    after: Sequence[Stay],
    moved: Stay | None,
    hard: tuple[int, int, str, str] | None,
    horizon: Horizon,
) -> None:
    """Ruling 14: returns to the ED and to observation while the transition runs."""
    for stay in after:
        if stay is transition.arrival or stay.start < transition.at:
            continue
        for cls, code in (("EMERGENCY", "RETURN_ED"), ("OBSERVATION", "RETURN_OBS")):
            since = stay.class_since(cls)
            if since is None or not transition.at <= since < transition.day30_end:
                continue
            if stay is moved or (hard is not None and hard[0] < since):
                continue
            transition.returns.append((code, stay, since))
            if stay.cls == cls and open_until(stay, transition.policy, horizon) is None:
                transition.in_ed |= not horizon.reached(transition.day30_end)
