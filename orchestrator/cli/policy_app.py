"""The commands below ``policy`` with their options; nothing heavy is imported here."""

from pathlib import Path
from typing import Annotated

import typer

policy_app = typer.Typer(help="The rules as data.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="FOLDER", help="The log's folder [CARE_DATA_DIR]."),
]
FacilitiesFile = Annotated[
    Path | None,
    typer.Option("--facilities", metavar="FILE", help="Facilities file [CARE_FACILITIES]."),
]
PolicyFile = Annotated[
    Path | None,
    typer.Option("--policy", metavar="FILE", help="Policy file [CARE_POLICY]; default: P0."),
]
File = Annotated[Path, typer.Argument(metavar="FILE", help="A policy file.")]


@policy_app.command("show")
def policy_show(policy: PolicyFile = None, as_json: Json = False) -> None:
    """Print the policy in force: thresholds, protocols, due times."""
    from orchestrator.cli import policy as command

    command.show(policy, as_json=as_json)


@policy_app.command("check")
def policy_check(path: File, facilities: FacilitiesFile = None, as_json: Json = False) -> None:
    """Say whether a policy file (and a facilities file) can be used; exit 1 if not."""
    from orchestrator.cli import policy as command

    command.check(path, facilities, as_json=as_json)


@policy_app.command("diff")
def policy_diff(
    paths: Annotated[
        list[Path], typer.Argument(metavar="[OLD] NEW", help="One policy file, or two.")
    ],
    policy: PolicyFile = None,
    as_json: Json = False,
) -> None:
    """Say what a policy file changes: against another one, else against the rules in force."""
    from orchestrator.cli import policy_diff as command

    command.run(paths, policy, as_json=as_json)


@policy_app.command("what-if")
def policy_what_if(
    path: File,
    first: Annotated[str, typer.Option("--from", metavar="DAY", help="As in 2026-10-01.")],
    last: Annotated[str, typer.Option("--to", metavar="DAY", help="At most 90 days later.")],
    data_dir: DataDir = None,
    facilities: FacilitiesFile = None,
    policy: PolicyFile = None,
    as_json: Json = False,
) -> None:
    """Decide past discharges anew under a policy file, and say what differs; publish nothing."""
    from orchestrator.cli import policy_trial as command
    from orchestrator.cli import site

    here = site.load(data_dir, facilities, policy)
    command.run(path, first, last, here, as_json=as_json)
