"""The ADT and SIU pairs of Microsoft's FHIR-Converter: what somebody else expects of a message.

Chosen fields only, compared as meanings (``data/README.md``, *What the pairs fix*): times as
instants, never whole Bundles, and not where that tool's taste is not ours.
"""

from datetime import datetime
from typing import Any

import pytest

from tests.events.hl7v2 import corpus
from tests.events.hl7v2.builders import event, events, of_type, read

# The messages' MSH-7 is of 1989, their events of up to 2029: received by the runtime, later.
RECEIPT = "2030-01-01T00:00:00Z"

NOT_USED = {"A09", "A10", "A15", "A26", "A29", "A41", "A60"}  # ruling 36
OF_PERSONS = {"A28", "A31"}  # the converter makes an Encounter of their PV1; a person has no stay
OF_IDENTITIES = {"A40", "A47"}

CLASSES = {"PRENC": "PREADMIT", "IMP": "INPATIENT", "AMB": "OUTPATIENT", "EMER": "EMERGENCY"}

ADT_PAIRS = corpus.pair_names("ADT")
SIU_PAIRS = corpus.pair_names("SIU")


@pytest.fixture(autouse=True)
def _corpus() -> None:
    corpus.need_corpus()


def test_all_pairs_are_there() -> None:
    """
    The data holds 29 ADT and 7 SIU pairs, so that none is left out without a word.
    """
    assert (len(ADT_PAIRS), len(SIU_PAIRS)) == (29, 7)


def trigger_of(raw: bytes) -> str:
    return raw.split(b"|")[8].split(b"^")[1].decode()


def encounter_of(resources: list[dict[str, Any]]) -> dict[str, Any] | None:
    return next((one for one in resources if one["resourceType"] == "Encounter"), None)


def instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def status_after(said: dict[str, Any]) -> str:
    """The FHIR status of the stay as this one event leaves it."""
    match said["type"].split(".")[1:3]:
        case ["admission", "cancelled"]:
            return "cancelled"
        case ["admission", "planned"]:
            return "planned"
        case ["discharge", "recorded"]:
            return "finished"
        case ["admission", "updated"] if said["data"].get("discharged_at"):
            return "finished"
    return "in-progress"


@pytest.mark.parametrize("name", ADT_PAIRS)
def test_adt_leaves_the_stay_in_the_expected_status(name: str) -> None:
    """
    Each ADT message leaves the stay planned, in progress, finished or cancelled as expected.
    """
    raw, resources = corpus.pair(name)
    trigger = trigger_of(raw)
    encounter = encounter_of(resources)
    if trigger in NOT_USED:
        assert read(raw, RECEIPT).ignored == f"ADT^{trigger}"
        return
    if trigger in OF_PERSONS:
        assert event(raw, RECEIPT)["type"] == "care.patient.updated.v1"
        return
    if trigger in OF_IDENTITIES:
        assert encounter is None
        return
    assert encounter is not None

    assert encounter["status"] == status_after(event(raw, RECEIPT))


@pytest.mark.parametrize("name", ADT_PAIRS)
def test_adt_gives_the_stay_its_number_class_and_times(name: str) -> None:
    """
    Visit number, class, admission and discharge are those of the expected Encounter.
    """
    raw, resources = corpus.pair(name)
    trigger = trigger_of(raw)
    encounter = encounter_of(resources)
    if trigger in NOT_USED | OF_PERSONS | OF_IDENTITIES or encounter is None:
        return
    data = event(raw, RECEIPT)["data"]
    period = encounter.get("period", {})

    if numbers := encounter.get("identifier"):
        assert numbers[0]["value"] == data["visit_number"]
    if "class" in data:
        # A07 leaves an inpatient in a bed as an outpatient: observation (condition code 44).
        expected = "OBSERVATION" if trigger == "A07" else CLASSES[encounter["class"]["code"]]
        assert expected == data["class"]
    if trigger in ("A05", "A14"):
        assert instant(period["start"]) == instant(data["expected_at"])
    elif trigger == "A16":
        assert instant(period["end"]) == instant(data["expected_at"])
    elif "admitted_at" in data:
        assert instant(period["start"]) == instant(data["admitted_at"])
    if "discharged_at" in data:
        assert instant(period["end"]) == instant(data["discharged_at"])


def test_a_discharge_says_when_the_patient_left() -> None:
    """
    A03's PV1-45 is the time of the event and of the discharge.
    """
    raw, resources = corpus.pair("ADT-A03-01")
    encounter = encounter_of(resources)
    assert encounter is not None
    said = event(raw, RECEIPT)

    assert said["type"] == "care.discharge.recorded.v1"
    assert said["time"] == said["data"]["discharged_at"]
    assert instant(encounter["period"]["end"]) == instant(said["time"])


def test_a_cancelled_discharge_leaves_no_end() -> None:
    """
    A13 says nothing of when the patient left, and takes the discharge at EVN-6 back.
    """
    raw, resources = corpus.pair("ADT-A13-01")
    encounter = encounter_of(resources)
    assert encounter is not None
    assert "end" not in encounter["period"]
    said = event(raw, RECEIPT)

    assert said["type"] == "care.discharge.cancelled.v1"
    assert "discharged_at" not in said["data"]
    assert said["data"]["cancels_at"] == "2021-08-17T13:19:43.4Z"


@pytest.mark.parametrize("name", ADT_PAIRS)
def test_a_death_is_the_patients(name: str) -> None:
    """
    Where the expected Patient is dead, an event says so with the same instant, and nowhere else.
    """
    raw, resources = corpus.pair(name)
    trigger = trigger_of(raw)
    if trigger in NOT_USED | OF_IDENTITIES or trigger == "A45":
        return
    patient = next(one for one in resources if one["resourceType"] == "Patient")
    found = [one for one in events(raw, RECEIPT) if "patient.died" in one["type"]]
    died = patient.get("deceasedDateTime")

    assert [instant(died)] * (died is not None) == [
        instant(one["data"]["died_at"]) for one in found
    ]


STATUSES = {
    "appointment.booked": "booked",
    "appointment.rescheduled": "booked",
    "appointment.cancelled": "cancelled",
    "appointment.entered_in_error": "entered-in-error",
    "appointment.no_show": "noshow",
}


@pytest.mark.parametrize("name", SIU_PAIRS)
def test_siu_gives_the_appointment_its_status_and_times(name: str) -> None:
    """
    Status, start, end and the filler's number are those of the expected Appointment.
    """
    raw, resources = corpus.pair(name)
    expected = next(one for one in resources if one["resourceType"] == "Appointment")
    (said,) = events(raw, RECEIPT)
    data = said["data"]

    assert expected["status"] == STATUSES[said["type"].removeprefix("care.").removesuffix(".v1")]
    assert instant(expected["start"]) == instant(data["starts_at"])
    assert instant(expected["end"]) == instant(data["ends_at"])
    assert expected["identifier"][1]["value"] == data["appointment_id"]


def test_a_merge_names_survivor_and_retired() -> None:
    """
    A40: PID-3 survives, MRG-1 is retired.
    """
    raw, _ = corpus.pair("ADT-A40-01")
    said = of_type(events(raw), "patient.merged")

    assert (said["subject"], said["data"]["retired"]) == ("BCBS|12345", "BCBS|56789")
