"""Messages of a made-up hospital GEN: everything has a default but what a test is about."""

from collections.abc import Mapping
from typing import Any

from events.hl7v2 import Hl7Result, decode
from events.reject import Reject
from schemas.facilities import Facilities

RECEIPT = "2026-10-06T18:05:00Z"

GEN = Facilities.parse(
    """
default: {zone: America/New_York}
GEN:
  zone: America/New_York
  class_map: {OBV: OBSERVATION, SDS: OUTPATIENT, Q: INPATIENT}
  feeds: {adt: {msh3: ADT1, msh4: GEN}}
WEST: {zone: America/Chicago}
MID:
  zone: America/Chicago
  offset_trusted: false
  feeds: {adt: {msh3: MIDAPP, msh4: MIDFAC, authority: MIDMRN, charset: 8859/1}}
"""
)
NO_ZONES = Facilities()

MSH = {
    2: "ADT1",
    3: "GEN",
    4: "CARE",
    5: "HUB",
    6: "20261006140300-0400",
    9: "MSG1",
    10: "P",
    11: "2.5.1",
}
EVN = {2: "20261006140200-0400"}
PID = {3: "MRN123^^^GEN^MR", 5: "Doe^Jane^Q^^^^L", 7: "19540312", 8: "F"}
PV1 = {2: "I", 3: "4EAST^401^B^GEN", 19: "V1^^^GEN^VN", 44: "20261001093000-0400"}
SCH = {1: "P77", 2: "F77", 7: "FU^Follow-up", 25: "Booked"}

Fields = Mapping[int, str]


def segment(name: str, fields: Fields) -> str:
    """A segment with these fields; the others are empty."""
    last = max(fields, default=0)
    return "|".join([name, *(fields.get(n, "") for n in range(1, last + 1))])


def header(message_type: str, msh: Fields | None = None) -> str:
    """MSH; field numbers as HL7 counts them."""
    said = {n + 1: value for n, value in MSH.items()} | {9: message_type} | dict(msh or {})
    return "MSH|^~\\&|" + "|".join(said.get(n, "") for n in range(3, max(said) + 1))


def adt(
    trigger: str,
    *rest: str,
    msh: Fields | None = None,
    evn: Fields | None = None,
    pid: Fields | None = None,
    pv1: Fields | None = None,
) -> bytes:
    """An ADT message with MSH, EVN, PID, PV1 and then *rest*, segments ended by CR."""
    segments = [
        header(f"ADT^{trigger}", msh),
        segment("EVN", {1: trigger} | EVN | dict(evn or {})),
        segment("PID", PID | dict(pid or {})),
        segment("PV1", PV1 | dict(pv1 or {})),
        *rest,
    ]
    return "\r".join(segments).encode()


def identities(trigger: str, *segments: str, msh: Fields | None = None) -> bytes:
    """An ADT message about identities: MSH, EVN, and the segments given."""
    first = [header(f"ADT^{trigger}", msh), segment("EVN", {1: trigger} | EVN)]
    return "\r".join([*first, *segments]).encode()


def siu(
    trigger: str,
    *rest: str,
    msh: Fields | None = None,
    sch: Fields | None = None,
    pid: Fields | None = None,
) -> bytes:
    """An SIU message with MSH, SCH, PID and then *rest*."""
    segments = [
        header(f"SIU^{trigger}", msh),
        segment("SCH", SCH | dict(sch or {})),
        segment("PID", PID | dict(pid or {})),
        *rest,
    ]
    return "\r".join(segments).encode()


def read(raw: bytes, receipt: str | None = RECEIPT, facilities: Facilities = GEN) -> Hl7Result:
    return decode(raw, facilities, receipt=receipt)


def events(
    raw: bytes, receipt: str | None = RECEIPT, facilities: Facilities = GEN
) -> list[dict[str, Any]]:
    """The events of a message of which nothing may be refused."""
    result = read(raw, receipt, facilities)
    assert result.rejects == []
    assert result.ignored is None
    return result.events


def event(
    raw: bytes, receipt: str | None = RECEIPT, facilities: Facilities = GEN
) -> dict[str, Any]:
    """What happened: the first event."""
    return events(raw, receipt, facilities)[0]


def of_type(found: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """The one event of a type, named without ``care.`` and ``.v1``."""
    (only,) = [one for one in found if one["type"] == f"care.{name}.v1"]
    return only


def reject(raw: bytes, receipt: str | None = RECEIPT, facilities: Facilities = GEN) -> Reject:
    """The one reject of a message that became nothing."""
    result = read(raw, receipt, facilities)
    assert result.events == []
    assert result.ignored is None
    (only,) = result.rejects
    return only
