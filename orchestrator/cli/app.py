"""The list of commands with their options, and the one place where a fault becomes an exit code.

A command's body is in the module of its name.  Nothing heavy is imported here.
"""

import sys
from pathlib import Path
from typing import Annotated, Final, Literal, NoReturn

import typer

from orchestrator.cli.access_app import auth_app
from orchestrator.cli.dlq_app import dlq_app
from orchestrator.cli.faults import NO, Mistake
from orchestrator.cli.ops_app import clock_app, doctor
from orchestrator.cli.policy_app import policy_app

NAME: Final = "care-orchestrator"

app = typer.Typer(
    name=NAME,
    help="What each discharged patient is owed, by when and by whom, and what is missing.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # options hold brackets, and paths too: nothing here is markup
    pretty_exceptions_enable=False,
)
schemas_app = typer.Typer(help="The public contract as JSON Schema.", no_args_is_help=True)
topics_app = typer.Typer(help="The topics of the log.", no_args_is_help=True)
app.add_typer(auth_app, name="auth")
app.add_typer(schemas_app, name="schemas")
app.add_typer(policy_app, name="policy")
app.add_typer(topics_app, name="topics")
app.add_typer(clock_app, name="clock")
app.add_typer(dlq_app, name="dlq")
app.command()(doctor)

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


def _tell_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"{NAME} {version(NAME)}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_tell_version, is_eager=True, help="Print the version and end."
        ),
    ] = False,
) -> None:
    """What holds for every command."""


@app.command()
def demo(
    seconds: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=86_400,
            help="End by itself after so long. Default: on a terminal at Ctrl-C, else after 75.",
        ),
    ] = None,
    run_on: Annotated[bool, typer.Option("--run-on", help="Go on until Ctrl-C.")] = False,
    speed: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=36_000,
            help="Simulated seconds per second. Default: 60, or 3600 where it ends by itself.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Another hospital.")] = 3,
    folder: Annotated[
        Path, typer.Option("--folder", metavar="FOLDER", help="Where its log is kept.")
    ] = Path("care-demo"),
    reset: Annotated[bool, typer.Option("--reset", help="Delete that folder and end.")] = False,
) -> None:
    """A simulated hospital on a speeded clock."""
    from orchestrator.cli import demo as command

    if reset:
        command.reset(folder)
    else:
        command.run(folder, seed=seed, speed=speed, seconds=seconds, stay=run_on)


@app.command()
def up(
    data_dir: DataDir = None,
    facilities: FacilitiesFile = None,
    policy: PolicyFile = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="At the end, print as JSON what was done.")
    ] = False,
) -> None:
    """Decide on what arrives in the log, until Ctrl-C."""
    from orchestrator.cli import up as command

    command.run(data_dir=data_dir, facilities=facilities, policy=policy, as_json=as_json)


@app.command()
def worker(
    role: Annotated[
        Literal["intake", "decide"] | None, typer.Option(help="Only this half; default: both.")
    ] = None,
    instance: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Of this replica, the same after a restart."),
    ] = None,
    facilities: FacilitiesFile = None,
    policy: PolicyFile = None,
) -> None:
    """Decide on what arrives on Kafka, until Ctrl-C."""
    from orchestrator.cli import worker as command

    command.run(
        role,
        instance=instance,
        facilities=facilities,
        policy=policy,
    )


@app.command()
def replay(
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="PATH...", help="Files or folders; - is stdin.")
    ] = None,
    as_of: Annotated[
        str | None, typer.Option(metavar="INSTANT", help="The clock at the end.")
    ] = None,
    policy: PolicyFile = None,
    facilities: FacilitiesFile = None,
    changes: Annotated[bool, typer.Option("--changes", help="What changed over time.")] = False,
    journal: Annotated[
        Path | None, typer.Option(metavar="EXPORT", help="Run an exported journal as it stands.")
    ] = None,
    show: Annotated[
        int, typer.Option(metavar="N", min=0, help="How many patients to show in full.")
    ] = 20,
    as_json: Json = False,
) -> None:
    """Read files, print the tasks and gaps that follow."""
    from orchestrator.cli import replay as command

    command.run(
        paths or [],
        as_of=as_of,
        policy=policy,
        facilities=facilities,
        changes=changes,
        journal=journal,
        show=show,
        as_json=as_json,
    )


