"""Whose message it is: authorities, facilities, visit numbers, event ids (ruling 33)."""

import pytest

from events.hl7v2 import decode
from schemas.facilities import Facilities
from tests.events.hl7v2.builders import RECEIPT, adt, event, events, reject

MID = {3: "MIDAPP", 4: "MIDFAC"}


@pytest.mark.parametrize(
    ("msh", "pid3", "subject"),
    [
        ({}, "MRN1^^^EPI^MR", "EPI|MRN1"),
        ({}, "MRN1^^^EPI&1.2.3&ISO^MR", "EPI|MRN1"),
        ({}, "MRN1^^^&1.2.3&ISO^MR", "1.2.3|MRN1"),
        ({}, "MRN1", "GEN|MRN1"),
        ({3: "X", 4: "OTHER^1.2^ISO"}, "MRN1", "OTHER|MRN1"),
        ({3: "X", 4: "^1.2.9^ISO"}, "MRN1", "1.2.9|MRN1"),
        (MID, "MRN1", "MIDMRN|MRN1"),
        (MID, "MRN1^^^EPI", "EPI|MRN1"),
        ({3: "X", 4: ""}, "MRN1", "X|MRN1"),
        ({}, '""^^^A~MRN2^^^B', "B|MRN2"),
        ({}, "MRN1^^^A~MRN2^^^B", "A|MRN1"),
        ({}, " MRN1 ^^^A", "A|MRN1"),
    ],
)
def test_the_subject_is_the_first_identifier_with_its_authority(
    msh: dict[int, str], pid3: str, subject: str
) -> None:
    """
    CX-4, else the feed's authority, else MSH-4; a null number is none.
    """
    assert subject == event(adt("A01", msh=msh, pid={3: pid3}))["subject"]


@pytest.mark.parametrize(
    ("msh", "pid3", "reason"),
    [
        ({}, "", "missing-patient"),
        ({}, '""', "missing-patient"),
        ({}, "^^^GEN^MR", "missing-patient"),
        ({3: "", 4: ""}, "MRN1", "missing-patient"),
        ({}, "MRN1^^^A\\F\\B", "malformed"),
        ({}, "MRN1\tX", "malformed"),
        ({}, "9" * 300, "malformed"),
    ],
)
def test_without_a_usable_identifier_nothing_is_taken(
    msh: dict[int, str], pid3: str, reason: str
) -> None:
    """
    No number, nobody to whom it belongs, or one that would name somebody else in a key.
    """
    assert reason == reject(adt("A01", msh=msh, pid={3: pid3})).reason


def test_other_identifiers_are_named_but_not_social_security_numbers() -> None:
    """
    The further identifiers of PID-3 may link at sites that say so; an SSN links nowhere here.
    """
    said = event(adt("A01", pid={3: "1^^^GEN^MR~E9^^^EPI^PI~999^^^USSSA^SS~7^^^^SS"}))

    assert said["data"]["identifiers"] == [{"authority": "EPI", "value": "E9", "type": "PI"}]


@pytest.mark.parametrize(
    ("msh", "pv1", "facility"),
    [
        ({}, {3: "4EAST^401^B^WEST"}, "WEST"),
        ({}, {3: "4EAST^401^B^ANNEX"}, "GEN"),
        (MID, {3: "ICU"}, "MID"),
        ({3: "X", 4: "UNLISTED^1.2^ISO"}, {3: ""}, "UNLISTED"),
    ],
)
def test_the_facility_is_the_mapped_place_else_the_feeds_else_msh_4(
    msh: dict[int, str], pv1: dict[int, str], facility: str
) -> None:
    """
    Two hospitals on one system stand in PV1-3.4; one that the site does not list does not count.
    """
    assert facility == event(adt("A01", msh=msh, pv1=pv1))["facility"]


def test_a_sender_without_a_name_is_the_default_facility_and_shows_it() -> None:
    """
    A discharge is not lost for an empty MSH-4; the missing name is a matter of data quality.
    """
    said = event(adt("A03", msh={3: "X", 4: ""}, pv1={3: ""}))

    assert (said["facility"], said["unmapped"]) == ("default", ["MSH-4"])


