"""Asks the read model: a few connections, each used by one thread at a time, off the event loop."""

import asyncio
import queue
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import anyio.to_thread

from orchestrator.worklist.model import tables

# More at once would only wait for the processor: an answer takes a millisecond or two of it.
CONNECTIONS: Final = 4

T = TypeVar("T")
Rows = Callable[..., list[Any]]


class Reader:
    """The read model for the server; nothing is ever written through it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._free: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        self._open: list[sqlite3.Connection] = []
        self._turn = asyncio.Semaphore(CONNECTIONS)
        self._live = asyncio.Semaphore(1)

    async def ask(self, question: Callable[[sqlite3.Connection], T], *, live: bool = False) -> T:
        """
        The answer to *question*, all of it from one state of the rows.

        Args:
            live: Of an open stream.  Hundreds ask at the same moment; they take turns among
                themselves, so that whoever opens a page does not wait behind them all.
        """
        if live:
            async with self._live:
                return await self.ask(question)
        async with self._turn:
            return await anyio.to_thread.run_sync(self._ask, question)

    def _ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._take()
        try:
            connection.execute("BEGIN")
            try:
                return question(connection)
            finally:
                connection.execute("COMMIT")
        finally:
            self._free.put(connection)

    def _take(self) -> sqlite3.Connection:
        try:
            return self._free.get_nowait()
        except queue.Empty:
            connection = tables.connect(self._path, write=False)
            self._open.append(connection)
            return connection

    def close(self) -> None:
        for connection in self._open:
            connection.close()
