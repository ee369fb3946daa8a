"""Accepted events, as ``events`` makes them: defaults for all but what a test is about."""

from typing import Any, Final

from handlers.envelope import Said, said
from orchestrator.core.instants import read
from schemas.facilities import Facilities

FACILITIES: Final = Facilities.parse(
    """
default: {zone: America/New_York}
GEN:
  zone: America/New_York
  disposition_map: {HH: "06", HOME: "01", "11": "01"}
  class_map: {OBV: OBSERVATION, DAY: OUTPATIENT, X: EMERGENCY}
MID: {zone: America/Chicago}
"""
)
TIME: Final = read("2026-10-06T18:00:00Z")
RECEIPT: Final = read("2026-10-06T18:02:03Z")


def event(type_: str, *, without: str = "", **given: Any) -> dict[str, Any]:
    """
    An accepted event of *type_*, named without ``care.`` and ``.v1``.

    Args:
        given: Envelope fields by their names; anything else is a field of ``data``.
    """
    made: dict[str, Any] = {
        "id": "GEN-1",
        "source": "hospital/GEN/adt",
        "type": f"care.{type_}.v1",
        "subject": "GEN|MRN123",
        "facility": "GEN",
        "lane": "live",
        "time": "2026-10-06T18:00:00Z",
        "receivedtime": "2026-10-06T18:02:03Z",
        "data": {"visit_number": "V1"},
    }
    envelope = {*made, "recordedtime", "timeflags", "unmapped"} - {"data"}
    made |= {name: value for name, value in given.items() if name in envelope}
    made["data"] |= {name: value for name, value in given.items() if name not in envelope}
    for name in without.split():
        made.pop(name, None)
        made["data"].pop(name, None)
    return made


def read_envelope(type_: str, **given: Any) -> Said:
    return said(event(type_, **given), FACILITIES)
