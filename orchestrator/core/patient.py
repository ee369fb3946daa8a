"""One patient's working state: cells, ledger, and the small head that changes at every step.

A patient is a set of identifiers.  Each has its own cells and its own ledger rows, which stay with
it, so that records joined by mistake come apart again; they are planned together, by the one whose
name survives.  A feed (subject ``facility|GEN``) is held in the same form; its cells are of another
kind.
"""

from dataclasses import dataclass, field

from orchestrator.core.cells import Cell
from orchestrator.core.facts import Command, Told
from orchestrator.core.policy import Rules
from orchestrator.core.reconcile import Ledger
from orchestrator.core.transition import disposition_of
from orchestrator.core.view import View, united, view

CellKey = tuple[str, str]


@dataclass(slots=True)
class Waiting:
    """A command for a task that may yet come, until its deadline."""

    until: int
    command: Command


@dataclass(slots=True)
class Patient:
    """
    Cells, ledger and the small head of one identifier, and those that are joined with it.

    Attributes:
        counts_as: Of a moved visit, the identifier it belongs to now.
        given: Of a moved visit, when we heard so.
        others: The other members of the patient whose name survives, by name.
        floor: The latest clock under which any of it was planned elsewhere.
        seen: What the last plan saw, until somebody has asked what to show of it.
    """

    subject: str
    key: str = ""  # pseudonymous patient key, for addresses
    cells: dict[CellKey, Cell] = field(default_factory=dict)
    sealed: dict[CellKey, Cell] = field(default_factory=dict)  # put away; loaded only when told of
    ledger: Ledger = field(default_factory=Ledger)
    wake: int | None = None
    plan_wake: int | None = None
    seal_at: int | None = None
    seq: int = 0
    at: int = 0  # stamp of the last fact
    held: list[Told] = field(default_factory=list)  # said of a time that has not come yet
    waiting: list[Waiting] = field(default_factory=list)
    dirty: set[CellKey] = field(default_factory=set)  # cells to be written
    ledger_dirty: bool = False
    counts_as: str = ""
    given: int = 0
    others: dict[str, "Patient"] = field(default_factory=dict)
    floor: int = 0
    seen: View | None = None

    def members(self) -> tuple["Patient", ...]:
        """All that are planned together, this one first."""
        return (self, *self.others.values()) if self.others else (self,)

    def member(self, name: str) -> "Patient":
        """The one of that name; an empty or unknown one is this patient itself."""
        return self.others.get(name, self) if name else self

    def wakes(self) -> list[int | None]:
        """When something of this identifier falls due, the plan aside."""
        found = [self.seal_at]
        if self.held:
            found += [told.effective for told in self.held]
        if self.waiting:
            found += [waits.until for waits in self.waiting]
        return found

    def view(self, rules: Rules, *, sealed: bool = False) -> View:
        """All that is known, put in order; sealed stays only where asked for."""
        newest = rules.newest

        def closing(code: str | None) -> str:
            return disposition_of(code, newest).status

        if self.others:
            return united(self.members(), closing, sealed=sealed)
        return view(self, closing, sealed=sealed)
