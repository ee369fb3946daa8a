"""Appointments: which trigger and status become what, and when they start (ruling 37)."""

from typing import Any

import pytest

from tests.events.hl7v2.builders import event, reject, segment, siu


@pytest.mark.parametrize(
    ("trigger", "status", "becomes"),
    [
        ("S12", "Booked", "booked"),
        ("S12", "BOOKED", "booked"),
        ("S12", "", "booked"),
        ("S12", "4", "booked"),
        ("S12", "^Booked", "booked"),
        ("S12", "Overbook", "booked"),
        ("S12", "Pending", "booked"),
        ("S13", "Booked", "rescheduled"),
        ("S14", "", "rescheduled"),
        ("S14", "Started", "checked_in"),
        ("S14", "COMPLETE", "fulfilled"),
        ("S14", "Noshow", "no_show"),
        ("S14", "No Show", "no_show"),
        ("S14", "Cancelled", "cancelled"),
        ("S14", "canceled", "cancelled"),
        ("S14", "Dc", "cancelled"),
        ("S14", "Discontinued", "cancelled"),
        ("S14", "Waitlist", "cancelled"),
        ("S14", "Deleted", "entered_in_error"),
        ("S15", "Cancelled", "cancelled"),
        ("S15", "Deleted", "cancelled"),
        ("S15", "", "cancelled"),
        ("S16", "Dc", "cancelled"),
        ("S17", "Deleted", "entered_in_error"),
        ("S18", "Booked", "rescheduled"),
        ("S19", "", "rescheduled"),
        ("S20", "", "rescheduled"),
        ("S21", "", "rescheduled"),
        ("S22", "", "rescheduled"),
        ("S26", "Noshow", "no_show"),
        ("S26", "Booked", "no_show"),
    ],
)
def test_trigger_and_filler_status_become_one_event(
    trigger: str, status: str, becomes: str
) -> None:
    """
    A trigger that ends the appointment is believed; on the others a status word says more.
    """
    said = event(siu(trigger, sch={25: status}))

    assert f"care.appointment.{becomes}.v1" == said["type"]


@pytest.mark.parametrize(
    ("trigger", "status", "doubted"),
    [
        ("S12", "Booked", False),
        ("S12", "7", False),
        ("S12", "Perhaps", True),
        ("S15", "Cancelled", False),
        ("S15", "Booked", False),
        ("S15", "Deleted", True),
        ("S26", "Complete", True),
    ],
)
def test_a_status_that_means_nothing_or_something_else_is_a_doubt(
    trigger: str, status: str, doubted: bool
) -> None:
    """
    Numbers are ignored; unknown words and clashes show as data quality.
    """
    raw = siu(trigger, segment("TQ1", {7: "20261013150000-0400"}), sch={25: status})

    assert doubted is ("SCH-25" in event(raw).get("unmapped", []))


STARTS = [
    ("TQ1", 7, "20261013150000-0400"),
    ("AIS", 4, "20261013151000-0400"),
    ("AIG", 8, "20261013152000-0400"),
    ("AIL", 6, "20261013153000-0400"),
    ("AIP", 6, "20261013154000-0400"),
]


@pytest.mark.parametrize("first", range(6))
def test_the_start_is_the_first_that_can_be_read(first: int) -> None:
    """
    TQ1-7, AIS-4, AIG-8, AIL-6, AIP-6, SCH-11.4.
    """
    rest = [segment(name, {field: at}) for name, field, at in STARTS[first:]]
    said = event(siu("S12", *rest, sch={11: "^^^20261013155000-0400"}))

    assert f"2026-10-13T19:{first}0:00Z" == said["data"]["starts_at"]


def test_an_unreadable_start_is_skipped_and_flagged() -> None:
    """
    The next one serves.
    """
    said = event(
        siu("S12", segment("TQ1", {7: "soon"}), segment("AIS", {4: "20261013151000-0400"}))
    )

    assert said["data"]["starts_at"] == "2026-10-13T19:10:00Z"
    assert said["timeflags"]["data.starts_at"] == ["UNREADABLE"]


