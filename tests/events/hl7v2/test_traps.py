"""The traps of ``data/README.md``, each a test: what real feeds do and what must become of it.

Traps 13 and 14 are of FHIR data.  The messages are made up after the descriptions, as the feeds
themselves are not all staged; where the data has one, it is used.
"""

from datetime import UTC, datetime, timedelta

import pytest

from schemas.facilities import Facilities
from tests.events.hl7v2 import corpus
from tests.events.hl7v2.builders import (
    RECEIPT,
    adt,
    event,
    events,
    of_type,
    read,
    reject,
    segment,
    siu,
)


def test_trap_1_a_byte_order_mark_and_line_feeds() -> None:
    """
    BOM before MSH, LF or CRLF for CR, five encoding characters: all the same message.
    """
    plain = adt("A01")
    expected = [one["data"] for one in events(plain)]

    for raw in (
        b"\xef\xbb\xbf" + plain,
        plain.replace(b"\r", b"\n"),
        plain.replace(b"\r", b"\r\n") + b"\r\n",
        plain.replace(b"MSH|^~\\&|", b"MSH|^~\\&#|"),
    ):
        assert expected == [one["data"] for one in events(raw)]


def test_trap_2_msh_9_is_trusted_against_the_body() -> None:
    """
    ADT^A60 with an SIU body is an A60; EVN-1 = A01 in an A03 is an A03.
    """
    body = siu("S12").split(b"\r", 1)[1]
    header = adt("A60").split(b"\r", 1)[0]

    assert read(header + b"\r" + body).ignored == "ADT^A60"
    assert event(adt("A03", evn={1: "A01"}))["type"] == "care.discharge.recorded.v1"


def test_trap_2_in_the_data() -> None:
    """
    The staged example of it.
    """
    corpus.need_corpus()

    assert read(corpus.message("fhir-converter/SIU_12")).ignored == "ADT^A60"


def test_trap_3_one_control_id_on_three_messages() -> None:
    """
    A28, A01 and A03 with MSH-10 = 1DD47: none is taken for a repeat of another.
    """
    ids = {event(adt(trigger, msh={10: "1DD47"}))["id"] for trigger in ("A28", "A01", "A03")}

    assert len(ids) == 3


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("20261006140000+0215", "2026-10-06T11:45:00Z"),
        ("20261006140000+05:30", "2026-10-06T08:30:00Z"),
        ("20261006140000", "2026-10-06T18:00:00Z"),
        ("20261006140000.250", "2026-10-06T18:00:00.25Z"),
    ],
)
def test_trap_4_offsets_local_times_and_fractions(sent: str, meant: str) -> None:
    """
    Each is the instant that its sender meant.
    """
    assert meant == event(adt("A03", pv1={45: sent}))["time"]


def test_trap_4_a_birth_date_at_midnight_of_summer_time() -> None:
    """
    The day as written, in whatever zone it was midnight.
    """
    assert event(adt("A28", pid={7: "19840601000000+0100"}))["data"]["birth_date"] == "1984-06-01"


def test_trap_5_a_cancelled_discharge_with_its_end_and_a_discharge_without() -> None:
    """
    A13 with PV1-45 takes back; A03 without PV1-45 happened at EVN-6, else EVN-2.
    """
    assert event(adt("A13", pv1={45: "20261006140000-0400"}))["data"] == {"visit_number": "V1"}
    assert event(adt("A03"))["time"] == "2026-10-06T18:02:00Z"


def test_trap_5_in_the_data() -> None:
    """
    LinuxForHealth's simple A03s have neither PV1-45 nor an authority nor MSH-4, and count.
    """
    corpus.need_corpus()
    found = event(corpus.message("hl7-linuxforhealth:22"), receipt=None)

    assert (
        found["type"],
        found["subject"],
        found["facility"],
    ) == ("care.discharge.recorded.v1", "TestSystem|1234", "default")
    assert (found["time"], found["unmapped"]) == ("2015-05-02T13:00:00Z", ["MSH-4", "EVN-1"])


def test_trap_6_the_visit_number_elsewhere() -> None:
    """
    PV1-50, or only the account of PID-18.
    """
    assert event(adt("A03", pv1={19: "", 50: "ALT"}))["data"]["visit_number"] == "ALT"
    assert event(adt("A03", pv1={19: ""}, pid={18: "ACC"}))["data"]["visit_number"] == "ACC"


def test_trap_7_fields_that_are_some_places_off() -> None:
    """
    Admit time in PV1-37, discharge time in PV1-47, a payer as class: no crash, nothing invented.
    """
    shifted = {
        2: "MCARE",
        4: "20261001",
        36: "20261006140000",
        37: "20261001093000",
        44: "",
        45: "Home",
        47: "20261006140000",
    }
    found = events(adt("A03", pv1=shifted, pid={7: "F", 8: "19540312", 29: "N", 30: "F"}))
    said = found[0]

    assert said["time"] == "2026-10-06T18:02:00Z"  # entered, as nothing else could be read
    assert {"time", "data.discharged_at"} == said["timeflags"].keys()
    assert "discharged_at" not in said["data"]
    assert "admitted_at" not in said["data"]
    assert "class" not in said["data"]
    assert {"class", "PID-29", "PID-30"} <= set(said["unmapped"])
    assert not [one for one in found if "died" in one["type"]]


