"""The reference model itself, against the instants that the scenarios work out by hand.

A model that is wrong in the same place as the core proves nothing, so it is held to the numbers
printed in `domain/scenarios.md`, not to the core.
"""

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.simulation.model.calendar import instant, text
from tests.simulation.model.tasks import Task
from tests.simulation.reference import Standing, expected
from tests.simulation.tale import FACILITIES

Event = dict[str, Any]
D = "2026-10-06T18:00:00Z"


class _Feed:
    """Writes events with running ids; each is received when it happens unless said otherwise."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def say(
        self,
        what: str,
        at: str,
        /,
        *,
        facility: str = "GEN",
        received: str | None = None,
        **data: Any,
    ) -> None:
        number = len(self.events) + 1
        self.events.append(
            {
                "id": f"e{number}",
                "source": "test",
                "type": f"care.{what}.v1",
                "time": at,
                "receivedtime": received or at,
                "subject": "GEN|P",
                "facility": facility,
                "data": {"visit_number": "V1"} | data,
            }
        )

    def stay(self, admitted: str, discharged: str, disposition: str | None = "01") -> None:
        self.say("admission.opened", admitted, **{"class": "INPATIENT"})
        self.say("discharge.recorded", discharged, disposition=disposition)

    def at(self, as_of: str | datetime) -> Standing:
        return expected(self.events, FACILITIES, as_of)["GEN|P"]


def _task(standing: Standing, kind: str) -> Task:
    return next(t for t in standing.tasks if t.kind == kind)


def _codes(standing: Standing) -> set[str]:
    return {g.code for g in standing.gaps}


@pytest.mark.parametrize(
    ("facility", "discharged", "call", "contact_by", "visit"),
    [
        ("GEN", D, "2026-10-08T18:00:00Z", "2026-10-09T04:00:00Z", "2026-10-14T04:00:00Z"),
        # 6: Friday evening before Labor Day.
        (
            "GEN",
            "2026-09-04T22:00:00Z",
            "2026-09-06T22:00:00Z",
            "2026-09-10T04:00:00Z",
            "2026-09-12T04:00:00Z",
        ),
        # 6: Thanksgiving; the Friday after counts unless the site says otherwise.
        (
            "GEN",
            "2026-11-25T21:00:00Z",
            "2026-11-27T21:00:00Z",
            "2026-12-01T05:00:00Z",
            "2026-12-03T05:00:00Z",
        ),
        # 6: Saturday 4 July is observed on Friday the 3rd.
        (
            "GEN",
            "2026-07-02T21:00:00Z",
            "2026-07-04T21:00:00Z",
            "2026-07-08T04:00:00Z",
            "2026-07-10T04:00:00Z",
        ),
        # 15a and 15b: the clocks change inside the 48 hours.
        (
            "GEN",
            "2026-10-31T14:00:00Z",
            "2026-11-02T14:00:00Z",
            "2026-11-04T05:00:00Z",
            "2026-11-08T05:00:00Z",
        ),
        (
            "GEN",
            "2027-03-12T20:00:00Z",
            "2027-03-14T20:00:00Z",
            "2027-03-17T04:00:00Z",
            "2027-03-20T04:00:00Z",
        ),
        # 16: Chicago's days.
        (
            "MID",
            "2026-10-08T20:00:00Z",
            "2026-10-10T20:00:00Z",
            "2026-10-14T05:00:00Z",
            "2026-10-16T05:00:00Z",
        ),
    ],
)
def test_due_times_are_those_of_the_scenarios(
    facility: str, discharged: str, call: str, contact_by: str, visit: str
) -> None:
    """48 hours are elapsed, days are the facility's, business days skip its holidays."""
    feed = _Feed()
    feed.say("discharge.recorded", discharged, facility=facility, disposition="01")
    now = feed.at(discharged)
    assert text(_task(now, "CALL_48H").due_at) == call
    assert text(_task(now, "PCP_VISIT_7D").due_at) == visit
    before = feed.at(instant(contact_by) - timedelta(seconds=1))
    assert "TCM_CONTACT_WINDOW_MISSED" not in _codes(before)
    assert "TCM_CONTACT_WINDOW_MISSED" in _codes(feed.at(contact_by))


