"""``GET /stream``: what changes, as it changes, in the caller's view (server-sent events, 3.4).

A reader that was away goes on where it was, by ``Last-Event-ID``, or is told to read the lists
again (``resync``): nothing is ever left out in silence.
"""

import sqlite3
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Iterable
from typing import Annotated, Any, Final, Literal

import orjson
from fastapi import Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event
from pydantic import Field, field_validator

from orchestrator.worklist import edge, measures, views
from orchestrator.worklist.access.roles import Principal, View
from orchestrator.worklist.api.guard import Call, CallOf, identified, record_more, rule
from orchestrator.worklist.api.queries import PatientKey, Word
from orchestrator.worklist.api.queries import Query as NoQuery
from orchestrator.worklist.hub import Subscriber
from orchestrator.worklist.instants import SECOND
from orchestrator.worklist.model import lists, stories
from orchestrator.worklist.model.filters import sees_change
from orchestrator.worklist.model.fold import Seen
from orchestrator.worklist.problems import Problem

EACH_S: Final = 15.0  # freshness, and with it a sign of life
AUDIT_EACH_S: Final = 60.0
SLICE_S: Final = 1.0  # how often a quiet stream looks whether it must end
STREAMS_MAX: Final = 5
MISSED_MAX: Final = 10_000
AWAY_MAX: Final = 3600 * SECOND
WRITTEN_MAX: Final = 1_000
MEDIA: Final = "text/event-stream"

Type = Literal["task", "gap", "freshness"]
TYPES: Final = ("task", "gap", "freshness")


class StreamQuery(NoQuery):
    team: list[Word] = Field(default=[])
    patient_key: list[PatientKey] = Field(default=[])
    types: str = ",".join(TYPES)

    @field_validator("types")
    @classmethod
    def _known(cls, text: str) -> str:
        if not set(text.split(",")) <= set(TYPES):
            raise ValueError("unknown")
        return text


