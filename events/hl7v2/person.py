"""What PID, PD1, ROL and NK1 say of the person: whom to call, in which language, who else helps.

Also the death (PID-29, PID-30), which must never wait for a better message and must never be
invented from a contradictory one.
"""

from typing import Any, Final

from events.hl7v2 import codes
from events.hl7v2.draft import Draft, code_value
from events.hl7v2.message import Message, Repetition, Segment
from events.hl7v2.providers import person_name
from events.hl7v2.timestamps import parse_date

# XPN-7, table 0200: what somebody is called, and what they only were called or are called by
# others (PID-5.7 = A is an alias).
_NAMES_FIRST: Final = ("L", "", "C", "D")
_ALIASES: Final = frozenset({"A", "B", "M", "N", "S"})


def fill(draft: Draft, message: Message, pid: Segment) -> None:
    """The fields of ``patient.updated`` but the PCP."""
    _name(draft, pid)
    if birth_date := parse_date(pid.text(7)):
        draft.data["birth_date"] = birth_date
    elif pid.is_null(7):
        draft.data["birth_date"] = None
    elif pid.text(7):
        draft.doubt("PID-7")
    _phones(draft, pid)
    draft.code("language", pid, 15)
    _address(draft, pid)
    caregivers = [c for nk1 in message.all("NK1") if (c := _caregiver(nk1))]
    if caregivers:
        draft.data["caregivers"] = caregivers


def _name(draft: Draft, pid: Segment) -> None:
    names = [(xpn.text(7).upper(), person_name(xpn)) for xpn in pid.repetitions(5)]
    names = [(kind, name) for kind, name in names if name]
    for wanted in _NAMES_FIRST:
        for kind, name in names:
            if kind == wanted:
                draft.data["name"] = name
                return
    for kind, name in names:
        if kind not in _ALIASES:
            draft.data["name"] = name
            return
    if names:
        draft.data["name"] = names[0][1]  # an alias is still better than nobody to ask for
    elif pid.is_null(5):
        draft.data["name"] = None


def _phones(draft: Draft, pid: Segment) -> None:
    found = [*phones(pid, 13, "home"), *phones(pid, 14, "work")]
    if found:
        draft.data["phones"] = found
    elif pid.is_null(13):
        draft.data["phones"] = None


def phones(segment: Segment, field: int, use: str | None) -> list[dict[str, str]]:
    """The numbers of an XTN field; e-mail addresses are none."""
    found = []
    for xtn in segment.repetitions(field):
        purpose, equipment = xtn.text(2).upper(), xtn.text(3).upper()
        if equipment in codes.NOT_A_PHONE or purpose in codes.NOT_A_PHONE:
            continue
        number = _number(xtn)
        if not number:
            continue
        kind = codes.PHONE_EQUIPMENT.get(equipment) or codes.PHONE_USE.get(purpose) or use
        found.append({"number": number} | ({"use": kind} if kind else {}))
    return found


def _number(xtn: Repetition) -> str:
    """XTN-1, deprecated since v2.3 and still what most feeds fill; else its parts, else XTN-12."""
    if whole := xtn.text(1):
        return whole
    country, area, local, extension = (xtn.text(part) for part in (5, 6, 7, 8))
    if not local:
        return xtn.text(12)
    country = f"+{country.removeprefix('+')}" if country else ""
    number = " ".join(part for part in (country, area, local) if part)
    return f"{number} x{extension}" if extension else number


def _address(draft: Draft, pid: Segment) -> None:
    for xad in pid.repetitions(11):
        parts = {
            "line": " ".join(part for part in (xad.text(1), xad.text(2)) if part),
            "city": xad.text(3),
            "state": xad.text(4),
            "postal_code": xad.text(5),
            "country": xad.text(6),
        }
        if found := {key: value for key, value in parts.items() if value}:
            draft.data["address"] = found
            return
    if pid.is_null(11):
        draft.data["address"] = None


def _caregiver(nk1: Segment) -> dict[str, Any] | None:
    name = person_name(nk1.first(2))
    if not name:
        return None
    found: dict[str, Any] = {"name": name}
    if relationship := code_value(nk1.first(3)):
        found["relationship"] = relationship
    if numbers := [*phones(nk1, 5, None), *phones(nk1, 6, "work")]:
        found["phones"] = numbers
    return found
