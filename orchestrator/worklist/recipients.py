"""Whom a task may be passed on to: a team of its rules, or a person.

Any word that names no team is a person's to whoever decides, and people of other systems need not
be known here.  But a team's name with a slip in it would lay the task with nobody: it is refused.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final

from orchestrator.worklist.access.roles import RESTRICTED_TEAM, Principal
from orchestrator.worklist.problems import Problem
from orchestrator.worklist.site import Site

_ALIKE: Final = 0.8  # of the letters, in order: a slip or two in a word of ten
# What people's names at systems have, and teams' have not.
_PERSONAL: Final = frozenset("0123456789@.|:/")


def check(site: Site, who: Principal, task: Mapping[str, Any], to: str) -> None:
    """
    Let *who* pass *task* on to *to*, or say why not.

    Raises:
        Problem: ``unprocessable``: that is no team, but nearly. ``forbidden``: one that *who* may
            not see.
    """
    # Its own version of the rules decides whether the word is a team.
    if to in teams_of(site, str(task["policy_version"])):
        if to == RESTRICTED_TEAM and not who.part2:
            raise Problem("forbidden", "The restricted team's tasks need the claim part2.")
    elif _is_slip(to, teams_of(site)):
        errors = [{"pointer": "#/to", "code": "unknown", "detail": "is no team, but nearly"}]
        raise Problem("unprocessable", errors=errors)


def teams_of(site: Site, version: str | None = None) -> frozenset[str]:
    """The teams of one version of the rules, or of all."""
    chosen = [p for p in site.policies if version in (None, p["version"])] or site.policies
    return frozenset(team for policy in chosen for team in policy["teams"])


def _is_slip(word: str, teams: frozenset[str]) -> bool:
    if _PERSONAL & set(word) and word not in teams:
        return False
    return bool(get_close_matches(_plain(word), map(_plain, teams), n=1, cutoff=_ALIKE))


def _plain(word: str) -> str:
    return "".join(char for char in word.casefold() if char.isalnum())
