"""What the plan returns: things that should stand, each with the sentence that says why.

Content is in the published form (``contract.md`` §3, §4, §6) save what only history knows:
version, occurrence, opened_at, closed_at.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

TERMINAL = frozenset({"completed", "cancelled", "failed", "entered-in-error"})

Why = Callable[[], str]


class Wanted(NamedTuple):
    """A task, gap or transition that should stand, by its id."""

    id: str
    content: dict[str, Any]
    why: Why
    under: str = ""  # the identifier in whose ledger it stands; empty: of a feed


@dataclass(slots=True)
class Plan:
    """Everything that should stand at an instant, and the first one at which that can change."""

    transitions: list[Wanted] = field(default_factory=list)
    tasks: list[Wanted] = field(default_factory=list)
    gaps: list[Wanted] = field(default_factory=list)
    wake: int | None = None
    # Identifier, facility and number of every visit that is known; what is published of another
    # one belongs to somebody else now.  Asked for only where something is not wanted any more.
    visits: Callable[[], set[tuple[str, str, str]]] | None = None
    # Transitions that were another's double: the same discharge, told under two numbers.
    doubled: frozenset[str] = frozenset()
