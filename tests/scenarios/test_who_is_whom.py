"""Scenarios 11 and 26, rulings 17 and 18: numbers joined and parted, a visit of somebody else.

All through `replay`, as a user would ask; the HL7 messages to the end.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from events.files import Record
from orchestrator.stream.replay import replay, replay_events
from tests.events.hl7v2.builders import GEN, adt, identities, segment

Plain = dict[str, Any]
D = "2026-10-06T18:00:00Z"
A, B, Q = "GEN|A", "GEN|B", "GEN|Q"


class Told:
    """Events under several numbers, received when they happened."""

    def __init__(self) -> None:
        self.events: list[Plain] = []

    @staticmethod
    def at(when: str) -> str:
        """An instant of October 2026, from day and time."""
        return when if "T" in when else f"2026-10-{when.replace(' ', 'T')}:00Z"

    def __call__(self, word: str, subject: str, when: str, **data: Any) -> None:
        at = self.at(when)
        self.events.append(
            {
                "specversion": "1.0",
                "id": f"E{len(self.events)}",
                "source": "hospital/GEN/adt",
                "type": f"care.{word}.v1",
                "time": at,
                "subject": subject,
                "facility": "GEN",
                "recordedtime": at,
                "receivedtime": at,
                "data": data,
            }
        )

    def discharged(self, subject: str = A, at: str = D, visit: str = "V1") -> None:
        self("discharge.recorded", subject, at, visit_number=visit, disposition={"code": "01"})

    def booked(self, subject: str, at: str, starts: str = "2026-10-09T14:00:00Z") -> None:
        said = {"appointment_id": "AP1", "starts_at": starts, "provider": {"is_pcp": True}}
        self("appointment.booked", subject, at, **said)

    def answer(self, when: str) -> Plain:
        found: Plain = replay_events(self.events, as_of=self.at(when), changes=True)
        return found


def things(answer: Plain, kind: str) -> Iterator[Plain]:
    for patient in answer["patients"]:
        yield from patient[kind]


def tasks(answer: Plain, subject: str = A) -> dict[str, str]:
    """By kind the status of the tasks that hang on a discharge of *subject*."""
    return {t["kind"]: t["status"] for t in things(answer, "tasks") if t["subject"] == subject}


def gaps(answer: Plain) -> set[str]:
    """The codes of the gaps that are open."""
    return {gap["code"] for gap in things(answer, "gaps") if gap["status"] == "open"}


@pytest.fixture
def told() -> Told:
    return Told()


def test_scenario_11_a_visit_under_the_other_number_settles_the_gap(told: Told) -> None:
    """
    The gap of A closes by B's booking at the merge; tasks keep their ids; the call's timer fires.
    """
    told.discharged()
    told.booked(B, "07 10:00")
    alone = told.answer("08 11:59")
    told("patient.merged", B, "08 12:00", retired=A)
    told("patient.merged", A, "08 12:05", retired=B)  # the inverse: they are one already
    joined = told.answer("08 12:05")
    late = told.answer("08 18:00")

    assert "NO_PCP_APPOINTMENT" in gaps(alone)
    assert "NO_PCP_APPOINTMENT" not in gaps(joined)
    assert "MERGE_CONFLICT" in gaps(joined)
    ids = [{task["task_id"] for task in things(one, "tasks")} for one in (alone, joined, late)]
    assert ids[0] == ids[1] == ids[2]
    (patient,) = joined["patients"]
    assert (patient["patient"], patient["aliases"]) == (B, [A])
    assert {(t["patient"], t["subject"]) for t in patient["tasks"]} == {(B, A)}
    (call,) = [task for task in things(late, "tasks") if task["kind"] == "CALL_48H"]
    assert call["overdue"]
    why = [c["why"] for c in joined["changes"] if c["at"] == "2026-10-08T12:00:00Z"]
    assert any("joined" in one for one in why)


def test_scenario_11_the_retired_number_is_used_still(told: Told) -> None:
    """
    What comes under A after the merge is the patient's; a command under B reaches A's task.
    """
    told.discharged()
    told("patient.merged", B, "07 12:00", retired=A)
    told.booked(A, "07 13:00")
    (call,) = [t for t in things(told.answer("07 13:00"), "tasks") if t["kind"] == "CALL_48H"]
    told(
        "task.completed",
        B,
        "07 15:00",
        task_id=call["task_id"],
        actor="ann",
        role="rn",
        reached="patient",
        outcome="declined_followup",
    )
    answer = told.answer("08 20:00")

    assert tasks(answer)["CALL_48H"] == "completed"
    assert "NO_PCP_APPOINTMENT" not in gaps(answer)

    told("patient.unmerged", B, "09 00:00", retired=A)
    parted = told.answer("09 00:00")
    assert tasks(parted)["CALL_48H"] == "completed"
    assert {p["patient"]: p["aliases"] for p in parted["patients"]}[A] == []


def test_scenario_11_both_with_an_active_transition(told: Told) -> None:
    """
    The latest discharge stays, the other closes MERGED; the un-merge brings it back as it was.
    """
    told.discharged(A)
    told.discharged(B, "07 18:00", "W1")
    told("patient.merged", B, "07 20:00", retired=A)
    joined = told.answer("07 20:00")
    told("patient.unmerged", B, "08 00:00", retired=A)
    parted = told.answer("08 00:00")

    def ends(answer: Plain) -> dict[str, Any]:
        return {t["subject"]: t["close_reason"] for t in things(answer, "transitions")}

    assert ends(joined) == {A: "MERGED", B: None}
    assert set(tasks(joined, A).values()) == {"cancelled"}
    assert set(tasks(joined, B).values()) == {"requested"}
    assert ends(parted) == {A: None, B: None}
    assert set(tasks(parted, A).values()) == {"requested"}
    due = [{t["task_id"]: t["due_at"] for t in things(one, "tasks")} for one in (joined, parted)]
    assert due[0] == due[1]


def test_a_red_flag_outlives_the_joining_of_two_records(told: Told) -> None:
    """
    Chest pain in A's call, then A turns out to be B, who went home later: a clinician still calls.
    """
    told.discharged(A)
    told(
        "task.completed",
        A,
        "07 19:00",
        visit_number="V1",
        kind="CALL_48H",
        actor="ann",
        role="rn",
        reached="patient",
        outcome="needs_escalation",
    )
    told.discharged(B, "07 18:00", "W1")
    told("patient.merged", B, "07 19:30", retired=A)
    joined, due = told.answer("07 19:59"), told.answer("07 20:00")
    assert tasks(joined, A)["CLINICAL_ESCALATION"] == "requested"
    assert {"CLINICAL_RED_FLAG"} <= gaps(joined)
    assert {"CLINICAL_RED_FLAG", "TASK_OVERDUE"} <= gaps(due)

    (alert,) = [t for t in things(due, "tasks") if t["kind"] == "CLINICAL_ESCALATION"]
    said = {"task_id": alert["task_id"], "actor": "dr", "role": "prescriber", "outcome": "ok"}
    told("task.completed", B, "07 20:30", reached="patient", **said)
    called = told.answer("07 20:30")
    assert tasks(called, A)["CLINICAL_ESCALATION"] == "completed"
    assert not {"CLINICAL_RED_FLAG", "TASK_OVERDUE"} & gaps(called)


@pytest.mark.parametrize(
    ("marks", "together"),
    [
        (("m 07 12:00", "u 07 13:00"), False),
        (("u 07 13:00", "m 07 12:00"), False),  # the un-merge was received first
        (("m 07 12:00", "u 07 13:00", "m 07 14:00"), True),
        (("m 07 12:00", "m 07 12:30", "u 07 13:00"), False),
        (("u 07 11:00", "m 07 12:00"), True),
    ],
)
def test_merges_and_unmerges_count_by_their_time(
    told: Told, marks: tuple[str, ...], together: bool
) -> None:
    """
    Repeats, un-merges that came first, and merges again.
    """
    told.discharged()
    for received, mark in enumerate(marks):
        word = "patient.merged" if mark[0] == "m" else "patient.unmerged"
        told(word, B, mark[2:], retired=A)
        told.events[-1]["receivedtime"] = f"2026-10-07T20:0{received}:00Z"
    homes = {p["patient"] for p in told.answer("07 21:00")["patients"] if p["tasks"]}
    assert homes == {B if together else A}


def test_a_chain_and_a_number_never_seen(told: Told) -> None:
    """
    Merges are transitive; a retired number that nothing came under is an alias waiting for facts.
    """
    told("patient.merged", Q, "06 10:00", retired=B)
    told("patient.merged", B, "06 11:00", retired=A)
    told.discharged(A)
    (patient,) = [p for p in told.answer("06 19:00")["patients"] if p["tasks"]]
    assert (patient["patient"], sorted(patient["aliases"])) == (Q, [A, B])


def test_a_merge_with_itself_is_parked(told: Told) -> None:
    """
    It is refused with its reason, and nothing else happens.
    """
    told.discharged()
    told("patient.merged", A, "07 10:00", retired=A)
    answer = told.answer("07 10:00")
    assert [one["reason"] for one in answer["rejected"]] == ["self-merge"]
    assert set(tasks(answer).values()) == {"requested"}


def test_an_unmerge_without_a_merge_is_a_conflict(told: Told) -> None:
    """
    Somebody looks; both stay what they were.
    """
    told.discharged()
    told("patient.unmerged", B, "07 10:00", retired=A)
    answer = told.answer("07 10:00")
    assert "MERGE_CONFLICT" in gaps(answer)
    assert set(tasks(answer).values()) == {"requested"}


def test_one_number_under_two_patients_is_unresolved_until_they_are_one(told: Told) -> None:
    """
    Nothing is joined by a visit number; a merge settles it.
    """
    told.discharged(A)
    told.discharged(B, "06 19:00")
    assert "IDENTITY_UNRESOLVED" in gaps(told.answer("06 19:00"))
    told("patient.merged", A, "06 20:00", retired=B)
    assert "IDENTITY_UNRESOLVED" not in gaps(told.answer("06 20:00"))


def test_scenario_26_a_visit_of_somebody_else(told: Told) -> None:
    """
    The wrong patient's tasks are in error, and whoever held one is told; the right one gets the
    transition with the discharge's own due times.
    """
    told.discharged()
    before = told.answer("06 19:00")
    (call,) = [task for task in things(before, "tasks") if task["kind"] == "CALL_48H"]
    told("task.accepted", A, "06 20:00", task_id=call["task_id"], actor="ann", role="rn")
    told("patient.visit_moved", Q, "07 10:00", visit_number="V1", **{"from": A})
    answer = told.answer("07 10:00")

    assert set(tasks(answer, A).values()) == {"entered-in-error"}
    assert set(tasks(answer, Q).values()) == {"requested"}
    ends = {t["subject"]: t["close_reason"] for t in things(answer, "transitions")}
    assert ends == {A: "WRONG_PATIENT", Q: None}
    due = {(t["subject"], t["kind"]): t["due_at"] for t in things(answer, "tasks")}
    assert due[A, "CALL_48H"] == due[Q, "CALL_48H"] == "2026-10-08T18:00:00Z"
    notices = [notice for patient in answer["patients"] for notice in patient["notices"]]
    assert [(one["to"], one["task_id"]) for one in notices] == [("ann", call["task_id"])]


def test_scenario_26_completed_work_stays_and_says_whose_it_was(told: Told) -> None:
    """
    Ruling 18: a completed task keeps its status and gets WRONG_PATIENT.
    """
    told.discharged()
    (call,) = [t for t in things(told.answer("06 19:00"), "tasks") if t["kind"] == "CALL_48H"]
    said = {"actor": "ann", "role": "rn", "reached": "patient", "outcome": "declined_followup"}
    told("task.completed", A, "06 20:00", task_id=call["task_id"], **said)
    told("patient.visit_moved", Q, "07 10:00", visit_number="V1", **{"from": A})
    answer = told.answer("07 10:00")
    (done,) = [t for t in things(answer, "tasks") if t["kind"] == "CALL_48H" and t["subject"] == A]
    assert done["status"] == "completed"
    assert "WRONG_PATIENT" in done["flags"]


@pytest.mark.parametrize("back", [False, True])
def test_scenario_26_moved_on_and_moved_back(told: Told, back: bool) -> None:
    """
    From Q on to B; or back to A, where the same tasks stand again. Late facts under A follow.
    """
    told.discharged()
    told("patient.visit_moved", Q, "07 10:00", visit_number="V1", **{"from": A})
    last = A if back else B
    told("patient.visit_moved", last, "07 11:00", visit_number="V1", **{"from": Q})
    moved = told.answer("07 11:00")
    assert set(tasks(moved, Q).values()) == {"entered-in-error"}
    assert set(tasks(moved, last).values()) == {"requested"}
    if back:
        first = {t["task_id"] for t in things(told.answer("06 19:00"), "tasks")}
        again = {t["task_id"] for t in things(moved, "tasks") if t["subject"] == A}
        assert again == first
    told("discharge.cancelled", A, "07 12:00", visit_number="V1")
    cancelled = told.answer("07 12:00")
    assert set(tasks(cancelled, last).values()) == {"cancelled"}


def test_a_discharge_of_a_time_to_come_moves_along(told: Told) -> None:
    """
    Said at 13:00 of 18:00, moved at 14:00: at 18:00 it is the right patient's.
    """
    told.discharged()
    told.events[-1] |= {"recordedtime": "2026-10-06T13:00:00Z", "receivedtime": told.at("06 13:00")}
    told("patient.visit_moved", Q, "06 14:00", visit_number="V1", **{"from": A})
    answer = told.answer("06 18:00")
    assert set(tasks(answer, Q).values()) == {"requested"}
    assert tasks(answer, A) == {}


def test_an_enterprise_number_joins_where_the_site_says_so(told: Told) -> None:
    """
    Plain record numbers never link.
    """
    for subject in (A, B):
        number = [{"authority": "EMPI", "value": "7"}]
        told("patient.updated", subject, "06 10:00", identifiers=number)
    told.discharged(A)
    plain = told.answer("06 19:00")
    linking = "default: {zone: America/New_York, linking_authorities: [EMPI]}"
    linked = replay_events(told.events, as_of="2026-10-06T19:00:00Z", facilities=linking)
    (one,) = [p for p in plain["patients"] if p["tasks"]]
    (joined,) = [p for p in linked["patients"] if p["tasks"]]
    assert one["aliases"] == []
    assert {joined["patient"], *joined["aliases"]} == {A, B, "EMPI|7"}


def _replayed(*messages: bytes) -> Plain:
    records = [Record(f"m{i}", "hl7v2", raw) for i, raw in enumerate(messages)]
    return replay(records, as_of="2026-10-06T20:00:00Z", facilities=GEN)


def _discharge() -> bytes:
    return adt("A03", pv1={36: "01", 45: "20261006140000-0400"})


def _pid(number: str) -> str:
    return segment("PID", {3: f"{number}^^^GEN^MR"})


def _mrg(number: str, visit: str = "") -> str:
    return segment("MRG", {1: number, 5: visit})


@pytest.mark.parametrize("trigger", ["A18", "A34", "A40", "A47"])
def test_hl7_merges_to_the_end(trigger: str) -> None:
    """
    The discharge's patient is retired: the tasks stand under the survivor.
    """
    answer = _replayed(_discharge(), identities(trigger, _pid("S9"), _mrg("MRN123")))
    (patient,) = [p for p in answer["patients"] if p["tasks"]]
    assert (patient["patient"], patient["aliases"]) == ("GEN|S9", ["GEN|MRN123"])


def test_hl7_an_unlink_to_the_end() -> None:
    """
    A37 takes an A40 back.
    """
    merge = identities("A40", _pid("S9"), _mrg("MRN123"))
    part = identities("A37", _pid("S9"), _pid("MRN123"))
    answer = _replayed(_discharge(), merge, part.replace(b"20261006140", b"20261006141"))
    (patient,) = [p for p in answer["patients"] if p["tasks"]]
    assert (patient["patient"], patient["aliases"]) == ("GEN|MRN123", [])


def test_hl7_a_moved_identifier_to_the_end() -> None:
    """
    A43 takes the number from the one it was merged into and joins it to the right person.
    """
    merge = identities("A40", _pid("WRONG"), _mrg("MRN123"))
    moved = identities("A43", _pid("MRN123^^^GEN~RIGHT"), _mrg("MRN123^^^GEN~WRONG^^^GEN"))
    answer = _replayed(_discharge(), merge, moved.replace(b"20261006140", b"20261006141"))
    (patient,) = [p for p in answer["patients"] if p["tasks"]]
    assert (patient["patient"], patient["aliases"]) == ("GEN|RIGHT", ["GEN|MRN123"])


@pytest.mark.parametrize(
    ("trigger", "pid", "mrg"),
    [
        ("A45", {3: "S9^^^GEN^MR"}, {1: "MRN123", 5: "V1"}),
        ("A44", {3: "S9^^^GEN^MR", 18: "V1"}, {1: "MRN123", 3: "V1"}),  # visits go by accounts
    ],
)
def test_hl7_a_moved_visit_to_the_end(
    trigger: str, pid: dict[int, str], mrg: dict[int, str]
) -> None:
    """
    The tasks are the right patient's.
    """
    said = [segment("PID", pid), segment("MRG", mrg)]
    if trigger == "A45":
        said.append(segment("PV1", {2: "I", 19: "V1"}))
    answer = _replayed(_discharge(), identities(trigger, *said))
    found = {task["subject"]: task["status"] for task in things(answer, "tasks")}
    assert found["GEN|S9"] == "requested"
    assert found.get("GEN|MRN123", "entered-in-error") == "entered-in-error"
