"""Whom a task may be passed on to: a team of its rules, or a person who is known here.

A word that is neither would be taken for a person's name by whoever decides, and the task would
lie with nobody; so a team's name with a slip in it is refused, and so is a stranger where we know
our people.  Only an identity provider knows its own: there, anybody but such a slip.
"""

import asyncio
import sqlite3
from collections.abc import Collection, Mapping
from difflib import SequenceMatcher
from typing import Any, Final

from orchestrator.worklist.access.roles import RESTRICTED_TEAM, Principal
from orchestrator.worklist.problems import Problem
from orchestrator.worklist.site import Site

_ALIKE: Final = 0.8  # of the letters, in order: a slip or two in a word of ten


async def check(site: Site, who: Principal, task: Mapping[str, Any], to: str) -> None:
    """
    Let *who* pass *task* on to *to*, or say why not.

    Raises:
        Problem: ``unprocessable``: that is nobody. ``forbidden``: a team that *who* may not see.
    """
    # Its own version of the rules decides whether the word is a team.
    if to in teams_of(site, str(task["policy_version"])):
        if to == RESTRICTED_TEAM and not who.part2:
            raise Problem("forbidden", "The restricted team's tasks need the claim part2.")
        return
    if not _is_slip(to, teams_of(site)) and site.access.names_anybody:
        return
    if await asyncio.to_thread(site.access.knows, to) or await _was_here(site, to):
        return
    errors = [{"pointer": "#/to", "code": "unknown", "detail": "is no team, and nobody known here"}]
    raise Problem("unprocessable", errors=errors)


def teams_of(site: Site, version: str | None = None) -> frozenset[str]:
    """The teams of one version of the rules, or of all."""
    chosen = [p for p in site.policies if version in (None, p["version"])] or site.policies
    return frozenset(team for policy in chosen for team in policy["teams"])


def _is_slip(word: str, teams: Collection[str]) -> bool:
    said = _plain(word)
    return any(SequenceMatcher(None, said, _plain(team)).ratio() >= _ALIKE for team in teams)


def _plain(word: str) -> str:
    return "".join(char for char in word.casefold() if char.isalnum())


async def _was_here(site: Site, actor: str) -> bool:
    """Whether *actor* has asked for anything, or has had a task, a team's own system's included."""

    def read(db: sqlite3.Connection) -> bool:
        (found,) = db.execute(
            "SELECT EXISTS (SELECT 1 FROM audit WHERE actor = ?)"
            " OR EXISTS (SELECT 1 FROM tasks WHERE owner = ?)",
            (actor, actor),
        ).fetchone()
        return bool(found)

    return await site.reader.ask(read)
