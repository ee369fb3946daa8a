"""What ends a transition: one test per close reason, and the instants between two of them.

Rulings 7 to 16, 19 and 40.  The tables in ``tests/scenarios`` tell the whole stories; here each
ending stands alone, so that a red test names it.
"""

import pytest

from orchestrator.core.facts import PersonSaid, Told
from orchestrator.core.instants import DAY, HOUR, MINUTE, SECOND, read, written
from tests.core.builders import (
    ANSWERS,
    Chart,
    D,
    admitted,
    chart,
    classed,
    command,
    discharged,
    marked,
    person,
    reached,
    slot,
    stamp,
    told,
)

ADMITTED = D - 3 * DAY
DAY30_END = read("2026-11-06T00:00:00-05:00")  # the clocks go back on the way
DAY90_END = read("2027-01-05T00:00:00-05:00")


def home(disposition: str | None = "01") -> list[Told]:
    """Three days in hospital, then discharged."""
    return [admitted(ADMITTED), discharged(D, disposition=disposition)]


def ended(found: Chart) -> tuple[str | None, str | None]:
    """Why and when in the world the first transition ended."""
    first = found.transitions[0]
    return first["close_reason"], first["ended_at"]


def reasons(found: Chart) -> set[tuple[str, str | None]]:
    return {(task["status"], task["status_reason"]) for task in found.tasks.values()}


@pytest.mark.parametrize(
    ("shift", "status", "reason"),
    [(-SECOND, "active", None), (0, "closed", "WINDOW_ENDED"), (SECOND, "closed", "WINDOW_ENDED")],
)
def test_it_closes_by_itself_at_the_end_of_day_30(
    shift: int, status: str, reason: str | None
) -> None:
    """Ruling 7: what was not done by then has failed."""
    found = chart(*home(), until=DAY30_END + shift)
    assert (found.transition["status"], found.transition["close_reason"]) == (status, reason)
    if reason:
        assert reasons(found) == {("failed", "WINDOW_ENDED")}


def test_it_is_completed_if_every_core_task_was() -> None:
    """Called, seen, reconciled: the window ends well."""
    seen = D + 3 * DAY
    story = chart(*home(), reached(D + HOUR, visit="V1", kind="CALL_48H"), slot(seen, at=D + HOUR))
    story.tell(slot(seen, "fulfilled", at=seen + HOUR))
    story.tell(command("completed", seen + 2 * HOUR, visit="V1", kind="MED_REC"))
    story.clock(DAY30_END)
    assert story.transition["close_reason"] == "COMPLETED"
    assert reasons(story) == {("completed", None)}


@pytest.mark.parametrize(
    ("back_at", "reason"),
    [
        (DAY30_END - SECOND, "READMITTED"),
        (DAY30_END, "WINDOW_ENDED"),
        (DAY30_END + SECOND, "WINDOW_ENDED"),
    ],
)
def test_an_admission_is_a_readmission_until_the_window_ends(back_at: int, reason: str) -> None:
    """Ruling 12: within thirty days, at any hospital."""
    found = chart(*home(), admitted(back_at, "V2"), until=back_at)
    assert found.transitions[0]["close_reason"] == reason
    assert ("READMISSION_30D" in found.live) is (reason == "READMITTED")


@pytest.mark.parametrize("cls", ["OUTPATIENT", "RECURRING", "PREADMIT", "NEWBORN"])
def test_coming_back_in_another_class_ends_nothing(cls: str) -> None:
    """A check-up is no readmission."""
    found = chart(*home(), admitted(D + 3 * DAY, "V2", cls=cls))
    assert found.transition["status"] == "active"


