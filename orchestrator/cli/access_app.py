"""The commands below ``auth`` with their options; nothing heavy is imported here."""

from pathlib import Path
from typing import Annotated

import typer

auth_app = typer.Typer(help="Access to the worklist.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="FOLDER", help="The log's folder [CARE_DATA_DIR]."),
]


@auth_app.command("token")
def auth_token(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who the holder is.")],
    role: Annotated[list[str], typer.Option(metavar="ROLE", help="As in rn; may be repeated.")],
    facility: Annotated[
        list[str], typer.Option(metavar="ID", help="Whose patients; * is all; may be repeated.")
    ],
    team: Annotated[
        list[str] | None, typer.Option(metavar="TEAM", help="Whose tasks; may be repeated.")
    ] = None,
    view: Annotated[
        str | None, typer.Option(metavar="VIEW", help="Narrows what the role sees.")
    ] = None,
    part2: Annotated[bool, typer.Option("--part2", help="42 CFR Part 2 records too.")] = False,
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
