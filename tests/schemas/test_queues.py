"""What a team's queue shows: the fields that team may see, and nothing that betrays the rest."""

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.queues import VIEW_OF, Queued, queued
from schemas.tasks import Task
from schemas.topics import TEAMS

DATA = Path(__file__).parent / "data" / "published" / "care.task.v1.json"
AT = "2026-10-06T18:00:00Z"


def task(**changed: Any) -> dict[str, Any]:
    """A published task that has something in each field that somebody may not see."""
    example = Task.model_validate(json.loads(DATA.read_text())[0]).model_dump(mode="json")
    return {
        **example,
        "outcome": "reached",
        "evidence": "GEN-ORU-7",
        "appointment_id": "A1",
        "visit_number": "V1",
        "owner": "nurse-1",
        "status": "accepted",
        **changed,
    }


def heard(team: str, why: str = "warfarin 5 mg differs", **changed: Any) -> dict[str, Any]:
    topic, value = queued(team, "task.updated", AT, task(**changed), why)
    assert topic == f"care.queue.{team}.v1"
    Queued.model_validate(value)
    return value


def test_every_team_of_the_contract_has_a_view() -> None:
    """None is forgotten; a team of a site's own sees the least that work can be done with."""
    assert set(VIEW_OF) == set(TEAMS)
    assert heard("night-desk")["task"]["hidden"] == heard("scheduling")["task"]["hidden"]


@pytest.mark.parametrize("team", TEAMS)
def test_hidden_is_null_and_named_all_else_is_as_published(team: str) -> None:
    """A consumer can tell what it may not see from what there is not."""
    shown = heard(team)["task"]
    published = task()

    assert {name for name in published if shown[name] != published[name]} == set(shown["hidden"])
    assert all(shown[name] is None for name in shown["hidden"])


@pytest.mark.parametrize(
    ("team", "hidden"),
    [
        ("nurse-outreach", []),
        ("pharmacy", []),
        ("restricted", []),
        ("scheduling", ["evidence", "outcome"]),
        ("social-work", ["evidence", "outcome"]),
        (
            "operations",
            [
                "appointment_id", "evidence", "outcome", "owner", "patient", "subject",
                "visit_number",
            ],
        ),
    ],
)  # fmt: skip
def test_each_team_sees_what_its_role_does(team: str, hidden: list[str]) -> None:
    """As interfaces.md 3.2 has it for the worklist."""
    assert heard(team)["task"]["hidden"] == hidden


def test_a_minimal_view_hears_no_clinical_word() -> None:
    """A sentence that names a drug or a result is told plainly."""
    assert "warfarin" in heard("nurse-outreach", kind="PENDING_RESULT")["why"]
    assert "warfarin" not in str(heard("social-work", kind="PENDING_RESULT"))
    assert "warfarin" not in str(heard("operations", kind="PENDING_RESULT"))


@pytest.mark.parametrize("team", TEAMS)
def test_a_masked_task_is_whole_for_the_restricted_team_alone(team: str) -> None:
    """What consent withholds is withheld from every other queue, with the law's notice."""
    value = heard(team, masked=True, patient="GEN|MRN1")
    shown = value["task"]

    assert shown["notice"].startswith("42 CFR Part 2")
    if team == "restricted":
        assert (shown["hidden"], shown["visit_number"]) == ([], "V1")
    else:
        assert {"visit_number", "evidence", "outcome", "appointment_id"} <= set(shown["hidden"])
        assert "warfarin" not in str(value)


def test_who_loses_a_task_to_the_restricted_team_does_not_hear_so() -> None:
    """Where it went would say as much as the unit's name."""
    _, value = queued(
        "pharmacy", "task.withdrawn", AT, task(team="restricted"), "Passed on to restricted."
    )
    Queued.model_validate(value)

    assert "restricted" not in str(value)
    assert value["task"]["team"] is None
