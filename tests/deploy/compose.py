"""`docker-compose.yml` as tests and the end-to-end run read it: merged, and by service."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import typer
import yaml

from orchestrator.cli.app import NAME, app

ROOT: Final = Path(__file__).resolve().parents[2]
FILE: Final = ROOT / "docker-compose.yml"
OUR_IMAGE: Final = "care-orchestrator:0.1.0"


@dataclass(frozen=True)
class Service:
    """One service; what the file leaves out is empty."""

    name: str
    raw: Mapping[str, Any]

    @property
    def is_ours(self) -> bool:
        return bool(self.raw["image"] == OUR_IMAGE)

    @property
    def goes_on(self) -> bool:
        """Whether it is meant to run until it is stopped."""
        return self.raw.get("restart") == "unless-stopped"

    @property
    def environment(self) -> dict[str, str]:
        return dict(self.raw.get("environment", {}))

    @property
    def words(self) -> list[str]:
        """What the container runs, as words; our image's entrypoint is our program."""
        entrypoint = self.raw.get("entrypoint", [NAME] if self.is_ours else [])
        return [*entrypoint, *self.raw.get("command", [])]

    @property
    def our_commands(self) -> list[list[str]]:
        """The command lines of our program that the container runs."""
        if self.words[:2] == ["sh", "-c"]:
            lines = [shlex.split(line) for line in self.words[2].split("&&")]
        else:
            lines = [self.words]
        return [line for line in lines if line[:1] == [NAME]]

    def mounted(self, kind: str) -> dict[str, str]:
        """Configs or secrets: path in the container -> name in the file."""
        default = {"secrets": "/run/secrets/", "configs": "/"}[kind]
        found = {}
        for one in self.raw.get(kind, []):
            source, target = (one, None) if isinstance(one, str) else (one["source"], one["target"])
            found[target or f"{default}{source}"] = source
        return found


def load() -> dict[str, Any]:
    """The file, its anchors and merges resolved."""
    loaded: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return loaded


def services() -> dict[str, Service]:
    """By name."""
    return {name: Service(name, raw) for name, raw in load()["services"].items()}


def parse(words: list[str]) -> tuple[str, dict[str, Any]]:
    """
    Read a command line as our program does.

    Returns:
        The command and its options; `--help` of none is the program itself.

    Raises:
        click.UsageError: Typer's, when there is no such command or option.
    """
    command: Any = typer.main.get_command(app)
    rest, path = list(words), ""
    context = None
    while True:
        group = hasattr(command, "resolve_command")
        context = command.make_context(path or NAME, rest, parent=context)
        if not group:
            return path, dict(context.params)
        name, found, rest = command.resolve_command(
            context, [*context._protected_args, *context.args]
        )
        path, command = f"{path} {name}".strip(), found
