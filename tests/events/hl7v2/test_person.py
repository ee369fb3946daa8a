"""Whom to call: name, phones, language, caregivers, PCP; and deaths."""

from typing import Any

import pytest

from tests.events.hl7v2.builders import adt, event, events, of_type, read, segment


def person(**fields: Any) -> dict[str, Any]:
    data: dict[str, Any] = event(adt("A31", **fields))["data"]
    return data


def test_a_person_has_what_a_call_needs() -> None:
    """
    PID-5, 7, 11, 13, 14, 15, PD1-4 and NK1.
    """
    raw = adt(
        "A28",
        segment("PD1", {4: "99^Smith^Anna"}),
        segment("NK1", {1: "1", 2: "Doe^John", 3: "SPO^Spouse", 5: "^PRN^CP^^1^518^5551299"}),
        segment("NK1", {1: "2", 5: "555"}),
        pid={
            11: "12 Elm St^Apt 3^Albany^NY^12207^USA",
            13: "^PRN^PH^^1^518^5551234~(518)555-4321^PRN^CP~^NET^Internet^jane@example.org",
            14: "^WPN^PH^^^518^5550000^12",
            15: "es^Spanish",
        },
    )

    assert event(raw)["data"] == {
        "name": "Jane Doe",
        "birth_date": "1954-03-12",
        "phones": [
            {"number": "+1 518 5551234", "use": "home"},
            {"number": "(518)555-4321", "use": "mobile"},
            {"number": "518 5550000 x12", "use": "work"},
        ],
        "language": {"code": "es", "text": "Spanish"},
        "address": {
            "line": "12 Elm St Apt 3",
            "city": "Albany",
            "state": "NY",
            "postal_code": "12207",
            "country": "USA",
        },
        "caregivers": [
            {
                "name": "John Doe",
                "relationship": {"code": "SPO", "text": "Spouse"},
                "phones": [{"number": "+1 518 5551299", "use": "mobile"}],
            }
        ],
        "pcp": {"id": "99", "name": "Anna Smith"},
    }


@pytest.mark.parametrize("trigger", ["A01", "A03", "A04", "A05", "A08"])
def test_a_visits_message_tells_of_the_person_in_a_second_event(trigger: str) -> None:
    """
    Phones and PCP reach the product with beginnings, ends and corrections.
    """
    first, second = events(adt(trigger, pid={13: "555-1234"}))

    assert second["type"] == "care.patient.updated.v1"
    assert second["data"]["phones"] == [{"number": "555-1234", "use": "home"}]
    assert (first["time"], first["recordedtime"]) == (second["time"], second["recordedtime"])


@pytest.mark.parametrize("trigger", ["A02", "A06", "A11", "A13", "A16", "A21", "A54"])
def test_other_triggers_tell_only_what_happened(trigger: str) -> None:
    """
    Every message repeats PID; not every one is worth an event more.
    """
    assert len(events(adt(trigger, pid={13: "555-1234"}))) == 1


def test_an_anonymous_visit_has_no_second_event() -> None:
    """
    Nothing said of the person, nothing to keep.
    """
    assert len(events(adt("A01", pid={5: "", 7: ""}))) == 1


@pytest.mark.parametrize(
    ("pid5", "name"),
    [
        ("Doe^Jane^Q", "Jane Doe"),
        ("Roe^Janie^^^^^A~Doe^Jane^^^^^L", "Jane Doe"),
        ("Roe^Janie^^^^^A", "Janie Roe"),
        ("van Testpatiënt&van&Testpatiënt^Jeanet", "Jeanet van Testpatiënt"),
        ("O\\T\\Brien^Pat", "Pat O&Brien"),
        ("Doe", "Doe"),
        ("^Jane", "Jane"),
    ],
)
def test_the_name_is_the_legal_one(pid5: str, name: str) -> None:
    """
    An alias is only taken where there is no other (PID-5.7 = A).
    """
    assert name == person(pid={5: pid5})["name"]


def test_deleted_details_are_null() -> None:
    """
    A phone number that was taken back must not be called.
    """
    data = person(pid=dict.fromkeys((5, 7, 11, 13, 15), '""'))

    assert dict.fromkeys(("name", "birth_date", "phones", "language", "address")) == data