class Streams:
    """How many streams each subject has open, and what they tell, written once for all."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        self._written: OrderedDict[tuple[str, View | None, bool, bool], bytes] = OrderedDict()

    def check(self, actor: str) -> None:
        """
        See whether *actor* may have one more.

        Raises:
            Problem: ``rate-limited``.
        """
        if self._open[actor] >= STREAMS_MAX:
            raise Problem("rate-limited", f"At most {STREAMS_MAX} streams at once.")

    def enter(self, actor: str) -> None:
        self.check(actor)
        self._open[actor] += 1
        measures.STREAMS.inc()

    def leave(self, actor: str) -> None:
        self._open[actor] -= 1
        if not self._open[actor]:
            del self._open[actor]
        measures.STREAMS.dec()

    def event(self, change: dict[str, Any], who: Principal, place: str) -> bytes:
        """The change at *place* as an event in the view of *who*."""
        kind = kind_of(change)
        name = (place, who.view, who.part2, bool(change[kind].get("masked")))
        found = self._written.get(name)
        if found is None:
            item = views.item(kind, change[kind], change["why"], who)
            data = {"change": change["change"], "why": item["why"], kind: item}
            found = self._written[name] = _event(kind, data, place)
            if len(self._written) > WRITTEN_MAX:
                self._written.popitem(last=False)
        return found


def kind_of(change: dict[str, Any]) -> str:
    return "task" if change.get("task") is not None else "gap"


@rule("tasks", "read", media=MEDIA)
async def stream(
    request: Request,
    call: CallOf,
    query: Annotated[StreamQuery, Query()],
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """Tasks, gaps and freshness as they change."""
    call.site.streams.check(call.who.actor)
    live = _Live(request, call, query, last_event_id)
    headers = {"X-Accel-Buffering": "no"}
    return StreamingResponse(live.events(), media_type=MEDIA, headers=headers)


class _Live:
    """One open stream."""

    def __init__(self, request: Request, call: Call, query: StreamQuery, last: str | None) -> None:
        self._request = request
        self._call = call
        self._site = call.site
        self._kinds = {t for t in query.types.split(",") if t != "freshness"}
        self._tells_freshness = "freshness" in query.types.split(",")
        self._teams = set(query.team)
        self._asked_for = set(query.patient_key)
        self._patients = self._asked_for  # with those under whose keys they are known now
        self._last = last
        self._generation = ""
        self._position = 0
        self._state: str | None = None

    async def events(self) -> AsyncIterator[bytes]:
        # Counted from here on: an answer that could not be audited is never begun.
        try:
            self._site.streams.enter(self._call.who.actor)
        except Problem:
            return  # others were faster since it was checked
        try:
            async with self._site.hub.subscribed() as news:
                async for event in self._follow(news):
                    yield event
        finally:
            self._site.streams.leave(self._call.who.actor)

    async def _follow(self, news: Subscriber) -> AsyncIterator[bytes]:
        if await self._site.reader.ask(self._begin):
            yield _event("resync", {}, self._id())
        elif missed := await self._missed():
            yield missed
        told = audited = edge.elapsed()
        if self._tells_freshness:
            yield await self._freshness()
        while not self._over():
            if (seen := await news.next(SLICE_S)) and (events := await self._new(seen)):
                yield events
            if news.overrun:
                news.overrun = False
                await self._site.reader.ask(self._to_end)
                yield _event("resync", {}, self._id())
            now = edge.elapsed()
            state = self._site.freshness.state(self._site.now())
            if now - told >= EACH_S or (self._tells_freshness and state != self._state):
                told = now
                if not await self._is_still_known():
                    return
                yield await self._freshness() if self._tells_freshness else b": ping\n\n"
            if now - audited >= AUDIT_EACH_S:
                audited = now
                if not await record_more(self._call, "stream"):
                    return

    def _begin(self, db: sqlite3.Connection) -> bool:
        """Find the place to go on from; whether the reader must read the lists again."""
        self._generation = stories.generation(db)
        self._to_end(db)
        if self._last is None:
            return False
        generation, _, number = self._last.rpartition(".")
        if generation != self._generation or not (number.isascii() and number.isdigit()):
            return True
        seen = int(number[:18])
        if self._position - seen > MISSED_MAX or seen > self._position:
            return True
        first = db.execute("SELECT at FROM changes WHERE id > ? LIMIT 1", (seen,)).fetchone()
        if first is not None and self._site.log_now() - first[0] > AWAY_MAX:
            return True
        self._position = seen
        return False

    def _to_end(self, db: sqlite3.Connection) -> None:
        self._position = stories.end(db)

    async def _missed(self) -> bytes:
        """What changed behind the place at which the caller was."""

        def read(db: sqlite3.Connection) -> tuple[list[stories.Told], frozenset[int], int]:
            self._follow_merges(db)
            told = stories.live(db, self._call.who, self._position, self._kinds, MISSED_MAX)
            return told, stories.masked_now(db, told), stories.end(db)

        told, masked, end = await self._site.reader.ask(read)
        events = self._written(
            (one.number, _masked(orjson.loads(one.value), one.number in masked)) for one in told
        )
        self._position = max(self._position, end)
        return events

    async def _new(self, seen: list[Seen]) -> bytes:
        """Of what has become visible, what the caller sees."""
        new = [one for one in seen if one.id > self._position]
        if self._asked_for:
            await self._site.reader.ask(self._follow_merges)
        verdicts = [
            one.kind in self._kinds
            and sees_change(self._call.who, one.kind, one.team, one.facility)
            for one in new
        ]
        if None in verdicts:
            mine = await self._site.reader.ask(self._gaps_of_my_patients)
            verdicts = [
                one.id in mine if verdict is None else verdict
                for one, verdict in zip(new, verdicts, strict=True)
            ]
        events = self._written(
            (one.id, one.content) for one, sees in zip(new, verdicts, strict=True) if sees
        )
        self._position = max(self._position, *(one.id for one in seen))
        return events

    def _follow_merges(self, db: sqlite3.Connection) -> None:
        """Whoever was asked for is followed under the key that a merge has left them."""
        survivors = {stories.survivor(db, key) for key in self._asked_for}
        self._patients = self._asked_for | survivors

    def _gaps_of_my_patients(self, db: sqlite3.Connection) -> set[int]:
        told = stories.live(db, self._call.who, self._position, {"gap"}, MISSED_MAX)
        return {one.number for one in told}

    def _written(self, changes: Iterable[tuple[int, dict[str, Any]]]) -> bytes:
        """What of *changes* passes the caller's filters, as events."""
        events: list[bytes] = []
        for number, change in changes:
            thing = change[kind_of(change)]
            if self._teams and thing["team"] not in self._teams:
                continue
            key = change.get("patient_key")
            if self._patients and key not in self._patients:
                continue
            if key:
                self._call.account.patient_keys.add(key)
            place = f"{self._generation}.{number}"
            events.append(self._site.streams.event(change, self._call.who, place))
        return b"".join(events)

    async def _freshness(self) -> bytes:
        site = self._site
        self._state = site.freshness.state(site.now())
        silent = await site.reader.ask(lambda db: lists.silent_feeds(db, self._call.who))
        return _event("freshness", site.freshness.told(site.now(), silent), self._id())

    async def _is_still_known(self) -> bool:
        """A token that was taken back ends its streams."""
        try:
            await identified(self._request, self._site)
        except Problem:
            return False
        return True

    def _over(self) -> bool:
        until = self._call.who.until
        return self._site.closing.is_set() or (until is not None and edge.now() // SECOND >= until)

    def _id(self) -> str:
        return f"{self._generation}.{self._position}"


def _masked(change: dict[str, Any], is_masked: bool) -> dict[str, Any]:
    """An earlier version of what is masked by now is masked, too."""
    if is_masked:
        change[kind_of(change)]["masked"] = True
    return change


def _event(name: str, data: dict[str, Any], number: str) -> bytes:
    return format_sse_event(data_str=orjson.dumps(data).decode(), event=name, id=number)
