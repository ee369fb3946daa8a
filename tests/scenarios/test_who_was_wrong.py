"""What was said of who is whom turns out wrong, or comes twice, early, late, under other numbers.

Rulings 8, 17 and 18 where they are plain; where they are silent, `docs/identity.md` argues.
"""

import pytest

from orchestrator.stream.replay import replay_events
from tests.events.hl7v2.builders import adt, identities, segment
from tests.scenarios.test_who_is_whom import (
    A,
    B,
    Plain,
    Q,
    Told,
    _replayed,
    gaps,
    tasks,
    things,
)

C = "GEN|C"
LINKING = "default: {zone: America/New_York, linking_authorities: [EMPI]}"
ENTERPRISE = [{"authority": "EMPI", "value": "7"}]


@pytest.fixture
def told() -> Told:
    return Told()


def groups(answer: Plain) -> set[frozenset[str]]:
    """Who is one with whom, of those who are not alone."""
    found = (frozenset({p["patient"], *p["aliases"]}) for p in answer["patients"])
    return {group for group in found if len(group) > 1}


def statuses(answer: Plain, subject: str) -> set[str]:
    """Of all tasks that hang on a discharge of *subject*."""
    return set(tasks(answer, subject).values())


# Visits under several numbers.


@pytest.mark.parametrize("named", ["V1", "V2"])
def test_a_visit_moves_under_every_number_that_it_went_by(told: Told, named: str) -> None:
    """
    Discharged as V1, then called V2 (A50): whichever of the two is moved, the whole visit goes.
    """
    told.discharged(A)
    told("admission.updated", A, "06 19:00", visit_number="V2", previous_visit_number="V1")
    told("patient.visit_moved", Q, "07 10:00", visit_number=named, **{"from": A})
    answer = told.answer("07 10:00")
    assert statuses(answer, A) == {"entered-in-error"}
    assert statuses(answer, Q) == {"requested"}
    (stay,) = [s for p in answer["patients"] if p["patient"] == Q for s in p["stays"]]
    assert stay["status"] == "discharged"


def test_a_number_that_changes_after_the_move_goes_along(told: Told) -> None:
    """
    The hospital goes on under the wrong patient: the news of the visit is the right one's.
    """
    told.discharged(A)
    told("patient.visit_moved", Q, "07 10:00", visit_number="V1", **{"from": A})
    told("admission.updated", A, "07 11:00", visit_number="V2", previous_visit_number="V1")
    told("discharge.cancelled", A, "07 12:00", visit_number="V2")
    answer = told.answer("07 12:00")
    assert statuses(answer, A) == {"entered-in-error"}
    assert statuses(answer, Q) == {"cancelled"}


def test_a_visit_told_under_both_numbers_of_a_patient_moves_whole(told: Told) -> None:
    """
    Discharged under B as V1, joined, renumbered under the survivor, moved under its new number.
    """
    told.discharged(B)
    told("patient.merged", A, "06 19:00", retired=B)
    told("admission.updated", A, "06 20:00", visit_number="V2", previous_visit_number="V1")
    told("patient.visit_moved", Q, "07 10:00", visit_number="V2", **{"from": A})
    answer = told.answer("07 10:00")
    assert statuses(answer, B) == {"entered-in-error"}
    assert statuses(answer, Q) == {"requested"}


def test_a_moved_account_takes_its_visits_along(told: Told) -> None:
    """
    A44: all visits billed to the account, also those of which we hear later; no other.
    """
    told("admission.opened", A, "06 10:00", visit_number="V1", account_number="ACC1")
    told.discharged(A)
    told.discharged(A, "2026-09-20T18:00:00Z", "V0")
    said = {"visit_number": "ACC1", "account_number": "ACC1", "from": A}
    told("patient.visit_moved", Q, "07 10:00", **said)
    answer = told.answer("07 10:00")
    ends = {
        (t["subject"], t["visit_number"]): t["close_reason"] for t in things(answer, "transitions")
    }
    assert (ends[A, "V1"], ends[Q, "V1"]) == ("WRONG_PATIENT", None)
    assert (Q, "V0") not in ends
    late = {"visit_number": "V3", "account_number": "ACC1", "disposition": {"code": "01"}}
    told("discharge.recorded", A, "08 10:00", **late)
    later = told.answer("08 10:00")
    assert {t["subject"] for t in things(later, "transitions") if t["visit_number"] == "V3"} == {Q}


