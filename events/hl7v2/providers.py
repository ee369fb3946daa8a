"""Practitioners (XCN) and the primary care provider: PD1-4, or a role segment, which goes first."""

from typing import Any, Final

from events.hl7v2.message import Message, Repetition, Segment

_NPI_NAMES: Final = frozenset({"NPI", "NPIID", "2.16.840.1.113883.4.6"})
_NPI_PREFIX_SUM: Final = 24  # Luhn sum of the prefix 80840 that CMS puts before the ten digits
_PCP_ROLES: Final = frozenset({"PP", "FHCP"})  # table 0443


def is_npi(number: str) -> bool:
    """Whether ten digits carry an NPI's check digit (45 CFR 162.406; Luhn with prefix 80840)."""
    if len(number) != 10 or not (number.isascii() and number.isdigit()):
        return False
    digits = [int(digit) for digit in number]
    doubled = sum(sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return (_NPI_PREFIX_SUM + doubled + sum(digits[-1::-2])) % 10 == 0


def provider(xcn: Repetition) -> dict[str, Any] | None:
    """
    ``{"npi", "id", "name"}``, whichever are there.

    A number is an NPI when the message types it so, or when it has an NPI's check digit; any other
    stands in ``id``, which the contract leaves open, so that two mentions of one doctor still
    compare.
    """
    found: dict[str, Any] = {}
    number = xcn.text(1)
    if number:
        typed = {xcn.text(8), xcn.text(9, 1), xcn.text(9, 2), xcn.text(13)} & _NPI_NAMES
        key = "npi" if (typed and len(number) == 10) or is_npi(number) else "id"
        found[key] = number
    name = person_name(xcn, 2)
    if name:
        found["name"] = name
    return found or None


def person_name(name: Repetition, at: int = 1) -> str:
    """``Given Family`` of an XPN, or of an XCN with *at* 2."""
    return " ".join(part for part in (name.text(at + 1), name.text(at)) if part)


def primary_care(message: Message, today: str) -> tuple[bool, dict[str, Any] | None]:
    """
    The PCP that the message names.

    Args:
        today: The event's date, ``YYYYMMDD``; a role that has ended before it does not count.

    Returns:
        Whether anything is said, and the provider; (True, None) is HL7 null.

    Source: messages.md: from v2.5.1 on ROL is sent in addition to PD1, with role PP or FHCP.
    """
    for rol in message.all("ROL"):
        ended = rol.text(6)[:8]
        if (
            rol.text(3).upper() in _PCP_ROLES
            and rol.text(2).upper() != "DE"
            and not (len(ended) == 8 and ended < today)
            and (found := provider(rol.first(4)))
        ):
            if specialty := rol.text(9, 2) or rol.text(9, 1):
                found["specialty"] = specialty
            if organization := rol.text(14, 1):
                found["organization"] = organization
            return True, found
    pd1 = message.first("PD1")
    for xcn in pd1.repetitions(4):
        if found := provider(xcn):
            if organization := pd1.text(3, 1):
                found["organization"] = organization
            return True, found
    return pd1.is_null(4), None


def attending(pv1: Segment) -> dict[str, Any] | None:
    """PV1-7."""
    return provider(pv1.first(7))
