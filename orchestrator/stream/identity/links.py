"""What one decision tells the directory: each identifier that names a person elsewhere, once."""

from typing import Any

from orchestrator.core.cells import PersonCell
from orchestrator.core.facts import Told
from orchestrator.core.patient import Patient


def said(told: Told) -> dict[str, Any]:
    """The message to the directory."""
    return {"kind": "marks", "marks": [list(mark) for mark in told.marks]}


def fresh(patient: Patient, told: Told) -> dict[str, Any] | None:
    """The links that *patient* (changed in place) has not told of; every message repeats them."""
    links = [mark for mark in told.marks if mark.what == "link"]
    cell = patient.cells.get(("person", ""))
    if isinstance(cell, PersonCell) and links:
        links = [mark for mark in links if mark.other not in cell.linked]
        cell.linked.update(mark.other for mark in links)
        patient.dirty.add(("person", ""))
    return {"kind": "marks", "marks": [list(mark) for mark in links]} if links else None
