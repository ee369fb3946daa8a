"""``/operations``: may the queues be trusted now; if not, what holds them?  No patient is here."""

import sqlite3
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Final, Literal

import orjson
from fastapi import Query, Response

from orchestrator.ops.history import Point
from orchestrator.worklist.api.answers import freshness
from orchestrator.worklist.api.guard import rule
from orchestrator.worklist.api.operations import usual
from orchestrator.worklist.api.queries import Query as NoQuery
from orchestrator.worklist.instants import SECOND
from orchestrator.worklist.model import letters
from orchestrator.worklist.pages import operations_words, wording
from orchestrator.worklist.pages.dead_letter_words import reason as reason_words
from orchestrator.worklist.pages.frame import fragment, html, page, zone_of
from orchestrator.worklist.pages.guard import HTML, PageCall, PageCallOf
from orchestrator.worklist.pages.operations_words import TAGS, Row
from orchestrator.worklist.pages.wording import Tag
from orchestrator.worklist.site import Site

HOUR: Final = 3600 * SECOND
RANGES: Final = {"1h": HOUR, "6h": 6 * HOUR, "24h": 24 * HOUR, "7d": 168 * HOUR}
_LONG: Final = {"1h": "hour", "6h": "6 h", "24h": "24 h", "7d": "7 d"}
POINTS: Final = 360
TABLE: Final = 24
ROWS: Final = 24  # more say no more


class RangeQuery(NoQuery):
    range: Literal["1h", "6h", "24h", "7d"] = "6h"


@dataclass(frozen=True, slots=True)
class FeedLine:
    """One facility's feed."""

    facility: str
    heard: str
    usually: str
    parked: int
    tag: Tag


@dataclass(frozen=True, slots=True)
class Now:
    """The numbers that change in place."""

    sentence: str
    at: str
    rows: list[Row]
    more: int
    states: list[tuple[str, str]]
    deadlines: str
    feeds: list[FeedLine]
    letters: list[tuple[str, str, int]]
    waiting: int
    oldest: str


@rule("operations", media=HTML)
async def operations(call: PageCallOf, query: Annotated[RangeQuery, Query()]) -> Response:
    """The page."""
    now, fresh = await _now(call)
    at, zone = call.site.log_now(), zone_of(call.site, None)
    begin = at - RANGES[query.range]
    watch = call.site.watch
    seen = [] if watch is None else watch.history.since(begin)
    points = operations_words.thinned(seen, begin, at, POINTS)
    marks = await call.site.reader.ask(lambda db: _marks(db, begin))
    return await page(
        call.request,
        "operations.html",
        "Operations",
        fresh=fresh,
        bundle="chart",
        now_shown=now,
        range=query.range,
        ranges=list(RANGES),
        points=orjson.dumps([[p.at // SECOND, p.seconds] for p in points]).decode(),
        marks=orjson.dumps([[mark // SECOND, text] for mark, text in marks]).decode(),
        silences=[(wording.moment(mark, zone, at), text) for mark, text in marks],
        summary=operations_words.summary(seen, zone, _LONG[query.range]),
        table=_table(operations_words.thinned(seen, begin, at, TABLE), zone, at),
    )


@rule("operations", media=HTML, touches=False)
async def numbers(call: PageCallOf) -> Response:
    """What changes in place, for the script of the page."""
    now, _ = await _now(call)
    return html(call.request, fragment("operations_now.html", "now", now))


async def _now(call: PageCall) -> tuple[Now, dict[str, Any]]:
    return await call.site.reader.ask(lambda db: _read(call, db))


def _read(call: PageCall, db: sqlite3.Connection) -> tuple[Now, dict[str, Any]]:
    site, fresh = call.site, freshness(call, db)
    now, zone = site.log_now(), zone_of(site, None)
    sample = None if site.watch is None else site.watch.sampler.sample
    clocks, stale = site.projector.clocks, fresh["state"] == "stale"
    if sample is not None:
        is_old = site.freshness.is_old
        sample = operations_words.judged(sample, clocks, now, is_old, stale=stale)
    table = [] if sample is None else operations_words.rows(sample, clocks, now)
    counts = letters.counts(db, call.who)
    waiting = sum(count for _, count, _ in counts)
    oldest = min((at for _, _, at in counts), default=None)
    shown = Now(
        sentence=operations_words.sentence(sample, fresh, waiting, zone),
        at=wording.moment(now, zone),
        rows=table[:ROWS],
        more=max(0, len(table) - ROWS),
        states=[
            (state, text)
            for state, text in operations_words.RUNBOOK.items()
            if any(row.advice == state for row in table)
        ],
        deadlines=_deadlines(sample),
        feeds=_feeds(site, db, fresh["silent_feeds"], now),
        letters=[(reason, reason_words(reason), count) for reason, count, _ in counts],
        waiting=waiting,
        oldest="" if oldest is None else wording.length(max(0, now - oldest)),
    )
    return shown, fresh


def _deadlines(sample: Any) -> str:
    if sample is None or sample.deadlines is None:
        return "Not known here: the workers' own numbers are at their /metrics."
    held = sample.deadlines if operations_words.held_by(sample) is not None else 0
    return f"due, not fired {sample.deadlines - held:,} | held by lag {held:,}"


def _feeds(site: Site, db: sqlite3.Connection, silent: list[str], now: int) -> list[FeedLine]:
    heard: dict[str, int] = dict(
        db.execute(
            # Each facility once by the index, not each of its rows.
            "WITH RECURSIVE f(name) AS (SELECT min(facility) FROM transitions UNION ALL"
            " SELECT (SELECT min(facility) FROM transitions WHERE facility > f.name) FROM f"
            " WHERE f.name IS NOT NULL) SELECT name, (SELECT max(updated_at) FROM transitions"
            " WHERE facility = f.name) FROM f WHERE name IS NOT NULL"
        )
    )
    parked: dict[str | None, int] = dict(
        db.execute(
            "SELECT facility, count(*) FROM letters WHERE at >= ? GROUP BY facility",
            (now - 24 * HOUR,),
        )
    )
    found = []
    for facility in sorted({*site.facilities.versions, *heard, *silent}):
        if not facility:
            continue
        usually, at = usual(site, facility), heard.get(facility)
        state = "UNKNOWN" if at is None else "OK"
        state = "SILENT" if facility in silent else "NOT WATCHED" if usually is None else state
        found.append(
            FeedLine(
                facility=facility,
                heard="none yet" if at is None else f"{wording.length(max(0, now - at))} ago",
                usually="not said" if usually is None else f"every {_span(usually)}",
                parked=parked.get(facility, 0),
                tag=TAGS[state],
            )
        )
    return found


def _span(span: timedelta) -> str:
    return wording.length(span // timedelta(microseconds=1))


def _marks(db: sqlite3.Connection, begin: int) -> list[tuple[int, str]]:
    """What else happened: feeds that fell silent."""
    found = db.execute(
        "SELECT since, facility FROM gaps WHERE code = 'FEED_SILENT' AND since >= ?"
        " ORDER BY since, facility",
        (begin,),
    ).fetchall()
    return [(at, f"{facility} silent") for at, facility in found]


def _table(points: list[Point], zone: str, now: int) -> list[tuple[str, str, str]]:
    return [
        (
            wording.moment(one.at, zone, now),
            "not known" if one.seconds is None else operations_words.spoken(one.seconds),
            "not known" if one.records is None else f"{one.records:,}",
        )
        for one in points
    ]


ROUTES: Final = (("/operations", ["GET"], operations), ("/operations/now", ["GET"], numbers))
