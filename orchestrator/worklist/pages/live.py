"""Live pages: what changes on an open page, as HTML that takes its place there (SSE).

The address of a stream names the place in the change log at which its page was made.  So a stream
that begins again, after a pause or another server's start, tells the same as if it had never
stopped: it needs to know nothing of the one before.  Whoever has too many open gets what is new at
once and an end, and asks again in a while: no page is left behind in silence.
"""

import sqlite3
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Final, NamedTuple

from fastapi import Response
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event
from pydantic import Field

from orchestrator.worklist import edge
from orchestrator.worklist.api.answers import freshness
from orchestrator.worklist.api.guard import record_more
from orchestrator.worklist.api.stream import (
    AUDIT_EACH_S,
    EACH_S,
    MEDIA,
    MISSED_MAX,
    SLICE_S,
    STREAMS_MAX,
)
from orchestrator.worklist.hub import Subscriber
from orchestrator.worklist.model import stories
from orchestrator.worklist.model.fold import Seen
from orchestrator.worklist.pages.frame import fragment, zone_of
from orchestrator.worklist.pages.fresh import fresh_words, silences
from orchestrator.worklist.pages.guard import PageCall
from orchestrator.worklist.problems import Problem

# How often a stream looks whether its session has ended.
SESSION_EACH_S: Final = 5.0
# After how long a browser asks again: where a stream broke off, and where there is none for it.
AGAIN_MS: Final = 500
CROWDED_S: Final = 15
CROWDED: Final = (
    f"Live updates paused: more than {STREAMS_MAX} pages of yours are open. This one is brought up"
    f" to date every {CROWDED_S} s."
)

PlaceText = Annotated[str, Field(max_length=80, pattern=r"^[0-9a-f-]{36}\.[0-9]{1,18}$")]


class Place(NamedTuple):
    """A place in the change log of one read model."""

    generation: str
    number: int


class Span(NamedTuple):
    """The changes to tell: behind *begin*, up to *end*; *page* is where the page was made."""

    page: int
    begin: int
    end: int


# The HTML of a span of changes.
Tell = Callable[[sqlite3.Connection, Span], str]
# Whether a page must look because of a change; judged without the rows, for each open page.
Concerns = Callable[[Seen], bool]


def place_of(text: str) -> Place:
    generation, _, number = text.rpartition(".")
    return Place(generation, int(number))


def place(db: sqlite3.Connection) -> str:
    """Up to where a page that is made now knows the changes."""
    here = _end(db)
    return f"{here.generation}.{here.number}"


def _end(db: sqlite3.Connection) -> Place:
    return Place(stories.generation(db), stories.end(db))


def streamed(call: PageCall, at: str, tell: Tell, concerns: Concerns) -> Response:
    """
    The live updates of a page.

    Args:
        at: Where the page was made.
        tell: What it tells of changes.
        concerns: Of which it may have something to tell.
    """
    live = _Live(call, place_of(at), tell, concerns)
    try:
        call.site.streams.enter(call.who.actor)
    except Problem:
        events = live.once()
    else:
        events = live.events()
    return StreamingResponse(events, media_type=MEDIA, headers={"X-Accel-Buffering": "no"})


class _Live:
    """One open stream."""

    def __init__(self, call: PageCall, at: Place, tell: Tell, concerns: Concerns) -> None:
        self._call = call
        self._site = call.site
        self._at = at
        self._tell = tell
        self._concerns = concerns
        self._position = at.number
        self._lost = False
        self._state: str | None = None

    async def events(self) -> AsyncIterator[bytes]:
        try:
            async with self._site.hub.subscribed() as news:
                async for text in self._follow(news):
                    retry = CROWDED_S * 1000 if self._lost else AGAIN_MS
                    yield format_sse_event(data_str=text, retry=retry)
        finally:
            self._site.streams.leave(self._call.who.actor)

    async def once(self) -> AsyncIterator[bytes]:
        """What there is to tell now, and when to ask again."""
        yield format_sse_event(data_str=await self._freshness(CROWDED), retry=CROWDED_S * 1000)
        if text := await self._news():
            yield format_sse_event(data_str=text)

    async def _follow(self, news: Subscriber) -> AsyncIterator[str]:
        told = audited = looked = edge.elapsed()
        yield await self._freshness()
        if text := await self._news():
            yield text
        while not self._site.closing.is_set() and not self._lost:
            seen = await news.next(SLICE_S)
            if news.overrun or any(map(self._concerns, seen)):
                news.overrun = False
                if text := await self._news():
                    yield text
            elif seen:
                self._position = max(self._position, seen[-1].id)
            now = edge.elapsed()
            state = self._site.freshness.state(self._site.now())
            if now - told >= EACH_S or state != self._state:
                told = now
                yield await self._freshness()
            if now - looked >= SESSION_EACH_S:
                looked = now
                if not self._call.seconds_left():
                    return
            if now - audited >= AUDIT_EACH_S:
                audited = now
                if not await record_more(self._call, "live"):
                    return

    async def _news(self) -> str:
        def read(db: sqlite3.Connection) -> tuple[str, int]:
            end = _end(db)
            # Another file's numbers mean nothing here, and of too much only the whole helps.
            if end.generation != self._at.generation or end.number - self._position > MISSED_MAX:
                return "", -1
            if end.number == self._position:
                return "", end.number
            span = Span(self._at.number, self._position, end.number)
            return self._tell(db, span), end.number

        text, end = await self._site.reader.ask(read, live=True)
        if end < 0:
            self._lost = True
            return fragment("macros.html", "lost")
        self._position = end
        return text

    async def _freshness(self, note: str = "") -> str:
        site = self._site
        self._state = site.freshness.state(site.now())
        told = await site.reader.ask(lambda db: freshness(self._call, db), live=True)
        age = site.freshness.age(site.now())
        silent = await silences(site, told["silent_feeds"])
        words = fresh_words(told, age, zone_of(site, None), site.log_now(), silent)
        return fragment("macros.html", "freshness_part", words, note)
