"""Which field is an event's own time, its record and its receipt (rulings 33 to 36)."""

from typing import Any

import pytest

from tests.events.hl7v2.builders import adt, event, reject, segment, siu

EVN_6 = "20261006130000-0400"
SIX = "2026-10-06T17:00:00Z"
EVN_2_AT = "2026-10-06T18:02:00Z"
MSH_7_AT = "2026-10-06T18:03:00Z"


@pytest.mark.parametrize(
    ("pv1", "evn", "time"),
    [
        ({45: "20261006140000-0400"}, {6: EVN_6}, "2026-10-06T18:00:00Z"),
        ({45: ""}, {6: EVN_6}, SIX),
        ({45: ""}, {6: ""}, EVN_2_AT),
        ({45: ""}, {2: "", 6: ""}, MSH_7_AT),
    ],
)
def test_a_discharge_happened_at_pv1_45_else_evn_6_else_evn_2_else_msh_7(
    pv1: dict[int, str], evn: dict[int, str], time: str
) -> None:
    """
    Also where the sender leaves PV1-45 out (data/README.md trap 5).
    """
    said = event(adt("A03", pv1=pv1, evn=evn))

    assert time == said["time"]
    assert (time if pv1[45] else None) == said["data"].get("discharged_at")


@pytest.mark.parametrize("trigger", ["A01", "A04"])
@pytest.mark.parametrize(
    ("pv1", "evn", "time"),
    [
        ({44: "20261006093000-0400"}, {6: EVN_6}, "2026-10-06T13:30:00Z"),
        ({44: ""}, {6: EVN_6}, SIX),
        ({44: ""}, {6: ""}, EVN_2_AT),
    ],
)
def test_an_admission_happened_at_pv1_44_else_the_same(
    trigger: str, pv1: dict[int, str], evn: dict[int, str], time: str
) -> None:
    """
    A01 and A04 alike.
    """
    assert time == event(adt(trigger, pv1=pv1, evn=evn))["time"]


@pytest.mark.parametrize("trigger", ["A05", "A14", "A16"])
def test_a_plan_was_made_when_it_was_entered(trigger: str) -> None:
    """
    EVN-2, else MSH-7: never the time that is planned.
    """
    assert event(adt(trigger, evn={6: "20261010120000-0400"}))["time"] == EVN_2_AT
    assert event(adt(trigger, evn={2: ""}))["time"] == MSH_7_AT


@pytest.mark.parametrize(
    ("trigger", "pv2", "evn_6", "expected"),
    [
        ("A05", {8: "20261020"}, "20261010120000-0400", "2026-10-20T16:00:00Z"),
        ("A05", {9: "20261020"}, "20261010120000-0400", "2026-10-10T16:00:00Z"),
        ("A14", {}, "20261010120000-0400", "2026-10-10T16:00:00Z"),
        ("A16", {9: "20261008110000-0400"}, "", "2026-10-08T15:00:00Z"),
        ("A16", {}, "20261008110000-0400", "2026-10-08T15:00:00Z"),
        ("A16", {}, "20261006110000-0400", None),
        ("A16", {9: '""'}, "20261008110000-0400", None),
    ],
)
def test_what_is_expected_is_pv2_else_a_later_evn_6(
    trigger: str, pv2: dict[int, str], evn_6: str, expected: str | None
) -> None:
    """
    An EVN-6 after the entry is the expectation where PV2-8 or PV2-9 is empty.
    """
    said = event(adt(trigger, segment("PV2", pv2), evn={6: evn_6}))

    assert expected == said["data"].get("expected_at")


@pytest.mark.parametrize("trigger", ["A11", "A13", "A23", "A27", "A38"])
def test_a_cancel_is_of_when_it_was_entered_and_names_what_it_cancels(trigger: str) -> None:
    """
    EVN-2, else MSH-7; EVN-6 is when the cancelled event happened.
    """
    said = event(adt(trigger, evn={6: EVN_6}))

    assert (said["time"], said["data"]["cancels_at"]) == (EVN_2_AT, SIX)
    assert "cancels_at" not in event(adt(trigger))["data"]
    assert event(adt(trigger, evn={2: ""}))["time"] == MSH_7_AT


@pytest.mark.parametrize("trigger", ["A02", "A06", "A07", "A08", "A21", "A22", "A28", "A31", "A54"])
def test_all_others_happened_at_evn_6_else_evn_2_else_msh_7(trigger: str) -> None:
    """
    Also when PV1 has times of its own.
    """
    assert event(adt(trigger, evn={6: EVN_6}))["time"] == SIX
    assert event(adt(trigger))["time"] == EVN_2_AT
    assert event(adt(trigger, evn={2: ""}))["time"] == MSH_7_AT


def test_a_recorded_time_is_evn_2_else_msh_7() -> None:
    """
    Statements of one visit are ordered by it.
    """
    assert event(adt("A08"))["recordedtime"] == EVN_2_AT
    assert event(adt("A08", evn={2: ""}))["recordedtime"] == MSH_7_AT


