"""Last-writer registers: of two statements about one field the one with the greater stamp holds.

Joining is commutative, associative and idempotent in value, so order of arrival and repetition
vanish.  Beside the value a register keeps *since*, the receipt at which this value first took
hold: the rules that ask "when did we know?" read it.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from orchestrator.core.facts import Stamp


class Register(NamedTuple):
    """A field's value (``None``: deleted), the stamp that holds it, and when we first heard it."""

    value: Any
    stamp: Stamp
    since: int


Registers = dict[str, Register]

NOTHING = 0
STAMPED = 1  # worth storing, but no rule can answer differently
MATERIAL = 2  # a rule may answer differently


def say(registers: Registers, field: str, value: Any, stamp: Stamp) -> int:
    """Join one statement into *registers*; how much that changed."""
    held = registers.get(field)
    if held is None:
        registers[field] = Register(value, stamp, stamp.receipt)
        return MATERIAL
    if stamp <= held.stamp:
        return NOTHING
    if value == held.value:
        registers[field] = Register(value, stamp, held.since)
        return STAMPED
    registers[field] = Register(value, stamp, stamp.receipt)
    return MATERIAL


def say_all(registers: Registers, fields: Mapping[str, Any], stamp: Stamp) -> int:
    """Join several statements of one stamp."""
    changed = NOTHING
    for field, value in fields.items():
        changed = max(changed, say(registers, field, value, stamp))
    return changed


def value_of(registers: Registers, field: str, default: Any = None) -> Any:
    """What holds of *field*; *default* where nothing was said or it was deleted."""
    held = registers.get(field)
    return default if held is None or held.value is None else held.value


def dump(registers: Registers) -> dict[str, Any]:
    """Plain data for storage."""
    return {field: [held.value, list(held.stamp), held.since] for field, held in registers.items()}


def load(plain: Mapping[str, Any]) -> Registers:
    """The inverse of `dump`."""
    return {
        field: Register(value, Stamp(*stamp), since)
        for field, (value, stamp, since) in plain.items()
    }
