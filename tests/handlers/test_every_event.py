"""Each registered event type is translated, from the frozen examples that publishers were given."""

import json
from pathlib import Path
from typing import Any

import pytest

import handlers
from events.canonical import accept
from orchestrator.core import step
from orchestrator.core.facts import Told
from orchestrator.core.patient import Patient
from schemas.events import EVENT_TYPES
from tests.core.builders import RULES
from tests.handlers.samples import FACILITIES, event

EXAMPLES = Path(__file__).parents[1] / "schemas" / "data" / "events"
LATER = {
    "care.medication.list_recorded.v1",
    "care.medication.ordered.v1",
    "care.medication.changed.v1",
    "care.medication.stopped.v1",
    "care.medication.dispensed.v1",
    "care.patient.screened.v1",
    "care.result.final.v1",
    "care.document.received.v1",
    "care.referral.created.v1",
}


def examples() -> list[Any]:
    return [
        pytest.param(example["sent"], id=f"{file.stem}-{number}")
        for file in sorted(EXAMPLES.glob("*.json"))
        for number, example in enumerate(json.loads(file.read_text()))
    ]


def translated(sent: dict[str, Any]) -> Told:
    return handlers.told(accept(sent, FACILITIES), FACILITIES)


@pytest.mark.parametrize("sent", examples())
def test_a_frozen_event_is_translated_and_taken_in(sent: dict[str, Any]) -> None:
    """From the publisher's words to the patient's state without an error."""
    told = translated(sent)
    accepted = accept(sent, FACILITIES)
    assert (told.event, told.source, told.type) == (sent["id"], sent["source"], sent["type"])
    handlers.unmapped_fields(accepted, FACILITIES)
    patient = Patient(sent["subject"])
    first = step.fact(patient, [told], told.receipt - 1, told.receipt, RULES)
    assert first[0]["change"] == "event.recorded"
    step.clock(patient, told.receipt + 60 * 86_400_000_000, RULES)


@pytest.mark.parametrize("sent", examples())
def test_the_title_names_no_patient(sent: dict[str, Any]) -> None:
    """It stands on dashboards; the facility is all it may repeat."""
    title = translated(sent).title
    assert title
    assert title.rstrip(sent.get("facility") or "").rstrip().endswith(
        ("at", "by", "from")
    ) or title in {*handlers.TITLES.values(), *handlers.identity.TITLES.values(), *_fixed_titles()}


def _fixed_titles() -> set[str]:
    from handlers import appointments, commands

    return {
        *appointments.TITLES.values(),
        *commands.TITLES.values(),
        "Personal details updated",
        "Death reported",
        "Death taken back",
        "Wishes about outreach changed",
        "Consent changed",
    }


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_an_event_that_no_rule_reads_yet_still_stands_on_the_timeline(name: str) -> None:
    """Nothing accepted disappears; what a rule reads has a handler."""
    assert (name in handlers.HANDLERS) is (name not in LATER)
    if name in LATER:
        told = handlers.told(event(name.removeprefix("care.").removesuffix(".v1")), FACILITIES)
        assert (told.facts, told.command) == ((), None)
        assert told.title in handlers.TITLES.values()


@pytest.mark.parametrize("sent", examples())
def test_what_is_said_of_identities_is_a_mark(sent: dict[str, Any]) -> None:
    """Who is whom is no fact about the patient: it goes to whoever decides that."""
    told = translated(sent)
    assert bool(told.marks) is (sent["type"] in handlers.identity.TITLES)
    if told.marks:
        assert (told.facts, told.command) == ((), None)


def test_every_handler_reads_a_registered_type() -> None:
    """No row of the contents page is dead."""
    assert set(handlers.HANDLERS) <= set(EVENT_TYPES)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (event("discharge.recorded", disposition="??"), ["disposition"]),
        (event("discharge.recorded", disposition="??", unmapped=["service"]),
         ["service", "disposition"]),
        (event("discharge.recorded", disposition="??", unmapped=["disposition"]), ["disposition"]),
        (event("discharge.recorded", disposition="HH"), []),
        (event("discharge.recorded", disposition="HH", facility="MID"), ["disposition"]),
        (event("task.completed", disposition="??"), []),
        (event("patient.updated", without="visit_number", disposition="??"), []),
    ],
)  # fmt: skip
def test_unmapped_codes_are_named_once(made: dict[str, Any], expected: list[str]) -> None:
    """What the HL7 adapter found and what is found here."""
    assert handlers.unmapped_fields(made, FACILITIES) == expected
