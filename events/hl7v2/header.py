"""What MSH says, and whether the message is one that may be read at all.

The checks stand in the order of the acknowledgement table (``interfaces.md`` section 2.3): what
names a type or version nobody reads is refused for that, whatever else is wrong with it.
"""

import re
from typing import Final, Literal, NamedTuple

from events.hl7v2.message import Message, Segment
from events.hl7v2.triggers import (
    ACKNOWLEDGEMENTS,
    NOT_READ_YET,
    USED_TYPES,
    NotUsed,
    Used,
    row_of,
)
from events.reject import Reject

_VERSION: Final = re.compile(r"2\.[1-8](?:\.\d{1,2}){0,2}", re.ASCII)
_CONTROL_ID_MAX: Final = 199  # v2.7; 20 before
_LANES: Final[dict[str, Literal["live", "test"]]] = {
    "": "live",  # ruling 36
    "P": "live",
    "T": "test",
    "D": "test",
}


class Header(NamedTuple):
    """The sender, and what it sent."""

    application: str  # MSH-3
    facility: str  # MSH-4
    message_type: str  # MSH-9.1
    trigger: str  # MSH-9.2, else EVN-1
    control_id: str  # MSH-10
    lane: Literal["live", "test"]  # MSH-11

    @property
    def name(self) -> str:
        """``ADT^A17``; made of words from our tables once the type is known."""
        return f"{self.message_type}^{self.trigger}" if self.trigger else self.message_type


def hierarchic(segment: Segment, field: int) -> str:
    """An HD: its namespace, else its universal id."""
    return segment.text(field, 1) or segment.text(field, 2)


def sender(fields: list[str], number: int, characters: str) -> str:
    """MSH-3 or MSH-4 of the header's raw *fields*, as :func:`hierarchic` reads them."""
    field = fields[number - 1] if len(fields) >= number else ""
    parts = field.partition(characters[1])[0].split(characters[0], 2)
    return parts[0].strip() or (parts[1].strip() if len(parts) > 1 else "")


def read(message: Message) -> Header:
    """MSH as it stands; judges nothing but what :func:`check` needs."""
    msh = message.first("MSH")
    return Header(
        application=hierarchic(msh, 3),
        facility=hierarchic(msh, 4),
        message_type=msh.text(9, 1).upper(),
        # v2.1 and v2.2 knew messages of one component; their trigger is in EVN-1.
        trigger=(msh.text(9, 2) or message.first("EVN").text(1)).upper(),
        control_id=msh.text(10),
        lane=_LANES.get(msh.text(11).upper(), "live"),
    )


def check(header: Header, message: Message) -> Used | NotUsed:
    """
    Whether the message is to be read, and the row of its trigger.

    Raises:
        Reject: As the acknowledgement table says; *place* for ERR-2.
    """
    msh = message.first("MSH")
    if header.message_type in ACKNOWLEDGEMENTS:
        return NotUsed("an acknowledgement")
    row = _row(header)
    if msh.text(11).upper() not in _LANES:
        raise Reject("malformed", "MSH-11 is not P, T or D", place="MSH^1^11")
    if not _VERSION.fullmatch(msh.text(12)):
        raise Reject("unsupported-version", "MSH-12 is not 2.1 to 2.8", place="MSH^1^12")
    if not header.control_id:
        raise Reject("malformed", "MSH-10 is empty", place="MSH^1^10")
    if len(header.control_id) > _CONTROL_ID_MAX:
        raise Reject("malformed", "MSH-10 is too long", place="MSH^1^10")
    return row


def _row(header: Header) -> Used | NotUsed:
    if header.message_type not in USED_TYPES:
        if header.message_type in NOT_READ_YET:
            # A word of our own table, so it may be named.
            raise Reject(
                "unknown-type",
                f"messages of type {header.message_type} are not read yet",
                place="MSH^1^9",
            )
        raise Reject("unknown-type", "MSH-9.1 is in no table", place="MSH^1^9^1^1")
    row = row_of(header.message_type, header.trigger)
    if row is None:
        raise Reject(
            "unknown-type",
            f"MSH-9.2 is no trigger of {header.message_type}",
            place="MSH^1^9^1^2",
        )
    return row
