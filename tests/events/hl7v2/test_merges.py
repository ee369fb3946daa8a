"""Merges, links and moves: what the sender says of two identifiers (ruling 36)."""

import pytest

from tests.events.hl7v2.builders import RECEIPT, event, events, identities, read, reject, segment

A = segment("PID", {3: "A1^^^GEN^MR"})
B = segment("PID", {3: "B2^^^GEN^MR"})


def mrg(number: str, **more: str) -> str:
    return segment("MRG", {1: number} | {int(k[1:]): v for k, v in more.items()})


@pytest.mark.parametrize("trigger", ["A18", "A30", "A34", "A36", "A40", "A47"])
def test_a_merge_names_survivor_and_retired(trigger: str) -> None:
    """
    PID-3 survives, MRG-1 is retired; an identifier without authority is the sender's.
    """
    said = event(identities(trigger, A, mrg("B2")))

    assert (
        said["type"],
        said["subject"],
        said["data"],
    ) == ("care.patient.merged.v1", "GEN|A1", {"retired": "GEN|B2"})


def test_one_message_may_merge_several_pairs() -> None:
    """
    Each PID with the MRG after it is an event of its own, with an id of its own.
    """
    first, second = events(
        identities("A40", A, mrg("B2"), segment("PID", {3: "C3"}), segment("PD1", {}), mrg("D4"))
    )

    assert [(one["subject"], one["data"]["retired"]) for one in (first, second)] == [
        ("GEN|A1", "GEN|B2"),
        ("GEN|C3", "GEN|D4"),
    ]
    assert first["id"] + "#2" == second["id"]


def test_a_merge_into_itself_is_refused_alone() -> None:
    """
    One bad pair does not hold up the other.
    """
    found = read(identities("A40", A, mrg("A1^^^GEN"), B, mrg("C3")))

    assert [one["subject"] for one in found.events] == ["GEN|B2"]
    assert [(one.reason, one.subject, one.place) for one in found.rejects] == [
        ("self-merge", "GEN|A1", "MRG^1^1")
    ]
    assert [(one.facility, one.receipt) for one in found.rejects] == [("GEN", RECEIPT)]


@pytest.mark.parametrize(
    ("segments", "reason"),
    [
        ((A, mrg("A1")), "self-merge"),
        ((A, mrg("B2^^^OTHER")), "identity-conflict"),
        ((A, mrg("")), "missing-field"),
        ((A,), "missing-field"),
        ((mrg("B2"),), "missing-patient"),
        ((segment("PID", {3: ""}), mrg("B2")), "missing-patient"),
    ],
)
def test_a_merge_that_cannot_be(segments: tuple[str, ...], reason: str) -> None:
    """
    Itself, another authority's number, nobody.
    """
    assert reason == reject(identities("A40", *segments)).reason


def test_a_cycle_of_merges_is_three_events() -> None:
    """
    Who is whom in the end is decided elsewhere; each message is read for itself (H19).
    """
    forth = event(identities("A40", A, mrg("B2")))
    back = event(identities("A40", B, mrg("A1")))

    assert (forth["subject"], forth["data"]["retired"]) == (
        back["data"]["retired"],
        back["subject"],
    )


def test_a_link_within_one_authority_is_a_merge_that_says_so() -> None:
    """
    A24, which A37 undoes.
    """
    linked = event(identities("A24", A, B))
    unlinked = event(identities("A37", A, B))

    assert (
        linked["type"],
        linked["data"],
    ) == ("care.patient.merged.v1", {"retired": "GEN|B2", "link": True})
    assert (
        unlinked["type"],
        unlinked["data"],
    ) == ("care.patient.unmerged.v1", {"retired": "GEN|B2"})


def test_a_link_across_authorities_names_another_identifier() -> None:
    """
    Plain record numbers never link; a site may say that an enterprise number does.
    """
    said = event(identities("A24", A, segment("PID", {3: "E9^^^EPI"})))

    assert (said["type"], said["subject"]) == ("care.patient.updated.v1", "GEN|A1")
    assert said["data"] == {"identifiers": [{"authority": "EPI", "value": "E9"}]}


@pytest.mark.parametrize("trigger", ["A24", "A37"])
def test_a_link_needs_two_patients(trigger: str) -> None:
    """
    Two PID segments.
    """
    assert reject(identities(trigger, A)).reason == "missing-patient"
    assert reject(identities(trigger, A, A)).reason == "self-merge"


