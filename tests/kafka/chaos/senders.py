"""The senders of a run, each a process with a history of its own."""

import asyncio
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from signal import SIGTERM
from typing import Final

from tests.kafka.chaos.feed import Plan
from tests.kafka.chaos.fleet import ROOT
from tests.kafka.chaos.sender import Attempt, command, read

LIMIT_S: Final = 300.0
REPEATED: Final = 20_000
ATTEMPT: Final = b'"sent":'  # in the line of each, and in no other
# Numbers of patients: those of the steady feed, then those of each backlog.
BACKLOG_FIRST: Final = 1_000_000
BACKLOG_TOPIC: Final = "care.admission.v1"


class Senders:
    """Starts senders and reads their histories."""

    def __init__(self, bootstrap: str, plan: Plan, folder: Path) -> None:
        self.folder = folder
        self._bootstrap = bootstrap
        self._plan = plan
        self._number = 0
        self._steady: subprocess.Popen[bytes] | None = None
        self._histories: list[Path] = []
        self._said = 0
        self._read: Counter[Path] = Counter()

    def start(self, rate: float) -> None:
        """The steady feed; it ends when it is told to."""
        self._steady = self._run(self._plan, "steady", rate=rate)

    @property
    def steady(self) -> bool:
        """Whether the steady feed still sends."""
        return self._steady is not None and self._steady.poll() is None

    async def stop(self) -> None:
        """End the steady feed; what is under way comes to its end."""
        assert self._steady is not None
        self._steady.send_signal(SIGTERM)
        await asyncio.to_thread(self._steady.wait, LIMIT_S)

    async def repeat(self, number: int, rate: float) -> None:
        """So many of the steady feed's first records again, in any order, said already or not."""
        plan = replace(self._plan, events=min(REPEATED, self._plan.events))
        await self._finish(self._run(plan, "again", again=number, rate=rate))

    async def say(self, name: str, **more: float) -> None:
        """Another sender, until it is through."""
        await self._finish(self._run(self._plan, name, **more))

    async def fill(self, events: int) -> None:
        """So many events of one topic, as fast as the broker takes them."""
        plan = replace(
            self._plan, first=BACKLOG_FIRST * (self._number + 1), events=events, topic=BACKLOG_TOPIC
        )
        await self._finish(self._run(plan, "backlog"))

    def kill(self) -> None:
        """Leave no process behind."""
        if self._steady is not None:
            self._steady.kill()
            self._steady.wait()

    def said(self) -> int:
        """How many attempts were made so far."""
        for path in self._histories:
            if path.exists():
                with path.open("rb") as history:
                    history.seek(self._read[path])
                    found = history.read()
                whole = found.rfind(b"\n") + 1
                self._read[path] += whole
                self._said += found[:whole].count(ATTEMPT)
        return self._said

    def attempts(self) -> dict[str, Attempt]:
        """Everything that anybody tried to send."""
        return read(*self._histories)

    def _run(self, plan: Plan, name: str, **more: float) -> "subprocess.Popen[bytes]":
        self._number += 1
        path = self.folder / f"{name}{self._number}.jsonl"
        self._histories.append(path)
        arguments = command(self._bootstrap, plan, path, **more)
        with (self.folder / "senders.log").open("ab") as out:
            return subprocess.Popen(
                [sys.executable, "-m", "tests.kafka.chaos.sender", *arguments],
                cwd=ROOT,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    async def _finish(self, process: "subprocess.Popen[bytes]") -> None:
        try:
            code = await asyncio.to_thread(process.wait, LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        assert code == 0, f"a sender ended with {code}"
