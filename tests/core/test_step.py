"""The step: what waits for its time, what waits for its task, and what wakes a patient."""

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.core import step
from orchestrator.core.facts import Told, VisitSaid
from orchestrator.core.instants import DAY, HOUR, SECOND, written
from tests.core.builders import (
    RULES,
    D,
    admitted,
    chart,
    command,
    discharged,
    marked,
    names,
    ordered,
    parked,
    reached,
)

WAIT = 72 * HOUR


def said_ahead(at: int = D, receipt: int = D - 3 * HOUR) -> Told:
    """A discharge whose instant lies ahead of its receipt; that it does is known at once."""
    told = discharged(at, receipt=receipt)
    stamp = told.facts[0].stamp  # type: ignore[union-attr]
    known = VisitSaid("GEN", "V1", {"clock_skew": True}, stamp._replace(time=receipt))
    return replace(told, effective=at, at_once=(known,))


@pytest.mark.parametrize(("shift", "published"), [(-SECOND, False), (0, True), (SECOND, True)])
def test_what_is_said_ahead_counts_when_the_clock_gets_there(shift: int, published: bool) -> None:
    """A sender's clock that runs fast discharges nobody before the time."""
    found = chart(admitted(D - DAY), said_ahead())
    assert found.transitions == []
    assert len(found.patient.held) == 1
    found.clock(D + shift)
    assert bool(found.transitions) is published
    assert bool(found.patient.held) is not published
    if published:
        assert found.transition["opened_at"] == written(D)


def test_what_is_said_ahead_stands_on_the_timeline_at_once() -> None:
    """The hospital has said it; only its effect waits."""
    made = chart(said_ahead()).changes
    assert [one["change"] for one in made] == ["event.recorded"]


def test_that_it_was_ahead_is_known_at_once() -> None:
    """The stay carries the flag from the receipt on."""
    found = chart(admitted(D - DAY), said_ahead())
    cell = found.patient.cells["visit", "GEN|V1"]
    assert cell.said["clock_skew"].value is True  # type: ignore[union-attr]


def test_what_the_clock_has_passed_already_is_not_held() -> None:
    """A receipt behind the partition's clock: its time has come."""
    found = chart(admitted(D - DAY))
    late = replace(said_ahead(D - HOUR, receipt=D + 2 * HOUR), effective=D + HOUR)
    found.tell(late)
    assert found.patient.held == []


def test_several_that_were_held_for_one_instant_count_together() -> None:
    """A discharge and its cancel of the same minute issue nothing."""
    cancel = replace(marked("cancel-discharge", D, receipt=D - 2 * HOUR), effective=D)
    found = chart(admitted(D - DAY), said_ahead(), cancel, until=D + HOUR)
    assert found.transitions == []


def test_a_held_command_is_judged_when_its_time_comes() -> None:
    """Against what is published then."""
    call = reached(D + HOUR, receipt=D - HOUR, visit="V1", kind="CALL_48H")
    told = Told(
        "c1", "worklist", "care.task.completed.v1", "Done", D + HOUR, D - HOUR, (), call,
        effective=D + HOUR,
    )  # fmt: skip
    found = chart(told, discharged(D))
    assert found.tasks["CALL_48H"]["status"] == "requested"
    found.clock(D + HOUR)
    assert found.tasks["CALL_48H"]["status"] == "completed"


def waiting(receipt: int = D) -> Any:
    return command("accepted", D, receipt=receipt, visit="V1", kind="CALL_48H", event="W1")


