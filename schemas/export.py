"""The public contract as JSON Schema (2020-12), for those who publish and consume.

One document per event type and version, per published thing, and for the facilities and policy
files.  File names are stable: ``care.discharge.recorded.v1.json`` is that event for ever.
"""

from pathlib import Path
from typing import Any, Final

import orjson
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from schemas.business_days import CALENDARS
from schemas.changes import Change, Replay
from schemas.events import EVENT, EVENT_TYPES
from schemas.facilities import STAY_CLASSES, TYPES
from schemas.gaps import Gap
from schemas.patient_view import PatientView
from schemas.policy import Policy
from schemas.queues import Queued
from schemas.tasks import Task
from schemas.transitions import Episode, Notice, Score, Stay, Transition

DIALECT: Final = GenerateJsonSchema.schema_dialect


class _Generator(GenerateJsonSchema):
    """Without ``"default": null``: a field left out says nothing, a null one deletes."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        document = super().default_schema(schema)
        if "default" in document and document["default"] is None:
            del document["default"]
        return document


# Topics carry ``care.task.v1`` and its like; the others are parts of replay's answer.
PUBLISHED: Final[dict[str, type[BaseModel]]] = {
    "care.task.v1": Task,
    "care.gap.v1": Gap,
    "care.change.v1": Change,
    "care.queue.v1": Queued,
    "care.patient-view.v1": PatientView,
    "transition.v1": Transition,
    "stay.v1": Stay,
    "episode.v1": Episode,
    "score.v1": Score,
    "notice.v1": Notice,
    "replay.v1": Replay,
}


def export_schemas() -> dict[str, dict[str, Any]]:
    """All documents by name; a file of one is called ``<name>.json``."""
    documents = {
        name: known.model.model_json_schema(mode="validation", schema_generator=_Generator)
        for name, known in EVENT_TYPES.items()
    }
    documents["care.event.v1"] = EVENT.json_schema(mode="validation", schema_generator=_Generator)
    for name, model in PUBLISHED.items():
        documents[name] = model.model_json_schema(mode="serialization", schema_generator=_Generator)
    documents["facilities-file.v1"] = _facilities_file()
    policy = Policy.model_json_schema(mode="validation", schema_generator=_Generator)
    # What a policy leaves out is the built-in one's.
    policy["required"] = ["version", "effective_from"]
    documents["policy-file.v1"] = policy
    return {
        name: {"$schema": DIALECT, "$id": f"/schemas/{name}.json", **document}
        for name, document in sorted(documents.items())
    }


def export(directory: Path) -> list[Path]:
    """
    Write every document into *directory*, which is made if need be.

    Returns:
        The files, in order of their names; the same contract gives the same bytes.
    """
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for name, document in export_schemas().items():
        file = directory / f"{name}.json"
        options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
        file.write_bytes(orjson.dumps(document, option=options))
        written.append(file)
    return written


def _facilities_file() -> dict[str, Any]:
    """By hand: the file is read with line numbers, not by a model."""
    text: dict[str, Any] = {"type": "string", "minLength": 1}
    day: dict[str, Any] = {"type": "string", "format": "date"}
    days: dict[str, Any] = {"type": "array", "items": day}
    duration: dict[str, Any] = {"type": "string", "format": "duration"}
    calendar: dict[str, Any] = {"enum": sorted(CALENDARS)}
    holidays: dict[str, Any] = {
        "anyOf": [
            calendar,
            days,
            _closed({"calendar": calendar, "extra": days, "minus": days}),
        ]
    }
    common: dict[str, Any] = {
        "zone": {**text, "description": "IANA name", "examples": ["America/New_York"]},
        "type": {"enum": list(TYPES)},
        "holidays": holidays,
        "weekend_staffing": {"type": "boolean"},
        "offset_trusted": {
            "type": "boolean",
            "description": "false: offsets in its times are ignored, they are local times",
        },
        "part2_units": {"type": "array", "items": text},
        "linking_authorities": {"type": "array", "items": text},
        "disposition_map": _map_of(text),
        "class_map": _map_of({"enum": list(STAY_CLASSES)}),
        "expected_interval": duration,
    }
    texts = ("msh3", "msh4", "authority", "charset", "certificate", "fhir_base", "secret")
    feed = _closed(
        {
            **dict.fromkeys(texts, text),
            "z_segments": _map_of(text),
            "options": _map_of(text),
            "expected_interval": duration,
        }
    )
    facility = _closed(
        {
            **common,
            "name": text,
            "feeds": _map_of(feed),
            "effective_from": {"type": "string", "description": "date, or RFC 3339 time"},
        }
    )
    versions = {"type": "array", "items": facility, "minItems": 1}
    return {
        "title": "Facilities file (YAML)",
        "type": "object",
        "properties": {"default": _closed(common)},
        "additionalProperties": {"anyOf": [facility, versions]},
    }


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _map_of(value: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": value}
