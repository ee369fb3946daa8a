"""Passes on, in the event loop, what the projector's thread has made visible."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from orchestrator.worklist.model.fold import Seen
from orchestrator.worklist.model.projector import Batch

# A reader who is further behind than this is told to read the lists again.
LONGEST: Final = 1_000


class Subscriber:
    """One live stream's share of the news."""

    def __init__(self) -> None:
        self._news: deque[Seen] = deque()
        self._woken = asyncio.Event()
        self.overrun = False

    def tell(self, seen: list[Seen]) -> None:
        if len(self._news) + len(seen) > LONGEST:
            self._news.clear()
            self.overrun = True
        else:
            self._news.extend(seen)
        self._woken.set()

    async def next(self, wait_s: float) -> list[Seen]:
        """What is new, or nothing after *wait_s*."""
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._woken.wait()
        self._woken.clear()
        news = list(self._news)
        self._news.clear()
        return news


class Hub:
    """Where those who wait are found; used in the loop, but for `from_thread`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: dict[str, list[asyncio.Event]] = {}
        self._ticks: set[asyncio.Event] = set()
        self._subscribers: set[Subscriber] = set()

    def from_thread(self, batch: Batch) -> None:
        """
        Called by the projector after each commit.

        Who begins to wait after the look below sees the commit in the rows: nobody is told of what
        nobody waits for, and a backlog of a million changes is not held in memory.
        """
        if not (self._waiting or self._ticks or self._subscribers):
            return
        with suppress(RuntimeError):  # the loop has closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._tell, batch)

    def _tell(self, batch: Batch) -> None:
        for one in batch.seen:
            for event in one.caused_by:
                for waiting in self._waiting.get(event, ()):
                    waiting.set()
        for tick in self._ticks:
            tick.set()
        if batch.seen:
            for subscriber in self._subscribers:
                subscriber.tell(batch.seen)

    @asynccontextmanager
    async def awaiting(self, event: str) -> AsyncIterator[asyncio.Event]:
        """Set whenever a change that *event* caused becomes visible."""
        woken = asyncio.Event()
        self._waiting.setdefault(event, []).append(woken)
        try:
            yield woken
        finally:
            rest = self._waiting[event]
            rest.remove(woken)
            if not rest:
                del self._waiting[event]

    async def tick(self, wait_s: float) -> None:
        """Wait until anything becomes visible, at most *wait_s*."""
        woken = asyncio.Event()
        self._ticks.add(woken)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await woken.wait()
        finally:
            self._ticks.discard(woken)

    @asynccontextmanager
    async def subscribed(self) -> AsyncIterator[Subscriber]:
        """All news from now on."""
        subscriber = Subscriber()
        self._subscribers.add(subscriber)
        try:
            yield subscriber
        finally:
            self._subscribers.discard(subscriber)
