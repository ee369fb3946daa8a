"""What the envelope means: the stamp, whose defaults, and when an event takes effect."""

from typing import Any

import pytest

from orchestrator.core.facts import VisitMark, VisitSaid
from orchestrator.core.instants import HOUR, SECOND, written
from schemas.events import EVENT_TYPES
from tests.handlers.samples import RECEIPT, TIME, read_envelope

AT_RECEIPT = {"admission.updated", "discharge.corrected", "patient.updated"}
TYPES = sorted(name.removeprefix("care.").removesuffix(".v1") for name in EVENT_TYPES)


@pytest.mark.parametrize("type_", TYPES)
def test_what_was_not_said_to_be_recorded_was_recorded_when_it_happened(type_: str) -> None:
    """But a correction or an update counts from its receipt (contract, section 2)."""
    expected = RECEIPT if type_ in AT_RECEIPT else TIME
    assert read_envelope(type_).stamp.recorded == expected


@pytest.mark.parametrize("type_", TYPES)
def test_in_backfill_it_was_recorded_when_it_happened(type_: str) -> None:
    """History is received long after; its order is that of the events."""
    stamp = read_envelope(type_, lane="backfill").stamp
    assert (stamp.recorded, stamp.backfill) == (TIME, True)


@pytest.mark.parametrize("type_", ["discharge.recorded", "discharge.corrected"])
@pytest.mark.parametrize("lane", ["live", "backfill"])
def test_a_stated_record_holds(type_: str, lane: str) -> None:
    """The sender knows best when it was entered."""
    said = read_envelope(type_, lane=lane, recordedtime="2026-10-06T19:30:00Z")
    assert said.stamp.recorded == TIME + 90 * 60 * SECOND


def test_the_stamp_says_who_what_and_when() -> None:
    """Everything that two statements are compared by."""
    stamp = read_envelope("discharge.recorded", sequence=7).stamp
    assert stamp == (TIME, 7, "hospital/GEN/adt", "GEN-1", TIME, RECEIPT, False)


def test_without_a_sequence_it_is_below_every_one_that_has() -> None:
    """Zero is a sequence too."""
    assert read_envelope("discharge.recorded").stamp.sequence == -1
    assert read_envelope("discharge.recorded", sequence=0).stamp.sequence == 0


@pytest.mark.parametrize(
    ("envelope", "data", "expected"),
    [("GEN", "MID", "GEN"), (None, "MID", "MID"), ("", "MID", "MID"), (None, None, "")],
)
def test_the_facility_stands_on_the_envelope_else_in_the_data(
    envelope: str | None, data: str | None, expected: str
) -> None:
    """Contract, section 2."""
    from handlers.envelope import said
    from tests.handlers.samples import FACILITIES, event

    made = event("patient.updated")
    made["facility"] = envelope
    made["data"]["facility"] = data
    assert said(made, FACILITIES).facility == expected


def test_a_time_that_was_not_said_or_deleted_is_none() -> None:
    """Neither is the year 1970."""
    said = read_envelope("discharge.recorded", discharged_at=None)
    assert said.instant("discharged_at") is None
    assert said.instant("admitted_at") is None


@pytest.mark.parametrize(("ahead", "effective"), [(-SECOND, 0), (0, 0), (SECOND, 1), (3 * HOUR, 1)])
def test_what_lies_after_its_receipt_takes_effect_at_its_time(ahead: int, effective: int) -> None:
    """And it is known at once that it was ahead."""
    time = RECEIPT + ahead
    said = read_envelope("admission.left", time=written(time))
    fact = VisitMark("GEN", "V1", "left", time, said.stamp)
    told = said.told("x", [fact])
    assert told.effective == (time if effective else 0)
    assert said.told("x", []).at_once == ()  # of a moved visit nothing is known by it
    known = [fact for fact in told.at_once if isinstance(fact, VisitSaid)]
    assert [fact.fields for fact in known] == ([{"clock_skew": True}] if effective else [])
    assert all(fact.stamp.time == RECEIPT for fact in known)


def test_a_stop_takes_effect_at_its_receipt() -> None:
    """Nobody calls the home of someone who is said to die tomorrow."""
    said = read_envelope("patient.died", time=written(RECEIPT + HOUR))
    assert said.told("x", [], stop=True).effective == 0


def test_a_stated_instant_ahead_counts_like_the_time() -> None:
    """The greater of both."""
    said = read_envelope("discharge.recorded")
    assert said.told("x", [], stated=RECEIPT + HOUR).effective == RECEIPT + HOUR


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (None, ()),
        ({"data.discharged_at": ["DAY"]}, ("DAY",)),
        ({"data.discharged_at": ["TIME_AMBIGUOUS", "DAY"]}, ("DAY", "TIME_AMBIGUOUS")),
        ({"time": ["DAY"]}, ()),
    ],
)
def test_what_had_to_be_assumed_belongs_to_its_field(flags: Any, expected: tuple[str, ...]) -> None:
    """In a fixed order, so that equal statements are equal."""
    given = {} if flags is None else {"timeflags": flags}
    assert read_envelope("discharge.recorded", **given).flags("data.discharged_at") == expected
