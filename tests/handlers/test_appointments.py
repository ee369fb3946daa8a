"""``care.appointment.*``: status and fields of an appointment (HL7 SIU)."""

from typing import Any

import pytest

import handlers
from orchestrator.core.facts import AppointmentSaid
from orchestrator.core.instants import written
from tests.handlers.samples import FACILITIES, TIME, event


def said(what: str, **given: Any) -> AppointmentSaid:
    told = handlers.told(
        event(f"appointment.{what}", without="visit_number", appointment_id="A1", **given),
        FACILITIES,
    )
    (fact,) = told.facts
    assert isinstance(fact, AppointmentSaid)
    return fact


@pytest.mark.parametrize(
    ("what", "status", "counts"),
    [
        ("booked", "booked", True),
        ("rescheduled", "booked", True),
        ("checked_in", "checked_in", True),
        ("fulfilled", "fulfilled", True),
        ("cancelled", "cancelled", False),
        ("no_show", "no_show", False),
        ("entered_in_error", "entered_in_error", False),
    ],
)
def test_each_event_gives_a_status(what: str, status: str, counts: bool) -> None:
    """A slot that was moved is booked; one called off does not count for the due time."""
    fact = said(what)
    assert (fact.appointment, fact.status, fact.fields["counts"]) == ("A1", status, counts)


def test_only_what_was_said_is_said() -> None:
    """A no-show that names no time leaves the known one; null deletes."""
    assert set(said("cancelled").fields) == {"counts"}
    assert said("rescheduled", ends_at=None).fields["ends_at"] is None


def test_times_are_instants_and_the_rest_is_passed_on() -> None:
    """Provider and modality decide whether it is a primary-care visit."""
    fields = said(
        "booked",
        starts_at=written(TIME),
        ends_at=written(TIME + 1),
        provider={"npi": "1"},
        modality="video",
        reason="free text of the scheduler",
    ).fields
    assert fields == {
        "starts_at": TIME,
        "ends_at": TIME + 1,
        "provider": {"npi": "1"},
        "modality": "video",
        "counts": True,
    }


@pytest.mark.parametrize(
    ("what", "missed"),
    [
        ("no_show", True),
        ("checked_in", False),
        ("fulfilled", False),
        ("entered_in_error", False),
        ("booked", None),
        ("rescheduled", None),
        ("cancelled", None),
    ],
)
def test_only_what_corrects_it_says_that_a_visit_was_not_missed(
    what: str, missed: bool | None
) -> None:
    """A visit moved or cancelled afterwards was missed all the same."""
    assert said(what).fields.get("missed") is missed