def test_a_readmission_from_the_emergency_department_counts_from_the_class_change() -> None:
    """Until the patient is admitted, the follow-up goes on."""
    back, ward = D + 3 * DAY, D + 3 * DAY + 5 * HOUR
    found = chart(*home(), admitted(back, "V2", cls="EMERGENCY"))
    assert found.transition["status"] == "active"
    assert {"RETURN_ED", "READMISSION_RISK_IN_ED"} <= found.live
    assert found.tasks["CALL_48H"]["priority"] == "urgent"
    found.tell(classed(ward, "INPATIENT", "V2"))
    assert ended(found) == ("READMITTED", written(ward))
    assert "READMISSION_RISK_IN_ED" not in found.live


@pytest.mark.parametrize(
    ("admit_type", "planned", "reason"),
    [
        ("C", True, "PLANNED_READMISSION"),
        ("R", True, "PLANNED_READMISSION"),
        ("E", True, "READMITTED"),
        ("U", True, "READMITTED"),
        ("C", False, "READMITTED"),
    ],
)
def test_a_readmission_is_planned_if_it_was_announced_and_is_no_emergency(
    admit_type: str, planned: bool, reason: str
) -> None:
    """Ruling 12: disposition 81 announces one."""
    back = admitted(D + 9 * DAY, "V2", fields={"admit_type": admit_type})
    found = chart(*home(disposition="81" if planned else "01"), back)
    assert found.transition["close_reason"] == reason
    assert ("READMISSION_30D" in found.live) is (reason == "READMITTED")


@pytest.mark.parametrize(
    ("back_at", "reason"),
    [
        ("2026-10-07T23:59:59-04:00", "TRANSFERRED"),
        ("2026-10-08T00:00:00-04:00", "READMITTED"),
        ("2026-10-08T00:00:01-04:00", "READMITTED"),
    ],
)
def test_another_hospital_on_the_same_or_next_day_is_a_transfer(back_at: str, reason: str) -> None:
    """Ruling 13: in the zone of the hospital that discharged, whatever it said."""
    found = chart(*home(), admitted(read(back_at), "W1", facility="MID"))
    assert found.transition["close_reason"] == reason
    assert ("DISPOSITION_CONFLICT" in found.live) is (reason == "TRANSFERRED")
    assert ("READMISSION_30D" in found.live) is (reason == "READMITTED")


def test_the_same_hospital_is_always_a_readmission() -> None:
    """Also an hour later (ruling 13)."""
    found = chart(*home(disposition="02"), admitted(D + HOUR, "V2"))
    assert found.transition["close_reason"] == "READMITTED"


def test_a_cancelled_discharge_closes_it_and_withdraws_the_tasks() -> None:
    """The patient is still here; nobody calls the home."""
    found = chart(*home(), marked("cancel-discharge", D + HOUR))
    assert ended(found) == ("DISCHARGE_CANCELLED", written(D + HOUR))
    assert reasons(found) == {("cancelled", "DISCHARGE_CANCELLED")}
    assert found.live == set()


def test_a_discharge_cancelled_before_it_was_heard_is_never_published() -> None:
    """What reaches nobody is never taken back."""
    found = chart(marked("cancel-discharge", D + HOUR), discharged(D, receipt=D + 2 * HOUR))
    assert found.transitions == []
    assert found.tasks == {}


def test_a_cancelled_admission_closes_it() -> None:
    """There was no stay to be discharged from."""
    found = chart(*home(), marked("cancel-admit", D + HOUR))
    assert ended(found) == ("ADMIT_CANCELLED", written(D + HOUR))


def test_a_cancelled_readmission_brings_everything_back() -> None:
    """Ruling 16: same ids, original due times, accepted again, not born overdue."""
    found = chart(*home(), command("accepted", D + HOUR, visit="V1", kind="CALL_48H"))
    before = dict(found.tasks["CALL_48H"])
    found.tell(admitted(D + DAY, "V2"))
    assert found.tasks["CALL_48H"]["status_reason"] == "READMITTED"
    found.tell(marked("cancel-admit", D + 50 * HOUR, "V2"))
    after = found.tasks["CALL_48H"]
    same = ("task_id", "due_at", "status", "owner", "born_overdue", "opened_at")
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert (after["overdue"], after["closed_at"]) == (True, None)
    assert found.gaps["READMISSION_30D"]["close_reason"] == "RETRACTED"


