"""A team knows from its queue alone what is its to do: through moves, merges and masks."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from orchestrator.core.instants import DAY
from orchestrator.stream.keys import patient_key
from schemas.queues import Queued
from schemas.topics import TEAMS, queue_topic
from tests.stream.fakes import SITE_KEY, new_log
from tests.stream.test_patient_view import START, Hospital
from tests.worklist.history import published


@pytest.fixture
def hospital(tmp_path: Path) -> Hospital:
    return Hospital(*new_log(tmp_path, START))


def heard(hospital: Hospital, team: str) -> list[dict[str, Any]]:
    """All that *team* was told, in order; of the published form, under the patient's key."""
    topic, found = queue_topic(team), []
    if topic not in hospital.log.topics():
        return []
    for partition in range(hospital.log.partitions):
        for record in hospital.log.read(topic, partition, 0, 10_000):
            assert record.value is not None
            value = orjson.loads(record.value)
            Queued.model_validate(value)
            assert record.key == value["task"]["patient_key"]
            found.append(value)
    return found


def mine(records: list[dict[str, Any]], team: str) -> dict[str, int]:
    """By task the version that is the team's to do, as docs/consume.md has it."""
    newest: dict[str, dict[str, Any]] = {}
    for record in records:
        task = record["task"]
        if task["version"] >= newest.get(task["task_id"], task)["version"]:
            newest[task["task_id"]] = task
    return {
        name: task["version"]
        for name, task in newest.items()
        if task["team"] == team and task["closed_at"] is None
    }


def test_a_queue_alone_tells_all_that_is_a_teams_to_do(tmp_path: Path) -> None:
    """Over weeks of a hospital: what each team has from its queue is what `care.task.v1` says."""
    queues = [queue_topic(team) for team in TEAMS]
    records = published(tmp_path, topics=("care.task.v1", *queues))
    tasks: dict[str, dict[str, Any]] = {}
    for record in records:
        if record.topic == "care.task.v1" and record.value is not None:
            task = orjson.loads(record.value)
            if task["version"] > tasks.get(task["task_id"], {"version": 0})["version"]:
                tasks[task["task_id"]] = task

    for team in TEAMS:
        told = [orjson.loads(r.value or b"") for r in records if r.topic == queue_topic(team)]
        assert mine(told, team) == {
            name: task["version"]
            for name, task in tasks.items()
            if task["team"] == team and task["closed_at"] is None
        }
    assert sum(record.topic in queues for record in records) > 100


def test_a_cancelled_discharge_is_withdrawn_from_every_queue(hospital: Hospital) -> None:
    """Whoever is calling is to stop; the word says so and the status does."""
    hospital.discharges()
    hospital.says("discharge.cancelled", visit_number="V1")

    for team in ("nurse-outreach", "scheduling", "pharmacy"):
        first, *_, last = heard(hospital, team)
        assert (first["change"], last["change"]) == ("task.requested", "task.withdrawn")
        assert last["task"]["closed_at"] is not None
        assert mine(heard(hospital, team), team) == {}


def test_a_task_that_moves_is_withdrawn_here_and_offered_there(hospital: Hospital) -> None:
    """In the view of either: the old team is not told what only the new one may know."""
    hospital.discharges()
    (call,) = [one["task"] for one in heard(hospital, "nurse-outreach")]
    command = {"task_id": call["task_id"], "actor": "nurse-1", "role": "supervisor"}
    hospital.says("task.reassigned", **command, to="scheduling")

    lost, got = heard(hospital, "nurse-outreach")[-1], heard(hospital, "scheduling")[-1]
    assert (lost["change"], lost["task"]["team"]) == ("task.withdrawn", "scheduling")
    assert lost["task"]["version"] == got["task"]["version"] == 2
    assert got["task"]["task_id"] == call["task_id"]
    assert (lost["task"]["hidden"], got["task"]["hidden"]) == ([], ["evidence", "outcome"])
    assert call["task_id"] not in mine(heard(hospital, "nurse-outreach"), "nurse-outreach")
    assert call["task_id"] in mine(heard(hospital, "scheduling"), "scheduling")

    hospital.says("task.reassigned", **command, to="nurse-outreach")
    assert call["task_id"] in mine(heard(hospital, "nurse-outreach"), "nurse-outreach")
    assert call["task_id"] not in mine(heard(hospital, "scheduling"), "scheduling")


def test_what_consent_withholds_stays_out_of_every_queue_but_one(hospital: Hospital) -> None:
    """A stay in a unit of 42 CFR Part 2: the work is there, the visit is not."""
    hospital.says(
        "admission.opened", visit_number="V1", **{"class": "INPATIENT"}, location={"code": "DETOX"}
    )
    hospital.discharges()
    (call,) = heard(hospital, "nurse-outreach")

    assert call["task"]["masked"]
    assert call["task"]["visit_number"] is None
    assert call["task"]["notice"].startswith("42 CFR Part 2")
    for team in ("nurse-outreach", "scheduling", "pharmacy"):
        assert "DETOX" not in str(heard(hospital, team))

    command = {"task_id": call["task"]["task_id"], "actor": "n", "role": "supervisor"}
    hospital.says("task.reassigned", **command, to="restricted")
    (theirs,) = heard(hospital, "restricted")
    assert (theirs["task"]["visit_number"], theirs["task"]["hidden"]) == ("V1", [])
    assert heard(hospital, "nurse-outreach")[-1]["task"]["team"] is None

    hospital.says("patient.consent_changed", scope="part2", state="granted", parties=["all"])
    hospital.passes(DAY)
    assert not heard(hospital, "pharmacy")[-1]["task"]["masked"]


def test_a_merge_goes_on_under_the_survivors_key(hospital: Hospital) -> None:
    """The same task, a greater version, another key: the version decides, not the key."""
    hospital.discharges("GEN|B", "V2")
    (before,) = heard(hospital, "nurse-outreach")
    hospital.says("patient.merged", "GEN|A", retired="GEN|B")
    hospital.passes(DAY // 24)
    last = heard(hospital, "nurse-outreach")[-1]["task"]

    assert last["task_id"] == before["task"]["task_id"]
    assert (last["patient"], last["subject"]) == ("GEN|A", "GEN|B")
    assert last["patient_key"] == patient_key(SITE_KEY, "GEN|A")
    assert last["version"] > before["task"]["version"]