def test_a_birth_date_that_is_none_is_a_doubt() -> None:
    """
    It is left out, and data quality says so.
    """
    said = event(adt("A31", pid={7: "unknown"}))

    assert ("birth_date" not in said["data"], ["PID-7"]) == (True, said["unmapped"])


def test_that_the_patient_lives_is_told_without_an_event_of_its_own() -> None:
    """
    PID-30 = N stands in nearly every message; after a death entered by mistake it matters.
    """
    found = events(adt("A08", pid={30: "N"}))

    assert len(found) == 2
    assert found[1]["data"]["deceased"] is False


@pytest.mark.parametrize("trigger", ["A01", "A02", "A03", "A08", "A13", "A31"])
@pytest.mark.parametrize(
    ("pid", "died_at"),
    [
        ({29: "20261005220000-0400", 30: "Y"}, "2026-10-06T02:00:00Z"),
        ({29: "20261005220000-0400", 30: ""}, "2026-10-06T02:00:00Z"),
    ],
)
def test_a_death_has_an_event_whatever_the_trigger(
    trigger: str, pid: dict[int, str], died_at: str
) -> None:
    """
    PID-29 or PID-30: it stops all outreach, so it never waits for a better message.
    """
    said = of_type(events(adt(trigger, pid=pid)), "patient.died")

    assert (died_at, died_at) == (said["time"], said["data"]["died_at"])


def test_a_death_without_a_date_is_of_the_messages_time() -> None:
    """
    PID-30 = Y alone.
    """
    said = of_type(events(adt("A08", pid={30: "Y"})), "patient.died")

    assert "2026-10-06T18:02:00Z" == said["time"] == said["data"]["died_at"]


def test_a_death_of_a_day_is_noon_of_it() -> None:
    """
    The flag shows how exactly it is known.
    """
    said = of_type(events(adt("A08", pid={29: "20261005", 30: "Y"})), "patient.died")

    assert (
        said["time"],
        said["timeflags"],
    ) == ("2026-10-05T16:00:00Z", {"time": ["DAY"], "data.died_at": ["DAY"]})


def test_not_dead_beats_a_date_of_death_and_is_a_doubt() -> None:
    """
    PID-29 with PID-30 = N: N wins, the death is taken back, and the clash shows (ruling 36).
    """
    found = events(adt("A08", pid={29: "20261005", 30: "N"}))

    assert found[0]["unmapped"] == ["PID-30"]
    assert of_type(found, "patient.died")["data"] == {"died_at": None}


@pytest.mark.parametrize("pid", [{29: '""'}, {30: '""'}, {29: '""', 30: "N"}, {29: '""', 30: '""'}])
def test_a_deleted_death_is_taken_back(pid: dict[int, str]) -> None:
    """
    HL7 null in either field.
    """
    said = of_type(events(adt("A08", pid=pid)), "patient.died")

    assert said["data"] == {"died_at": None}


@pytest.mark.parametrize(
    ("pid", "doubt"),
    [
        ({29: "AB12", 30: ""}, ["PID-29"]),
        ({29: "AB12", 30: "N"}, ["PID-29"]),
        ({29: "", 30: "maybe"}, ["PID-30"]),
        ({29: "", 30: ""}, None),
        ({29: "", 30: "N"}, None),
    ],
)
def test_a_death_is_never_invented(pid: dict[int, str], doubt: list[str] | None) -> None:
    """
    What cannot be read there is a doubt, and no death.
    """
    found = events(adt("A08", pid=pid))

    assert doubt == found[0].get("unmapped")
    assert not [one for one in found if "died" in one["type"]]


def test_a_death_with_an_unreadable_date_is_still_one() -> None:
    """
    PID-30 = Y beside a date that is none.
    """
    found = events(adt("A08", pid={29: "AB12", 30: "Y"}))

    assert of_type(found, "patient.died")["data"] == {"died_at": found[0]["time"]}


def test_a_refused_message_tells_nothing_of_the_person() -> None:
    """
    It is parked whole: half a message would look like all of it.
    """
    found = read(adt("A03", pv1={19: ""}, pid={30: "Y"}))

    assert (found.events, len(found.rejects)) == ([], 1)
