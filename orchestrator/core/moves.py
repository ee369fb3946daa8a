"""Visits that were given to somebody else, under every number that they go by."""

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.core.marks import Mark, moved_visit, origin_of, visit_of


@dataclass(slots=True)
class Moved:
    """Of one visit as one identifier was told of it: whose it is, and by which marks."""

    owner: str
    since: Mark | None = None  # the first that took it from where its facts come
    last: Mark | None = None  # the one that gave it to whose it is


class Moves:
    """
    Whose each moved visit is.

    Args:
        marks: All of them: what numbers a visit goes by has no time.
    """

    def __init__(self, marks: Iterable[Mark]) -> None:
        self.found: dict[str, Moved] = {}
        self._before: dict[tuple[str, str], list[tuple[str, str]]] = {}
        self._accounts: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for mark in marks:
            if mark.what in ("pair", "account"):
                held = self._before if mark.what == "pair" else self._accounts
                held.setdefault((mark.survivor, mark.facility), []).append(
                    (mark.visit, mark.beside)
                )

    def take(self, mark: Mark, wrong: set[str]) -> None:
        """
        All that lies at the wrong patient goes to the right one, wherever it came from.

        Args:
            mark: A move.
            wrong: All numbers that are one with the wrong patient's at that point: hospitals name
                the surviving one.
        """
        told = wrong | {origin_of(name) for name, held in self.found.items() if held.owner in wrong}
        for number in sorted(self._numbers(mark, told)):
            self._one(mark, number, wrong)

    def _one(self, mark: Mark, number: str, wrong: set[str]) -> None:
        for name in (mark.survivor, *sorted(wrong)):
            self.found.setdefault(moved_visit(name, mark.facility, number), Moved(name))
        for member, held in self.found.items():
            here = held.owner in wrong and held.owner != mark.survivor
            if here and visit_of(member) == (mark.facility, number):
                self.found[member] = Moved(mark.survivor, held.since or mark, mark)

    def _numbers(self, mark: Mark, told: set[str]) -> set[str]:
        """The numbers that a moved visit, or all visits of a moved account, go by."""
        numbers = {mark.visit}
        if mark.what == "move-account":
            for name in told:
                accounts = self._accounts.get((name, mark.facility), ())
                numbers |= {visit for visit, account in accounts if account == mark.visit}
        pairs = {pair for name in told for pair in self._before.get((name, mark.facility), ())}
        while beside := {number for pair in pairs if numbers & set(pair) for number in pair}:
            if beside <= numbers:
                break
            numbers |= beside
        return numbers
