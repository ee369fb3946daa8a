"""Policies and facilities, from the files' form to the core's."""

from datetime import UTC, datetime, timedelta

from orchestrator.core import calendar
from orchestrator.core.instants import read
from orchestrator.core.policy import Disposition, Due, GapRule, Policy, Rules, TaskRule
from schemas import policy as files
from schemas.facilities import Facilities, Facility

_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def rules(policies: tuple[files.Policy, ...], facilities: Facilities) -> Rules:
    """The rules that the core reads."""
    known: dict[tuple[str, int], calendar.Facility] = {}

    def facility(name: str, at: int) -> calendar.Facility:
        if not facilities.versioned(name):
            at = 0
        found = known.get((name, at))
        if found is None:
            moment = _EPOCH + timedelta(microseconds=at)
            found = _facility(name, facilities.get(name, moment if at else None))
            if len(known) < 10_000:  # senders choose the names; memory must not follow them
                known[name, at] = found
        return found

    return Rules(tuple(_policy(one) for one in policies), facility)


def _facility(name: str, said: Facility) -> calendar.Facility:
    interval = said.expected_interval
    if interval is None:
        every = [feed.expected_interval for feed in said.feeds if feed.expected_interval]
        interval = min(every, default=None)
    return calendar.Facility(
        name,
        said.zone,
        said.type,
        said.weekend_staffing,
        said.is_business_day,
        None if interval is None else interval // _MICROSECOND,
    )


def _due(said: files.DuePart) -> Due:
    if said.clock == "elapsed":
        return Due(said.clock, said.length // _MICROSECOND)
    return Due(said.clock, said.length.days)


def _task(said: files.TaskPart) -> TaskRule:
    return TaskRule(
        said.kind,
        said.team,
        said.rule,
        _due(said.due),
        said.priority,
        said.outreach,
        said.completed_by,
    )


def _disposition(code: str, said: files.DispositionPart, *, planned: bool) -> Disposition:
    return Disposition(
        code,
        said.status,
        said.protocol,
        said.close_reason,
        said.arrival,
        said.window_days,
        said.says_home,
        planned,
        known=bool(code),
        flags=said.flags,
    )


def _policy(said: files.Policy) -> Policy:
    protocols = {name: tuple(_task(row) for row in rows) for name, rows in said.protocols.items()}
    by_kind = {row.kind: row for rows in reversed(protocols.values()) for row in rows}
    by_kind |= {row.kind: _task(row) for row in said.caused_tasks}
    calls, visits, late = said.calls, said.visits, said.lateness
    return Policy(
        version=said.version,
        effective_from=read(said.effective_from.isoformat()),
        dispositions={
            code: _disposition(code, row, planned=code in said.planned_dispositions)
            for row in said.dispositions
            for code in row.codes
        },
        unknown_disposition=_disposition("", said.unknown_disposition, planned=False),
        protocols=protocols,
        tasks=by_kind,
        gaps={
            code: GapRule(row.severity, row.team, row.otherwise, row.acknowledged)
            for code, row in said.gaps.items()
        },
        teams=said.teams,
        transition_classes=said.transition_classes,
        stay_elsewhere_classes=said.stay_elsewhere_classes,
        hospital_types=said.hospital_types,
        acute_types=said.acute_types,
        facility_types=said.facility_types,
        pcp_specialties=visits.specialties,
        visit_modalities=visits.modalities,
        elective_admit_types=said.elective_admit_types,
        red_flag_symptoms=calls.red_flag_symptoms,
        script_answers=calls.answers,
        reached_contact=calls.reached,
        tcm_contact=_due(calls.tcm_contact),
        tcm_period_days=said.windows.tcm_period_days,
        tcm_visit_days=visits.tcm_days,
        readmission_days=said.windows.readmission_days,
        no_pcp_after=visits.no_appointment_after // _MICROSECOND,
        late_notification=late.notification // _MICROSECOND,
        late_lane=late.lane // _MICROSECOND,
        transfer_not_arrived=late.transfer_not_arrived // _MICROSECOND,
        snf_silent_days=said.windows.snf_silent_days,
        stale={cls: length // _MICROSECOND for cls, length in late.stale.items()},
        orphan_cancel=late.orphan_cancel // _MICROSECOND,
        command_wait=late.command_wait // _MICROSECOND,
        appointment_silent=visits.outcome_silent_after // _MICROSECOND,
        attempt_spacing=calls.attempt_spacing // _MICROSECOND,
        attempts_for_tcm=calls.attempts_for_tcm,
        attempt_days_for_tcm=calls.attempt_days_for_tcm,
        unreachable_attempts=calls.unreachable_attempts,
        unreachable_days=calls.unreachable_days,
        planned_within_days=said.windows.planned_within_days,
        feed_silent_intervals=late.feed_silent_intervals,
        weekend_escalation_hour=said.weekend_escalation_hour,
        seal_after_days=said.seal_after_days,
    )
