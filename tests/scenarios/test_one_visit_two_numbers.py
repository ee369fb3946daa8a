"""After a merge hospitals go on under the number that survives: a visit stays one visit."""

from typing import Any

from orchestrator.stream.replay import replay_events

A, B, Q = "GEN|A", "GEN|B", "GEN|Q"
ANSWERS = {
    "understanding": "yes",
    "medicines": "yes",
    "symptoms": "no",
    "appointment": "yes",
    "help_at_home": "yes",
    "education_given": "yes",
}


def said(name: str, word: str, time: str, subject: str, /, **data: Any) -> dict[str, Any]:
    at = f"2026-10-{time}:00Z"
    return {
        "specversion": "1.0",
        "id": name,
        "source": "hospital/GEN/adt",
        "type": f"care.{word}.v1",
        "time": at,
        "receivedtime": at,
        "subject": subject,
        "facility": "GEN",
        "data": data,
    }


def discharged(name: str, time: str, subject: str, code: str = "01") -> dict[str, Any]:
    return said(
        name, "discharge.recorded", time, subject, visit_number="V1", disposition={"code": code}
    )


def merged(time: str, survivor: str, retired: str) -> dict[str, Any]:
    return said("MERGE", "patient.merged", time, survivor, retired=retired)


def after(*events: dict[str, Any]) -> dict[str, Any]:
    """By patient what stands on the 12th."""
    answer = replay_events(events, as_of="2026-10-12T00:00:00Z")
    return {patient["patient"]: patient for patient in answer["patients"]}


def standing(patient: dict[str, Any]) -> list[tuple[str, str]]:
    over = ("cancelled", "entered-in-error", "failed")
    return sorted((t["kind"], t["status"]) for t in patient["tasks"] if t["status"] not in over)


def test_a_death_told_under_the_survivor_stops_the_call() -> None:
    """A08 with disposition 20 under the new number: nobody calls the family."""
    death = said(
        "A08",
        "admission.updated",
        "07T10:00",
        A,
        visit_number="V1",
        disposition={"code": "20"},
    )
    found = after(discharged("A03", "06T18:00", B), merged("06T20:00", A, B), death)
    assert found[A]["transitions"][0]["close_reason"] == "EXPIRED"
    assert standing(found[A]) == []


def test_a_cancel_under_the_survivor_takes_the_discharge_back() -> None:
    """A13 under the new number: the patient is in the bed, and one stay is open."""
    cancel = said("A13", "discharge.cancelled", "07T10:00", A, visit_number="V1")
    found = after(discharged("A03", "06T18:00", B), merged("06T20:00", A, B), cancel)
    assert found[A]["transitions"][0]["close_reason"] == "DISCHARGE_CANCELLED"
    assert standing(found[A]) == []
    assert "ORPHAN_CANCEL" not in {gap["code"] for gap in found[A]["gaps"]}


def test_an_ed_visit_stays_one_under_both_numbers() -> None:
    """Opened under the one, ended under the other: an ED visit owes nothing."""
    opened = said(
        "A04", "admission.opened", "06T10:00", B, visit_number="V1", **{"class": "EMERGENCY"}
    )
    found = after(opened, merged("06T12:00", A, B), discharged("A03", "06T18:00", A))
    assert [stay["status"] for stay in found[A]["stays"]] == ["discharged"]
    assert found[A]["tasks"] == []


def test_one_discharge_under_two_numbers_is_called_once() -> None:
    """A call that was made for the one counts for both."""
    call = said(
        "CALL",
        "task.completed",
        "06T20:00",
        B,
        visit_number="V1",
        kind="CALL_48H",
        actor="n1",
        role="nurse",
        reached="patient",
        outcome="ok",
        answers=ANSWERS,
    )
    found = after(
        discharged("A03a", "06T18:00", A),
        discharged("A03b", "06T18:01", B),
        call,
        merged("07T20:00", B, A),
    )
    assert [t["status"] for t in found[B]["transitions"]].count("active") == 1
    open_calls = [t for t in standing(found[B]) if t == ("CALL_48H", "requested")]
    assert open_calls == []


