"""Which gaps stand at an instant: one small function per row of the catalogue.

Source: gaps-and-events.md (catalogue), rulings 5, 6, 10, 12-16, 22, 24, 26, 29, 40.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from tests.simulation.model.calendar import local_date
from tests.simulation.model.dispositions import normalised
from tests.simulation.model.stays import Stay
from tests.simulation.model.tasks import CALLED, Task, calls_of, is_worth_doing, returns
from tests.simulation.model.transitions import Transition, arrival, is_arriving
from tests.simulation.model.visits import first_kept, missed, slots, without_outcome
from tests.simulation.model.world import World

LATE_AFTER = timedelta(hours=24)
ORPHAN_AFTER = timedelta(hours=72)
IN_A_BED = ("INPATIENT", "OBSERVATION")
IN_HOSPITAL = ("EMERGENCY", "OBSERVATION")


@dataclass(frozen=True)
class Gap:
    """One live gap; *about* is the transition's id, empty for a gap of a stay or a person."""

    code: str
    about: str
    subject: str
    severity: str
    status: str = "open"


def _overdue_severity(task: Task, world: World) -> str:
    facility = task.transition.stay.at_facility
    due_day = local_date(task.due_at, facility.zone)
    if task.tcm_contact_status == "ATTEMPTS_MET":
        return "low"
    unstaffed = not facility.weekend_staffing and not facility.is_business_day(due_day)
    if unstaffed and world.now < facility.morning_of_next_business_day(task.due_at):
        return "info"
    return "high"


def _task_gaps(tasks: list[Task], world: World) -> Iterator[Gap]:
    for task in tasks:
        if task.overdue:
            subject = f"{task.kind}|{task.cause}" if task.cause else task.kind
            severity = _overdue_severity(task, world)
            yield Gap("TASK_OVERDUE", task.transition.id, subject, severity)


def _contact_gaps(transition: Transition, tasks: list[Task], world: World) -> Iterator[Gap]:
    """The CMS window is a fact once it has passed; being unreachable ends with the call."""
    calls = calls_of(transition, world)
    over = transition.over_since
    asked = transition.kind in CALLED and not transition.elsewhere
    lasted = asked and (over is None or over > calls.contact_by)
    missed_it = lasted and calls.status(world.now) == "MISSED"
    if missed_it and is_worth_doing(transition, calls.contact_by):
        yield Gap("TCM_CONTACT_WINDOW_MISSED", transition.id, "", "medium", "recorded")
    open_call = any(t.kind == "CALL_48H" and t.is_live for t in tasks)
    if open_call and calls.unreachable:
        yield Gap("UNREACHABLE", transition.id, "", "medium")


def _visit_gaps(transition: Transition, tasks: list[Task], world: World) -> Iterator[Gap]:
    asked = transition.has_core_tasks and transition.kind != "law"
    if not transition.is_active:
        return
    if world.pcp is None:
        yield Gap("NO_PCP_ON_FILE", transition.id, "", "medium")
    found = slots(world, transition)
    for slot in without_outcome(found, world.now):
        yield Gap("APPT_OUTCOME_UNKNOWN", transition.id, slot.id, "low")
    if not asked:
        return
    for slot in missed(found):
        yield Gap("PCP_NO_SHOW", transition.id, slot.id, "high")
    visit = next((t for t in tasks if t.kind == "PCP_VISIT_7D"), None)
    settled = visit is None or visit.status == "completed"  # not asked for, or reported kept
    if settled or world.now < transition.at + timedelta(hours=24):
        return
    if first_kept(found, transition.window_ends):
        return
    to_come = [s for s in found if s.is_pending]
    if not to_come:
        yield Gap("NO_PCP_APPOINTMENT", transition.id, "", "high")
    elif to_come[0].day > 7:
        severity = "low" if to_come[0].day <= 14 else "medium"
        yield Gap("PCP_APPT_OUT_OF_WINDOW", transition.id, "", severity)


def _return_gaps(transition: Transition, world: World) -> Iterator[Gap]:
    if transition.backfilled and transition.discharge.heard >= transition.closes:
        return  # history, and over before we heard of it
    end = transition.end
    if end and end.reason == "READMITTED" and end.by:
        yield Gap("READMISSION_30D", transition.id, end.by.visit, "info", "recorded")
    for klass, gap_code in (("EMERGENCY", "RETURN_ED"), ("OBSERVATION", "RETURN_OBS")):
        for stay in returns(transition, world, klass):
            yield Gap(gap_code, transition.id, stay.visit, "info", "recorded")
    if end is None and in_hospital_again(transition, world):
        yield Gap("READMISSION_RISK_IN_ED", transition.id, "", "high")


