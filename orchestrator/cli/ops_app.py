"""``doctor`` and the commands below ``clock`` with their options; nothing heavy is imported."""

from pathlib import Path
from typing import Annotated

import typer

clock_app = typer.Typer(help="Clocks that are held.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="FOLDER", help="The log's folder [CARE_DATA_DIR]."),
]


def doctor(
    data_dir: DataDir = None,
    worker: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Door of a worker on Kafka; default: this host's."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Print all settings, and what stands in the way; exit 1 if something does."""
    from orchestrator.cli import doctor as command

    command.run(data_dir=data_dir, worker=worker, as_json=as_json)


@clock_app.command("confirm")
def clock_confirm(data_dir: DataDir = None) -> None:
    """Say that the time of day is right, after a jump that holds the clocks."""
    from orchestrator.cli import clock as command

    command.confirm(data_dir)


@clock_app.command("release")
def clock_release(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="As in care.outcome.v1.")],
    partition: Annotated[int, typer.Argument(metavar="PARTITION", min=0)],
) -> None:
    """Let clocks go on without an input on Kafka that cannot be read."""
    from orchestrator.cli import clock as command

    command.release(topic, partition)
