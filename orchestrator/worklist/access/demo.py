"""The demo's made-up people: one literal token a role, good on loopback and nowhere else."""

from typing import Final

from orchestrator.worklist.access.roles import ROLES, Principal, principal

PREFIX: Final = "demo-"

_TEAMS: Final[dict[str, frozenset[str]]] = {
    "rn": frozenset({"nurse-outreach", "pharmacy"}),
    "prescriber": frozenset({"nurse-outreach", "pharmacy"}),
    "pharmacist": frozenset({"pharmacy"}),
    "case-manager": frozenset({"case-management"}),
    "scheduler": frozenset({"scheduling"}),
    "social-worker": frozenset({"social-work"}),
    "coordinator": frozenset({"scheduling", "nurse-outreach"}),
    "care-system": frozenset({"nurse-outreach"}),
}


def demo_principal(token: str) -> Principal | None:
    """Whom ``demo-rn`` stands for."""
    role = token.removeprefix(PREFIX)
    if not token.startswith(PREFIX) or role not in ROLES:
        return None
    teams = _TEAMS.get(role, frozenset())
    return principal(token, frozenset({role}), teams, frozenset({"*"}))
