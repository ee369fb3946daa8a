"""The other numbers that a visit goes by: the one before a change, and that of its account.

Whoever moves a visit may name any of them.  They are asked for only where a visit was moved; so
nobody else pays for them.
"""

from collections.abc import Iterable, Iterator

from orchestrator.core.cells import Cell, VisitCell
from orchestrator.core.facts import Fact, VisitSaid
from orchestrator.core.marks import Mark, What


def numbers_of(subject: str, cells: Iterable[Cell]) -> Iterator[Mark]:
    """As the cells of an identifier know them."""
    for cell in cells:
        if isinstance(cell, VisitCell):
            before = cell.said.get("previous_visit_number")
            if before is not None and before.value:
                event = before.stamp.event
                yield _number("pair", event, subject, cell.facility, cell.number, before.value)
            for account, event in cell.accounts.items():
                yield _number("account", event, subject, cell.facility, cell.number, account)


def numbers_said(subject: str, facts: Iterable[Fact]) -> Iterator[Mark]:
    """As an identifier is told of them."""
    for fact in facts:
        if isinstance(fact, VisitSaid):
            event = fact.stamp.event
            before = fact.fields.get("previous_visit_number")
            if before:
                yield _number("pair", event, subject, fact.facility, fact.visit, before)
            account = fact.fields.get("account_number")
            if account:
                yield _number("account", event, subject, fact.facility, fact.visit, account)


def _number(what: What, event: str, subject: str, facility: str, visit: str, beside: str) -> Mark:
    # It holds from ever and for ever: it has no time, and its own name among all.
    name = f"{what}|{facility}|{visit}|{beside}"
    return Mark(0, 0, name, event, 0, what, subject, subject, facility, visit, beside=beside)
