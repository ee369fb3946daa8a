"""Whose message it is: subjects, visit numbers, and the ids of the events (ruling 33).

An identifier is ``authority|number``.  The authority is CX-4.1, else CX-4.2 (two enterprises
that name themselves only by OID must not share numbers), else the feed's, else MSH-4 (where that
is empty too, MSH-3).  Of several identifiers the first with a number counts; the others are
named beside it.
"""

from typing import Any, Final, NamedTuple

from events.hl7v2.draft import ID_MAX
from events.hl7v2.header import Header
from events.hl7v2.message import Message, Repetition, Segment
from events.reject import Reject

_SUBJECT_MAX: Final = 256
# What belongs to no rule of ours and identifies a person everywhere is not carried along.
_NOT_CARRIED: Final = frozenset({"SS", "SSN", "USSSA", "SSA"})


class VisitNumber(NamedTuple):
    """A visit's number and the field that it came from, which says where an old one stands."""

    number: str
    field: str  # "PV1-19", "PV1-50" or "PID-18"


# Where the message calls a visit's number before the change (MRG), by where it calls it now.
PRIOR_FIELD: Final = {"PV1-19": 5, "PV1-50": 6, "PID-18": 3}


def printable_id(value: str, place: str, longest: int = ID_MAX) -> str:
    """
    An id that may stand in a key.

    Raises:
        Reject: ``malformed``: too long, or control characters in it.
    """
    if len(value) > longest or not value.isprintable():
        raise Reject("malformed", "not usable as an identifier", place=place)
    return value


def identifier(cx: Repetition, default_authority: str, place: str) -> str | None:
    """
    ``authority|number`` of one CX; ``None`` if it has no number.

    Raises:
        Reject: ``missing-patient``: no authority; ``malformed``: unusable.
    """
    number = cx.text(1)
    if not number:
        return None
    authority = cx.text(4, 1) or cx.text(4, 2) or default_authority
    if not authority:
        raise Reject(
            "missing-patient",
            "no authority: CX-4, the feed's, MSH-4 and MSH-3 are all empty",
            place=place,
        )
    if "|" in authority:
        # It would move the border between authority and number, so name somebody else.
        raise Reject("malformed", "the authority has a vertical bar in it", place=place)
    return printable_id(f"{authority}|{number}", place, _SUBJECT_MAX)


def first_identifier(
    segment: Segment, field: int, default_authority: str, place: str
) -> str | None:
    """The first repetition with a number: ``""`` in the first says that it has none."""
    for cx in segment.repetitions(field):
        found = identifier(cx, default_authority, place)
        if found is not None:
            return found
    return None


def subject(pid: Segment, default_authority: str) -> str:
    """
    Raises:
        Reject: ``missing-patient``.
    """
    found = first_identifier(pid, 3, default_authority, "PID^1^3")
    if found is None:
        raise Reject("missing-patient", "PID-3 has no identifier", place="PID^1^3")
    return found


def other_identifiers(pid: Segment, default_authority: str) -> list[dict[str, Any]]:
    """The further identifiers of PID-3 as ``data.identifiers``, social security numbers aside."""
    found: list[dict[str, Any]] = []
    taken = False
    for cx in pid.repetitions(3):
        number = cx.text(1)
        if not number:
            continue
        if not taken:
            taken = True
            continue
        authority = cx.text(4, 1) or cx.text(4, 2) or default_authority
        kind = cx.text(5)
        if kind.upper() in _NOT_CARRIED or authority.upper() in _NOT_CARRIED or not authority:
            continue
        found.append({"authority": authority, "value": number} | ({"type": kind} if kind else {}))
    return found


def visit_number(pv1: Segment, pid: Segment) -> VisitNumber | None:
    """PV1-19, else PV1-50, else PID-18; ``None`` if all are empty."""
    for segment, field in ((pv1, 19), (pv1, 50), (pid, 18)):
        number = segment.text(field)
        if number:
            name = f"{segment.name}-{field}"
            place = f"{segment.name}^1^{field}"
            return VisitNumber(printable_id(number, place), name)
    return None


def source_of(header: Header) -> str:
    return f"hl7v2/{_plain(header.application, 100)}/{_plain(header.facility, 100)}"


def event_id_of(header: Header, message: Message) -> str:
    """
    ``<MSH-4>-<MSH-10>-<hash>``: real feeds use a control id again, so the content is part of it.

    Long names are cut to keep the id within its limit; the hash still tells messages apart.
    """
    facility, control_id = _plain(header.facility, 40), _plain(header.control_id, 64)
    return f"{facility}-{control_id}-{message.content_hash}"


def _plain(text: str, longest: int) -> str:
    if not text.isprintable():
        text = "".join(filter(str.isprintable, text))
    return text[:longest]
