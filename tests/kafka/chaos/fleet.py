"""The workers of a run: the product's own command line, a process per role and replica.

Whatever ends is started again, as an init system would, and how each process ended is kept: the
kill points that were met are seen by that.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from orchestrator.stream.kafka.worker import ROLES, Role
from tests.kafka.chaos.ground import Ground
from tests.simulation.differential import FACILITIES_YAML

ROOT: Final = Path(__file__).resolve().parents[3]
PARTITIONS: Final = 4
GROUP: Final = "chaos"
SITE_KEY: Final = "a key of the chaos run, 32 bytes."
PROGRAM: Final = "from orchestrator.cli import main; main()"
LOOK_S: Final = 0.2


class End(NamedTuple):
    """How a process ended."""

    at: float
    role: Role
    replica: str
    code: int


class Fleet:
    """
    Two replicas, more during a storm.

    Attributes:
        running: The process of each role and replica that should run.
        ends: How processes ended, in order.
        resting: Those that are not started again when they end.
    """

    def __init__(self, ground: Ground, folder: Path) -> None:
        self._ground = ground
        self._folder = folder
        self._facilities = folder / "facilities.yaml"
        self._facilities.write_text(FACILITIES_YAML, encoding="utf-8")
        self.running: dict[tuple[Role, str], subprocess.Popen[bytes]] = {}
        self.ends: list[End] = []
        self.resting: set[tuple[Role, str]] = set()

    def start(self, role: Role, replica: str, extra: dict[str, str] | None = None) -> None:
        """Start one; *extra* goes into its environment this time only."""
        client = "B" if replica == "b" else "A"
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CARE_")},
            "CARE_KAFKA_BOOTSTRAP_SERVERS": self._ground.of(client),
            "CARE_KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
            "CARE_PARTITIONS": str(PARTITIONS),
            "CARE_REPLICATION": "1",
            "CARE_GROUP": GROUP,
            "CARE_SITE_KEY": SITE_KEY,
            "CARE_FACILITIES": str(self._facilities),
            "CARE_LOG_FORMAT": "json",
            "CARE_LOG_LEVEL": "info",
            **(extra or {}),
        }
        command = [sys.executable, "-c", PROGRAM, "worker", "--role", role]
        with (self._folder / f"{role}-{replica}.log").open("ab") as out:
            self.running[role, replica] = subprocess.Popen(
                [*command, "--instance", replica],
                cwd=ROOT,
                env=environment,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self.resting.discard((role, replica))

    async def ready(self, role: Role, replica: str, since: float, limit_s: float) -> None:
        """Until one that was started at *since* owns partitions."""
        path = self._folder / f"{role}-{replica}.log"
        until = time.monotonic() + limit_s
        while not any(at >= since for at in _said(path, "worker.recovered")):
            assert time.monotonic() < until, f"{role} {replica} does not become ready"
            await asyncio.sleep(LOOK_S)

    def said(self, role: Role, replica: str, event: str, reason: str, since: float) -> int:
        """How often one logged *event* for *reason* since then."""
        path = self._folder / f"{role}-{replica}.log"
        return sum(at >= since for at in _said(path, event, reason))

    def start_all(self) -> None:
        for replica in ("a", "b"):
            for role in ROLES:
                self.start(role, replica)

    async def keep(self) -> None:
        """Start again what ends; runs until it is cancelled."""
        while True:
            self.revive()
            await asyncio.sleep(LOOK_S)

    def revive(self) -> None:
        """Start again what ended."""
        for one, process in list(self.running.items()):
            if process.poll() is not None and one not in self.resting:
                self._ended(*one)
                self.start(*one)

    def _ended(self, role: Role, replica: str) -> None:
        code = self.running.pop((role, replica)).returncode
        self.ends.append(End(time.time(), role, replica, code))

    def tell(self, role: Role, replica: str, number: signal.Signals) -> None:
        """Send a signal to a running one."""
        self.running[role, replica].send_signal(number)

    async def end(self, role: Role, replica: str, number: signal.Signals) -> int:
        """End one for good, or until it is started again; its exit code."""
        self.resting.add((role, replica))
        process = self.running[role, replica]
        process.send_signal(number)
        try:
            code = await asyncio.to_thread(process.wait, 40)
        except subprocess.TimeoutExpired:
            process.kill()
            code = await asyncio.to_thread(process.wait)
        self._ended(role, replica)
        return code

    async def stop(self) -> list[int]:
        """End all, orderly; their exit codes."""
        return list(
            await asyncio.gather(*(self.end(*one, signal.SIGTERM) for one in list(self.running)))
        )

    def kill(self) -> None:
        """Leave no process behind."""
        for process in self.running.values():
            process.kill()
            process.wait()


def _said(path: Path, event: str, reason: str | None = None) -> Iterator[float]:
    """When a worker's log has such a line."""
    for line in path.read_bytes().splitlines():
        if line.startswith(b"{") and event.encode() in line:
            found = orjson.loads(line)
            if found["event"] == event and reason in (None, found.get("reason")):
                yield datetime.fromisoformat(found["timestamp"]).timestamp()