def test_an_account_that_is_told_ahead_of_its_time_counts_when_that_comes(told: Told) -> None:
    """
    A44 moved the account; that a visit is billed to it was dated into the future: the visit goes
    along then and not before, like all that the event says (contract.md §2).
    """
    told.discharged(A)
    said = {"visit_number": "ACC1", "account_number": "ACC1", "from": A}
    told("patient.visit_moved", Q, "07 10:00", **said)
    ahead = {"visit_number": "V1", "account_number": "ACC1"}
    told("admission.updated", A, "08 08:00", **ahead)
    early = {"recordedtime": Told.at("07 20:00"), "receivedtime": Told.at("07 20:00")}
    told.events[-1] |= early
    before = told.answer("08 07:00")
    assert (statuses(before, A), statuses(before, Q)) == ({"requested"}, set())
    after = told.answer("08 08:00")
    assert (statuses(after, A), statuses(after, Q)) == ({"entered-in-error"}, {"requested"})


def test_hl7_an_account_that_holds_a_visit_moves_it() -> None:
    """
    The visit has a number of its own (PV1-19); A44 names the account (MRG-3) alone.
    """
    discharge = adt("A03", pid={18: "ACC1"}, pv1={36: "01", 45: "20261006140000-0400"})
    right = segment("PID", {3: "S9^^^GEN^MR", 18: "ACC1"})
    moved = identities("A44", right, segment("MRG", {1: "MRN123", 3: "ACC1"}))
    answer = _replayed(discharge, moved)
    found = {task["subject"]: task["status"] for task in things(answer, "tasks")}
    assert found["GEN|S9"] == "requested"
    assert found.get("GEN|MRN123", "entered-in-error") == "entered-in-error"


def test_a_move_that_a_late_unmerge_makes_void_leaves_the_visit_where_it_was(told: Told) -> None:
    """
    Moved from the survivor, who had never been the other one: its own visit is its own again.
    """
    told.discharged(B)
    told("patient.merged", A, "06 19:00", retired=B)
    told("patient.visit_moved", Q, "07 10:00", visit_number="V1", **{"from": A})
    told("patient.unmerged", A, "06 20:00", retired=B)
    told.events[-1]["receivedtime"] = Told.at("07 11:00")
    answer = told.answer("07 12:00")
    assert statuses(answer, B) == {"requested"}
    assert "requested" not in statuses(answer, Q)
    assert not any("\x1e" in p["patient"] for p in answer["patients"])


# Joined on several ways.


def test_a_wrong_link_is_taken_back_by_an_unlink(told: Told) -> None:
    """
    A37 names the two record numbers; the enterprise number that joined them goes from the second.
    """
    for subject in (A, B):
        told("patient.updated", subject, "06 10:00", identifiers=ENTERPRISE)
    told.discharged(B)

    def answer(when: str) -> Plain:
        return replay_events(told.events, as_of=Told.at(when), facilities=LINKING)

    assert any({A, B} <= group for group in groups(answer("06 19:00")))
    told("patient.unmerged", A, "07 10:00", retired=B)
    told("patient.updated", B, "07 11:00", identifiers=ENTERPRISE)  # every message repeats it
    parted = answer("07 11:00")
    assert groups(parted) == {frozenset({A, "EMPI|7"})}
    assert "MERGE_CONFLICT" not in gaps(parted)


def test_hl7_an_unlink_across_authorities_is_taken() -> None:
    """
    A24 across authorities links, so A37 takes that back; it joins nobody.
    """
    part = identities("A37", segment("PID", {3: "S9^^^GEN^MR"}), segment("PID", {3: "7^^^EMPI"}))
    assert _replayed(part)["rejected"] == []


def test_an_unmerge_that_names_the_survivor_parts_a_chain(told: Told) -> None:
    """
    A into B, B into C: hospitals know A only as C by then. Somebody looks, as it was never said so.
    """
    told("patient.merged", B, "06 10:00", retired=A)
    told("patient.merged", C, "06 11:00", retired=B)
    told("patient.unmerged", C, "07 10:00", retired=A)
    answer = told.answer("07 10:00")
    assert groups(answer) == {frozenset({B, C})}
    assert "MERGE_CONFLICT" in gaps(answer)


