"""What each ADT trigger becomes, and what of the visit it carries (contract section 2)."""

from typing import Any

import pytest

from tests.events.hl7v2.builders import adt, event, events, of_type, reject, segment


@pytest.mark.parametrize(
    ("trigger", "becomes"),
    [
        ("A01", "admission.opened"),
        ("A02", "admission.updated"),
        ("A03", "discharge.recorded"),
        ("A04", "admission.opened"),
        ("A05", "admission.planned"),
        ("A06", "admission.updated"),
        ("A07", "admission.updated"),
        ("A08", "admission.updated"),
        ("A11", "admission.cancelled"),
        ("A12", "admission.updated"),
        ("A13", "discharge.cancelled"),
        ("A14", "admission.planned"),
        ("A16", "discharge.pending"),
        ("A21", "admission.left"),
        ("A22", "admission.returned"),
        ("A23", "admission.cancelled"),
        ("A25", "discharge.pending"),
        ("A27", "admission.cancelled"),
        ("A28", "patient.updated"),
        ("A31", "patient.updated"),
        ("A38", "admission.cancelled"),
        ("A52", "admission.returned"),
        ("A53", "admission.left"),
        ("A54", "admission.updated"),
        ("A55", "admission.updated"),
    ],
)
def test_a_trigger_becomes_its_event(trigger: str, becomes: str) -> None:
    """
    One row of the trigger table each; the visit is named where the event is about one.
    """
    said = event(adt(trigger))

    assert f"care.{becomes}.v1" == said["type"]
    assert (said["subject"], said["facility"], said["lane"]) == ("GEN|MRN123", "GEN", "live")
    assert (None if becomes.startswith("patient.") else "V1") == said["data"].get("visit_number")


PV1: dict[int, str] = {
    4: "U^Urgent",
    7: "1234567893^House^Greg^^^Dr^MD^^NPI",
    10: "CAR^Cardiology",
    14: "7^Emergency room",
    36: "06^Home health",
    37: "HHA1",
    50: "ALT9",
}
REST = (
    segment("DG1", {1: "1", 3: "I50.9^Heart failure^I10", 6: "F"}),
    segment("DG1", {1: "2", 4: "Something in words"}),
    segment("IN1", {3: "MCR1", 4: "Medicare", 15: "MB"}),
)


def test_an_admission_carries_the_visit() -> None:
    """
    PV1, DG1, IN1 and PID-18 as the contract names them.
    """
    data = event(adt("A01", *REST, pv1=PV1, pid={18: "ACC1"}))["data"]

    assert data == {
        "visit_number": "V1",
        "class": "INPATIENT",
        "admitted_at": "2026-10-01T13:30:00Z",
        "admit_type": {"code": "U", "text": "Urgent"},
        "admit_source": {"code": "7", "text": "Emergency room"},
        "service": {"code": "CAR", "text": "Cardiology"},
        "location": {"code": "4EAST", "text": "4EAST 401 B"},
        "attending": {"npi": "1234567893", "name": "Greg House"},
        "diagnoses": [
            {"code": "I50.9", "text": "Heart failure", "system": "I10", "type": "F"},
            {"text": "Something in words"},
        ],
        "payer": {"code": "MCR1", "text": "Medicare", "plan_type": "MB"},
        "account_number": "ACC1",
        "alternate_visit_numbers": ["ALT9"],
    }


@pytest.mark.parametrize("number", ["AC\nC1", "9" * 129])
def test_an_account_number_that_is_none_is_a_doubt(number: str) -> None:
    """
    The visit has a number of its own, so the rest of the message counts.
    """
    said = event(adt("A01", pid={18: number}))

    assert "account_number" not in said["data"]
    assert said["unmapped"] == ["PID-18"]


def test_a_discharge_carries_where_the_patient_went() -> None:
    """
    The raw code of PV1-36; the facility's map is applied by the handlers.
    """
    data = event(adt("A03", pv1=PV1 | {45: "20261006140000-0400"}))["data"]

    assert data["disposition"] == {"code": "06", "text": "Home health"}
    assert data["destination"] == {"code": "HHA1"}
    assert data["class"] == "INPATIENT"


