"""Happenings as canonical events: one JSON object a line, in the form of `contract.md` §2."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from orchestrator.simulate.happening import Happening
from orchestrator.simulate.people import Person


def event(happening: Happening, *, receipt: bool = True) -> dict[str, Any]:
    """
    The event as a publisher writes it, times in the facility's zone.

    Args:
        receipt: Whether it carries ``receivedtime``: files do, what is sent live does not.
    """
    zone = ZoneInfo(happening.place.zone)
    data = {name: _written(value, zone) for name, value in happening.data.items()}
    if happening.visit is not None:
        data = {"visit_number": happening.visit.number} | data
    if happening.type == "patient.updated":
        data |= _demographics(happening.person)
    record = {
        "specversion": "1.0",
        "id": happening.id,
        "source": happening.source,
        "type": f"care.{happening.type}.v1",
        "time": _written(happening.at, zone),
        "subject": happening.person.subject,
        "facility": happening.place.id,
        "recordedtime": _written(happening.recorded_at, zone),
    }
    if receipt:
        record["receivedtime"] = _written(happening.received_at, zone)
    return record | {"data": data}


def line(happening: Happening, *, receipt: bool = True) -> bytes:
    """One line of NDJSON; a record that broke off ends in the middle."""
    raw = orjson.dumps(event(happening, receipt=receipt))
    return (raw[: len(raw) * 2 // 3] if happening.cut else raw) + b"\n"


def _written(value: Any, zone: ZoneInfo) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(zone).isoformat(timespec="seconds")
    return value


def _demographics(who: Person) -> dict[str, Any]:
    said: dict[str, Any] = {
        "name": {"family": who.family, "given": who.given},
        "birth_date": who.birth_date.isoformat(),
        "phones": [who.phone],
        "language": who.language,
    }
    if who.caregiver is not None:
        kin = who.caregiver
        said["caregivers"] = [{"name": kin.name, "relation": kin.relation, "phone": kin.phone}]
    if who.pcp is not None:
        doctor = who.pcp
        said["pcp"] = {"npi": doctor.npi, "name": doctor.name, "organization": doctor.organization}
    return said