def test_cancelled_discharge_leaves_nothing_and_the_next_one_starts_anew() -> None:
    """Scenario 1: the second discharge has tasks of its own, due from its own time."""
    feed = _Feed()
    feed.stay("2026-10-01T12:00:00Z", D)
    feed.say("task.accepted", "2026-10-06T19:00:00Z", kind="CALL_48H", actor="ana")
    feed.say("discharge.cancelled", "2026-10-06T21:30:00Z", received="2026-10-06T22:00:00Z")
    first = _task(feed.at("2026-10-06T20:00:00Z"), "CALL_48H")
    assert (first.status, first.owner) == ("accepted", "ana")
    assert not feed.at("2026-10-20T00:00:00Z").live_tasks
    feed.say("discharge.recorded", "2026-10-08T15:00:00Z", disposition="01")
    second = _task(feed.at("2026-10-08T15:00:00Z"), "CALL_48H")
    assert (text(second.due_at), second.status) == ("2026-10-10T15:00:00Z", "requested")
    assert second.id != first.id


def test_readmission_ends_the_transition_until_it_is_cancelled() -> None:
    """Scenario 2: an A11 brings back the same tasks with their original due times."""
    feed = _Feed()
    feed.stay("2026-10-01T12:00:00Z", D)
    back = {"visit_number": "V2", "class": "INPATIENT"}
    feed.say("admission.opened", "2026-10-07T14:00:00Z", **back)
    closed = feed.at("2026-10-09T00:00:00Z")
    assert [t.end.reason for t in closed.transitions if t.end] == ["READMITTED"]
    assert _codes(closed) == {"READMISSION_30D"}
    feed.say("admission.cancelled", "2026-10-07T17:00:00Z", visit_number="V2")
    call = _task(feed.at("2026-10-07T17:00:00Z"), "CALL_48H")
    assert (text(call.due_at), call.status, call.born_overdue) == (
        "2026-10-08T18:00:00Z",
        "requested",
        False,
    )


def test_nursing_facility_defers_until_its_own_discharge() -> None:
    """Scenario 3: one hand-off, then the core tasks from the day the patient goes home."""
    feed = _Feed()
    feed.stay("2026-10-01T12:00:00Z", D, "03")
    assert [t.kind for t in feed.at(D).live_tasks] == ["SNF_HANDOFF"]
    assert "TRANSFER_NOT_ARRIVED" in _codes(feed.at("2026-10-07T18:00:00Z"))
    assert "SNF_STATUS_UNKNOWN" in _codes(feed.at("2026-11-06T05:00:00Z"))
    stay = {"facility": "SNF1", "visit_number": "S1"}
    feed.say("admission.opened", "2026-10-06T21:00:00Z", **stay | {"class": "SNF"})
    assert not feed.at("2026-10-08T18:00:00Z").live_tasks
    feed.say("discharge.recorded", "2026-10-20T15:00:00Z", **stay, disposition="01")
    home = feed.at("2026-10-20T15:00:00Z")
    assert {t.status for t in home.transitions} == {"closed", "active"}
    assert text(_task(home, "CALL_48H").due_at) == "2026-10-22T15:00:00Z"


def test_booked_slot_moves_reconciliation_and_its_cancel_moves_it_back() -> None:
    """Scenarios 7 and 8: reconciliation is due by the end of the visit's day."""
    feed = _Feed()
    slot: dict[str, Any] = {"appointment_id": "A1", "provider": {"is_pcp": True}}
    feed.stay("2026-10-01T12:00:00Z", D)
    feed.say("appointment.booked", "2026-10-05T13:00:00Z", starts_at="2026-10-12T14:00:00Z", **slot)
    now = feed.at("2026-10-07T18:00:00Z")
    assert "NO_PCP_APPOINTMENT" not in _codes(now)
    assert _task(now, "PCP_VISIT_7D").status == "accepted"
    assert text(_task(now, "MED_REC").due_at) == "2026-10-13T04:00:00Z"
    feed.say("appointment.cancelled", "2026-10-12T13:00:00Z", appointment_id="A1")
    now = feed.at("2026-10-12T13:00:00Z")
    assert "NO_PCP_APPOINTMENT" in _codes(now)
    assert text(_task(now, "MED_REC").due_at) == "2026-10-14T04:00:00Z"