def test_a_merge_that_was_said_on_two_ways_holds_when_one_is_taken_back(told: Told) -> None:
    """
    Linked, and merged besides: the link was wrong, the merge was not.
    """
    for subject in (A, B):
        told("patient.updated", subject, "06 10:00", identifiers=ENTERPRISE)
    told("patient.merged", B, "06 12:00", retired=A)
    told("patient.unmerged", A, "07 10:00", retired="EMPI|7")
    answer = replay_events(told.events, as_of=Told.at("07 10:00"), facilities=LINKING)
    assert groups(answer) == {frozenset({A, B, "EMPI|7"})}
    told("patient.unmerged", B, "07 11:00", retired=A)
    parted = replay_events(told.events, as_of=Told.at("07 11:00"), facilities=LINKING)
    assert groups(parted) == {frozenset({B, "EMPI|7"})}


def test_a_repeated_unmerge_says_nothing_new(told: Told) -> None:
    """
    No conflict, no second sentence that records were separated.
    """
    told.discharged()
    told("patient.merged", B, "07 10:00", retired=A)
    told("patient.unmerged", B, "07 11:00", retired=A)
    told("patient.unmerged", B, "07 12:00", retired=A)
    told.booked(A, "07 12:00")
    answer = told.answer("07 12:00")
    assert "MERGE_CONFLICT" not in gaps(answer)
    then = [c for c in answer["changes"] if c["at"] == "2026-10-07T12:00:00Z"]
    said = [c["why"] for c in then if c["change"] != "event.recorded"]
    assert said
    assert not any("separated" in one for one in said)


def test_a_late_unmerge_is_not_called_a_joining(told: Told) -> None:
    """
    The sentence tells what changed here, whatever else was said at that instant.
    """
    told.discharged(A)
    told("patient.merged", B, "07 10:00", retired=A)
    told("patient.merged", C, "08 10:00", retired=Q)
    told("patient.unmerged", B, "08 10:00", retired=A)
    answer = told.answer("08 10:00")
    of_a = [c["why"] for c in answer["changes"] if c["subject"] == A and "task" in c]
    assert "separated" in of_a[-1]


# When it counts.


def test_a_merge_of_a_time_to_come_waits_for_it(told: Told) -> None:
    """
    Said at 10:00 of 12:00: it is no stop, so it counts when the clock gets there (contract §2).
    """
    told.discharged()
    told("patient.merged", B, "07 12:00", retired=A)
    early = {"recordedtime": Told.at("07 10:00"), "receivedtime": Told.at("07 10:00")}
    told.events[-1] |= early
    assert groups(told.answer("07 11:59")) == set()
    joined = told.answer("07 12:00")
    assert groups(joined) == {frozenset({A, B})}
    assert {c["at"] for c in joined["changes"] if c.get("merged_from")} == {Told.at("07 12:00")}


def test_a_move_of_a_time_to_come_says_nothing_of_the_visit_itself(told: Told) -> None:
    """
    One number under two patients is found out, although a move of it was heard of first.
    """
    told("patient.visit_moved", Q, "07 19:00", visit_number="V1", **{"from": B})
    early = {"recordedtime": Told.at("07 12:00"), "receivedtime": Told.at("07 12:00")}
    told.events[-1] |= early
    told.discharged(A, "2026-10-09T12:00:00Z")
    told.discharged(Q, "2026-10-12T12:00:00Z")
    answer = told.answer("12 13:00")
    found = [g["patient"] for g in things(answer, "gaps") if g["code"] == "IDENTITY_UNRESOLVED"]
    assert sorted(found) == [A, Q]
    assert {s["status"] for p in answer["patients"] for s in p["stays"]} == {"discharged"}


def test_what_was_over_before_two_records_were_joined_stays_as_it_ended(told: Told) -> None:
    """
    Ruling 17 speaks of active transitions: a follow-up that was completed is not MERGED later.
    """
    told.discharged(A)
    told.discharged(B, "2026-10-20T18:00:00Z", "W1")
    told("patient.merged", B, "2026-12-01T12:00:00Z", retired=A)
    answer = told.answer("2026-12-01T12:00:00Z")
    ends = {t["subject"]: t["close_reason"] for t in things(answer, "transitions")}
    assert ends == {A: "WINDOW_ENDED", B: "WINDOW_ENDED"}
    assert statuses(answer, A) == {"failed"}