def in_hospital_again(transition: Transition, world: World) -> list[Stay]:
    """Stays in an ED or under observation now, begun since the discharge."""
    back = [s for klass in IN_HOSPITAL for s in returns(transition, world, klass)]
    return [
        s
        for s in back
        if s.klass in IN_HOSPITAL and s.is_open_at(world.now) and not s.is_stale(world.now)
    ]


def _let_go(stay: Stay, world: World) -> bool:
    """An ED visit that is over without an admission is no arrival."""
    return stay.klass == "EMERGENCY" and not stay.is_open_at(world.now)


def _arrival_gaps(transition: Transition, world: World) -> Iterator[Gap]:
    if transition.status != "deferred" or not transition.waits_for_arrival:
        return
    arrived = arrival(transition, world) is not None or any(
        (is_arriving(transition, s) and s.admitted >= transition.at and not _let_go(s, world))
        or (transition.kind == "transfer" and s in transition.elsewhere)
        for s in world.stays
    )
    expected_by = transition.at + timedelta(hours=24)
    if not arrived and is_worth_doing(transition, expected_by) and world.now >= expected_by:
        visit = transition.discharge.known_by.visit
        yield Gap("TRANSFER_NOT_ARRIVED", transition.id, visit, "high")
    silent = transition.kind == "facility" and not arrived
    if silent and world.now >= transition.window_ends:
        yield Gap("SNF_STATUS_UNKNOWN", transition.id, "", "low")


def _disposition_gaps(transition: Transition) -> Iterator[Gap]:
    if transition.kind == "unknown" and transition.is_active:
        yield Gap("DISPOSITION_UNKNOWN", transition.id, "", "low")
    end = transition.end
    home = ("01", "06", "08", "81", "86")  # home, or with home health: not a nursing facility
    over = transition.discharge.heard >= transition.closes  # before anybody heard of it
    said_home = not over and normalised(transition.discharge.disposition) in home
    if said_home and end and end.reason == "TRANSFERRED" and end.by:
        yield Gap("DISPOSITION_CONFLICT", transition.id, "", "low")


def _late_notification(transition: Transition) -> Iterator[Gap]:
    late = transition.discharge.heard - transition.at > LATE_AFTER
    if late and not transition.backfilled and transition.discharge.stands:
        yield Gap("LATE_NOTIFICATION", transition.id, "", "low", "recorded")


def _stay_gaps(world: World) -> Iterator[Gap]:
    for stay in world.stays:
        late = stay.heard is not None and stay.heard - stay.admitted > LATE_AFTER
        in_a_bed = stay.klass in ("INPATIENT", "OBSERVATION", "EMERGENCY", "SNF", "NEWBORN")
        if late and in_a_bed and not all(e.lane == "backfill" for e in stay.admissions):
            yield Gap("ADMIT_NOTICE_LATE", f"stay {stay.visit}", "", "low", "recorded")
        if stay.is_stale(world.now):
            yield Gap("STALE_STAY", f"stay {stay.visit}", stay.visit, "low")
    occupied = [
        s
        for s in world.stays
        if s.klass in IN_A_BED and s.is_open_at(world.now) and not s.is_stale(world.now)
    ]
    if len({(s.facility, s.visit) for s in occupied}) > 1:
        yield Gap("OVERLAPPING_STAYS", "", "", "low")
    for cancel in world.orphans:
        if world.now >= cancel.received + ORPHAN_AFTER:
            yield Gap("ORPHAN_CANCEL", f"stay {cancel.visit}", "", "low")


def gaps(world: World, found: list[tuple[Transition, list[Task]]]) -> Iterator[Gap]:
    """Every gap that is live at the world's instant."""
    yield from _stay_gaps(world)
    for transition, tasks in found:
        if not transition.discharge.stands:
            continue  # what never happened leaves no facts behind
        yield from _task_gaps(tasks, world)
        yield from _contact_gaps(transition, tasks, world)
        yield from _visit_gaps(transition, tasks, world)
        yield from _return_gaps(transition, world)
        yield from _arrival_gaps(transition, world)
        yield from _disposition_gaps(transition)
        yield from _late_notification(transition)