@pytest.mark.parametrize("code", ["20", "40", "41", "42"])
def test_who_died_in_hospital_is_owed_nothing(code: str) -> None:
    """Published born closed, so that everybody knows."""
    found = chart(*home(disposition=code))
    assert (found.transition["status"], ended(found)) == ("closed", ("EXPIRED", written(D)))
    assert found.tasks == {}


def test_a_death_stops_everything_at_once() -> None:
    """Do not call the home."""
    found = chart(*home(), person(D + DAY, died_at=D + 20 * HOUR))
    assert ended(found) == ("EXPIRED", written(D + 20 * HOUR))
    assert {status for status, _ in reasons(found)} == {"cancelled"}
    last = [change["why"] for change in found.changes if change["change"] == "task.cancelled"]
    assert any("Do not call the home" in why for why in last)


def test_a_death_taken_back_brings_the_follow_up_back() -> None:
    """PID-30 was a slip; null takes it back."""
    found = chart(*home(), person(D + DAY, died_at=D + DAY), person(D + 25 * HOUR, died_at=None))
    assert found.transition["status"] == "active"
    assert {status for status, _ in reasons(found)} == {"requested"}


@pytest.mark.parametrize("code", ["50", "51"])
def test_hospice_care_is_published_born_closed(code: str) -> None:
    """Ruling 10."""
    found = chart(*home(disposition=code))
    assert ended(found) == ("HOSPICE", written(D))
    assert found.tasks == {}


def test_who_declines_all_is_left_alone() -> None:
    """Ruling 19: the transition closes, its gaps are suppressed."""
    found = chart(*home(), until=D + 25 * HOUR)
    assert "NO_PCP_APPOINTMENT" in found.live
    found.tell(person(D + 26 * HOUR, outreach="decline-all"))
    assert ended(found) == ("DECLINED", written(D + 26 * HOUR))
    assert found.gaps["NO_PCP_APPOINTMENT"]["status"] == "suppressed"


def test_who_changes_their_mind_is_called_after_all() -> None:
    """While the window runs."""
    found = chart(
        *home(),
        person(D + HOUR, outreach="decline-all"),
        person(D + 2 * HOUR, outreach="accept"),
    )
    assert found.transition["status"] == "active"
    assert found.tasks["CALL_48H"]["status"] == "requested"


def test_a_wish_from_before_the_discharge_is_asked_again() -> None:
    """A new discharge asks again (ruling 19)."""
    found = chart(person(D - 10 * DAY, outreach="decline-all"), *home())
    assert found.transition["status"] == "active"


def test_an_older_wish_heard_later_decides_for_the_discharge_it_was_said_of() -> None:
    """Said after this discharge, heard behind one said of the stay before."""
    before = stamp(D - 10 * DAY, "before", recorded=D + 3 * HOUR, receipt=D + 3 * HOUR)
    after = stamp(D + HOUR, "after", receipt=D + 4 * HOUR)
    found = chart(
        *home(),
        told(before, PersonSaid({"outreach": "accept"}, before)),
        told(after, PersonSaid({"outreach": "decline-calls"}, after)),
    )
    assert found.tasks["CALL_48H"]["status_reason"] == "DECLINED"


def test_a_later_discharge_supersedes_the_first() -> None:
    """Return to observation and home again: the later one stays (ruling 14)."""
    again = D + 3 * DAY
    found = chart(
        *home(),
        admitted(again, "V2", cls="OBSERVATION"),
        discharged(again + DAY, "V2", cls="OBSERVATION"),
    )
    first, second = found.transitions
    assert (first["close_reason"], second["status"]) == ("SUPERSEDED", "active")
    assert first["ended_at"] == written(again + DAY)
    assert "RETURN_OBS" in found.live


