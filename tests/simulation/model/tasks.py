"""Which tasks each transition owes at an instant, and how they stand.

Source: contract.md §3, rulings 7, 10, 14, 19-22, 25-29; scenarios 1-9, 12, 13, 19-22.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from tests.simulation.model.calendar import end_of_day_number
from tests.simulation.model.calls import CallRecord, counted_attempts, read_calls
from tests.simulation.model.dispositions import Kind
from tests.simulation.model.facts import Event
from tests.simulation.model.happenings import discharged_at
from tests.simulation.model.stays import Stay
from tests.simulation.model.transitions import HOMEWARD, NS, Transition, arrival, is_arriving
from tests.simulation.model.visits import Slot, booked, first_kept, missed, slots
from tests.simulation.model.world import World

CORE: Final = ("CALL_48H", "PCP_VISIT_7D", "MED_REC")
TEAMS: Final = (
    "nurse-outreach",
    "scheduling",
    "pharmacy",
    "case-management",
    "social-work",
    "restricted",
    "operations",
)
TERMINAL: Final = ("completed", "cancelled", "failed", "entered-in-error")
STATE_ONLY_AFTER = timedelta(hours=168)
VISIT_DAYS = 7
CALLED: Final = ("home", "unknown", "ama")


@dataclass(frozen=True)
class Task:
    """One task as it should stand; only what can be compared with the core's."""

    id: str
    transition: Transition
    kind: str
    cause: str
    due_at: datetime
    status: str
    owner: str | None
    overdue: bool
    born_overdue: bool
    attribution: str | None
    priority: str
    team: str | None = None  # where a reassignment sent it; None: the kind's own team
    attempts: int = 0
    tcm_contact_status: str | None = None
    appointment_id: str | None = None
    flags: frozenset[str] = field(default=frozenset())

    @property
    def is_live(self) -> bool:
        return self.status not in TERMINAL


@dataclass(frozen=True)
class _Due:
    """A due time, and when it was known that there is one."""

    at: datetime
    heard: datetime  # the receipt of what the task is for
    first: datetime  # the due time by the first word of it


def task_id(transition: str, kind: str, cause: str = "") -> str:
    return str(uuid.uuid5(NS, f"task|{transition}|{kind}|{cause}"))


def returns(transition: Transition, world: World, klass: str) -> list[Stay]:
    """Stays that brought the patient back as *klass* while the transition stood."""
    over = transition.end
    if over is not None and over.reason in ("DECLINED", "HOSPICE"):
        over = None  # what happens to the patient is still a fact
    end = min(transition.window_ends, over.at if over else world.now)
    out = []
    for stay in world.stays:
        at = stay.entered(klass)
        if stay is transition.stay or at is None or at <= transition.at:
            continue
        if at <= end and at < transition.window_ends and not _is_arrival(transition, stay):
            out.append(stay)
    return out


def _is_arrival(transition: Transition, stay: Stay) -> bool:
    """By the ED into another hospital's bed: a transfer, so never a return."""
    end = transition.end
    transferred = end is not None and end.reason == "TRANSFERRED" and end.by is stay
    let_go = stay.klass == "EMERGENCY" and stay.ended is not None  # nobody took the patient in
    return transferred or (is_arriving(transition, stay) and not let_go)


def calls_of(transition: Transition, world: World) -> CallRecord:
    return read_calls(transition, world.commands_on(task_id(transition.id, "CALL_48H")))


def declines(transition: Transition, world: World) -> bool:
    """The patient wants no more calls, whoever heard it; the last word counts."""
    wish, said_at = world.preference_since(transition.at, transition.closes)
    declined_at = calls_of(transition, world).declined_at
    if declined_at is None or (said_at is not None and said_at > declined_at):
        return wish != "accept"
    return True


# When a discharge at this time, with this outcome, owes the task; None: not at all.
Rule = Callable[[datetime, Kind], datetime | None]


def is_worth_doing(transition: Transition, due: datetime) -> bool:
    """Neither backfill nor live news more than a week old asks for what is already over."""
    heard = transition.discharge.heard
    if heard < due:
        return True
    return not transition.backfilled and heard - transition.at <= STATE_ONLY_AFTER


def _by_commands(commands: list[Event]) -> tuple[str | None, str | None, str | None]:
    """Status, owner and team as people left them; a status of None leaves it to the facts."""
    status: str | None = None
    owner: str | None = None
    team: str | None = None
    for event in commands:
        match event.type.removeprefix("task."):
            case "accepted":
                status, owner = "accepted", str(event.data["actor"])
            case "released" | "rejected":
                status, owner = None, None
            case "attempted":
                status = "in-progress"
            case "completed":
                status = "completed"
            case "reassigned" if event.data["to"] in TEAMS:
                status, owner, team = None, None, str(event.data["to"])
            case "reassigned":
                status, owner = "accepted", str(event.data["to"])
    return status, owner, team


