"""Trying out a policy on past days: the process that decides, watched and ended from here."""

import asyncio
import pickle
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from orchestrator.stream.compared import Sight
from orchestrator.stream.shelf import Journal
from orchestrator.stream.what_if import Question
from orchestrator.stream.what_if_process import PROGRAM
from orchestrator.worklist.log.feed import LogAway
from schemas.facilities import Facilities
from schemas.policy import Policy

LINE: Final = 16 * 1024 * 1024  # the result is one line
LOOK_EACH_S: Final = 0.2

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Window:
    """Which discharges, how far the clock has come, and what of it whoever asks may see."""

    since: int
    until: int
    now: int
    facilities: frozenset[str] | None
    part2: bool


@dataclass(frozen=True, slots=True)
class Trial:
    """
    What trying out needs.

    Attributes:
        folder: Where patients' data may lie while it is sorted; nothing stays there.
    """

    journal: Journal
    policies: Sequence[Policy]
    facilities: Facilities
    folder: Path

    async def run(
        self,
        proposed: Sequence[Policy],
        window: Window,
        on_progress: OnProgress,
        is_stopped: Callable[[], bool],
    ) -> dict[str, Any] | None:
        """
        The answer of `what_if`; ``None`` when it was stopped.

        Raises:
            LogAway: The journal could not be read.
        """
        asked = Question(
            tuple(self.policies),
            tuple(proposed),
            self.facilities,
            window.since,
            window.until,
            window.now,
            Sight(window.facilities, window.part2),
        )
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROGRAM, stdin=PIPE, stdout=PIPE, limit=LINE
        )
        try:
            return await _answer(
                process, pickle.dumps((asked, self.journal, self.folder)), on_progress, is_stopped
            )
        finally:
            # Also when the server goes down: nobody is left to tell.
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def _answer(
    process: Process, asked: bytes, on_progress: OnProgress, is_stopped: Callable[[], bool]
) -> dict[str, Any] | None:
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(ConnectionError):  # it has ended; that it told nothing says so
        process.stdin.write(asked)
        await process.stdin.drain()
        process.stdin.close()
    line = asyncio.ensure_future(process.stdout.readline())
    try:
        while not is_stopped():
            await asyncio.wait((line,), timeout=LOOK_EACH_S)
            if not line.done():
                continue
            told = line.result()
            if not told:
                raise LogAway("the journal could not be decided anew")
            found = orjson.loads(told)
            if "result" in found:
                result: dict[str, Any] = found["result"]
                return result
            on_progress(found["done"], found["total"])
            line = asyncio.ensure_future(process.stdout.readline())
        return None
    finally:
        line.cancel()