def test_the_receipt_is_the_runtimes_and_in_files_msh_7() -> None:
    """
    A file keeps the time at which its messages were sent.
    """
    assert event(adt("A08"))["receivedtime"] == "2026-10-06T18:05:00Z"
    assert event(adt("A08"), receipt=None)["receivedtime"] == MSH_7_AT


def test_an_empty_msh_7_is_the_time_of_receipt() -> None:
    """
    Ruling 36; in a file it is then the time of the event.
    """
    only_receipt = {7: ""}
    said = event(adt("A08", msh=only_receipt, evn={2: ""}))
    in_file = event(adt("A08", msh=only_receipt), receipt=None)

    assert "2026-10-06T18:05:00Z" == said["time"] == said["recordedtime"]
    assert EVN_2_AT == in_file["time"] == in_file["receivedtime"]


@pytest.mark.parametrize("bad", ["2026", "20260230", "24:00", "next week"])
def test_an_unreadable_time_counts_as_absent_and_is_flagged(bad: str) -> None:
    """
    The next field serves; the flag says that a better one was meant.
    """
    said = event(adt("A03", pv1={45: bad}))

    assert said["time"] == EVN_2_AT
    assert said["timeflags"]["time"] == ["UNREADABLE"]
    assert said["timeflags"]["data.discharged_at"] == ["UNREADABLE"]
    assert "discharged_at" not in said["data"]


def test_bad_time_only_when_none_can_be_read() -> None:
    """
    Every candidate stated and none of them a time.
    """
    refused = reject(adt("A03", pv1={45: "x"}, evn={2: "y", 6: "z"}, msh={7: "2026"}))

    assert refused.reason == "bad-time"


def test_a_file_without_any_time_is_bad() -> None:
    """
    No receipt, no MSH-7, no EVN: there is nothing to place the event by.
    """
    assert reject(adt("A08", evn={2: ""}, msh={7: ""}), receipt=None).reason == "bad-time"


@pytest.mark.parametrize(
    ("stamp", "taken"),
    [("20261007140500-0400", True), ("20261007140501-0400", False)],
)
def test_an_event_may_lie_24_hours_ahead_of_its_receipt(stamp: str, taken: bool) -> None:
    """
    Receipt 18:05Z: to 18:05Z of the next day it is a wrong clock, beyond it is a wrong message.
    """
    raw = adt("A01", pv1={44: stamp})
    if taken:
        assert event(raw)["time"] == "2026-10-07T18:05:00Z"
    else:
        assert reject(raw).reason == "bad-time"


def test_a_discharge_more_than_a_day_ahead_is_pending() -> None:
    """
    Somebody entered when the patient is to leave: no clock starts (ruling 33).
    """
    said = event(adt("A03", pv1={36: "01", 45: "20261008140000-0400"}))

    assert said["type"] == "care.discharge.pending.v1"
    assert said["data"]["expected_at"] == "2026-10-08T18:00:00Z"
    assert said["time"] == EVN_2_AT
    assert "discharged_at" not in said["data"]


def test_a_discharge_less_than_a_day_ahead_is_one() -> None:
    """
    A wrong clock does not make a plan of it.
    """
    said = event(adt("A03", pv1={45: "20261007140000-0400"}))

    assert said["type"] == "care.discharge.recorded.v1"


def test_a_file_sent_decades_before_its_events_is_parked() -> None:
    """
    By the letter, on purpose (ruling 33).
    """
    raw = adt("A08", msh={7: "198908181126-0400"})

    assert reject(raw, receipt=None).reason == "bad-time"


def test_an_update_does_not_move_a_discharge_into_the_future() -> None:
    """
    An A08 whose PV1-45 lies ahead carries an expectation; it is left out and flagged.
    """
    said = event(adt("A08", pv1={45: "20261009"}))

    assert "discharged_at" not in said["data"]
    assert said["timeflags"]["data.discharged_at"] == ["UNREADABLE"]


def test_an_entry_far_ahead_does_not_win_every_later_correction() -> None:
    """
    EVN-2 in the year 9999 would be the newest statement for ever; MSH-7 serves.
    """
    said = event(adt("A01", evn={2: "99990101000000-0400"}))

    assert said["recordedtime"] == MSH_7_AT
    assert said["timeflags"]["recordedtime"] == ["UNREADABLE"]


def test_a_discharge_ignores_an_admission_after_the_receipt() -> None:
    """
    Ruling 35.
    """
    late: dict[str, Any] = event(adt("A03", pv1={44: "20261006150000-0400"}))["data"]
    known: dict[str, Any] = event(adt("A03"))["data"]

    assert "admitted_at" not in late
    assert known["admitted_at"] == "2026-10-01T13:30:00Z"


def test_a_date_alone_is_noon_and_says_so() -> None:
    """
    Scenario 15f.
    """
    said = event(adt("A03", pv1={45: "20261006"}))

    assert said["time"] == "2026-10-06T16:00:00Z"
    assert said["timeflags"] == {"time": ["DAY"], "data.discharged_at": ["DAY"]}


def test_an_appointment_message_happened_when_it_was_sent() -> None:
    """
    SIU has no EVN.
    """
    assert event(siu("S12"))["time"] == MSH_7_AT
