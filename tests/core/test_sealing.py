"""What has been over for long is put away: it still joins, and opens nothing any more."""

import pytest

from orchestrator.core.instants import DAY, HOUR, SECOND
from tests.core.builders import (
    P0,
    Chart,
    D,
    admitted,
    chart,
    command,
    discharged,
    marked,
    names,
    person,
    reached,
    slot,
)

SEALED = D + P0.seal_after_days * DAY


def over() -> Chart:
    """A discharge whose call was made."""
    return chart(admitted(D - DAY), discharged(D), reached(D + HOUR, visit="V1", kind="CALL_48H"))


@pytest.mark.parametrize(("shift", "sealed"), [(-SECOND, False), (0, True), (SECOND, True)])
def test_a_visit_is_put_away_after_its_time(shift: int, sealed: bool) -> None:
    """150 days after its last news, at a clock."""
    found = over()
    found.clock(SEALED + shift)
    assert (("visit", "GEN|V1") in found.patient.sealed) is sealed
    assert (("visit", "GEN|V1") in found.patient.cells) is not sealed
    assert (found.transitions == []) is sealed


def test_with_the_transition_its_tasks_gaps_and_work_go() -> None:
    """What is left of an old patient is the person."""
    found = chart(person(D - DAY, language="es"), discharged(D), slot(D + 3 * DAY))
    found.tell(reached(D + 2 * HOUR, visit="V1", kind="CALL_48H"))
    found.clock(SEALED + 4 * DAY)
    ledger = found.patient.ledger
    assert (ledger.transitions, ledger.tasks, ledger.gaps) == ({}, {}, {})
    assert set(found.patient.cells) == {("person", "")}
    assert {kind for kind, _ in found.patient.sealed} == {"visit", "appointment", "work"}
    assert found.patient.wake is None


def test_putting_away_publishes_nothing() -> None:
    """The tasks ended long ago."""
    found = over()
    found.clock(SEALED - SECOND)
    assert found.clock(SEALED + DAY) == []


@pytest.mark.parametrize(
    "late",
    [
        discharged(D, disposition="03", event="late", receipt=SEALED + DAY, recorded=D + HOUR),
        marked("cancel-discharge", D + HOUR, receipt=SEALED + DAY),
        discharged(D + HOUR, event="late", receipt=SEALED + DAY),
    ],
)
def test_late_news_of_what_was_put_away_opens_nothing(late: object) -> None:
    """It joins, and the patient's record knows it."""
    found = over()
    found.clock(SEALED)
    before = found.patient.sealed["visit", "GEN|V1"].dump()
    assert names(found.tell(late)) == []  # type: ignore[arg-type]
    assert found.patient.sealed["visit", "GEN|V1"].dump() != before
    assert ("visit", "GEN|V1") in found.patient.dirty


def test_a_new_visit_of_the_same_patient_starts_as_ever() -> None:
    """Years later."""
    found = over()
    found.clock(SEALED)
    found.tell(discharged(SEALED + 400 * DAY, "V2"))
    assert found.transition["visit_number"] == "V2"
    assert set(found.tasks) == {"CALL_48H", "PCP_VISIT_7D", "MED_REC"}


def test_a_visit_with_recent_news_waits_while_an_older_one_goes() -> None:
    """Each cell has its own age; the wake is the next of them."""
    found = over()
    found.tell(discharged(D + 10 * DAY, "V2"))
    found.clock(SEALED)
    assert ("visit", "GEN|V2") in found.patient.cells
    found.clock(SEALED + 10 * DAY)
    assert ("visit", "GEN|V2") in found.patient.sealed


def test_a_command_on_what_was_put_away_is_refused() -> None:
    """By its id: such a task is not known any more."""
    found = over()
    task = found.tasks["CALL_48H"]["task_id"]
    found.clock(SEALED)
    (refused,) = [
        one
        for one in found.tell(command("noted", SEALED + DAY, task_id=task))
        if one["change"] == "command.refused"
    ]
    assert refused["command"]["reason"] == "unknown-task"


def test_an_open_stay_is_never_put_away_while_it_sends_news() -> None:
    """A nursing home's resident of many years."""
    found = chart(admitted(D, cls="SNF", facility="ELM"))
    for month in range(1, 9):
        found.tell(marked("left", D + month * 30 * DAY, facility="ELM"))
    assert ("visit", "ELM|V1") in found.patient.cells


def test_a_visit_number_used_again_keeps_its_versions() -> None:
    """What is planned still is not forgotten: it would be published anew as version 1."""
    found = chart(discharged(D), admitted(D + 4 * DAY, visit="V2"))
    found.tell(admitted(D + 100 * DAY, event="again", receipt=D + 100 * DAY))
    (before,) = found.transitions
    found.clock(SEALED + DAY)
    found.tell(person(SEALED + 2 * DAY, receipt=SEALED + 2 * DAY, language="es"))
    found.tell(admitted(SEALED + 2 * DAY, visit="V3", event="new", receipt=SEALED + 2 * DAY))
    (after,) = found.transitions
    assert after["transition_id"] == before["transition_id"]
    assert after["version"] >= before["version"] > 1