def refusals(changes: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [
        (one["command"]["reason"], one["at"])
        for one in changes
        if one["change"] == "command.refused"
    ]


@pytest.mark.parametrize(("shift", "count"), [(-SECOND, 0), (0, 1), (SECOND, 1)])
def test_a_command_waits_three_days_for_its_task(shift: int, count: int) -> None:
    """Contract, section 2: then it is refused, at the very instant."""
    found = chart(waiting(), until=D + WAIT + shift)
    assert refusals(found.changes) == [("unknown-task", written(D + WAIT))] * count
    assert len(found.patient.waiting) == 1 - count


@pytest.mark.parametrize(
    ("shift", "status"), [(-SECOND, "accepted"), (0, "accepted"), (SECOND, "requested")]
)
def test_a_task_that_comes_in_time_takes_the_waiting_command(shift: int, status: str) -> None:
    """At one instant receipts come before deadlines (ruling 2)."""
    arrival = D + WAIT + shift
    found = chart(waiting(), discharged(D, receipt=arrival), until=arrival)
    assert found.tasks["PCP_VISIT_7D"]["status"] == "requested"
    call = [t for t in found.patient.ledger.tasks.values() if t["kind"] == "CALL_48H"]
    assert [task["status"] for task in call] == [status]
    assert bool(refusals(found.changes)) is (status == "requested")


def test_waiting_commands_are_taken_in_the_order_in_which_they_came() -> None:
    """The first acceptance holds, the second is told whose it is."""
    second = replace(waiting(), actor="nurse2")
    second = replace(second, stamp=second.stamp._replace(event="W2", time=D + 1, receipt=D + 1))
    found = chart(waiting(), second, discharged(D, receipt=D + HOUR))
    assert found.tasks["CALL_48H"]["owner"] == "nurse1"
    assert refusals(found.changes) == [("owner", written(D + HOUR))]


def test_a_command_by_id_never_waits() -> None:
    """An id is only known from what was published."""
    found = chart(command("accepted", D, task_id="T?"))
    assert refusals(found.changes) == [("unknown-task", written(D))]


def test_a_command_that_was_heard_of_too_late_does_not_wait_either() -> None:
    """Its three days count from its receipt, and the clock has passed them."""
    found = chart()
    made = step.fact(found.patient, [ordered(waiting())], D + 5 * DAY, D + 5 * DAY, RULES)
    assert [reason for reason, _ in refusals(made)] == ["unknown-task"]


def test_deadlines_fire_exactly_at_their_instants() -> None:
    """However long nobody looked: each change says when it became true."""
    found = chart(discharged(D))
    overdue = [
        (one["task"]["kind"], one["at"])
        for one in found.clock(D + 20 * DAY)
        if one["change"] == "task.overdue"
    ]
    assert overdue == [
        ("CALL_48H", written(D + 48 * HOUR)),
        ("PCP_VISIT_7D", "2026-10-14T04:00:00Z"),
        ("MED_REC", "2026-10-14T04:00:00Z"),
    ]


def test_how_often_the_clock_ticks_changes_nothing() -> None:
    """One leap or many steps: the same records."""
    leap, steps = chart(discharged(D)), chart(discharged(D))
    leap.clock(D + 40 * DAY)
    for hour in range(40 * 24 + 1):
        steps.clock(D + hour * HOUR)
    assert steps.changes == leap.changes


def test_seq_counts_from_one_without_a_hole() -> None:
    """Consumers notice a missing record."""
    found = chart(admitted(D - DAY), discharged(D), until=D + 40 * DAY)
    assert [one["seq"] for one in found.changes] == list(range(1, len(found.changes) + 1))


def test_facts_of_one_instant_count_together_before_its_commands() -> None:
    """Discharge, its cancel and a call in one file at one second."""
    found = chart()
    made = found.tell(
        reached(D, visit="V1", kind="CALL_48H", event="0"),
        discharged(D),
        marked("cancel-discharge", D),
    )
    assert names(made) == []
    assert len(found.patient.waiting) == 1


def test_a_parked_event_opens_a_gap_and_no_line_on_the_timeline() -> None:
    """Somebody looks; what it said nobody could read."""
    found = chart(parked(D))
    assert names(found.changes) == ["gap.opened"]
    assert [one["change"] for one in found.changes] == ["gap.opened"]
    assert found.gaps["EVENT_PARKED"]["evidence"] == {"count": 1, "reason": "malformed"}
    assert found.gaps["EVENT_PARKED"]["caused_by"] == ["E9"]


def test_a_patient_with_nothing_ahead_sleeps() -> None:
    """No wake, no cost."""
    assert chart(parked(D)).patient.wake is None


def test_a_step_that_says_nothing_new_leaves_the_wake() -> None:
    """A repeat does not wake anyone earlier or later."""
    found = chart(admitted(D - DAY), discharged(D))
    before = found.patient.wake
    assert names(found.tell(discharged(D, event="again", receipt=D + HOUR))) == []
    assert found.patient.wake == before
