"""From what a token or a user's entry says to who that is."""

from collections.abc import Mapping
from typing import Any, Final

from orchestrator.worklist import edge
from orchestrator.worklist.access.roles import Principal, principal
from orchestrator.worklist.access.scopes import scopes_of

SKEW_S: Final = 60  # how far two machines' clocks may be apart


def principal_of(
    actor: str, claims: Mapping[str, Any], *, roles: str = "roles", until: int | None = None
) -> Principal:
    """
    The principal of *claims*; what has the wrong form gives nothing.

    Args:
        roles: The name of the claim with the roles; a path with dots leads into objects, as
            ``realm_access.roles`` of Keycloak does.
    """
    client, view = claims.get("client_id"), claims.get("view")
    return principal(
        actor,
        words(_at(claims, roles)),
        words(claims.get("teams")),
        words(claims.get("facilities")),
        view=view if isinstance(view, str) else None,
        part2=claims.get("part2") is True,
        client_id=client if isinstance(client, str) else None,
        until=until,
        scopes=scopes_of(claims.get("scope")),
    )


def untimely(claims: Mapping[str, Any], longest_s: int) -> str | None:
    """
    What is wrong with the times of a token; ``None``: it is good now.

    Args:
        longest_s: How long a token may live.
    """
    now = edge.now() // 1_000_000
    issued, ends = claims.get("iat"), claims.get("exp")
    if type(issued) is not int or type(ends) is not int:
        return "claims"
    if ends + SKEW_S <= now:
        return "expired"
    starts = claims.get("nbf", issued)
    if issued - SKEW_S > now or ends - issued > longest_s:
        return "times"
    if type(starts) is not int or starts - SKEW_S > now:
        return "times"
    return None


def words(claim: Any) -> frozenset[str]:
    """The texts of a list."""
    if not isinstance(claim, list):
        return frozenset()
    return frozenset(word for word in claim if isinstance(word, str))


def _at(claims: Mapping[str, Any], path: str) -> Any:
    if path in claims:  # a name may have dots of its own, as in https://hospital.example/roles
        return claims[path]
    found: Any = claims
    for name in path.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(name)
    return found