def test_late_discharge_is_born_overdue_and_nobody_here_is_blamed() -> None:
    """Scenario 12: three days late; the feed is at fault, the call is still worth making."""
    feed = _Feed()
    feed.say("discharge.recorded", D, received="2026-10-09T18:00:00Z", disposition="01")
    now = feed.at("2026-10-09T18:00:00Z")
    call = _task(now, "CALL_48H")
    assert (call.born_overdue, call.priority, call.attribution) == (True, "urgent", "FEED")
    assert _codes(now) >= {"LATE_NOTIFICATION", "TCM_CONTACT_WINDOW_MISSED", "NO_PCP_APPOINTMENT"}


def test_overlapping_stay_defers_and_its_cancel_brings_the_tasks_back() -> None:
    """Scenario 16: nobody is called at home who is in another bed."""
    feed = _Feed()
    mid = {"facility": "MID", "visit_number": "M1"}
    feed.stay("2026-10-01T12:00:00Z", D)
    feed.say("admission.opened", "2026-10-03T15:00:00Z", **mid, **{"class": "INPATIENT"})
    assert "OVERLAPPING_STAYS" in _codes(feed.at("2026-10-03T15:00:00Z"))
    assert [t.status for t in feed.at(D).transitions] == ["deferred"]
    feed.say("admission.cancelled", "2026-10-07T12:00:00Z", **mid)
    call = _task(feed.at("2026-10-07T12:00:00Z"), "CALL_48H")
    assert text(call.due_at) == "2026-10-08T18:00:00Z"


def test_admission_elsewhere_next_day_is_a_transfer_not_a_readmission() -> None:
    """Scenario 19b: the code said home, the patient arrived at another hospital."""
    feed = _Feed()
    feed.stay("2026-10-01T12:00:00Z", D)
    arrival = {"facility": "MID", "visit_number": "M1", "class": "INPATIENT"}
    feed.say("admission.opened", "2026-10-07T01:00:00Z", **arrival)
    now = feed.at("2026-10-07T01:00:00Z")
    assert [t.end.reason for t in now.transitions if t.end] == ["TRANSFERRED"]
    assert _codes(now) == {"DISPOSITION_CONFLICT"}


def test_return_to_the_ed_keeps_the_transition_and_presses_the_call() -> None:
    """Scenario 20a: the call becomes urgent and stays so."""
    feed = _Feed()
    feed.stay("2026-10-01T12:00:00Z", D)
    ed = {"visit_number": "E1"}
    feed.say("admission.opened", "2026-10-08T02:00:00Z", **ed, **{"class": "EMERGENCY"})
    there = feed.at("2026-10-08T03:00:00Z")
    assert _codes(there) >= {"RETURN_ED", "READMISSION_RISK_IN_ED"}
    feed.say("discharge.recorded", "2026-10-08T06:00:00Z", **ed, disposition="01")
    gone = feed.at("2026-10-08T06:00:00Z")
    assert "READMISSION_RISK_IN_ED" not in _codes(gone)
    assert _task(gone, "CALL_48H").priority == "urgent"
    assert len(gone.live_tasks) == 3


def test_two_attempts_on_two_days_soften_the_gap() -> None:
    """Scenario 22: counted attempts inside the window; five minutes apart is one."""
    feed = _Feed()
    feed.stay("2026-10-01T12:00:00Z", D)
    for number, at in enumerate(
        ("2026-10-07T15:00:00Z", "2026-10-07T15:05:00Z", "2026-10-08T16:00:00Z")
    ):
        feed.say("task.attempted", at, kind="CALL_48H", reached="voicemail", actor=f"a{number}")
    now = feed.at("2026-10-08T18:00:00Z")
    call = _task(now, "CALL_48H")
    assert (call.attempts, call.tcm_contact_status, call.overdue) == (2, "ATTEMPTS_MET", True)
    assert {g.severity for g in now.gaps if g.code == "TASK_OVERDUE"} == {"low"}


def test_cancel_received_first_waits_for_its_discharge() -> None:
    """Scenario 23: nothing is owed, and after 72 hours without a target operators look."""
    feed = _Feed()
    feed.say("admission.opened", "2026-10-01T12:00:00Z", **{"class": "INPATIENT"})
    feed.say("discharge.cancelled", "2026-10-06T20:00:00Z")
    assert "ORPHAN_CANCEL" in _codes(feed.at("2026-10-09T20:00:00Z"))
    feed.say("discharge.recorded", D, received="2026-10-10T00:00:00Z", disposition="01")
    now = feed.at("2026-10-10T00:00:00Z")
    assert not now.live_tasks
    assert "ORPHAN_CANCEL" not in _codes(now)
