"""Which appointments are primary-care visits, and what they do to the tasks (rulings 25 to 29)."""

from typing import Any

import pytest

from orchestrator.core.instants import DAY, HOUR, MINUTE, SECOND, read, written
from orchestrator.core.slots import is_primary_care
from tests.core.builders import P0, Chart, D, chart, discharged, slot

DAY7_END = read("2026-10-14T00:00:00-04:00")
PCP = {"npi": "1001", "organization": "Riverside  Clinic"}


@pytest.mark.parametrize(
    ("provider", "pcp", "expected"),
    [
        ({"is_pcp": True}, None, True),
        ({"is_pcp": False}, None, False),
        ({"is_pcp": False, "specialty": "Family Medicine"}, None, False),
        ({"is_pcp": False, "npi": "1001"}, PCP, True),  # the same person after all
        ({"npi": "1001"}, PCP, True),
        ({"npi": "1002"}, PCP, False),
        ({"organization": "riverside clinic"}, PCP, True),
        ({"organization": "Riverside"}, PCP, False),
        ({"organization": ""}, {"organization": ""}, False),
        ({"npi": None}, {"npi": None}, False),
        ({"specialty": "family  medicine"}, None, True),
        ({"specialty": {"text": "Internal Medicine"}}, PCP, True),
        ({"specialty": {"code": "geriatrics"}}, None, True),
        ({"specialty": "general practice"}, None, True),
        ({"specialty": "Cardiology"}, None, False),
        ({}, PCP, False),
        ({}, None, False),
    ],
)
def test_who_is_primary_care(
    provider: dict[str, Any], pcp: dict[str, Any] | None, expected: bool
) -> None:
    """Ruling 25; the specialty counts only where `is_pcp` was not said."""
    assert is_primary_care(provider, pcp, P0) is expected


def home(*slots: Any, until: int = D + 2 * HOUR) -> Chart:
    return chart(discharged(D), *slots, until=until)


@pytest.mark.parametrize(
    ("starts", "status"),
    [
        ("2026-10-06T23:59:59-04:00", "requested"),  # day 0 belongs to the discharge
        ("2026-10-07T00:00:00-04:00", "accepted"),
        ("2026-10-13T23:59:59-04:00", "accepted"),
        ("2026-10-14T00:00:00-04:00", "requested"),  # day 8
    ],
)
def test_a_visit_counts_from_day_1_to_day_7(starts: str, status: str) -> None:
    """Local days of the hospital's zone, not of the practice's."""
    assert home(slot(read(starts))).tasks["PCP_VISIT_7D"]["status"] == status


@pytest.mark.parametrize(
    ("modality", "counts"),
    [("in-person", True), ("video", True), ("home", True), ("phone", False), (None, True)],
)
def test_a_telephone_call_is_no_visit(modality: str | None, counts: bool) -> None:
    """CMS TCM: face to face."""
    task = home(slot(D + 3 * DAY, modality=modality)).tasks["PCP_VISIT_7D"]
    assert (task["status"] == "accepted") is counts


@pytest.mark.parametrize(
    ("status", "counts"),
    [
        ("booked", True),
        ("checked_in", True),
        ("cancelled", False),
        ("no_show", False),
        ("entered_in_error", False),
    ],
)
def test_the_lists_are_due_by_the_visit_that_counts(status: str, counts: bool) -> None:
    """Ruling 28: brought together before the visit, not after."""
    visit = read("2026-10-09T10:00:00-04:00")
    found = home(slot(visit, status), until=D + 2 * HOUR)
    due = "2026-10-10T04:00:00Z" if counts else written(DAY7_END)
    assert found.tasks["MED_REC"]["due_at"] == due


@pytest.mark.parametrize(
    ("shift", "code"), [(-SECOND, None), (0, "NO_PCP_APPOINTMENT"), (SECOND, "NO_PCP_APPOINTMENT")]
)
def test_no_visit_a_day_after_the_discharge_is_missing(shift: int, code: str | None) -> None:
    """Ruling 26."""
    found = home(until=D + 24 * HOUR + shift)
    assert found.live & {"NO_PCP_APPOINTMENT", "PCP_APPT_OUT_OF_WINDOW"} == ({code} - {None})


@pytest.mark.parametrize(
    ("starts", "severity"),
    [
        (DAY7_END - SECOND, None),
        (DAY7_END, "low"),
        (DAY7_END + 7 * DAY - SECOND, "low"),  # day 14 still bills 99495
        (DAY7_END + 7 * DAY, "medium"),
    ],
)
def test_a_visit_after_day_7_is_too_late(starts: int, severity: str | None) -> None:
    """Ruling 26: exactly one of the two gaps is live, or neither."""
    found = home(slot(starts), until=D + 25 * HOUR)
    assert "NO_PCP_APPOINTMENT" not in found.live
    gap = found.gaps.get("PCP_APPT_OUT_OF_WINDOW")
    assert (gap and gap["severity"]) == severity


def test_a_visit_not_kept_must_be_booked_anew() -> None:
    """Ruling 29: due at the end of the next business day; Columbus Day does not count."""
    visit = read("2026-10-09T10:00:00-04:00")
    found = home(slot(visit))
    found.tell(slot(visit, "no_show", at=visit + HOUR))
    assert "PCP_NO_SHOW" in found.live
    assert found.tasks["RESCHEDULE"]["due_at"] == "2026-10-14T04:00:00Z"
    found.tell(slot(visit + 4 * DAY, appointment="A2", at=visit + 2 * HOUR))
    assert "PCP_NO_SHOW" not in found.live
    assert found.tasks["RESCHEDULE"]["status"] == "completed"


@pytest.mark.parametrize(("shift", "live"), [(-SECOND, False), (0, True), (SECOND, True)])
@pytest.mark.parametrize("length", [None, 30 * MINUTE])
def test_a_visit_of_which_nothing_was_heard_is_asked_after(
    length: int | None, shift: int, live: bool
) -> None:
    """A day after its end, else after its start; it is never assumed kept (ruling 29)."""
    visit = D + 3 * DAY
    said: dict[str, Any] = {} if length is None else {"ends_at": visit + length}
    found = home(slot(visit, **said), until=visit + (length or 0) + 24 * HOUR + shift)
    assert ("APPT_OUTCOME_UNKNOWN" in found.live) is live
    assert found.tasks["PCP_VISIT_7D"]["status"] == "accepted"


@pytest.mark.parametrize(
    ("kept", "late"), [(DAY7_END - SECOND, False), (DAY7_END, True), (DAY7_END + DAY, True)]
)
def test_a_visit_kept_completes_the_task_also_late(kept: int, late: bool) -> None:
    """Within the window (ruling 27)."""
    found = home(slot(kept, "fulfilled", at=kept + HOUR), until=kept + HOUR)
    task = found.tasks["PCP_VISIT_7D"]
    assert (task["status"], task["evidence"], task["ended_at"]) == (
        "completed",
        "visit",
        written(kept),
    )
    assert (read(task["ended_at"]) >= read(task["due_at"])) is late
    assert "TASK_OVERDUE" not in found.live or found.gaps["TASK_OVERDUE"]["subject"] != (
        "PCP_VISIT_7D"
    )