def test_absent_is_not_said_and_null_is_deleted() -> None:
    """
    An empty field leaves no key; ``""`` becomes null, also in times.
    """
    null = dict.fromkeys((3, 4, 7, 10, 14, 36, 37, 44, 45), '""')
    data = event(adt("A08", pv1=null))["data"]
    silent = event(adt("A08", pv1=dict.fromkeys(null, "")))["data"]

    deleted = {
        "location",
        "admit_type",
        "attending",
        "service",
        "admit_source",
        "disposition",
        "destination",
        "admitted_at",
        "discharged_at",
    }
    assert deleted == {name for name, value in data.items() if value is None}
    assert deleted & silent.keys() == set()


def test_an_admission_with_an_end_stays_open() -> None:
    """
    PV1-45 on A01 or A04 marks the stay and is no discharge (ruling 35).
    """
    for trigger in ("A01", "A04"):
        data = event(adt(trigger, pv1={45: "20261006140000-0400"}))["data"]
        assert data["end_in_admit"] is True
        assert "discharged_at" not in data
        assert "end_in_admit" not in event(adt(trigger))["data"]


def test_an_update_after_the_discharge_may_carry_it() -> None:
    """
    A08 with PV1-36 and PV1-45 passes both on (ruling 34).
    """
    data = event(adt("A08", pv1={36: "03", 45: "20261006140000-0400"}))["data"]

    assert (data["disposition"], data["discharged_at"]) == ({"code": "03"}, "2026-10-06T18:00:00Z")


@pytest.mark.parametrize(
    ("trigger", "pv1_44", "opens"),
    [
        ("A02", "", True),
        ("A06", "", True),
        ("A07", "", False),
        ("A08", "20261001", True),
        ("A08", "", False),
        ("A08", "20261020", False),
        ("A12", "20261001", False),
        ("A54", "20261001", False),
    ],
)
def test_which_updates_open_a_visit_never_seen(trigger: str, pv1_44: str, opens: bool) -> None:
    """
    A02 and A06 always, A08 only with PV1-44 (ruling 35).
    """
    data = event(adt(trigger, pv1={44: pv1_44}))["data"]

    assert opens is data.get("opens_stay", False)


def test_an_update_of_a_person_sent_as_a08_needs_no_visit() -> None:
    """
    Without a visit number and without anything that only a visit has, it is about the person.
    """
    person = {19: "", 44: ""}
    assert event(adt("A08", pv1=person))["type"] == "care.patient.updated.v1"
    assert reject(adt("A08", pv1=person | {36: "01"})).reason == "missing-visit"


def test_a_cancelled_discharge_that_still_has_its_end_takes_it_back() -> None:
    """
    A13 with PV1-45 (data/README.md trap 5): the stay re-opens, the old end means nothing.
    """
    said = event(adt("A13", pv1={36: "01", 45: "20261006140000-0400"}))

    assert said["data"] == {"visit_number": "V1"}


def test_a_pending_discharge_is_taken_back_by_deleting_its_time() -> None:
    """
    A25 says that no discharge is expected any more.
    """
    data = event(adt("A25", segment("PV2", {9: "20261008"})))["data"]

    assert data == {"visit_number": "V1", "expected_at": None}


@pytest.mark.parametrize("trigger", ["A27", "A38"])
def test_cancelling_a_plan_says_that_it_is_one(trigger: str) -> None:
    """
    So that an admission that happened meanwhile can be told from what was only planned.
    """
    assert event(adt(trigger))["data"]["cancels"] == "planned"
    assert "cancels" not in event(adt("A11"))["data"]