def test_trap_8_two_pv1_and_starts_in_odd_places() -> None:
    """
    The first PV1 counts; a start only in AIS, AIG or SCH-11 is found.
    """
    assert event(adt("A02", segment("PV1", {19: "V9"})))["data"]["visit_number"] == "V1"
    for rest, sch in (
        ((segment("AIS", {4: "20261013150000-0400"}),), {}),
        ((segment("AIG", {8: "20261013150000-0400"}),), {}),
        ((), {11: "^^^20261013150000-0400"}),
    ):
        said = event(siu("S12", *rest, sch=sch))
        assert said["data"]["starts_at"] == "2026-10-13T19:00:00Z"


@pytest.mark.parametrize("status", ["Booked", "BOOKED", "4", ""])
def test_trap_9_filler_status_in_free_text(status: str) -> None:
    """
    Any case, a number or nothing: booked all the same.
    """
    assert event(siu("S12", sch={25: status}))["type"] == "care.appointment.booked.v1"


def test_trap_9_a_cancellation_that_says_deleted() -> None:
    """
    S15 with SCH-25 = Deleted is a cancellation.
    """
    assert event(siu("S15", sch={25: "Deleted"}))["type"] == "care.appointment.cancelled.v1"


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [
        ("CP1250", "cp1250"),
        ("8859/1", "latin-1"),
        ("8859/15", "iso8859-15"),
        ("UNICODE UTF-8", "utf-8"),
        ("8859/1", "utf-8"),
    ],
)
def test_trap_10_declared_and_real_character_sets(declared: str, encoding: str) -> None:
    """
    Also UTF-8 that calls itself 8859/1.
    """
    raw = adt("A28", msh={18: declared}, pid={5: "Schön"}).decode().encode(encoding)

    assert event(raw)["data"]["name"] == "Schön"


def test_trap_11_two_appointments_on_a_day_and_a_new_number_for_a_moved_one() -> None:
    """
    Each is known by its own number; a move that cancels and books is a cancel and a booking.
    """
    cancelled = event(siu("S15", sch={2: "F1", 25: "Cancelled"}))
    booked = event(siu("S12", sch={2: "F2"}))

    assert (cancelled["data"]["appointment_id"], booked["data"]["appointment_id"]) == ("F1", "F2")
    assert cancelled["subject"] == booked["subject"]


@pytest.mark.parametrize(
    ("pv1", "pid", "died"),
    [({36: "20"}, {}, 0), ({36: ""}, {30: "Y"}, 1), ({36: "20"}, {30: "Y"}, 1)],
)
def test_trap_12_the_dead_are_discharged_like_others(
    pv1: dict[int, str], pid: dict[int, str], died: int
) -> None:
    """
    A plain A03 whose disposition or PID-30 tells it; both reach the product.
    """
    found = events(adt("A03", pv1=pv1, pid=pid))
    said = of_type(found, "discharge.recorded")

    assert pv1[36] == said["data"].get("disposition", {}).get("code", "")
    assert died == len([one for one in found if "died" in one["type"]])


def test_the_same_message_by_file_and_by_socket_is_one_event() -> None:
    """
    Framing, line ends and the time of sending do not make another event of it.
    """
    plain = adt("A03")
    by_file = events(plain.replace(b"\r", b"\n") + b"\n", receipt=None)
    by_socket = events(b"\x0b" + plain + b"\r\x1c\r")

    assert [one["id"] for one in by_file] == [one["id"] for one in by_socket]
    assert [one["time"] for one in by_file] == [one["time"] for one in by_socket]


def test_a_sender_whose_clock_runs_ahead_is_still_heard() -> None:
    """
    Up to a day (contract section 2); the handlers flag it.
    """
    receipt = datetime(2026, 10, 6, 18, 5, tzinfo=UTC)
    ahead = (receipt + timedelta(hours=23)).strftime("%Y%m%d%H%M%S+0000")

    assert event(adt("A01", pv1={44: ahead}), receipt=RECEIPT)["time"] == "2026-10-07T17:05:00Z"


def test_a_facility_nobody_listed_needs_offsets() -> None:
    """
    A file without a default: the zone of an unlisted sender is not known.
    """
    only_west = Facilities.parse("WEST: {zone: America/Chicago}")
    local = adt("A08", evn={2: "20261006140200"}, msh={7: "20261006140300"})

    assert reject(local, facilities=only_west).reason == "bad-time"
    assert event(adt("A08"), facilities=only_west)["time"] == "2026-10-06T18:02:00Z"
