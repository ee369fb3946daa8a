"""The commands below ``auth`` with their options; nothing heavy is imported here."""

from pathlib import Path
from typing import Annotated

import typer

auth_app = typer.Typer(help="Access to the worklist.", no_args_is_help=True)

user_app = typer.Typer(help="People with a password.", no_args_is_help=True)
auth_app.add_typer(user_app, name="user")

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="FOLDER", help="The log's folder [CARE_DATA_DIR]."),
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Who it is.")]
Role = Annotated[list[str], typer.Option(metavar="ROLE", help="As in rn; may be repeated.")]
Facility = Annotated[
    list[str], typer.Option(metavar="ID", help="Whose patients; * is all; may be repeated.")
]
Team = Annotated[
    list[str] | None, typer.Option(metavar="TEAM", help="Whose tasks; may be repeated.")
]
View = Annotated[str | None, typer.Option(metavar="VIEW", help="Narrows what the role sees.")]
Part2 = Annotated[bool, typer.Option("--part2", help="42 CFR Part 2 records too.")]


@auth_app.command("token")
def auth_token(
    name: Name,
    role: Role,
    facility: Facility,
    team: Team = None,
    view: View = None,
    part2: Part2 = False,
    expires: Annotated[str, typer.Option(metavar="DURATION", help="At most P400D.")] = "P30D",
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Sign a token for the worklist."""
    from orchestrator.cli import auth as command

    command.token(
        name,
        roles=role,
        teams=team or [],
        facilities=facility,
        view=view,
        part2=part2,
        expires=expires,
        data_dir=data_dir,
        as_json=as_json,
    )


@auth_app.command("revoke")
def auth_revoke(
    jti: Annotated[str, typer.Argument(metavar="ID", help="Which `auth token` told.")],
    data_dir: DataDir = None,
) -> None:
    """Take a token back."""
    from orchestrator.cli import auth as command

    command.revoke(jti, data_dir)


@user_app.command("add")
def user_add(
    name: Name,
    role: Role,
    facility: Facility,
    team: Team = None,
    view: View = None,
    part2: Part2 = False,
    data_dir: DataDir = None,
) -> None:
    """Let somebody sign in; the password is asked for, or read from a pipe."""
    from orchestrator.cli import users as command

    command.add(
        name,
        roles=role,
        teams=team or [],
        facilities=facility,
        view=view,
        part2=part2,
        data_dir=data_dir,
    )


@user_app.command("list")
def user_list(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Who may sign in."""
    from orchestrator.cli import users as command

    command.listing(data_dir, as_json=as_json)


@user_app.command("disable")
def user_disable(name: Name, data_dir: DataDir = None) -> None:
    """Sign somebody out everywhere; no session and no token of theirs is good any more."""
    from orchestrator.cli import users as command

    command.disable(name, data_dir)


@user_app.command("password")
def user_password(name: Name, data_dir: DataDir = None) -> None:
    """Set another password; ends the sessions under the old one."""
    from orchestrator.cli import users as command

    command.password(name, data_dir)