@pytest.mark.parametrize(
    ("pid3", "mrg1"),
    [("M1^^^GEN~RIGHT^^^GEN", "M1^^^GEN~WRONG^^^GEN"), ("RIGHT~M1", "WRONG~M1")],
)
def test_a_moved_identifier_goes_from_the_wrong_to_the_right_person(pid3: str, mrg1: str) -> None:
    """
    A43: the number that both name moves; the other ones say from whom to whom.
    """
    said = event(identities("A43", segment("PID", {3: pid3}), mrg(mrg1)))

    assert (said["type"], said["subject"]) == ("care.patient.identifiers_moved.v1", "GEN|RIGHT")
    assert said["data"] == {"identifier": "GEN|M1", "from": "GEN|WRONG"}


def test_an_old_a43_names_the_persons_in_pid_2_and_mrg_4() -> None:
    """
    Before v2.4 the superior numbers were external ones.
    """
    pid = segment("PID", {2: "RIGHT", 3: "M1"})
    said = event(identities("A43", pid, mrg("M1", f4="WRONG")))

    assert (
        said["subject"],
        said["data"],
    ) == ("GEN|RIGHT", {"identifier": "GEN|M1", "from": "GEN|WRONG"})


def test_an_a43_without_a_target_is_refused() -> None:
    """
    Nobody to whom the identifier could move.
    """
    assert reject(identities("A43", A, mrg("A1"))).reason == "missing-patient"


def test_a_moved_visit_belongs_to_the_patient_of_pid_3() -> None:
    """
    A45: the subject is the right patient, `from` the wrong one.
    """
    said = event(identities("A45", A, mrg("B2", f5="V7^^^GEN"), segment("PV1", {2: "I", 19: "V7"})))

    assert (said["type"], said["subject"]) == ("care.patient.visit_moved.v1", "GEN|A1")
    assert said["data"] == {"visit_number": "V7", "from": "GEN|B2"}


def test_a_moved_visit_may_change_its_number() -> None:
    """
    It moves under its old number, and the new one names the old.
    """
    moved, renamed = events(
        identities("A45", A, mrg("B2", f5="V7"), segment("PV1", {2: "I", 19: "V8"}))
    )

    assert moved["data"] == {"visit_number": "V7", "from": "GEN|B2"}
    assert (renamed["type"], renamed["subject"]) == ("care.admission.updated.v1", "GEN|A1")
    assert renamed["data"] == {"visit_number": "V8", "previous_visit_number": "V7"}


def test_several_visits_may_move_at_once() -> None:
    """
    A45 repeats MRG and PV1 under one PID.
    """
    found = events(
        identities(
            "A45",
            A,
            mrg("B2", f5="V7"),
            segment("PV1", {2: "I", 19: "V7"}),
            mrg("B2", f5="V8"),
            segment("PV1", {2: "I", 19: "V8"}),
        )
    )

    assert [one["data"]["visit_number"] for one in found] == ["V7", "V8"]


@pytest.mark.parametrize("from_whom", ["", "A1"])
def test_a_visit_that_only_changes_its_account_is_an_update(from_whom: str) -> None:
    """
    A45 as FHIR-Converter's sample has it: no other patient in MRG-1.
    """
    pid = segment("PID", {3: "A1", 18: "ACC2"})
    said = event(
        identities("A45", pid, mrg(from_whom, f3="ACC1", f5="V7"), segment("PV1", {19: "V7"}))
    )

    assert said["type"] == "care.admission.updated.v1"
    assert said["data"] == {"visit_number": "V7", "account_number": "ACC2"}


def test_a_moved_account_is_the_visit_of_feeds_that_number_by_account() -> None:
    """
    A44: MRG-3 of MRG-1 belongs to PID-3.
    """
    said = event(identities("A44", segment("PID", {3: "A1", 18: "ACC1"}), mrg("B2", f3="ACC1")))

    assert (
        said["type"],
        said["data"],
    ) == (
        "care.patient.visit_moved.v1",
        {"visit_number": "ACC1", "from": "GEN|B2", "account_number": "ACC1"},
    )


@pytest.mark.parametrize("trigger", ["A44", "A45"])
def test_a_move_needs_a_visit(trigger: str) -> None:
    """
    Neither MRG nor PID nor PV1 names one.
    """
    assert reject(identities(trigger, A, mrg("B2"))).reason == "missing-visit"
