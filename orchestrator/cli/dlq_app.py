"""The commands below ``dlq`` with their options; nothing heavy is imported."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from orchestrator.cli.faults import Mistake

dlq_app = typer.Typer(help="Dead letters: what could not be taken.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="FOLDER", help="The log's folder [CARE_DATA_DIR]."),
]
By = Annotated[
    str | None,
    typer.Option("--by", metavar="NAME", help="Who you are, beside the system's user; recorded."),
]
Id = Annotated[str, typer.Argument(metavar="ID", help="As `dlq list` prints it.")]


@dlq_app.command("list")
def dlq_list(
    reason: Annotated[str | None, typer.Option(metavar="R", help="Only of this reason.")] = None,
    facility: Annotated[
        str | None, typer.Option(metavar="F", help="Only from this facility.")
    ] = None,
    status: Annotated[
        Literal["open", "retried", "discarded"], typer.Option(help="What became of them.")
    ] = "open",
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Print the dead letters that wait for somebody, the oldest first."""
    from orchestrator.cli import dlq as command

    command.listed(data_dir, reason=reason, facility=facility, status=status, as_json=as_json)


@dlq_app.command("show")
def dlq_show(
    place: Id,
    raw: Annotated[
        bool, typer.Option("--raw", help="Write its bytes; who and what for is recorded first.")
    ] = False,
    purpose: Annotated[
        str | None, typer.Option(metavar="TEXT", help="With --raw: what the bytes are for.")
    ] = None,
    by: By = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Print one: what is wrong, what mends it, what was done; no byte of it without --raw."""
    from orchestrator.cli import dlq as command

    if raw:
        if as_json:
            raise Mistake("--raw writes the bytes alone: give it without --json")
        command.raw(place, data_dir, purpose=purpose, by=by)
        return
    if purpose is not None:
        raise Mistake("--purpose goes with --raw: nothing else needs one")
    command.show(place, data_dir, as_json=as_json)


@dlq_app.command("retry")
def dlq_retry(
    place: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="As `dlq list` prints it.")
    ] = None,
    reason: Annotated[
        str | None, typer.Option(metavar="R", help="All that wait for this reason.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that wait.")] = False,
    replacement: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With ID: the message, mended; - is stdin."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would become of them.")
    ] = False,
    by: By = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Send dead letters again, and say what followed; exit 1 if one is refused."""
    from orchestrator.cli import dlq as command

    command.retry(
        place,
        data_dir,
        reason=reason,
        everything=everything,
        replacement=replacement,
        dry_run=dry_run,
        by=by,
        as_json=as_json,
    )


@dlq_app.command("discard")
def dlq_discard(
    place: Id,
    reason: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Why it is not needed; required.")
    ] = None,
    by: By = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Put a dead letter away for good."""
    from orchestrator.cli import dlq as command

    command.discard(place, data_dir, reason=reason, by=by, as_json=as_json)