def test_an_appointment_is_one_under_both_numbers() -> None:
    """Booked under the one and cancelled under the other: the visit is owed again."""
    slot = {
        "appointment_id": "AP1",
        "starts_at": "2026-10-09T14:00:00Z",
        "provider": {"is_pcp": True},
    }
    found = after(
        discharged("A03", "06T18:00", B),
        said("S12", "appointment.booked", "06T19:00", B, **slot),
        merged("07T20:00", A, B),
        said("S15", "appointment.cancelled", "08T00:00", A, **slot),
    )
    assert ("PCP_VISIT_7D", "requested") in standing(found[A])
    assert "NO_PCP_APPOINTMENT" in {g["code"] for g in found[A]["gaps"] if g["status"] == "open"}


def test_a_move_that_names_the_survivor_moves_what_lies_under_the_other_number() -> None:
    """Hospitals name whoever survives as the wrong patient."""
    move = said("A45", "patient.visit_moved", "08T10:00", Q, visit_number="V1", **{"from": A})
    found = after(discharged("A03", "06T18:00", B), merged("07T20:00", A, B), move)
    assert standing(found[A]) == []
    assert {t["status"] for t in found[A]["tasks"]} == {"entered-in-error"}
    assert ("PCP_VISIT_7D", "requested") in standing(found[Q])


def test_a_move_within_one_patient_changes_nothing() -> None:
    """From one number of a patient to another: no call is made twice."""
    move = said("A45", "patient.visit_moved", "08T10:00", A, visit_number="V1", **{"from": B})
    before = after(discharged("A03", "06T18:00", B), merged("07T20:00", A, B))
    found = after(discharged("A03", "06T18:00", B), merged("07T20:00", A, B), move)
    assert standing(found[A]) == standing(before[A])


def test_what_a_join_ends_says_that_records_were_joined() -> None:
    """Who holds a task of one number knows nothing of a stay under the other."""
    told = [
        discharged("A03", "06T18:00", A),
        said("A01", "admission.opened", "07T08:00", B, visit_number="W1", **{"class": "INPATIENT"}),
    ]
    (call,) = (t for t in after(*told)[A]["tasks"] if t["kind"] == "CALL_48H")
    held = said("TAKEN", "task.accepted", "07T09:00", A, task_id=call["task_id"], actor="ann")
    answer = replay_events([*told, held, merged("07T20:00", A, B)], changes=True)
    (end,) = (c["why"] for c in answer["changes"] if _ends(c, call["task_id"]))
    assert end.startswith("Withdrawn: back in hospital since Wed 7 Oct")
    assert end.endswith("Two records were joined on Wed 7 Oct 16:00.")
    (notice,) = (n for patient in answer["patients"] for n in patient["notices"])
    assert (notice["to"], notice["text"]) == ("ann", end)


def _ends(change: dict[str, Any], task: str) -> bool:
    return change["change"] == "task.cancelled" and bool(change["task"]["task_id"] == task)


def test_an_episode_begins_in_the_ed_whatever_the_admission_says_of_itself() -> None:
    """
    A06 with a new number states when the patient became an inpatient; the hours before belong to
    the same episode.
    """
    (patient,) = after(
        said("A04", "admission.opened", "04T22:00", A, visit_number="E1", **{"class": "EMERGENCY"}),
        said(
            "A06",
            "admission.updated",
            "05T02:00",
            A,
            visit_number="V1",
            previous_visit_number="E1",
            admitted_at="2026-10-05T02:00:00Z",
            **{"class": "INPATIENT"},
        ),
        discharged("A03", "06T18:00", A),
    ).values()
    assert patient["episodes"] == [
        {
            "visits": ["E1", "V1"],
            "started_at": "2026-10-04T22:00:00Z",
            "ended_at": "2026-10-06T18:00:00Z",
        }
    ]
