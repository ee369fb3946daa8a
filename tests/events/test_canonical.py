"""Canonical events: what is accepted and in what form."""

import json
from pathlib import Path
from typing import Any

import pytest

from events.canonical import accept, check_ahead, decode
from events.reject import Reject
from schemas.facilities import Facilities
from tests.events.samples import EXAMPLES, GEN, NOWHERE, event, raw


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.json")), ids=lambda file: file.stem)
def test_frozen_examples_are_accepted_as_they_once_were(file: Path) -> None:
    """What the journal holds for an event today, it held when the example was frozen."""
    for example in json.loads(file.read_text()):
        assert decode(raw(example["sent"]), GEN) == example["accepted"]


def test_unknown_fields_are_kept() -> None:
    """What a later version of us may read must be in the journal already."""
    accepted = decode(
        raw(event(data={"visit_number": "V1", "x": {"y": [1, None]}}, ward="4W")), GEN
    )
    assert accepted["data"]["x"] == {"y": [1, None]}
    assert accepted["extensions"] == {"ward": "4W"}


def test_what_we_write_cannot_be_sent() -> None:
    """Flags and stamps of ours in an event are not taken from its sender."""
    forged = event(
        timeflags={"time": ["DAY"]}, unmapped=["class"], sentreceivedtime="x", stamps=["time"]
    )
    accepted = decode(raw(forged), GEN)
    assert not accepted.keys() & {
        "timeflags",
        "unmapped",
        "stamps",
        "sentreceivedtime",
        "extensions",
    }


def test_how_an_event_travelled_does_not_change_it() -> None:
    """A repeat under another trace id is a repeat, not another content under the same id."""
    traced = event(traceparent="00-1-2-01", tracestate="a=b", datacontenttype="application/json")
    assert decode(raw(traced), GEN) == decode(raw(event()), GEN)


def test_null_stays_null_and_missing_stays_missing() -> None:
    """Null means delete what was said before, and must reach the journal as null."""
    data = {"visit_number": "V1", "discharged_at": None, "disposition": None}
    accepted = decode(raw(event(data=data)), GEN)
    assert accepted["data"] == data
    assert "pcp" not in accepted["data"]


def test_a_blank_optional_id_or_time_is_not_said() -> None:
    """Interface engines write "" where their source was empty; that parks no discharge."""
    data = {"visit_number": "V1", "previous_visit_number": "", "discharged_at": " "}
    assert decode(raw(event(data=data)), GEN)["data"] == {"visit_number": "V1"}


@pytest.mark.parametrize("lane", ["live", "backfill", "test"])
def test_the_lane_is_kept(lane: str) -> None:
    """And is live where nothing is said."""
    assert decode(raw(event(lane=lane)), GEN)["lane"] == lane
    assert decode(raw(event(lane=None)), GEN)["lane"] == "live"
    assert decode(raw(event()), GEN)["lane"] == "live"


def test_the_envelopes_facility_goes_before_the_datas() -> None:
    """data.facility is read only when the envelope has none."""
    data = {"visit_number": "V1", "facility": "MID"}
    assert decode(raw(event(data=data)), GEN)["facility"] == "GEN"
    for empty in ({"facility": None}, {"facility": ""}):
        assert decode(raw(event(data=data, **empty)), GEN)["facility"] == "MID"
    assert decode(raw(event(data=data, without="facility")), GEN)["facility"] == "MID"


@pytest.mark.parametrize(
    ("type_", "data"),
    [
        ("patient.updated", {}),
        ("patient.died", {}),
        ("task.released", {"task_id": "T1"}),
        ("appointment.booked", {"appointment_id": "A1"}),
        ("medication.stopped", {"order_id": "O1"}),
        ("result.final", {"order_id": "O1"}),
    ],
)
def test_what_names_its_thing_by_itself_needs_no_facility(type_: str, data: Any) -> None:
    """Only visit numbers are a facility's own."""
    assert decode(raw(event(type_, data=data, without="facility")), GEN)["facility"] is None


def test_data_may_be_absent_where_nothing_in_it_is_required() -> None:
    """A death says all it needs in its envelope."""
    assert decode(raw(event("patient.died", without="data")), GEN)["data"] == {}
    assert decode(raw(event("patient.died", data=None)), GEN)["data"] == {}


