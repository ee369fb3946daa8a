"""``care.task.*``: what care teams did, as one command each."""

from typing import Any

import pytest

import handlers
from orchestrator.core.facts import Command
from orchestrator.core.instants import HOUR, written
from tests.handlers.samples import FACILITIES, RECEIPT, event

WORDS = ["accepted", "released", "attempted", "completed", "rejected", "reassigned", "noted"]


def made(what: str, **given: Any) -> Command:
    told = handlers.told(event(f"task.{what}", **given), FACILITIES)
    assert told.facts == ()
    assert told.command is not None
    return told.command


@pytest.mark.parametrize("what", WORDS)
def test_each_event_is_one_command(what: str) -> None:
    """Whether it is accepted, the core decides."""
    command = made(what, without="visit_number", task_id="T1", actor="n1", role="rn", if_version=3)
    assert (command.what, command.task_id, command.actor, command.role, command.if_version) == (
        what, "T1", "n1", "rn", 3,
    )  # fmt: skip
    assert command.visit is None


def test_a_command_may_name_its_task_by_visit_and_kind() -> None:
    """For systems that do not read our ids."""
    command = made("completed", kind="CALL_48H")
    assert (command.facility, command.visit, command.kind) == ("GEN", "V1", "CALL_48H")


def test_without_a_facility_any_will_do() -> None:
    """A worklist of several hospitals need not say."""
    assert made("noted", without="facility", kind="CALL_48H").facility is None


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("busy", "busy"),
        ({"code": "busy", "text": "The line is busy"}, "busy"),
        ({"text": "The line is busy"}, "The line is busy"),
        ({}, None),
        (None, None),
    ],
)
def test_a_reason_is_a_code_or_a_text(reason: Any, expected: str | None) -> None:
    """A code field like the others."""
    assert made("rejected", reason=reason).reason == expected


@pytest.mark.parametrize(("answers", "expected"), [({"a": "yes"}, {"a": "yes"}), (None, {})])
def test_answers_are_taken_as_given(answers: Any, expected: dict[str, str]) -> None:
    """None were given, or they were deleted: there are none."""
    assert made("completed", answers=answers).answers == expected


def test_a_note_is_not_part_of_the_command() -> None:
    """Free text about a patient decides nothing and is published nowhere."""
    command = made("noted", task_id="T1", note="Daughter says he fell")
    assert "fell" not in repr(command)


def test_a_command_ahead_of_its_receipt_waits_for_its_time() -> None:
    """As facts do, but it flags no visit."""
    told = handlers.told(event("task.noted", time=written(RECEIPT + HOUR)), FACILITIES)
    assert told.effective == RECEIPT + HOUR
    assert told.at_once == ()
