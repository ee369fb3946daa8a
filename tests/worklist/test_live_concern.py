"""An open page judges in memory whether it must look: it may not overlook what it would tell."""

import sqlite3
from functools import partial
from typing import Any, Final

from fastapi import Request

from orchestrator.worklist.access.roles import Principal, principal
from orchestrator.worklist.api.guard import RULES
from orchestrator.worklist.hub import Subscriber
from orchestrator.worklist.model import stories
from orchestrator.worklist.model.fold import Seen
from orchestrator.worklist.pages import live_work
from orchestrator.worklist.pages.filters import WorkQuery
from orchestrator.worklist.pages.guard import PageCall
from orchestrator.worklist.pages.live import Span
from tests.worklist.world import WAIT_S, World, discharged

RN: Final = frozenset({"rn"})
PEOPLE: Final = (
    principal("all", frozenset({"supervisor"}), frozenset(), frozenset({"*"})),
    principal("gen", RN, frozenset({"nurse-outreach"}), frozenset({"GEN"})),
    principal("mid", RN, frozenset({"nurse-outreach", "pharmacy"}), frozenset({"MID"})),
    principal("none", RN, frozenset({"restricted"}), frozenset({"*"})),
)
QUERIES: Final = (WorkQuery(), WorkQuery(owner="none"), WorkQuery(kind=["MED_REC"]))


class Open:
    """One page of My work that stays open."""

    def __init__(self, running: World, who: Principal, query: WorkQuery, rows: Any) -> None:
        call = PageCall(
            site=running.site,
            who=who,
            rule=RULES[live_work.live_work],
            request_id="r",
            request=Request({"type": "http", "headers": []}),
        )
        self.begin, shown, names = rows
        self.page = live_work._Changes(call, query, shown, names)
        self.place = self.begin


async def opened(running: World, who: Principal, query: WorkQuery) -> Open:
    def read(db: Any) -> Any:
        rows = dict(db.execute("SELECT id, task_id FROM tasks").fetchall())
        return stories.end(db), frozenset(rows), frozenset(rows.values())

    # As if everything stood on the page: a row that the reader may not see is told as gone.
    seen = await running.site.reader.ask(read)
    if who.actor == "gen":
        seen = (seen[0], frozenset(), frozenset())  # and one on which nothing does
    return Open(running, who, query, seen)


def _told(page: live_work._Changes, span: Span, db: sqlite3.Connection) -> str:
    return page.told(db, span)


async def news(listening: Subscriber, event: str) -> list[Seen]:
    """What became visible up to the change that *event* brought."""
    found: list[Seen] = []
    while not any(event in one.caused_by for one in found):
        seen = await listening.next(WAIT_S)
        assert seen, "nothing more came"
        found += seen
    return found


async def test_a_page_overlooks_nothing_that_it_would_tell(running: World) -> None:
    """Whatever happens: where the rows have something to say, the look in memory says so too."""
    pages = [await opened(running, who, query) for who in PEOPLE for query in QUERIES]
    looked: list[tuple[bool, bool]] = []

    async def shown(listening: Subscriber, event: str) -> None:
        seen = await news(listening, event)
        for one in pages:
            concerned = any(map(one.page.concern, seen))
            span = Span(one.begin, one.place, seen[-1].id)
            text = await running.site.reader.ask(partial(_told, one.page, span))
            one.place = span.end
            looked.append((concerned, bool(text)))

    async with running.site.hub.subscribed() as listening:

        async def act(task: dict[str, Any], action: str, body: Any = None) -> dict[str, Any]:
            key = f"{len(looked)}"
            said = (await running.act(task, action, body, key=key)).json()
            await shown(listening, said["event_id"])
            found: dict[str, Any] = said["task"]
            return found

        for facility in ("GEN", "MID"):
            task = await running.call(facility=facility)
            task = await act(task, "accept")
            task = await act(task, "attempt", {"reached": "no-answer"})
            task = await act(task, "release")
            # Out of the sight of some: that is told too, and nothing of it afterwards.
            task = await act(task, "reassign", {"to": "pharmacy"})
            await act(task, "reassign", {"to": "nurse-outreach"})
        for number in (100, 101):
            told = discharged(number)
            running.send(*told)
            await shown(listening, told[-1]["id"])

    assert [one for one in looked if one == (False, True)] == []
    assert {(True, True), (False, False)} <= set(looked)