@pytest.mark.parametrize(
    ("mrg", "pv1", "previous"),
    [
        ({5: "V0^^^GEN"}, {}, "V0"),
        ({6: "V0"}, {}, "V0"),
        ({}, {50: "V0"}, "V0"),
        ({3: "ACC0"}, {}, None),
        ({3: "ACC0"}, {19: ""}, "ACC0"),
        ({5: "V1"}, {}, None),
        ({}, {}, None),
    ],
)
@pytest.mark.parametrize("trigger", ["A06", "A07"])
def test_a_change_of_class_may_change_the_visit_number(
    trigger: str, mrg: dict[int, str], pv1: dict[int, str], previous: str | None
) -> None:
    """
    The old number stands in MRG-5, MRG-6 or PV1-50; an account number only among accounts.
    """
    raw = adt(trigger, segment("MRG", mrg), pv1=pv1, pid={18: "ACC1"})

    assert previous == event(raw)["data"].get("previous_visit_number")


@pytest.mark.parametrize(
    ("trigger", "mrg", "pv1", "number", "previous"),
    [
        ("A50", {5: "V0"}, {}, "V1", "V0"),
        ("A42", {5: "V0"}, {}, "V1", "V0"),
        ("A51", {6: "ALT0"}, {19: "", 50: "ALT1"}, "ALT1", "ALT0"),
        ("A51", {6: "ALT0"}, {50: "ALT1"}, "V1", None),
        ("A49", {3: "ACC0"}, {19: ""}, "ACC1", "ACC0"),
    ],
)
def test_a_changed_number_names_the_old_one(
    trigger: str, mrg: dict[int, str], pv1: dict[int, str], number: str, previous: str | None
) -> None:
    """
    A50, A42, A49 and A51 join what was known under either number.
    """
    data = event(adt(trigger, segment("MRG", mrg), pv1=pv1, pid={18: "ACC1"}))["data"]

    assert (number, previous) == (data["visit_number"], data.get("previous_visit_number"))


@pytest.mark.parametrize("trigger", ["A50", "A42"])
def test_a_changed_number_without_the_old_one_is_refused(trigger: str) -> None:
    """
    MRG-5 is what the message is about.
    """
    assert reject(adt(trigger)).reason == "missing-field"


def test_evn_1_that_names_another_trigger_is_a_doubt() -> None:
    """
    MSH-9 is trusted (data/README.md trap 2).
    """
    said = event(adt("A03", evn={1: "A01"}))

    assert (said["type"], said["unmapped"]) == ("care.discharge.recorded.v1", ["EVN-1"])
    assert "unmapped" not in event(adt("A03"))


@pytest.mark.parametrize(
    ("trigger", "pv1", "pv2", "expected", "mapped"),
    [
        ("A01", {2: "I"}, {}, "INPATIENT", True),
        ("A01", {2: "INPATIENT"}, {}, "INPATIENT", True),
        ("A04", {2: "E"}, {}, "EMERGENCY", True),
        ("A04", {2: "O"}, {}, "OUTPATIENT", True),
        ("A04", {2: "O", 18: "OBS"}, {}, "OBSERVATION", True),
        ("A04", {2: "O", 18: "V"}, {}, "OBSERVATION", True),
        ("A04", {2: "O", 18: "OBV"}, {}, "OBSERVATION", True),
        ("A04", {2: "E", 18: "OBS"}, {}, "EMERGENCY", True),
        ("A04", {2: "V"}, {}, "OBSERVATION", True),
        ("A04", {2: "S"}, {}, "OBSERVATION", True),
        ("A04", {2: "R"}, {}, "RECURRING", True),
        ("A05", {2: "P"}, {}, "PREADMIT", True),
        ("A01", {2: "B"}, {}, "INPATIENT", True),
        ("A01", {2: "I", 4: "N"}, {}, "NEWBORN", True),
        ("A01", {2: "I"}, {36: "Y"}, "NEWBORN", True),
        ("A01", {2: "I"}, {36: "N"}, "INPATIENT", True),
        ("A07", {2: "O"}, {}, "OBSERVATION", True),
        ("A08", {2: "O"}, {}, "OUTPATIENT", True),
        ("A04", {2: "Q"}, {}, "INPATIENT", True),
        ("A04", {2: "I", 18: "SDS"}, {}, "OUTPATIENT", True),
        ("A01", {2: "U"}, {}, "INPATIENT", False),
        ("A01", {2: ""}, {}, "INPATIENT", False),
        ("A04", {2: "HOV"}, {}, "OBSERVATION", False),
        ("A04", {2: "C"}, {}, "OBSERVATION", False),
        ("A05", {2: "U"}, {}, "PREADMIT", False),
        ("A06", {2: "X"}, {}, "INPATIENT", False),
        ("A07", {2: "X"}, {}, "OBSERVATION", False),
        ("A03", {2: "N"}, {}, None, False),
        ("A03", {2: ""}, {}, None, True),
        ("A08", {2: "U"}, {}, None, False),
    ],
)
def test_the_class_of_a_stay(
    trigger: str, pv1: dict[int, str], pv2: dict[int, str], expected: str | None, mapped: bool
) -> None:
    """
    PV1-2 with PV1-18, PV1-4, PV2-36 and the site's map; what no table has is the fail-safe class.
    """
    said = event(adt(trigger, segment("PV2", pv2), pv1=pv1))

    assert expected == said["data"].get("class")
    assert mapped is ("class" not in said.get("unmapped", []))


