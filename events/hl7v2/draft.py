"""An event in the making: its data, with the tri-state of HL7, and what had to be assumed.

Absent fields are not said, so they leave no key; ``""`` becomes JSON ``null``, "delete what was
said before"; what cannot be read is left out and flagged; what cannot be mapped is named.
"""

from typing import Any, Final

from events.hl7v2.message import Repetition, Segment
from events.hl7v2.timestamps import UNREADABLE, Moment
from schemas.timestamp import Timestamp

ID_MAX: Final = 128


class Draft:
    """One event of a message before its envelope."""

    __slots__ = ("data", "subject", "time", "timeflags", "type", "unmapped")

    def __init__(self, event_type: str, time: Timestamp, subject: str) -> None:
        self.type = event_type  # canonical, without `care.` and `.v1`
        self.time = time
        self.subject = subject
        self.data: dict[str, Any] = {}
        self.timeflags: dict[str, list[str]] = {}
        self.unmapped: list[str] = []

    def instant(self, key: str, moment: Moment) -> None:
        """A time field of data."""
        if moment.stamp is not None:
            self.data[key] = moment.stamp.text
            if moment.stamp.flags:
                self.timeflags["data." + key] = list(moment.stamp.flags)
        elif moment.null:
            self.data[key] = None
        elif moment.unreadable:
            self.timeflags["data." + key] = [UNREADABLE]

    def number(self, key: str, segment: Segment, field: int) -> None:
        """An id that the event can do without: one that is unusable as such is only a doubt."""
        value = segment.text(field)
        if is_usable_id(value):
            self.data[key] = value
        elif value:
            self.doubt(f"{segment.name}-{field}")
        elif segment.is_null(field):
            self.data[key] = None

    def code(self, key: str, segment: Segment, field: int) -> None:
        """A coded field: identifier and text of its first repetition."""
        value = code_value(segment.first(field))
        if value:
            self.data[key] = value
        elif segment.is_null(field):
            self.data[key] = None

    def doubt(self, field: str) -> None:
        """A field whose code has no mapping, or which contradicts another one (ruling 38)."""
        if field not in self.unmapped:
            self.unmapped.append(field)


def is_usable_id(value: str) -> bool:
    """Whether *value* may stand in a key: contract.md, ids are at most 128 characters."""
    return 0 < len(value) <= ID_MAX and value.isprintable()


def code_value(cwe: Repetition, *, system: bool = False) -> dict[str, str]:
    """
    ``{"code", "text"}`` of a CE or CWE, whichever are there.

    Args:
        system: With the coding system.  For fields whose table HL7 fixes it is left out: feeds
            write their vendor's name there, and a code without a system is of the field's table.
    """
    value: dict[str, str] = {}
    if code := cwe.text(1):
        value["code"] = code
    if text := cwe.text(2) or cwe.text(9):
        value["text"] = text
    if system and value and (name := cwe.text(3)):
        value["system"] = name
    return value