class _Tasks:
    """The tasks of one transition."""

    def __init__(self, transition: Transition, world: World) -> None:
        self.transition, self.world = transition, world
        self.slots = slots(world, transition)
        self.calls = calls_of(transition, world)
        self.chart_only = declines(transition, world)

    def of_kind(self, kind: str) -> Task | None:
        match kind:
            case "CALL_48H":
                return self.call()
            case "PCP_VISIT_7D":
                return self.pcp_visit()
            case _:
                return self.med_rec()

    def call(self) -> Task | None:

        def rule(at: datetime, leads_to: Kind) -> datetime | None:
            hours = 24 if leads_to == "ama" else 48
            return at + timedelta(hours=hours) if leads_to in CALLED else None

        urgent = self.transition.kind == "ama" or any(
            returns(self.transition, self.world, klass) for klass in ("EMERGENCY", "OBSERVATION")
        )
        status, owner, team = _by_commands(self._commands("CALL_48H"))
        if self.calls.contact is not None:
            status = "completed"
        elif self.chart_only:
            status = "cancelled"
        elif status == "completed":
            status = "in-progress"  # reached nobody, or said too little: one more attempt
        return self._task(
            "CALL_48H",
            self._due(rule),
            status,
            owner,
            team,
            urgent=urgent,
            attempts=len(self.calls.attempts),
            tcm_contact_status=self.calls.status(self.world.now),
        )

    def pcp_visit(self) -> Task | None:
        status, owner, team = _by_commands(self._commands("PCP_VISIT_7D"))
        held = booked(self.slots)
        if first_kept(self.slots, self.transition.window_ends):
            status = "completed"
        elif status in (None, "in-progress") and owner is None and held:
            status = "accepted"
        return self._task(
            "PCP_VISIT_7D",
            self._due(lambda at, leads_to: self._day_7(at) if leads_to in CALLED else None),
            status,
            owner,
            team,
            appointment_id=held[0].id if held else None,
        )

    def med_rec(self) -> Task | None:
        status, owner, team = _by_commands(self._commands("MED_REC"))
        holding = [s for s in self.slots if s.qualifies and s.may_count]
        visit_day = self.transition.end_of_day(holding[0].day if holding else VISIT_DAYS)

        def rule(at: datetime, leads_to: Kind) -> datetime | None:
            return min(self._day_7(at), visit_day) if leads_to in HOMEWARD else None

        return self._task("MED_REC", self._due(rule), status, owner, team)

    def hand_off(self) -> Task | None:
        status, owner, team = _by_commands(self._commands("SNF_HANDOFF"))
        if arrival(self.transition, self.world):
            status = "completed"
        due = self._due(
            lambda at, leads_to: at + timedelta(hours=24) if leads_to == "facility" else None
        )
        return self._task("SNF_HANDOFF", due, status, owner, team)

    def reschedule(self, slot: Slot) -> Task | None:
        facility = self.transition.stay.at_facility
        at = facility.end_of_business_days(slot.said_by.time, 1)
        due = _Due(at, max(slot.said_by.received, self.transition.discharge.heard), at)
        return self._task("RESCHEDULE", due, None, None, None, cause=slot.id)

    def _commands(self, kind: str) -> list[Event]:
        return self.world.commands_on(task_id(self.transition.id, kind))

    def _attempts(self, kind: str) -> int:
        tried = [e for e in self._commands(kind) if e.type == "task.attempted"]
        return len(counted_attempts(self.transition, tried))

    def _day_7(self, at: datetime) -> datetime:
        return end_of_day_number(at, VISIT_DAYS, self.transition.zone)

    def _due(self, rule: Rule) -> _Due:
        at = rule(self.transition.at, self.transition.kind)
        assert at is not None, "a task is only asked for where the rule owes it"
        discharge = self.transition.discharge
        said = min(discharge.statements, key=lambda e: e.received)
        first = rule(discharged_at([said]) or self.transition.at, self.transition.kind)
        return _Due(at, discharge.heard, first or at)

    def _task(
        self,
        kind: str,
        due: _Due,
        status: str | None,
        owner: str | None,
        team: str | None,
        *,
        urgent: bool = False,
        cause: str = "",
        attempts: int | None = None,
        tcm_contact_status: str | None = None,
        appointment_id: str | None = None,
    ) -> Task | None:
        if not is_worth_doing(self.transition, due.at):
            return None
        status = status or "requested"
        born_overdue = due.heard >= max(due.at, due.first)
        overdue = self.world.now >= due.at and status not in TERMINAL
        from_backfill = self.transition.backfilled and not cause  # a cause of its own is its own
        flags = {"FROM_BACKFILL"} if from_backfill else set()
        if self.chart_only and kind == "MED_REC":
            flags.add("CHART_ONLY")
        return Task(
            id=task_id(self.transition.id, kind, cause),
            transition=self.transition,
            kind=kind,
            cause=cause,
            due_at=due.at,
            status=status,
            owner=owner,
            overdue=overdue,
            born_overdue=born_overdue,
            attribution=None,
            priority="urgent" if urgent or born_overdue else "routine",
            team=team,
            attempts=self._attempts(kind) if attempts is None else attempts,
            tcm_contact_status=tcm_contact_status,
            appointment_id=appointment_id,
            flags=frozenset(flags),
        )


def all_core_tasks(transition: Transition, world: World) -> list[Task]:
    """The core tasks the disposition asks for, whatever else has happened since."""
    if not transition.has_core_tasks or transition.discharge.heard >= transition.window_ends:
        return []
    tasks = _Tasks(transition, world)
    kinds: tuple[str, ...] = ("MED_REC",) if transition.kind == "law" else CORE
    return [t for kind in kinds if (t := tasks.of_kind(kind)) is not None]


def tasks_of(transition: Transition, world: World) -> list[Task]:
    """The tasks of a transition that has not ended; of one that has, nothing is live."""
    if transition.status == "closed" or transition.discharge.heard >= transition.closes:
        return []
    tasks = _Tasks(transition, world)
    if transition.status == "deferred":
        found = [tasks.hand_off()] if transition.kind == "facility" else []
    else:
        found = list(all_core_tasks(transition, world))
        if transition.has_core_tasks and transition.kind != "law":
            found += [tasks.reschedule(slot) for slot in missed(tasks.slots)]
    return [t for t in found if t is not None]


def every_core_task_done(transition: Transition, world: World) -> bool:
    kinds = {t.kind for t in all_core_tasks(transition, world) if t.status == "completed"}
    wanted = {"MED_REC"} if transition.kind == "law" else set(CORE)
    return transition.has_core_tasks and kinds >= wanted
