"""The models, the topics and the export agree with each other and with ``contract.md``."""

import json
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from schemas.events import EVENT_TYPES, unread_type
from schemas.export import export, export_schemas
from schemas.facilities import STAY_CLASSES
from schemas.topics import BACKFILL, INPUTS, MAX_MESSAGE_BYTES, TEAMS, TOPICS, queue_topic, topic_of
from schemas.values import Instant, Said

# Contract section 2, the table's first column.
CONTRACT_TYPES = {
    "admission": ["planned", "opened", "updated", "left", "returned", "cancelled"],
    "discharge": ["pending", "recorded", "corrected", "cancelled"],
    "medication": ["list_recorded", "ordered", "changed", "stopped", "dispensed"],
    "appointment": [
        "booked",
        "rescheduled",
        "cancelled",
        "checked_in",
        "fulfilled",
        "no_show",
        "entered_in_error",
    ],
    "patient": [
        "updated",
        "merged",
        "unmerged",
        "visit_moved",
        "identifiers_moved",
        "died",
        "consent_changed",
        "preference_changed",
        "screened",
    ],
    "result": ["final"],
    "document": ["received"],
    "referral": ["created"],
    "task": ["accepted", "released", "attempted", "completed", "rejected", "reassigned", "noted"],
}


def models_below(model: type[BaseModel], seen: set[type[BaseModel]]) -> set[type[BaseModel]]:
    if model not in seen:
        seen.add(model)
        pending = [field.annotation for field in model.model_fields.values()]
        while pending:
            annotation = pending.pop()
            if isinstance(annotation, type) and issubclass(annotation, BaseModel):
                models_below(annotation, seen)
            pending.extend(get_args(annotation))
    return seen


def test_the_registry_holds_exactly_the_contracts_types() -> None:
    """No type is missing and none is invented."""
    assert list(EVENT_TYPES) == [
        f"care.{noun}.{verb}.v1" for noun, verbs in CONTRACT_TYPES.items() for verb in verbs
    ]


def test_names_of_instants_end_in_at_and_nothing_else_does() -> None:
    """Which fields are times is read off their names, so the names must hold."""
    for known in EVENT_TYPES.values():
        for model in models_below(known.model, set()):
            for name, field in model.model_fields.items():
                is_instant = field.annotation in (Instant, Instant | None)
                stated = name.endswith("_at") or name in ("time", "recordedtime", "receivedtime")
                plain_time = field.annotation is str and name == "time"
                assert (is_instant or plain_time) is stated, (model.__name__, name)


def test_models_of_events_keep_unknown_fields_and_are_strict() -> None:
    """Publishers may say more than we read, but never say a thing in another form."""
    for known in EVENT_TYPES.values():
        for model in models_below(known.model, set()):
            assert issubclass(model, Said)
            assert model.model_config["extra"] == "allow"
            assert model.model_config["strict"] is True
            assert model.model_config["hide_input_in_errors"] is True


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("care.discharge.recorded.v2", "unsupported-version"),
        ("care.discharge.recorded.v0", "unsupported-version"),
        ("care.discharge.recorded.v10", "unsupported-version"),
        ("care.discharge.recorded", "unknown-type"),
        ("care.discharge.recorded.vX", "unknown-type"),
        ("care.discharge.recorded.v", "unknown-type"),
        ("care.discharge.invented.v1", "unknown-type"),
        ("discharge.recorded.v1", "unknown-type"),
        ("Care.Discharge.Recorded.v1", "unknown-type"),
    ],
)
def test_a_known_name_in_another_version_is_told_from_an_unknown_one(
    name: str, reason: str
) -> None:
    """The sender of a newer version needs another answer than one who misspells."""
    assert reason == unread_type(name)


def test_every_event_type_has_its_input_topic() -> None:
    """Also in a version that is not read here; backfill has a topic of its own."""
    for name in EVENT_TYPES:
        topic = topic_of(name)
        assert topic in INPUTS
        assert TOPICS[topic].kind == "input"
        assert topic_of(name, "backfill") == BACKFILL
    assert topic_of("care.task.accepted.v1") == "care.outcome.v1"
    assert topic_of("care.result.final.v7") == "care.patient.v1"
    assert topic_of("nonsense") is None
    assert topic_of("care.weather.changed.v1") is None


def test_topics_are_the_contracts() -> None:
    """Names, retention, compaction and size of section 1."""
    queues = {queue_topic(team) for team in TEAMS}
    days = {name: topic.retention and topic.retention.days for name, topic in TOPICS.items()}
    assert {
        **dict.fromkeys(INPUTS, 30),
        **dict.fromkeys(queues, 30),
        "care.journal.v1": 120,
        "care.task.v1": None,
        "care.gap.v1": None,
        "care.patient-view.v1": None,
        "care.change.v1": 400,
        "care.dead-letter.v1": 30,
        "care.audit.v1": 2196,
    } == days
    assert len(INPUTS) == 7
    for name in (*INPUTS, "care.dead-letter.v1"):
        assert TOPICS[name].max_message_bytes == MAX_MESSAGE_BYTES
    assert TOPICS["care.journal.v1"].append_time


def test_the_export_is_stable_and_complete(tmp_path: Path) -> None:
    """A file per type and version under a name that never changes; twice the same bytes."""
    first = {file.name: file.read_bytes() for file in export(tmp_path / "a")}
    second = {file.name: file.read_bytes() for file in export(tmp_path / "b")}
    assert first == second
    assert {f"{name}.json" for name in EVENT_TYPES} <= set(first)
    assert {"care.task.v1.json", "care.gap.v1.json", "care.change.v1.json"} <= set(first)
    for name, raw in first.items():
        document = json.loads(raw)
        assert f"/schemas/{name}" == document["$id"]
        assert "2020-12" in document["$schema"]


def test_the_export_demands_what_decoding_demands() -> None:
    """A publisher who validates against the schema is not refused for a missing field."""
    documents = export_schemas()
    noted = documents["care.task.noted.v1"]["$defs"]["Note"]
    assert [alternative["required"] for alternative in noted["anyOf"]] == [
        ["task_id"],
        ["visit_number", "kind"],
        ["gap_id"],
    ]
    discharge = documents["care.discharge.recorded.v1"]
    assert {"id", "source", "type", "time", "subject", "data"} == set(discharge["required"])
    assert discharge["$defs"]["Discharge"]["required"] == ["visit_number"]
    assert '"default":' not in json.dumps(documents["care.discharge.recorded.v1"])


def test_the_exports_file_of_facilities_knows_the_contracts_classes() -> None:
    """The editor's schema for the facilities file offers what the reader takes."""
    facility = export_schemas()["facilities-file.v1"]["additionalProperties"]["anyOf"][0]
    classes = facility["properties"]["class_map"]["additionalProperties"]["enum"]
    assert list(STAY_CLASSES) == classes