def test_the_facilitys_own_discharge_home_takes_over() -> None:
    """Ruling 10: hospital to nursing facility to home."""
    found = chart(
        *home(disposition="03"),
        admitted(D + 2 * HOUR, "S1", cls="SNF", facility="ELM"),
        discharged(D + 20 * DAY, "S1", cls="SNF", facility="ELM"),
    )
    first, second = found.transitions
    assert (first["close_reason"], second["status"]) == ("TRANSFERRED", "active")
    assert found.patient.ledger.tasks[next(iter(found.patient.ledger.tasks))]["status"] == (
        "completed"
    )


@pytest.mark.parametrize(
    ("code", "until", "status"),
    [
        ("03", DAY90_END - SECOND, "deferred"),
        ("03", DAY90_END, "closed"),
        ("02", DAY30_END - SECOND, "deferred"),
        ("02", DAY30_END, "closed"),
    ],
)
def test_a_deferred_one_ends_with_its_own_window(code: str, until: int, status: str) -> None:
    """Thirty days on the way to another hospital, ninety in a nursing facility (ruling 10)."""
    found = chart(*home(disposition=code), until=until)
    assert found.transition["status"] == status
    assert (found.transition["close_reason"] == "WINDOW_ENDED") is (status == "closed")


@pytest.mark.parametrize(("shift", "live"), [(-SECOND, False), (0, True), (SECOND, True)])
@pytest.mark.parametrize("code", ["02", "03"])
def test_nobody_reports_the_arrival_for_a_day(code: str, shift: int, live: bool) -> None:
    """Ruling 10: then somebody looks where the patient is."""
    found = chart(*home(disposition=code), until=D + 24 * HOUR + shift)
    assert ("TRANSFER_NOT_ARRIVED" in found.live) is live


@pytest.mark.parametrize("code", ["09", "30"])
def test_who_stays_here_has_no_transition(code: str) -> None:
    """Admitted here, or still a patient."""
    assert chart(*home(disposition=code)).transitions == []


@pytest.mark.parametrize(
    ("cls", "opens"),
    [
        ("INPATIENT", True),
        ("OBSERVATION", True),
        ("EMERGENCY", False),
        ("OUTPATIENT", False),
        ("PREADMIT", False),
        ("RECURRING", False),
        ("NEWBORN", False),
    ],
)
def test_some_classes_open_transitions_and_others_never(cls: str, opens: bool) -> None:
    """Ruling 11."""
    found = chart(admitted(ADMITTED, cls=cls), discharged(D, cls=None))
    assert bool(found.transitions) is opens


@pytest.mark.parametrize(
    ("code", "kinds", "flags"),
    [
        ("01", {"CALL_48H", "PCP_VISIT_7D", "MED_REC"}, []),
        ("06", {"CALL_48H", "PCP_VISIT_7D", "MED_REC"}, []),
        ("07", {"CALL_48H", "PCP_VISIT_7D", "MED_REC"}, ["AMA"]),
        (None, {"CALL_48H", "PCP_VISIT_7D", "MED_REC"}, []),
        ("ZZ", {"CALL_48H", "PCP_VISIT_7D", "MED_REC"}, []),
        ("02", set(), ["TRANSFER_EXPECTED"]),
        ("03", {"SNF_HANDOFF"}, []),
        ("21", {"MED_REC"}, []),
        ("86", {"CALL_48H", "PCP_VISIT_7D", "MED_REC"}, ["PLANNED_READMISSION_EXPECTED"]),
    ],
)
def test_each_disposition_owes_what_the_table_says(
    code: str | None, kinds: set[str], flags: list[str]
) -> None:
    """Ruling 10; unknown codes fail safe, towards the call, and say so."""
    found = chart(*home(disposition=code))
    assert set(found.tasks) == kinds
    assert found.transition["flags"] == flags
    assert ("DISPOSITION_UNKNOWN" in found.live) is (code in (None, "ZZ"))