def test_data_in_base64_is_the_same_event() -> None:
    """CloudEvents allows it, and some libraries write it so."""
    sent = event(without="data", data_base64="eyJ2aXNpdF9udW1iZXIiOiAiVjEifQ==")
    assert decode(raw(sent), GEN) == decode(raw(event()), GEN)


def test_a_byte_order_mark_is_no_fault() -> None:
    """Windows tools write one."""
    assert decode(b"\xef\xbb\xbf" + raw(event()), GEN) == decode(raw(event()), GEN)


# -- times


def test_every_known_time_is_written_in_utc() -> None:
    """Handlers compare texts; entries of medication lists included."""
    entry = {"name": "aspirin", "started_at": "2026-01-05", "ended_at": "2026-02-01T00:00:00-05:00"}
    data = {"list_type": "PCP", "entries": [{"name": "x"}, entry]}
    accepted = decode(raw(event("medication.list_recorded", data=data)), GEN)
    assert accepted["time"] == "2026-10-06T18:00:00Z"
    assert accepted["data"]["entries"][1]["started_at"] == "2026-01-05T17:00:00Z"
    assert accepted["data"]["entries"][1]["ended_at"] == "2026-02-01T05:00:00Z"
    assert accepted["timeflags"] == {"data.entries.1.started_at": ["DAY"]}


def test_local_times_are_read_in_the_facilitys_zone_and_flagged() -> None:
    """Ruling 3, field by field."""
    data = {"visit_number": "V1", "discharged_at": "2026-11-01T01:30:00"}
    sent = event(time="2026-11-01", data=data, receivedtime="2026-11-01T12:00:00Z")
    accepted = decode(raw(sent), GEN)
    assert accepted["time"] == "2026-11-01T17:00:00Z"
    assert accepted["data"]["discharged_at"] == "2026-11-01T05:30:00Z"
    assert accepted["timeflags"] == {"time": ["DAY"], "data.discharged_at": ["TIME_AMBIGUOUS"]}


def test_a_configured_default_makes_every_zone_known() -> None:
    """A file without a default knows only whom it names."""
    sent = raw(event(facility="OTHER", time="2026-10-06T14:00:00"))
    configured = Facilities.parse("default: {zone: America/Chicago}")
    assert decode(sent, configured)["time"] == "2026-10-06T19:00:00Z"
    for facilities in (NOWHERE, GEN):
        with pytest.raises(Reject, match="bad-time: /time has no offset"):
            decode(sent, facilities)


def test_offsets_of_a_facility_that_gets_them_wrong_are_dropped() -> None:
    """But not in commands and not in what our adapters wrote: neither is that clock's."""
    wrong = Facilities.parse("GEN: {zone: America/New_York, offset_trusted: false}")
    sent = event(time="2026-10-06T14:00:00+00:00", without="receivedtime")
    assert decode(raw(sent), wrong)["time"] == "2026-10-06T18:00:00Z"
    command = event("task.released", time="2026-10-06T14:00:00Z", data={"task_id": "T1"})
    assert decode(raw(command), wrong)["time"] == "2026-10-06T14:00:00Z"
    adapted = event(time="2026-10-06T18:00:00Z", source="hl7v2/ADT1/GEN")
    assert decode(raw(adapted), wrong)["time"] == "2026-10-06T18:00:00Z"
    kept = decode(raw(event()), wrong)
    assert kept["receivedtime"] == "2026-10-06T18:02:03Z", "ours, not that clock's"


def test_the_facilitys_version_at_the_receipt_decides() -> None:
    """A feed whose offsets are right since March is trusted since March."""
    facilities = Facilities.parse(
        "GEN: [{zone: America/New_York, offset_trusted: false},"
        " {zone: America/New_York, effective_from: 2026-03-01}]"
    )
    old = event(time="2026-01-06T14:00:00Z", receivedtime="2026-01-06T19:00:00Z")
    new = event(time="2026-10-06T14:00:00Z")
    assert decode(raw(old), facilities)["time"] == "2026-01-06T19:00:00Z"
    assert decode(raw(new), facilities)["time"] == "2026-10-06T14:00:00Z"


# -- receipts


