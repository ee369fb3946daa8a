"""``auth``: tokens of the worklist in the mode ``local``."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from orchestrator.cli import site
from orchestrator.cli.console import hint, say, say_json
from orchestrator.cli.faults import Mistake, No

if TYPE_CHECKING:
    from orchestrator.settings import Settings
    from orchestrator.worklist.access.store import AccessStore

# As `edge.new_id` makes them.
_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


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
    from orchestrator.worklist import edge
    from orchestrator.worklist.access.tokens import signed, site_signing_key

    here = site.load(data_dir)
    claims, seconds = claims_of(roles, teams, facilities, view, part2=part2), _seconds(expires)
    site.installed(here)
    _warn_of_unknown(here, teams, facilities)
    key = site_signing_key(here.data_dir)
    text, jti = signed(key, here.auth_audience, {"sub": name, **claims}, seconds)
    with store_of(here) as store:
        store.issued(jti, name, edge.now() + seconds * 1_000_000)
    if as_json:
        say_json({"token": text, "jti": jti})
        return
    say(text)
    hint(f"Take it back with: auth revoke {jti}")


def revoke(jti: str, data_dir: Path | None) -> None:
    """
    Take a token back, from its next use on.

    Raises:
        Mistake: That is no id of a token.
        No: No token that is still good has it; it is barred all the same.
    """
    from orchestrator.worklist import edge

    here = site.load(data_dir)
    site.installed(here)
    ours = here.auth_mode != "oidc"  # an issuer's ids have any form, and are not known here
    if ours and not _ID.fullmatch(jti):
        raise Mistake(f"{jti} is the id of no token; `auth token` told it beside the token")
    with store_of(here) as store:
        holder = store.holder(jti)
        store.revoke(jti, edge.now())
    if holder is not None:
        hint(f"Taken back: the token of {holder} with this id is taken no more.")
    elif ours:
        raise No(
            f"no token with the id {jti} was signed here that could still be good; it is barred"
            " all the same. `auth user disable NAME` bars all tokens of somebody"
        )
    else:
        hint("Barred: no token with this id is taken any more, should the issuer have signed one.")


@contextmanager
def store_of(here: "Settings") -> "Iterator[AccessStore]":
    """Who may come in, as the data folder has it."""
    from orchestrator.worklist.access.store import AccessStore

    store = AccessStore(here.data_dir)
    try:
        yield store
    finally:
        store.close()


def _warn_of_unknown(here: "Settings", teams: list[str], facilities: list[str]) -> None:
    """Who is given a team or facility that nobody has sees nothing, and would wonder why."""
    for text in unknown_of(here, teams, facilities):
        hint(text)


def unknown_of(here: "Settings", teams: list[str], facilities: list[str]) -> list[str]:
    """What is wrong with *teams* and *facilities*, and which there are."""
    known = site.teams_of(here)
    found = [
        f"--team {team}: no policy gives it a task; there are {', '.join(sorted(known))}"
        for team in teams
        if team not in known and team != "*"
    ]
    if here.facilities is None:  # without a file any may send
        return found
    listed = site.facilities_of(here)
    names = ", ".join(sorted(listed.versions)) or "none"
    return found + [
        f"--facility {one}: {here.facilities} does not list it; there are {names}, or * for all"
        for one in facilities
        if one != "*" and not listed.listed(one)
    ]


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
    from orchestrator.worklist.access.tokens import LIFETIME_MAX_S
    from schemas.duration import parse_duration

    try:
        length: timedelta = parse_duration(expires)
    except ValueError:
        raise Mistake(f"--expires {expires}: is no ISO 8601 duration, as in P30D or PT8H") from None
    seconds = int(length.total_seconds())
    if not 0 < seconds <= LIFETIME_MAX_S:
        raise Mistake(f"--expires {expires}: a token lives at least a second and at most 400 days")
    return seconds