@app.command()
def simulate(
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where to write, made if need be; default: simulated."),
    ] = None,
    form: Annotated[
        str, typer.Option("--format", metavar="canonical|hl7v2", help="How the hospitals write.")
    ] = "canonical",
    dirt: Annotated[
        bool, typer.Option("--dirt", help="With what goes wrong in real feeds.")
    ] = False,
    patients: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="How many are admitted in these days.")
    ] = 100,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal hospitals.")] = 1,
    start: Annotated[
        str | None,
        typer.Option(
            metavar="DATE", help="The first day; default: 2026-10-05, published: all is past."
        ),
    ] = None,
    days: Annotated[
        int, typer.Option(min=1, max=3650, help="How many days; later messages are left out.")
    ] = 30,
    publish: Annotated[
        bool, typer.Option("--publish", help="Send to the topics instead of writing files.")
    ] = False,
    rate: Annotated[
        float | None,
        typer.Option(metavar="N", min=0.01, help="Published: at most so many a second."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the feeds of a made-up hospital, or send them."""
    from orchestrator.cli import simulate as command

    if publish:
        if out is not None:
            raise Mistake("--out goes without --publish: published, nothing is written to files")
        command.publish(
            form=form,
            dirt=dirt,
            patients=patients,
            seed=seed,
            start=start,
            days=days,
            rate=rate,
            as_json=as_json,
        )
        return
    if rate is not None:
        raise Mistake("--rate goes with --publish: files have no pace")
    command.run(
        out or Path("simulated"),
        form=form,
        dirt=dirt,
        patients=patients,
        seed=seed,
        start=start,
        days=days,
        as_json=as_json,
    )


@app.command()
def publish(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Files or folders.")],
    data_dir: DataDir = None,
    facilities: FacilitiesFile = None,
    as_json: Json = False,
) -> None:
    """Send files to the topics, of the log or on Kafka [CARE_RUNTIME]."""
    from orchestrator.cli import publish as command

    command.run(paths, data_dir=data_dir, facilities=facilities, as_json=as_json)


@app.command()
def key(
    subject: Annotated[str, typer.Argument(metavar="SUBJECT", help="authority|identifier")],
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Print the patient key of an identifier."""
    from orchestrator.cli import key as command

    command.run(subject, data_dir=data_dir, as_json=as_json)


@schemas_app.command("export")
def schemas_export(
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="A file each; default: all on stdout.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the JSON Schema of every event, task, gap and change."""
    from orchestrator.cli import schemas as command

    command.export(out, as_json=as_json)


@app.command()
def lag(
    watch: Annotated[bool, typer.Option("--watch", help="Again and again, until Ctrl-C.")] = False,
    serve: Annotated[
        bool,
        typer.Option("--serve", help="Serve it to Prometheus at the ops port, until Ctrl-C."),
    ] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Say how far behind the readers are; exit 1 if one is not current."""
    from orchestrator.cli import lag as command

    command.run(data_dir=data_dir, watch=watch, serve=serve, as_json=as_json)


@app.command()
def worklist(
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Make its read model anew from the topics, and end.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Serve the care teams' API, until Ctrl-C."""
    from orchestrator.cli import worklist as command

    (command.rebuild if rebuild else command.run)(data_dir)


@topics_app.command("read")
def topics_read(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="As in care.task.v1.")],
    start: Annotated[
        int, typer.Option("--from", metavar="N", min=0, help="First offset of each partition.")
    ] = 0,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until Ctrl-C.")] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Print the records of a topic."""
    from orchestrator.cli import topics as command

    command.read(topic, start, follow=follow, data_dir=data_dir, as_json=as_json)


@topics_app.command("create")
def topics_create(as_json: Json = False) -> None:
    """Create the topics on Kafka that are missing."""
    from orchestrator.cli import kafka_topics as command

    command.create(as_json=as_json)


@topics_app.command("check")
def topics_check(as_json: Json = False) -> None:
    """Say how the topics on Kafka differ from what they must be; exit 1 if they do."""
    from orchestrator.cli import kafka_topics as command

    command.check(as_json=as_json)


@topics_app.command("list")
def topics_list(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Print the topics that are there, and how much each holds."""
    from orchestrator.cli import topics as command

    command.listed(data_dir=data_dir, as_json=as_json)


def main() -> NoReturn:
    """Run one command and leave the process with its exit code."""
    try:
        app(prog_name=NAME)
    except Exception as problem:  # noqa: BLE001 - the last place; a traceback could show patients
        # Our own errors know their fate and are said in words; anything else is a defect.
        code = getattr(problem, "exit_code", None)
        if isinstance(code, int):
            _leave(code, f"{NAME}: {problem}")
        from orchestrator.log import describe

        _leave(NO, f"{NAME}: this is a defect, please report it: {describe(problem)}")
    sys.exit(0)  # Typer leaves by itself; this is for type checkers and readers


def _leave(code: int, text: str) -> NoReturn:
    sys.stderr.write(text + "\n")
    sys.exit(code)
