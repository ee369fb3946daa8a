"""The gaps that belong to no transition: of a stay, of a person, of a facility's feed."""

from orchestrator.core import why
from orchestrator.core.calendar import end_of_day
from orchestrator.core.horizon import Horizon
from orchestrator.core.instants import HOUR, MINUTE, written
from orchestrator.core.marks import origin_of
from orchestrator.core.masking import is_masked
from orchestrator.core.policy import Policy, Rules
from orchestrator.core.scope import Scope, stay_scope
from orchestrator.core.stays import Stay
from orchestrator.core.transition import open_until
from orchestrator.core.view import View
from orchestrator.core.wanted import Wanted

# A notice of admission is about beds and the ED (CMS CoP 482.24(d)), not about clinic visits.
ADMISSION_CLASSES = ("INPATIENT", "OBSERVATION", "EMERGENCY", "SNF", "NEWBORN")


def standing_gaps(view: View, rules: Rules, horizon: Horizon) -> list[Wanted]:
    """All of them that should be live."""
    found = _stay_gaps(view, rules, horizon)
    found += _person_gaps(view, rules)
    found += _facility_gaps(view, rules, horizon)
    # A number that was used for two stays has one scope: the later stay speaks for both.
    return list({gap.id: gap for gap in found}.values())


def _stay_gaps(view: View, rules: Rules, horizon: Horizon) -> list[Wanted]:
    found: list[Wanted] = []
    policy = rules.newest
    open_now = []
    for stay in view.stays:
        if stay.planned or stay.cancelled is not None:
            continue
        if stay.discharge is None:
            until = open_until(stay, policy, horizon)
            if until is not None:
                scope = _scope_of(stay, view, policy)
                scope.add(
                    "STALE_STAY",
                    until,
                    why.says("{who} has sent no news of this stay for long.", who=stay.facility),
                    subject=stay.visit,
                    evidence={"class": stay.cls, "last_update": written(stay.last_update)},
                )
                found += scope.found
            elif stay.cls in ("INPATIENT", "OBSERVATION"):
                open_now.append(stay)
        found += _admit_late(stay, view, policy, rules)
        if stay.claimants:
            found += _contested(stay, view, policy)
    for index, later in enumerate(open_now[1:], start=1):
        earlier = open_now[index - 1]
        if earlier.visit == later.visit and earlier.facility == later.facility:
            continue
        scope = _scope_of(later, view, policy)
        words = "{one} and {two} both report an open stay."
        if earlier.facility == later.facility:
            words = "{one} reports two open stays."
        scope.add(
            "OVERLAPPING_STAYS",
            later.start,
            why.says(
                words,
                one=earlier.facility,
                two=later.facility,
            ),
            subject=later.visit,
            evidence={"facilities": [earlier.facility, later.facility]},
            of=earlier,
        )
        found += scope.found
    for subject, facility, visit, stamp in view.orphans:
        waits_until = stamp.receipt + policy.orphan_cancel
        if horizon.reached(waits_until):
            where = stay_scope(subject, facility, visit)
            scope = Scope(view, policy, facility, None, where, subject)
            scope.add(
                "ORPHAN_CANCEL",
                stamp.time,
                why.says("{who} cancelled something that nobody has reported.", who=facility),
                caused_by=(stamp.event,),
            )
            found += [gap for gap in scope.found if gap.id not in {known.id for known in found}]
    return found


def _contested(stay: Stay, view: View, policy: Policy) -> list[Wanted]:
    """The same facility and visit number came under somebody who is not this patient."""
    if stay.claimants <= {origin_of(name) for name in view.names}:
        return []
    scope = _scope_of(stay, view, policy)
    scope.add(
        "IDENTITY_UNRESOLVED",
        stay.start,
        why.says("{who} gave this visit's number to two patients.", who=stay.facility),
        subject=stay.visit,
    )
    return scope.found


def _scope_of(stay: Stay, view: View, policy: Policy) -> Scope:
    return Scope(
        view,
        policy,
        stay.facility,
        None,
        stay_scope(stay.subject, stay.facility, stay.visit),
        stay.subject,
        masked=is_masked(stay, view),
    )


def _admit_late(stay: Stay, view: View, policy: Policy, rules: Rules) -> list[Wanted]:
    if stay.admit is None or stay.admit_at is None:
        return []
    late = stay.admit.receipt - stay.admit_at
    if late <= policy.late_notification:
        return []
    if stay.admit.backfill or stay.cls not in ADMISSION_CLASSES:
        return []
    zone = rules.facility(stay.facility, stay.admit_at).zone
    if stay.admit.receipt >= end_of_day(stay.admit_at, policy.readmission_days, zone):
        return []
    scope = _scope_of(stay, view, policy)
    scope.add(
        "ADMIT_NOTICE_LATE",
        stay.admit.receipt,
        why.says("{who} told us {h} h after the admission.", who=stay.facility, h=late // HOUR),
        recorded=True,
        evidence={"hours": late // HOUR},
        caused_by=(stay.admit.event,),
    )
    return scope.found


def _person_gaps(view: View, rules: Rules) -> list[Wanted]:
    found: list[Wanted] = []
    for subject, parked in view.parked.items():
        scope = Scope(view, rules.newest, "", None, f"patient:{subject}", subject)
        newest = max(parked.values())
        events = sorted(parked, key=lambda event: parked[event])
        scope.add(
            "EVENT_PARKED",
            min(at for at, _ in parked.values()),
            why.says("A message about this patient could not be used; somebody must look."),
            evidence={"count": len(events), "reason": newest[1]},
            caused_by=tuple(name.rpartition("\0")[2] for name in events),
            known=newest[0],
        )
        found += scope.found
    for _, event, at, subject, other in view.group.conflicts if view.group else ():
        if subject not in view.names:
            continue
        scope = Scope(view, rules.newest, "", None, f"patient:{subject}", subject)
        scope.add(
            "MERGE_CONFLICT",
            at,
            why.says("A message about joined records contradicts what is known; look into it."),
            subject=other,
            caused_by=(event,),
        )
        found += scope.found
    return found


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
                    why.says(
                        "{who} has sent nothing for long (usually every {minutes} min).",
                        who=cell.facility,
                        minutes=interval // MINUTE,
                    ),
                    subject=cell.facility,
                    evidence={"last_heard": written(cell.heard)},
                )
        for name, at in sorted(cell.unmapped.items()):
            scope.add(
                "DATA_QUALITY",
                at,
                why.says("{who} sends a {what} that is not mapped.", who=cell.facility, what=name),
                subject=name,
                evidence={"field": name},
                known=at,
            )
        found += scope.found
    return found
