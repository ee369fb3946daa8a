"""Canonical events as publishers write them: defaults for all but what a test is about."""

import json
from pathlib import Path
from typing import Any

from schemas.facilities import Facilities

# Frozen: one file per event type.
EXAMPLES = Path(__file__).parents[1] / "schemas" / "data" / "events"
GEN = Facilities.parse("GEN: {zone: America/New_York}")
NOWHERE = Facilities()  # a file that names nobody and has no default


def event(type_: str = "discharge.recorded", *, without: str = "", **said: Any) -> dict[str, Any]:
    """
    An event; *said* sets envelope fields, ``data`` among them.

    Args:
        type_: Without ``care.`` and ``.v1``.
        without: Envelope fields to leave out, separated by blanks.
    """
    made: dict[str, Any] = {
        "specversion": "1.0",
        "id": "GEN-1",
        "source": "hospital/GEN/adt",
        "type": f"care.{type_}.v1",
        "time": "2026-10-06T14:00:00-04:00",
        "subject": "GEN|MRN123",
        "facility": "GEN",
        "receivedtime": "2026-10-06T18:02:03Z",
        "data": {"visit_number": "V1"},
    }
    made.update(said)
    for name in without.split():
        del made[name]
    return made


def raw(made: Any) -> bytes:
    """Its bytes."""
    return json.dumps(made).encode()