def test_what_is_over_carries_the_name_that_the_patient_has_now(told: Told) -> None:
    """
    Closed before the merge: `patient` is the survivor of everything, `subject` what it was.
    """
    told.discharged()
    told("discharge.cancelled", A, "06 20:00", visit_number="V1")
    told("patient.merged", B, "07 12:00", retired=A)
    answer = told.answer("07 12:00")
    shown = [t for kind in ("tasks", "gaps", "transitions") for t in things(answer, kind)]
    assert {one["status"] for one in shown} <= {"cancelled", "closed"}
    assert {one["patient"] for one in shown} == {B}
    told("patient.unmerged", B, "08 12:00", retired=A)
    parted = told.answer("08 12:00")
    assert {t["patient"] for t in things(parted, "tasks")} == {A}


def test_a_stay_that_was_put_away_keeps_what_was_said_of_it(told: Told) -> None:
    """
    Moved after 200 days and given back: what was known of it is still known; nothing opens.
    """
    told.discharged()
    told("patient.visit_moved", Q, "2027-04-24T12:00:00Z", visit_number="V1", **{"from": A})
    told("patient.visit_moved", A, "2027-04-25T12:00:00Z", visit_number="V1", **{"from": Q})
    told.booked(A, "2027-04-26T12:00:00Z")
    answer = told.answer("2027-04-26T12:00:00Z")
    (patient,) = [p for p in answer["patients"] if p["patient"] == A]
    assert [stay["status"] for stay in patient["stays"]] == ["discharged"]
    assert "requested" not in {task["status"] for task in things(answer, "tasks")}


# Who is told.


def test_who_holds_a_task_hears_that_it_is_gone_and_that_it_is_back(told: Told) -> None:
    """
    Two active transitions are joined and parted: the nurse of the one that ended hears both.
    """
    told.discharged(A)
    told.discharged(B, "07 18:00", "W1")
    (call,) = [
        t
        for t in things(told.answer("07 18:00"), "tasks")
        if (t["kind"], t["subject"]) == ("CALL_48H", A)
    ]
    told("task.accepted", A, "07 19:00", task_id=call["task_id"], actor="ann", role="rn")
    told("patient.merged", B, "07 20:00", retired=A)
    told("patient.unmerged", B, "08 00:00", retired=A)
    answer = told.answer("08 00:00")
    notices = [n for p in answer["patients"] for n in p["notices"]]
    assert [(n["at"][:16], n["to"], n["task_id"] == call["task_id"]) for n in notices] == [
        ("2026-10-07T20:00", "ann", True),
        ("2026-10-08T00:00", "ann", True),
    ]
    assert notices[1]["text"].startswith("Yours again.")


def test_a_doubled_task_says_that_the_other_one_stands(told: Told) -> None:
    """
    One discharge, told under two numbers: after the merge one list of tasks is left (ruling 8).
    """
    told.discharged(A)
    told.discharged(B, "2026-10-06T18:01:00Z", "V1")
    told("patient.merged", B, "06 20:00", retired=A)
    answer = told.answer("06 20:00")
    over = [t for t in things(answer, "tasks") if t["status"] == "cancelled"]
    assert {t["status_reason"] for t in over} == {"SUPERSEDED"}
    assert len(over) == 3
    assert len([t for t in things(answer, "tasks") if t["status"] == "requested"]) == 3


def test_a_test_record_joined_with_a_patient_withdraws_nothing(told: Told) -> None:
    """
    What came under the test number alone is not planned; the survivor's own word counts for all.
    """
    told.discharged(A)
    told("patient.updated", B, "06 19:00", test_patient=True)
    told.discharged(B, "06 20:00", "W1")
    told("patient.merged", A, "06 21:00", retired=B)
    joined = told.answer("06 21:00")
    assert statuses(joined, A) == {"requested"}
    assert tasks(joined, B) == {}
    told("patient.updated", A, "06 22:00", test_patient=True)
    assert statuses(told.answer("06 22:00"), A) == {"cancelled"}


def test_a_gap_that_nobody_may_close_by_hand_says_so(told: Told) -> None:
    """
    It is open, so the refusal does not say that it is over.
    """
    told.discharged()
    gap = next(g for g in things(told.answer("06 19:00"), "gaps") if g["code"] == "NO_PCP_ON_FILE")
    told("task.noted", A, "06 19:00", gap_id=gap["gap_id"], actor="ann", role="rn")
    (refused,) = told.answer("06 19:00")["rejected"]
    assert refused["reason"] == "role"
    assert "by hand" in refused["detail"]