@pytest.mark.parametrize(
    ("rest", "sch", "ends"),
    [
        ([{7: "20261013150000-0400", 8: "20261013152000-0400"}], {}, "2026-10-13T19:20:00Z"),
        ([{7: "20261013150000-0400"}], {9: "30", 10: "min"}, "2026-10-13T19:30:00Z"),
        ([{7: "20261013150000-0400"}], {9: "30"}, "2026-10-13T19:30:00Z"),
        ([{7: "20261013150000-0400"}], {9: "1", 10: "h"}, "2026-10-13T20:00:00Z"),
        ([{7: "20261013150000-0400"}], {9: "2", 10: "fortnight"}, None),
        ([{7: "20261013150000-0400"}], {9: "99999", 10: "min"}, None),
        ([{7: "20261013150000-0400", 8: "20261001150000-0400"}], {}, None),
        ([], {11: "^^^20261013150000-0400^20261013153000-0400"}, "2026-10-13T19:30:00Z"),
    ],
)
def test_the_end_is_stated_or_follows_from_the_duration(
    rest: list[dict[int, str]], sch: dict[int, str], ends: str | None
) -> None:
    """
    An end before the start belongs to something else.
    """
    said = event(siu("S12", *(segment("TQ1", fields) for fields in rest), sch=sch))

    assert ends == said["data"].get("ends_at")


def test_the_duration_beside_the_start_goes_first() -> None:
    """
    AIS-7 and AIS-8 are about the service that starts at AIS-4.
    """
    ais = segment("AIS", {4: "20261013150000-0400", 7: "45", 8: "min"})
    said = event(siu("S12", ais, sch={9: "30", 10: "min"}))

    assert said["data"]["ends_at"] == "2026-10-13T19:45:00Z"


def test_a_booking_without_a_start_is_a_doubt() -> None:
    """
    Nothing is invented; what lacks is named.
    """
    said = event(siu("S12"))

    assert "starts_at" not in said["data"]
    assert said["unmapped"] == ["starts_at"]
    assert "unmapped" not in event(siu("S15"))


@pytest.mark.parametrize(
    ("sch", "number"),
    [({1: "P77", 2: "F77^EPIC"}, "F77"), ({1: "P77^EPIC", 2: ""}, "P77"), ({2: "36996"}, "36996")],
)
def test_the_appointment_is_the_fillers_number_else_the_placers(
    sch: dict[int, str], number: str
) -> None:
    """
    SCH-2, else SCH-1.
    """
    assert number == event(siu("S12", sch=sch))["data"]["appointment_id"]


def test_an_appointment_without_a_number_is_refused() -> None:
    """
    It could never be changed or cancelled again.
    """
    refused = reject(siu("S12", sch={1: "", 2: ""}))

    assert (refused.reason, refused.subject) == ("missing-field", "GEN|MRN123")
    assert "appointment_id" in refused.detail
    assert reject(siu("S12", pid={3: ""})).reason == "missing-patient"


def test_an_appointment_says_with_whom_where_why_and_how() -> None:
    """
    AIP, AIS, AIL, SCH-7 and SCH-8.
    """
    data: dict[str, Any] = event(
        siu(
            "S12",
            segment("PV1", {2: "O", 19: "V5"}),
            segment("AIS", {3: "OV^Office visit^L", 4: "20261013150000-0400"}),
            segment("AIL", {3: "ELM^2"}),
            segment("AIP", {3: "1234567893^Smith^Anna", 4: "FM^Family medicine"}),
            sch={8: "TELE^Video visit"},
        )
    )["data"]

    assert data["provider"] == {
        "npi": "1234567893",
        "name": "Anna Smith",
        "specialty": "Family medicine",
    }
    assert data["service"] == {"code": "OV", "text": "Office visit", "system": "L"}
    assert data["reason"] == {"code": "FU", "text": "Follow-up"}
    assert data["location"] == {"code": "ELM", "text": "ELM 2"}
    assert (data["modality"], data["visit_number"]) == ("video", "V5")


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("Normal", None),
        ("Video", "video"),
        ("Telehealth", "video"),
        ("Telephone call", "phone"),
        ("OFFICE VISIT-15", "in-person"),
        ("In-Person", "in-person"),
        ("Home visit", "home"),
        ("Nursing home review", None),
        ("Homeopathy", None),
    ],
)
def test_the_modality_is_said_in_so_many_words_or_not(kind: str, how: str | None) -> None:
    """
    An invented video visit would satisfy the seven-day rule.
    """
    assert how == event(siu("S12", sch={8: kind}))["data"].get("modality")


def test_a_cancellation_tells_its_own_reason() -> None:
    """
    SCH-6 says why this message, SCH-7 why the appointment.
    """
    sch = {6: "PR^Patient's request"}
    assert event(siu("S15", sch=sch))["data"]["reason"] == {
        "code": "PR",
        "text": "Patient's request",
    }
    assert event(siu("S12", sch=sch))["data"]["reason"] == {"code": "FU", "text": "Follow-up"}


def test_the_account_is_no_visit_of_an_appointment() -> None:
    """
    PID-18 names the last stay's account, not the visit that is still to come.
    """
    assert "visit_number" not in event(siu("S12", pid={18: "ACC1"}))["data"]
