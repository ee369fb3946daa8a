"""Sixty discharges and the instants that follow: zones, clock changes, holidays, year ends.

The table was made with `zoneinfo` and holidays written down by hand, without the product's own
calendar; here it is asked of the product through `replay`, as any reader of tasks would see it.
"""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.scenarios.instants import read_wire, wire
from tests.scenarios.runner import SECOND, facilities_of, replay, zones_of
from tests.scenarios.story import Story
from tests.scenarios.tables import read_table

PLACES = Story("calendar.table", "calendar", "the places of the stories")
ROWS = read_table("calendar.table")

Event = dict[str, Any]


def discharged_home(row: dict[str, str]) -> list[Event]:
    """P, whose PCP is on file, is admitted the day before and discharged home."""
    discharged = read_wire(row["discharged"])
    before = wire(discharged - timedelta(days=1))
    common = {"source": "hospital/adt", "subject": "HIE|P", "facility": row["at"]}
    visit = {"visit_number": "V1"}
    admitted = common | {"id": "E1", "type": "care.admission.opened.v1", "time": before}
    left = common | {"id": "E2", "type": "care.discharge.recorded.v1", "time": wire(discharged)}
    return [
        admitted | {"receivedtime": before, "data": visit | {"class": "INPATIENT"}},
        left | {"receivedtime": wire(discharged), "data": visit | {"disposition": {"code": "01"}}},
    ]


def booked(row: dict[str, str], starts_at: datetime) -> Event:
    """A visit with a primary-care provider, booked the moment the patient leaves."""
    return {
        "id": "E3",
        "source": "practice/elm",
        "subject": "HIE|P",
        "facility": "ELM",
        "type": "care.appointment.booked.v1",
        "time": row["discharged"],
        "receivedtime": row["discharged"],
        "data": {
            "appointment_id": "A1",
            "starts_at": wire(starts_at),
            "provider": {"npi": "1111111112", "is_pcp": True},
            "modality": "in-person",
        },
    }


def seen(events: list[Event], as_of: datetime) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """The transition, its tasks by kind and its gaps by code."""
    answer = replay(events, as_of, facilities_of(PLACES))
    (patient,) = answer["patients"]
    (transition,) = patient["transitions"]
    tasks = {task["kind"]: task for task in patient["tasks"]}
    return transition, tasks, {gap["code"]: gap for gap in patient["gaps"]}


def name_of(row: dict[str, str]) -> str:
    """The test's name: where and when."""
    return f"{row['at']} {row['discharged, local']}"


def test_the_table_has_sixty_cases_in_six_zones() -> None:
    """So that nobody shortens it by accident."""
    assert len(ROWS) == 60
    assert len({zones_of(PLACES)[row["at"]] for row in ROWS}) == 6


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_local_time_of_the_row_is_its_instant(row: dict[str, str]) -> None:
    """The table's own two columns for the discharge agree, weekday included."""
    zone = ZoneInfo(zones_of(PLACES)[row["at"]])
    local = read_wire(row["discharged"]).astimezone(zone).strftime("%a %Y-%m-%d %H:%M:%S")
    written = row["discharged, local"]
    assert local in {written, f"{written}:00"}


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_due_instants(row: dict[str, str]) -> None:
    """Call, contact window, day 7 and the ends of both thirty-day windows."""
    transition, tasks, _ = seen(discharged_home(row), read_wire(row["discharged"]))
    found = {
        "call due": tasks["CALL_48H"]["due_at"],
        "contact by": tasks["CALL_48H"]["tcm_contact_by"],
        "day 7 ends": tasks["PCP_VISIT_7D"]["due_at"],
        "day 29 ends": transition["tcm_period_ends_at"],
        "day 30 ends": transition["readmission_window_ends_at"],
    }
    assert {name: wire(read_wire(text)) for name, text in found.items()} == {
        name: row[name] for name in found
    }
    assert tasks["MED_REC"]["due_at"] == tasks["PCP_VISIT_7D"]["due_at"]


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_deadlines_strike_at_their_instant(row: dict[str, str]) -> None:
    """Not overdue a second before, overdue at the instant; the window is missed at its end."""
    events = discharged_home(row)
    for column, kind in (("call due", "CALL_48H"), ("day 7 ends", "PCP_VISIT_7D")):
        due = read_wire(row[column])
        assert [seen(events, at)[1][kind]["overdue"] for at in (due - SECOND, due)] == [False, True]
    end = read_wire(row["contact by"])
    missed = ["TCM_CONTACT_WINDOW_MISSED" in seen(events, at)[2] for at in (end - SECOND, end)]
    assert missed == [False, True]


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_days_7_and_14_of_a_visit(row: dict[str, str]) -> None:
    """The last second of a day is of that day, the next is of the next, in the facility's zone."""
    day_7, day_14 = read_wire(row["day 7 ends"]), read_wire(row["day 14 ends"])
    a_day_later = read_wire(row["discharged"]) + timedelta(hours=24)
    found = []
    for starts_at in (day_7 - SECOND, day_7, day_14 - SECOND, day_14):
        events = [*discharged_home(row), booked(row, starts_at)]
        _, tasks, gaps = seen(events, a_day_later)
        gap = gaps.get("PCP_APPT_OUT_OF_WINDOW")
        found.append((tasks["PCP_VISIT_7D"]["status"], gap["severity"] if gap else None))
    assert found == [
        ("accepted", None),
        ("requested", "low"),
        ("requested", "low"),
        ("requested", "medium"),
    ]
