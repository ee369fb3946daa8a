"""The rule tables that a nurse can check line by line: dispositions and classes."""

from datetime import timedelta
from typing import Any

import pytest

from tests.scenarios.expected_tasks import ANY, CORE
from tests.scenarios.instants import read_instant, wire
from tests.scenarios.runner import facilities_of, replay
from tests.scenarios.story import Story
from tests.scenarios.tables import read_table

PLACES = Story("dispositions.table", "tables", "the places of the stories")
D = read_instant("Tue 10-06 14:00 EDT")


def discharge(stay_class: str, code: str) -> list[dict[str, Any]]:
    """A stay of *stay_class* and its discharge with *code*; blank says no disposition."""
    before = wire(D - timedelta(days=1))
    common = {"source": "hospital/adt", "subject": "HIE|P", "facility": "GEN"}
    visit: dict[str, Any] = {"visit_number": "V1"}
    said = visit | ({"disposition": {"code": code}} if code else {})
    admitted = common | {"id": "E1", "type": "care.admission.opened.v1", "time": before}
    left = common | {"id": "E2", "type": "care.discharge.recorded.v1", "time": wire(D)}
    return [
        admitted | {"receivedtime": before, "data": visit | {"class": stay_class}},
        left | {"receivedtime": wire(D), "data": said},
    ]


def transition_of(patient: Any) -> tuple[str, str]:
    """How it stands in the words of the tables, and its flags."""
    if not patient["transitions"]:
        return "none", ""
    (transition,) = patient["transitions"]
    status = f"{transition['status']} {transition['close_reason'] or ''}".strip()
    return status, " ".join(sorted(transition["flags"]))


def tasks_of(patient: Any) -> str:
    """The kinds of the tasks; the three core tasks have one word."""
    kinds = sorted(task["kind"] for task in patient["tasks"])
    return "core" if kinds == sorted(CORE) else " ".join(kinds)


@pytest.mark.parametrize("row", read_table("dispositions.table"), ids=lambda row: row["code"])
def test_disposition(row: dict[str, str]) -> None:
    """Where the patient went decides what is owed."""
    events = discharge("INPATIENT", row["code"])
    (patient,) = replay(events, D, facilities_of(PLACES))["patients"]
    assert transition_of(patient) == (row["becomes"], row["flags"])
    assert row["tasks"] in {ANY, tasks_of(patient)}
    unknown = any(gap["code"] == "DISPOSITION_UNKNOWN" for gap in patient["gaps"])
    assert unknown is (row["unknown"] == "yes")


@pytest.mark.parametrize("row", read_table("dispositions.table"), ids=lambda row: row["code"])
def test_who_is_expected_elsewhere_and_does_not_arrive(row: dict[str, str]) -> None:
    """24 hours after a transfer nobody has confirmed it."""
    events = discharge("INPATIENT", row["code"])
    later = D + timedelta(hours=24)
    (patient,) = replay(events, later, facilities_of(PLACES))["patients"]
    missed = any(gap["code"] == "TRANSFER_NOT_ARRIVED" for gap in patient["gaps"])
    assert row["not arrived"] in {ANY, "yes" if missed else "no"}


@pytest.mark.parametrize("row", read_table("classes.table"), ids=lambda row: row["class"])
def test_class(row: dict[str, str]) -> None:
    """The class of the stay decides whether its discharge opens a transition at all."""
    (patient,) = replay(discharge(row["class"], "01"), D, facilities_of(PLACES))["patients"]
    assert row["becomes"] in {ANY, transition_of(patient)[0]}
    assert tasks_of(patient) == row["tasks"]
