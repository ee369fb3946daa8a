"""The roles, what each may do, and how much of a patient each sees (``interfaces.md`` 4).

A permission is a word; a route names the one it needs.  What a principal may see of an allowed
route is a matter of facilities, teams and view, judged per object.
"""

from dataclasses import dataclass
from typing import Final, Literal

from orchestrator.worklist.access.scopes import narrowed

View = Literal["clinical", "minimal", "pseudonymous"]
Permission = Literal[
    "self",  # about the caller alone, and how fresh the data is
    "tasks",  # read tasks of its teams
    "act",  # on these tasks
    "act-for-others",  # on tasks that another has accepted
    "bulk",
    "export",
    "gaps",
    "patients",  # read whom the tasks are about
    "break-glass",
    "operations",
    "dead-letters",  # which messages could not be taken, and why
    "dead-letter-retry",  # send them again as they are
    "dead-letter-bytes",  # what stands in them, and send it again mended, or drop it
    "what-if",  # try out other rules on past days
    "policy",
    "audit",
]

# From the one that sees most to the one that sees least.
VIEWS: Final[tuple[View, ...]] = ("clinical", "minimal", "pseudonymous")

RESTRICTED_TEAM: Final = "restricted"  # 42 CFR Part 2


@dataclass(frozen=True, slots=True)
class Role:
    """
    One role.

    Attributes:
        patients: Which patients: all ``facility`` patients in a transition, or those with a task
            of its ``team``.
        completes: Where a policy names who completes a task, the order in which a person of
            several roles is taken to act.
    """

    view: View | None
    may: frozenset[Permission]
    all_teams: bool = False
    patients: Literal["facility", "team"] | None = None


_CARE: Final[frozenset[Permission]] = frozenset({"self", "tasks", "act", "gaps", "patients"})
_CLINICIAN: Final = Role("clinical", _CARE | {"break-glass"}, patients="facility")
_OFFICE: Final = Role("minimal", _CARE, patients="team")

ROLES: Final[dict[str, Role]] = {
    "publisher": Role(None, frozenset()),
    "prescriber": _CLINICIAN,
    "pharmacist": _CLINICIAN,
    "rn": _CLINICIAN,
    "case-manager": _CLINICIAN,
    "scheduler": _OFFICE,
    "social-worker": _OFFICE,
    "coordinator": _OFFICE,
    "supervisor": Role(
        "clinical",
        _CARE | {"act-for-others", "bulk", "export", "policy", "what-if", "break-glass"},
        all_teams=True,
        patients="facility",
    ),
    "care-system": Role("clinical", _CARE, patients="team"),
    "operator": Role(
        "pseudonymous",
        frozenset(
            {
                "self",
                "gaps",
                "operations",
                "dead-letters",
                "dead-letter-retry",
                "policy",
                "what-if",
            }
        ),
    ),
    "data-steward": Role(
        None, frozenset({"self", "dead-letters", "dead-letter-retry", "dead-letter-bytes"})
    ),
    "auditor": Role("pseudonymous", frozenset({"self", "audit"})),
}

# In which role somebody of several acts: the one that policy lets complete the most.
ACTS_AS: Final = (
    "prescriber",
    "pharmacist",
    "rn",
    "case-manager",
    "supervisor",
    "social-worker",
    "scheduler",
    "coordinator",
    "care-system",
)


@dataclass(frozen=True, slots=True)
class Principal:
    """
    Whoever asks, as their token says.

    Attributes:
        teams: ``None``: all.
        facilities: ``None``: all.
        until: When the token ends, in seconds since 1970; ``None``: a demo's never does.
        scopes: What a token's SMART scopes leave of it; ``None``: they narrow nothing.
    """

    actor: str
    roles: frozenset[str]
    teams: frozenset[str] | None
    facilities: frozenset[str] | None
    view: View | None
    part2: bool = False
    client_id: str | None = None
    until: int | None = None
    scopes: frozenset[str] | None = None

    @property
    def may(self) -> frozenset[Permission]:
        """Everything that one of its roles may do, and its scopes do not take away."""
        words: frozenset[Permission] = frozenset(w for role in self.roles for w in ROLES[role].may)
        return narrowed(words, self.scopes)

    @property
    def patients(self) -> Literal["facility", "team"] | None:
        """Which patients, by the role that sees most."""
        found = {ROLES[role].patients for role in self.roles}
        return "facility" if "facility" in found else "team" if "team" in found else None

    @property
    def acts_as(self) -> str | None:
        """The role that a command names."""
        return next((role for role in ACTS_AS if role in self.roles), None)

    def sees_team(self, team: str) -> bool:
        """Whether tasks of *team* are among its own."""
        if team == RESTRICTED_TEAM and not self.part2:
            return False
        return self.teams is None or team in self.teams

    def sees_facility(self, facility: str | None) -> bool:
        """Whether things of *facility* may be seen."""
        return self.facilities is None or facility in self.facilities


def principal(
    actor: str,
    roles: frozenset[str],
    teams: frozenset[str],
    facilities: frozenset[str],
    *,
    view: str | None = None,
    part2: bool = False,
    client_id: str | None = None,
    until: int | None = None,
    scopes: frozenset[str] | None = None,
) -> Principal:
    """
    The principal of these claims; unknown roles give nothing.

    Args:
        facilities: ``{"*"}``: all.
        view: Narrows what the roles see, never widens it.
    """
    known = frozenset(role for role in roles if role in ROLES)
    sights = [VIEWS.index(v) for r in known if (v := ROLES[r].view) is not None]
    if view in VIEWS and sights:
        sights = [max(min(sights), [*VIEWS].index(view))]
    all_teams = "*" in teams or any(ROLES[role].all_teams for role in known)
    return Principal(
        actor=actor,
        roles=known,
        teams=None if all_teams else teams,
        facilities=None if "*" in facilities else facilities,
        view=VIEWS[min(sights)] if sights else None,
        part2=part2,
        client_id=client_id,
        until=until,
        scopes=scopes,
    )
