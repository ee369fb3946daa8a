"""The rules as data: what a policy file says, in the form that the plan reads.

Every number and table of the care rules is here and nowhere in code; the built-in policy is
``schemas/policies/P0.yaml``.  Lengths are microseconds.  Old versions stay, since a transition
keeps the policy that was in force at its discharge.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from orchestrator.core.calendar import Facility, end_of_business_day, end_of_day


@dataclass(frozen=True, slots=True)
class Due:
    """When something falls due, counted from an instant."""

    clock: Literal["elapsed", "calendar", "business"]
    length: int  # microseconds (elapsed) or days

    def after(self, instant: int, facility: Facility) -> int:
        """The first instant that is too late."""
        if self.clock == "elapsed":
            return instant + self.length
        if self.clock == "calendar":
            return end_of_day(instant, self.length, facility.zone)
        return end_of_business_day(instant, self.length, facility)


@dataclass(frozen=True, slots=True)
class Disposition:
    """What a discharge disposition means for the transition (ruling 10)."""

    code: str  # NUBC, two digits; empty for blank or unmapped
    status: Literal["active", "deferred", "closed", "none", "interim"]
    protocol: str = ""
    close_reason: str = ""  # of one published born closed
    arrival: Literal["", "acute", "facility"] = ""  # whose admission message is expected
    window_days: int = 30
    says_home: bool = False
    planned: bool = False
    known: bool = True
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TaskRule:
    """One obligation: row of the protocol table."""

    kind: str
    team: str
    rule: str
    due: Due
    priority: str = "routine"
    outreach: bool = False  # a patient who declines calls ends it
    completed_by: frozenset[str] = frozenset()  # roles; empty: any


@dataclass(frozen=True, slots=True)
class GapRule:
    """How a gap code is graded and whom it concerns."""

    severity: str
    team: str
    otherwise: str = ""  # the second severity of the catalogue, where its row names one
    acknowledged: bool = False  # a person may close it


@dataclass(frozen=True, slots=True)
class Policy:
    """One version of the rules."""

    version: str
    effective_from: int
    dispositions: Mapping[str, Disposition]
    unknown_disposition: Disposition
    protocols: Mapping[str, tuple[TaskRule, ...]]  # by name, the obligations of a transition
    tasks: Mapping[str, TaskRule]  # by kind; also what is not owed by the discharge itself
    gaps: Mapping[str, GapRule]
    teams: frozenset[str]  # whom a task can be passed on to, beside a person
    transition_classes: frozenset[str]
    stay_elsewhere_classes: frozenset[str]
    hospital_types: frozenset[str]
    acute_types: frozenset[str]
    facility_types: frozenset[str]
    pcp_specialties: frozenset[str]
    visit_modalities: frozenset[str]
    elective_admit_types: frozenset[str]
    red_flag_symptoms: frozenset[str]
    script_answers: tuple[str, ...]
    reached_contact: frozenset[str]
    tcm_contact: Due
    tcm_period_days: int
    tcm_visit_days: tuple[int, int]  # 99496, 99495
    readmission_days: int
    no_pcp_after: int
    late_notification: int
    late_lane: int
    transfer_not_arrived: int
    snf_silent_days: int
    stale: Mapping[str, int]  # by class
    orphan_cancel: int
    command_wait: int
    appointment_silent: int
    attempt_spacing: int
    attempts_for_tcm: int
    attempt_days_for_tcm: int
    unreachable_attempts: int
    unreachable_days: int
    planned_within_days: int
    feed_silent_intervals: int
    weekend_escalation_hour: int
    seal_after_days: int


@dataclass(frozen=True, slots=True)
class Rules:
    """Policies by the instant from which each holds, and the facilities by id and instant."""

    policies: tuple[Policy, ...]  # ascending by effective_from, at least one
    facility: Callable[[str, int], Facility]

    def policy(self, instant: int) -> Policy:
        """The version in force at *instant*; the oldest one before all of them."""
        if len(self.policies) == 1:
            return self.policies[0]
        index = bisect_right(self.policies, instant, key=lambda policy: policy.effective_from)
        return self.policies[max(index - 1, 0)]

    @property
    def newest(self) -> Policy:
        """For what belongs to no transition: limits of stays, feeds and commands."""
        return self.policies[-1]