def test_against_advice_the_call_is_due_in_a_day_and_urgent() -> None:
    """Disposition 07."""
    call = chart(*home(disposition="07")).tasks["CALL_48H"]
    assert (call["due_at"], call["priority"]) == (written(D + 24 * HOUR), "urgent")


def test_while_another_hospital_has_the_patient_the_home_is_not_called() -> None:
    """Ruling 15: deferred; when that stay is cancelled, active with the original due times."""
    found = chart(admitted(D - 5 * DAY, "W1", facility="MID"), *home())
    assert found.transition["status"] == "deferred"
    assert "OPEN_STAY_ELSEWHERE" in found.transition["flags"]
    assert found.tasks == {}
    found.tell(marked("cancel-admit", D + DAY, "W1", facility="MID"))
    assert found.transition["status"] == "active"
    assert found.tasks["CALL_48H"]["due_at"] == written(D + 48 * HOUR)


@pytest.mark.parametrize(
    ("receipt", "kinds"),
    [
        (D + 168 * HOUR, {"CALL_48H", "PCP_VISIT_7D", "MED_REC"}),
        (D + 168 * HOUR + SECOND, {"PCP_VISIT_7D", "MED_REC"}),  # day 7 ends ten hours later
        (read("2026-10-14T00:00:00-04:00"), set()),
    ],
)
def test_very_late_only_what_is_still_ahead_is_issued(receipt: int, kinds: set[str]) -> None:
    """Ruling 20: nobody is asked to do on day eight what was due on day two."""
    found = chart(discharged(D, receipt=receipt))
    assert set(found.tasks) == kinds
    assert len(found.transitions) == 1


@pytest.mark.parametrize(
    ("receipt", "status", "reason"),
    [(DAY30_END - SECOND, "active", None), (DAY30_END, "closed", "WINDOW_ENDED")],
)
def test_a_discharge_heard_of_after_its_window_is_born_closed(
    receipt: int, status: str, reason: str | None
) -> None:
    """Ruling 40."""
    found = chart(discharged(D, receipt=receipt))
    assert (found.transition["status"], found.transition["close_reason"]) == (status, reason)
    assert found.transition["version"] == 1


def test_history_brings_only_what_can_still_be_done() -> None:
    """Ruling 20, lane backfill."""
    found = chart(discharged(D, receipt=D + 3 * DAY, backfill=True))
    assert set(found.tasks) == {"PCP_VISIT_7D", "MED_REC"}
    assert all(task["flags"] == ["FROM_BACKFILL"] for task in found.tasks.values())
    assert "LATE_NOTIFICATION" not in found.live


def test_declining_in_the_call_keeps_the_visit_and_the_lists() -> None:
    """Ruling 19: the call is done; other outreach ends, chart work stays."""
    found = chart(*home())
    found.tell(
        command(
            "completed",
            D + HOUR,
            visit="V1",
            kind="CALL_48H",
            reached="patient",
            outcome="declined_followup",
            answers=ANSWERS,
        )
    )
    assert {kind: task["status"] for kind, task in found.tasks.items()} == {
        "CALL_48H": "completed",
        "PCP_VISIT_7D": "requested",
        "MED_REC": "requested",
    }
    assert found.tasks["MED_REC"]["flags"] == ["CHART_ONLY"]


@pytest.mark.parametrize(
    ("minutes", "late"), [(24 * 60 - 1, False), (24 * 60, False), (24 * 60 + 1, True)]
)
def test_a_late_notice_is_recorded(minutes: int, late: bool) -> None:
    """More than a day between the discharge and the news of it."""
    found = chart(discharged(D, receipt=D + minutes * MINUTE))
    assert ("LATE_NOTIFICATION" in found.live) is late
