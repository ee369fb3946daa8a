"""``auth user``: the people who sign in with a name and a password."""

import getpass
import sys
from pathlib import Path
from typing import Final

import orjson

from orchestrator.cli import site
from orchestrator.cli.auth import claims_of, store_of, unknown_of
from orchestrator.cli.console import hint, say, say_json
from orchestrator.cli.faults import Mistake

NAME_MOST: Final = 128


def add(
    name: str,
    *,
    roles: list[str],
    teams: list[str],
    facilities: list[str],
    view: str | None,
    part2: bool,
    data_dir: Path | None,
) -> None:
    """Let *name* sign in; a password is asked for."""
    from orchestrator.worklist import edge
    from orchestrator.worklist.access import users

    if not 0 < len(name) <= NAME_MOST or name != name.strip() or not name.isprintable():
        raise Mistake(f"{name!r}: a name has 1 to {NAME_MOST} visible characters")
    claims = claims_of(roles, teams, facilities, view, part2=part2)
    here = site.load(data_dir)
    # Whoever signs in to an empty worklist cannot tell that from a quiet day.
    if unknown := unknown_of(here, teams, facilities):
        raise Mistake("; ".join(unknown))
    with store_of(here) as store:
        if store.user(name) is not None:
            raise Mistake(f"{name} is there already; `auth user password` sets another password")
        hash_ = users.hashed(_password())
        store.put_user(name, hash_, orjson.dumps(claims).decode(), edge.now())
        store.enable(name)
    hint(f"{name} may sign in.")


def listing(data_dir: Path | None, *, as_json: bool) -> None:
    """Print who may sign in."""
    with store_of(site.load(data_dir)) as store:
        found = store.users()
    rows = [
        {"name": name, **orjson.loads(claims), "disabled": disabled}
        for name, claims, disabled in found
    ]
    if as_json:
        say_json(rows)
        return
    if not rows:
        hint("Nobody yet; `auth user add NAME --role ROLE --facility ID` adds somebody.")
    for row in rows:
        parts = [row["name"], *(",".join(row[word]) for word in ("roles", "teams", "facilities"))]
        if row["part2"]:
            parts.append("part2")
        if row["disabled"]:
            parts.append("disabled")
        say("  ".join(part for part in parts if part))


def disable(name: str, data_dir: Path | None) -> None:
    """Sign *name* out everywhere and let them in no more, also with tokens."""
    from orchestrator.worklist import edge

    with store_of(site.load(data_dir)) as store:
        store.disable(name, edge.now())
    hint(f"{name} is out. `auth user password` lets them in again.")


def password(name: str, data_dir: Path | None) -> None:
    """Set another password; ends the sessions of *name*."""
    from orchestrator.worklist import edge
    from orchestrator.worklist.access import users

    with store_of(site.load(data_dir)) as store:
        found = store.user(name)
        if found is None:
            raise Mistake(f"{name} is not known; `auth user list` tells who is")
        store.put_user(name, users.hashed(_password()), found[1], edge.now())
        store.end_sessions_of(name)
        store.enable(name)
    hint(f"{name} signs in with the new password from now on.")


def _password() -> str:
    from orchestrator.worklist.access.users import LONGEST, SHORTEST

    if sys.stdin.isatty():
        text = getpass.getpass("Password: ")
        if text != getpass.getpass("Again: "):
            raise Mistake("the two are not the same")
    else:
        # Never an option: the list of processes shows those to everybody.
        text = sys.stdin.readline().rstrip("\r\n")
    if not SHORTEST <= len(text) <= LONGEST:
        raise Mistake(f"a password has {SHORTEST} to {LONGEST} characters")
    return text
