"""Starts our own commands as a user would, and asks what they show."""

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import orjson
from prometheus_client.parser import text_string_to_metric_families

from tests.stream.fakes import SITE_KEY

START: Final = [sys.executable, "-c", "from orchestrator.cli import main; main()"]
ROOT: Final = Path(__file__).resolve().parents[2]
DOORS: Final = ("up", "worker", "lag")
PATIENCE_S: Final = 150.0  # a limit for tests that fail, no measure of anything


def environment(**settings: str) -> dict[str, str]:
    """This process's, with *settings* of the product and no others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CARE_")}
    ours = {"CARE_OPS_PORT": "0", "CARE_SITE_KEY": SITE_KEY.decode(), "CARE_PARTITIONS": "4"}
    ours |= {"CARE_WORKLIST_PORT": "0"}
    return kept | {"PYTHONPATH": str(ROOT)} | ours | settings


class Process:
    """A command that runs, with its log."""

    def __init__(self, folder: Path, name: str, *args: str, **settings: str) -> None:
        self._log = folder / f"{name}.err"
        with self._log.open("wb") as err:
            self.running = subprocess.Popen(
                [*START, *args],
                env=environment(**settings),
                stdout=subprocess.DEVNULL,
                stderr=err,
                cwd=folder,
            )

    def logged(self) -> list[dict[str, Any]]:
        """What it logged so far; who cannot start, or dies in a thread, writes other lines, too."""
        lines = self._log.read_bytes().splitlines(keepends=True)
        whole = (line for line in lines if line.endswith(b"\n"))
        return [orjson.loads(line) for line in whole if line.startswith(b"{")]

    @property
    def serves(self) -> bool:
        """Whether it has said where."""
        return self._told() is not None

    @property
    def port(self) -> int:
        """Where it serves, once it does."""
        return int(until(self._told))

    def _told(self) -> int | None:
        """Where the process said that operators may ask; its other doors say so, too."""
        said = (one for one in self.logged() if one["event"] == "process.started")
        return next((one["port"] for one in said if one.get("role") in DOORS), None)

    def ask(self, path: str) -> tuple[int, bytes]:
        """Status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def text(self) -> str:
        """Its exposition."""
        status, body = self.ask("/metrics")
        assert status == 200
        return body.decode()

    def ready(self) -> tuple[int, dict[str, Any]]:
        """What it says of its readiness."""
        status, body = self.ask("/readyz")
        return status, orjson.loads(body)

    def value(self, name: str, **labels: str) -> float | None:
        """The sum of the series of *name* that have *labels*; ``None``: there is none."""
        found = [
            sample.value
            for family in text_string_to_metric_families(self.text())
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        return sum(found) if found else None

    def kill(self) -> None:
        self.running.kill()
        self.running.wait(10)

    def stop(self) -> int:
        self.running.terminate()
        return self.running.wait(30)


@contextmanager
def process(folder: Path, name: str, *args: str, **settings: str) -> Iterator[Process]:
    """A command for a while; killed at the end if it still runs."""
    made = Process(folder, name, *args, **settings)
    try:
        yield made
    finally:
        made.kill()


def run(
    folder: Path, *args: str, settings: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[bytes]":
    """A command, to its end."""
    return subprocess.run(
        [*START, *args],
        env=environment(**(settings or {})),
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
        cwd=folder,
    )


def until(look: Any, seconds: float = PATIENCE_S) -> Any:
    """What *look* finds, once it finds something."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.1)
    return found