def test_leave_says_only_that() -> None:
    """
    A21 and A22 open and close nothing.
    """
    assert event(adt("A21", pv1={36: "01"}))["data"] == {"visit_number": "V1"}


def test_the_pcp_is_the_role_segments_else_pd1_4() -> None:
    """
    ROL with PP or FHCP goes first, unless it has ended or is deleted (messages.md).
    """
    pd1 = segment("PD1", {3: "Albany Practice^L", 4: "99^Smith^Anna"})
    role = {2: "AD", 3: "PP", 4: "1234567893^Jones^Bo", 9: "FM^Family medicine", 14: "Elm Clinic"}
    from_pd1 = {"id": "99", "name": "Anna Smith", "organization": "Albany Practice"}
    from_rol = {
        "npi": "1234567893",
        "name": "Bo Jones",
        "specialty": "Family medicine",
        "organization": "Elm Clinic",
    }

    def pcp(*rest: str) -> Any:
        return event(adt("A01", *rest))["data"].get("pcp")

    assert from_pd1 == pcp(pd1)
    assert from_rol == pcp(pd1, segment("ROL", role))
    assert from_rol == pcp(pd1, segment("ROL", role | {3: "FHCP", 6: "20261231"}))
    assert from_pd1 == pcp(pd1, segment("ROL", role | {6: "20220101"}))
    assert from_pd1 == pcp(pd1, segment("ROL", role | {2: "DE"}))
    assert from_pd1 == pcp(pd1, segment("ROL", role | {3: "AT"}))
    assert pcp() is None


def test_a_deleted_pcp_is_null() -> None:
    """
    PD1-4 ``""`` takes the PCP back, in both events.
    """
    found = events(adt("A08", segment("PD1", {4: '""'})))

    assert [one["data"]["pcp"] for one in found] == [None, None]


@pytest.mark.parametrize(
    ("xcn", "key"),
    [
        ("1234567893^A^B", "npi"),
        ("1234567890^A^B", "id"),
        ("1234567890^A^B^^^^^^NPI", "npi"),
        ("1234567890^A^B^^^^^^X&2.16.840.1.113883.4.6&ISO", "npi"),
        ("1234567890^A^B^^^^^^^^^^NPI", "npi"),
        ("0210^A^B", "id"),
        ("0210^A^B^^^^^^NPI", "id"),
    ],
)
def test_a_number_is_an_npi_only_if_typed_or_with_its_check_digit(xcn: str, key: str) -> None:
    """
    A local number as NPI could make a stranger the patient's PCP.
    """
    attending = event(adt("A01", pv1={7: xcn}))["data"]["attending"]

    assert {key, "name"} == attending.keys()


def test_several_pv1_segments_count_as_the_first() -> None:
    """
    Some A02s carry two (data/README.md trap 8).
    """
    raw = adt("A02", segment("PV1", {2: "O", 19: "V9"}))

    assert of_type(events(raw), "admission.updated")["data"]["visit_number"] == "V1"
