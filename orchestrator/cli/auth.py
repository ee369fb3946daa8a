"""``auth``: tokens of the worklist in the mode ``local``."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from orchestrator.cli import site
from orchestrator.cli.console import hint, say, say_json
from orchestrator.cli.faults import Mistake


def token(
    name: str,
    *,
    roles: list[str],
    teams: list[str],
    facilities: list[str],
    view: str | None,
    part2: bool,
    expires: str,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Print a token for *name*; whoever holds it is *name*."""
    from orchestrator.worklist.access.tokens import signed, site_signing_key

    here = site.load(data_dir)
    claims = claims_of(roles, teams, facilities, view, part2=part2)
    key = site_signing_key(here.data_dir)
    try:
        text, jti = signed(key, here.auth_audience, {"sub": name, **claims}, _seconds(expires))
    except ValueError as fault:
        raise Mistake(f"--expires {expires}: {fault}") from None
    if as_json:
        say_json({"token": text, "jti": jti})
        return
    say(text)
    hint(f"Take it back with: auth revoke {jti}")


def revoke(jti: str, data_dir: Path | None) -> None:
    """Take a token back, from its next use on."""
    from orchestrator.worklist import edge
    from orchestrator.worklist.access.store import AccessStore

    here = site.load(data_dir)
    store = AccessStore(here.data_dir)
    try:
        store.revoke(jti, edge.now())
    finally:
        store.close()
    hint("Taken back.")


def claims_of(
    roles: list[str], teams: list[str], facilities: list[str], view: str | None, *, part2: bool
) -> dict[str, Any]:
    """
    What a person is given.

    Raises:
        Mistake: A role or view is not known.
    """
    from orchestrator.worklist.access.roles import ROLES, VIEWS

    for role in roles:
        if role not in ROLES:
            raise Mistake(f"--role {role}: known are {', '.join(ROLES)}")
    if view is not None and view not in VIEWS:
        raise Mistake(f"--view {view}: known are {', '.join(VIEWS)}")
    claims: dict[str, Any] = {
        "roles": roles,
        "teams": teams,
        "facilities": facilities,
        "part2": part2,
    }
    return claims if view is None else {**claims, "view": view}


def _seconds(expires: str) -> int:
    from schemas.duration import parse_duration

    try:
        length: timedelta = parse_duration(expires)
    except ValueError:
        raise Mistake(f"--expires {expires}: is no ISO 8601 duration, as in P30D or PT8H") from None
    return int(length.total_seconds())