def test_the_runtimes_receipt_overwrites_the_senders() -> None:
    """receivedtime is ours; the sender's own is kept beside it."""
    accepted = decode(raw(event()), GEN, receipt="2026-10-06T18:05:00Z")
    assert accepted["receivedtime"] == "2026-10-06T18:05:00Z"
    assert accepted["sentreceivedtime"] == "2026-10-06T18:02:03Z"
    silent = decode(raw(event(without="receivedtime")), GEN, receipt="2026-10-06T18:05:00Z")
    assert "sentreceivedtime" not in silent


def test_a_file_keeps_its_receipt_or_is_received_at_its_time() -> None:
    """Except in backfill, where only replay knows the instant."""
    assert decode(raw(event()), GEN)["receivedtime"] == "2026-10-06T18:02:03Z"
    bare = event(without="receivedtime")
    assert decode(raw(bare), GEN)["receivedtime"] == "2026-10-06T18:00:00Z"
    assert "receivedtime" not in decode(raw({**bare, "lane": "backfill"}), GEN)
    stated = decode(raw(event(lane="backfill")), GEN)
    assert stated["receivedtime"] == "2026-10-06T18:02:03Z"


def test_recorded_time_is_there_only_if_it_was_said() -> None:
    """Its defaults depend on the event's type and lane, and are the handlers' business."""
    assert "recordedtime" not in decode(raw(event()), GEN)
    assert "recordedtime" not in decode(raw(event(recordedtime=None)), GEN)
    said = decode(raw(event(recordedtime="2026-10-06T14:02:00-04:00")), GEN)
    assert said["recordedtime"] == "2026-10-06T18:02:00Z"


@pytest.mark.parametrize(
    ("time", "fits"),
    [
        ("2026-10-07T18:02:03Z", True),
        ("2026-10-07T18:02:03.000001Z", False),
        ("2026-10-07T18:02:04Z", False),
        ("2199-12-31T23:59:59Z", False),
    ],
)
def test_a_day_ahead_of_the_receipt_is_the_limit(time: str, fits: bool) -> None:
    """Up to 24 h is a clock that goes wrong; beyond that the time is not believed."""
    late = [
        event("patient.updated", time=time, data={}),
        event(data={"visit_number": "V1", "discharged_at": time}),
        event("admission.opened", data={"visit_number": "V1", "admitted_at": time}),
        event("patient.died", data={"died_at": time}),
    ]
    for sent in late:
        if fits:
            assert decode(raw(sent), GEN)["type"] == sent["type"]
        else:
            with pytest.raises(Reject, match=r"bad-time: .* more than 24 h after the receipt"):
                decode(raw(sent), GEN)


@pytest.mark.parametrize(
    ("type_", "field"),
    [
        ("discharge.pending", "expected_at"),
        ("admission.planned", "expected_at"),
        ("discharge.recorded", "admitted_at"),
        ("discharge.cancelled", "cancels_at"),
        ("appointment.booked", "starts_at"),
    ],
)
def test_what_has_not_happened_may_lie_ahead(type_: str, field: str) -> None:
    """Plans do; and an admission after the receipt of a discharge is ignored, not parked."""
    data = {"visit_number": "V1", "appointment_id": "A1", field: "2026-12-01T00:00:00Z"}
    assert decode(raw(event(type_, data=data)), GEN)["data"][field] == "2026-12-01T00:00:00Z"


def test_who_fills_in_a_backfill_receipt_checks_it() -> None:
    """The limit holds for backfill too, once its receipt is known."""
    accepted = decode(raw(event(lane="backfill", without="receivedtime")), GEN)
    accepted["receivedtime"] = "2026-10-01T00:00:00Z"
    with pytest.raises(Reject, match="bad-time"):
        check_ahead(accepted)
    accepted["receivedtime"] = "9999-12-31T23:59:59Z"
    check_ahead(accepted)


def test_accepting_does_not_change_what_was_given() -> None:
    """The gateway answers with the same object it was handed."""
    entry = {"name": "aspirin", "started_at": "2026-01-05"}
    sent = event("medication.ordered", data={"order_id": "O1", "entry": entry, "visit_number": ""})
    before = json.dumps(sent)
    accept(sent, GEN)
    assert json.dumps(sent) == before
