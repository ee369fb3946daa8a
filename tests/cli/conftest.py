"""The program as its users start it: a process of its own, and no settings but those given."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
import structlog


@dataclass(frozen=True)
class Ran:
    """What a finished command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return orjson.loads(self.out)


Run = Callable[..., Ran]


def bare_environment(given: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without settings of the product, and *given*."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CARE_")}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", **given}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Start ``care-orchestrator`` with arguments, in an empty folder, and wait for its end."""

    def start(*args: str | Path, stdin: bytes | None = None, **environment: str) -> Ran:
        done = subprocess.run(
            [sys.executable, "-c", "from orchestrator.cli import main; main()", *map(str, args)],
            cwd=tmp_path,
            env=bare_environment(environment),
            input=stdin,
            capture_output=True,
            timeout=120,
            check=False,
        )
        return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())

    return start


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without ``CARE_*``, to be added to."""
    for name in list(os.environ):
        if name.startswith("CARE_"):
            monkeypatch.delenv(name)
    return monkeypatch


@pytest.fixture
def restored_logging() -> Iterator[None]:
    """Undo what `log.configure` does to the process."""
    import logging

    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)
