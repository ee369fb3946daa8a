"""What is written to disk and read again is what was there, held and waiting things included."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

import handlers
from events.canonical import accept
from orchestrator.core import step, stored
from orchestrator.core.cells import VisitCell
from orchestrator.core.facts import Told
from orchestrator.core.instants import DAY, HOUR, written
from orchestrator.core.patient import Patient
from tests.core.builders import (
    FACILITIES,
    RULES,
    SUBJECT,
    Chart,
    D,
    admitted,
    chart,
    command,
    discharged,
    person,
    reached,
    slot,
)


def through_bytes(plain: Any) -> Any:
    return orjson.loads(orjson.dumps(plain))


def reloaded(patient: Patient) -> Patient:
    """The same patient as another process would load it."""
    found = Patient(patient.subject, patient.key)
    stored.load_head(found, through_bytes(stored.dump_head(patient)))
    found.ledger = stored.load_ledger(through_bytes(stored.dump_ledger(patient.ledger)))
    for (kind, name), cell in patient.cells.items():
        found.cells[kind, name] = stored.load_cell(kind, through_bytes(cell.dump()))
    return found


def ahead(type_: str, **data: Any) -> Told:
    """What the handlers make of an event that is said three hours ahead of its receipt."""
    event = {
        "id": f"ahead {type_}",
        "source": "hospital/GEN/adt",
        "type": f"care.{type_}.v1",
        "time": written(D + 6 * HOUR),
        "receivedtime": written(D + 3 * HOUR),
        "subject": SUBJECT,
        "facility": "GEN",
        "data": data,
    }
    return handlers.told(accept(event, FACILITIES, receipt=written(D + 3 * HOUR)), FACILITIES)


AHEAD = [
    ahead("admission.opened", visit_number="V2", **{"class": "EMERGENCY"}),
    ahead("admission.planned", visit_number="V2", expected_at=written(D + DAY)),
    ahead("discharge.recorded", visit_number="V1", disposition="03"),
    ahead("discharge.corrected", visit_number="V1", discharged_at=written(D + HOUR)),
    ahead("appointment.booked", appointment_id="A1", starts_at=written(D + 2 * DAY)),
    ahead("patient.updated", pcp={"npi": "1"}, phones=["555-0100"]),
    ahead("patient.preference_changed", outreach="accept"),
    ahead("task.attempted", visit_number="V1", kind="CALL_48H", actor="n1", reached="bot"),
    ahead("result.final", order_id="O1", code="718-7"),
]


@pytest.fixture
def busy() -> Chart:
    """Cells of all kinds of a patient, a ledger, something held, something waiting."""
    found = chart(
        admitted(D - DAY),
        discharged(D),
        person(D + HOUR, outreach="accept", pcp={"npi": "1"}),
        slot(D + 3 * DAY, at=D + HOUR + 1),
        reached(D + 2 * HOUR, visit="V1", kind="CALL_48H"),
        command("accepted", D + 150 * 60_000_000, visit="V7", kind="CALL_48H"),
    )
    found.tell(*AHEAD)
    return found


def test_every_kind_of_event_that_is_ahead_is_held(busy: Chart) -> None:
    """The fixture is about what it says."""
    assert len(busy.patient.held) == len(AHEAD)
    assert len(busy.patient.waiting) == 1
    assert {kind for kind, _ in busy.patient.cells} == {"visit", "appointment", "person", "work"}


def test_the_head_comes_back(busy: Chart) -> None:
    """Wakes, sequence, what is held and what waits."""
    again = reloaded(busy.patient)
    for name in ("subject", "wake", "plan_wake", "seal_at", "seq", "at", "waiting"):
        assert getattr(again, name) == getattr(busy.patient, name), name
    # What was said at once of a held event is a fact already.
    assert again.held == [replace(one, at_once=()) for one in busy.patient.held]


def test_cells_and_ledger_come_back_in_order(busy: Chart) -> None:
    """The order of first publication decides which task is the newest of its kind."""
    again = reloaded(busy.patient)
    assert again.cells == busy.patient.cells
    assert again.ledger == busy.patient.ledger
    assert list(again.ledger.tasks) == list(busy.patient.ledger.tasks)


@pytest.mark.parametrize("hours", [4, 6, 30, 24 * 5, 24 * 40, 24 * 200])
def test_a_patient_that_was_loaded_goes_on_as_if_it_had_stayed(busy: Chart, hours: int) -> None:
    """The same changes, byte for byte, whenever the process was started again."""
    until = D + hours * HOUR
    again = reloaded(busy.patient)
    changes = step.clock(again, until, RULES)
    assert orjson.dumps(changes) == orjson.dumps(busy.clock(until))
    assert stored.dump_head(again) == stored.dump_head(busy.patient)


def test_a_new_patient_comes_back_too() -> None:
    """Of whom nothing is known but one line on the timeline."""
    one = Patient(SUBJECT, "k")
    assert reloaded(one) == one


def test_the_stored_form_says_its_version() -> None:
    """So that a later program can tell what it reads."""
    patient = Patient(SUBJECT, "k")
    assert stored.dump_head(patient)[0] == 1
    assert stored.dump_ledger(patient.ledger)[0] == 1


def test_what_an_older_version_stored_is_read() -> None:
    """Workers are upgraded over their state: a class without when it was heard has its receipt."""
    stamp = [D, -1, "ADT", "E1", D, D + 5, False]
    plain = [1, "GEN", "V1", {}, {"INPATIENT": [D, stamp, [D]]}, [], [], [], D]
    cell = stored.load_cell("visit", plain)

    assert isinstance(cell, VisitCell)
    assert cell.classes["INPATIENT"].heard == D + 5