@pytest.mark.parametrize(
    ("pv1", "pid", "number"),
    [
        ({19: "V1^^^GEN"}, {18: "ACC"}, "V1"),
        ({19: "", 50: "ALT^^^GEN"}, {18: "ACC"}, "ALT"),
        ({19: '""', 50: ""}, {18: "ACC^^^GEN"}, "ACC"),
    ],
)
def test_the_visit_number_is_pv1_19_else_pv1_50_else_pid_18(
    pv1: dict[int, str], pid: dict[int, str], number: str
) -> None:
    """
    Some feeds number visits only by account (data/README.md trap 6).
    """
    assert number == event(adt("A01", pv1=pv1, pid=pid))["data"]["visit_number"]


def test_a_message_about_a_visit_needs_one() -> None:
    """
    The reject says whose the message was, so that the parked event opens a gap with them.
    """
    refused = reject(adt("A03", pv1={19: ""}))

    assert (refused.reason, refused.place) == ("missing-visit", "PV1^1^19")
    assert (refused.subject, refused.facility, refused.receipt) == ("GEN|MRN123", "GEN", RECEIPT)
    assert refused.source == "hl7v2/ADT1/GEN"
    assert refused.event_id is not None
    assert refused.event_id.startswith("GEN-MSG1-")


def test_source_and_ids_are_made_of_the_header_and_the_content() -> None:
    """
    ``hl7v2/<MSH-3>/<MSH-4>`` and ``<MSH-4>-<MSH-10>-<12 hex>``, the second event ``...#2``.
    """
    first, second = events(adt("A01"))

    assert "hl7v2/ADT1/GEN" == first["source"] == second["source"]
    front, _, digest = first["id"].rpartition("-")
    assert (front, len(digest)) == ("GEN-MSG1", 12)
    assert int(digest, 16) >= 0
    assert first["id"] + "#2" == second["id"]


def test_one_control_id_on_two_messages_makes_two_events() -> None:
    """
    Real feeds reuse MSH-10 (trap 3), so the content is part of the id; a repeat has the same.
    """
    once = event(adt("A01"))
    again = event(adt("A01", msh={7: "20261006150000-0400"}))
    other = event(adt("A01", pv1={19: "V2"}))

    assert once["id"] == again["id"]
    assert once["id"] != other["id"]


def test_what_comes_from_the_stamp_of_sending_is_marked() -> None:
    """
    Where only MSH-7 tells a time, a repeat with another MSH-7 differs there and nowhere else.
    """
    evn = {2: "", 6: ""}
    once = event(adt("A08", evn=evn))
    again = event(adt("A08", evn=evn, msh={7: "20261006140330-0400"}))

    assert ["time", "recordedtime"] == once["stamps"] == again["stamps"]
    assert {k: v for k, v in once.items() if k not in once["stamps"]} == {
        k: v for k, v in again.items() if k not in again["stamps"]
    }
    assert once["time"] != again["time"]
    assert "stamps" not in event(adt("A08"))


def test_a_long_header_does_not_make_a_long_id() -> None:
    """
    Ids are at most 128 characters; two messages stay apart by their content.
    """
    msh = {3: "A" * 120, 4: "F" * 120, 10: "C" * 199}
    one = event(adt("A01", msh=msh, pv1={3: ""}))
    two = event(adt("A01", msh=msh, pv1={3: "", 19: "V2"}))

    assert len(one["id"]) <= 126
    assert len(one["source"]) <= 256
    assert one["id"] != two["id"]


def test_a_facility_in_versions_is_read_as_it_stood() -> None:
    """
    A hospital that moved its clocks to another zone is read in the zone of its time.
    """
    moved = Facilities.parse(
        """
GEN:
- {zone: America/New_York}
- {zone: America/Chicago, effective_from: 2026-11-15}
"""
    )
    local = {44: "20261001093000"}
    before = decode(adt("A01", pv1=local), moved, receipt="2026-10-06T18:00:00Z").events[0]
    after = decode(adt("A01", pv1=local), moved, receipt="2026-12-06T18:00:00Z").events[0]
    as_file = decode(adt("A01", pv1=local), moved).events[0]

    assert before["time"] == as_file["time"] == "2026-10-01T13:30:00Z"
    assert after["time"] == "2026-10-01T14:30:00Z"
