"""Frozen examples: what was once accepted or published reads for ever.

A file in ``data`` is never edited; a new version of a type gets a new file beside it.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.events import EVENT, EVENT_TYPES, field_names
from schemas.export import PUBLISHED
from schemas.values import Data

DATA = Path(__file__).parent / "data"


def examples(folder: str) -> list[Any]:
    return [
        pytest.param(file.stem, example, id=f"{file.stem}-{number}")
        for file in sorted((DATA / folder).glob("*.json"))
        for number, example in enumerate(json.loads(file.read_text()))
    ]


def test_every_event_type_has_a_frozen_example() -> None:
    """No event type can be added, or forgotten, without examples that hold it to its word."""
    assert set(EVENT_TYPES) == {file.stem for file in (DATA / "events").glob("*.json")}


def test_every_published_thing_has_a_frozen_example() -> None:
    """The same for tasks, gaps, changes and the parts of replay's answer."""
    assert set(PUBLISHED) == {file.stem for file in (DATA / "published").glob("*.json")}


@pytest.mark.parametrize(("name", "example"), examples("events"))
def test_frozen_event_still_reads(name: str, example: dict[str, Any]) -> None:
    """An event that publishers were told is right stays right."""
    sent = {"data": {}, **example["sent"]}
    event = EVENT.validate_python(sent)
    assert name == event.type
    assert sent == event.model_dump(mode="json", exclude_unset=True), "nothing is lost or changed"


@pytest.mark.parametrize(("name", "example"), examples("published"))
def test_frozen_published_thing_still_reads(name: str, example: dict[str, Any]) -> None:
    """A consumer's old records, and ours in compacted topics, stay readable."""
    known = PUBLISHED[name].model_validate(example)
    written = known.model_dump(mode="json", exclude_unset=True)
    assert {key: example[key] for key in written} == written


def test_the_examples_use_every_field_of_the_contract() -> None:
    """Renaming a field that publishers send cannot go unseen."""
    said: dict[str, set[str]] = {}
    declared: dict[str, set[str]] = {}
    for name, known in EVENT_TYPES.items():
        data = known.model.model_fields["data"].annotation
        assert isinstance(data, type)
        assert issubclass(data, Data)
        shared = set(field_names(Data))
        declared.setdefault(known.noun, set()).update(set(field_names(data)) - shared)
        for example in json.loads((DATA / "events" / f"{name}.json").read_text()):
            said.setdefault(known.noun, set()).update(example["sent"].get("data", {}))
    assert {noun: fields - said[noun] for noun, fields in declared.items()} == {
        noun: set() for noun in declared
    }


def test_a_missing_field_and_a_null_one_differ() -> None:
    """Missing means not said, null means delete: a PCP taken back is not one never named."""
    event = {
        "id": "1",
        "source": "s",
        "type": "care.patient.updated.v1",
        "time": "2026-10-06T18:00:00Z",
        "subject": "GEN|1",
    }
    silent = EVENT.validate_python({**event, "data": {}})
    deleting = EVENT.validate_python({**event, "data": {"pcp": None}})
    assert "pcp" not in silent.data.model_fields_set
    assert "pcp" in deleting.data.model_fields_set
