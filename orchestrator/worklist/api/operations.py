"""``/ops``: how far behind the readers are, which deadlines are late, which feeds speak.

No patient is here; what is not known is null, never 0.
"""

import sqlite3
from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import Query, Response

from orchestrator.ops.lag import Sample
from orchestrator.worklist.api.answers import freshness, json_response
from orchestrator.worklist.api.guard import Call, CallOf, rule
from orchestrator.worklist.api.queries import Query as NoQuery
from orchestrator.worklist.instants import SECOND, text_of
from orchestrator.worklist.model import lists
from orchestrator.worklist.site import Site

DAY: Final = 24 * 3600 * SECOND


def _sample(call: Call) -> Sample | None:
    return None if call.site.watch is None else call.site.watch.sampler.sample


@rule("operations")
async def lag(call: CallOf, query: Annotated[NoQuery, Query()]) -> Response:
    """How far each reader is behind, as it was seen last."""
    del query
    sample = _sample(call)
    readers = [
        {
            "group": one.reading.group,
            "topic": one.reading.topic,
            "partition": one.reading.partition,
            "offset": one.reading.done,
            "end": one.reading.end,
            "lag": one.lag,
            "lag_s": one.seconds,
            "state": one.state,
        }
        for one in (() if sample is None else sample.positions)
    ]
    return json_response({"sampled_at": _at(sample), "readers": readers})


@rule("operations")
async def deadlines(call: CallOf, query: Annotated[NoQuery, Query()]) -> Response:
    """How many deadlines have passed and were not fired."""
    del query
    sample = _sample(call)
    backlog = None if sample is None else sample.deadlines
    return json_response({"sampled_at": _at(sample), "backlog": backlog})


def _at(sample: Sample | None) -> str | None:
    return None if sample is None else text_of(sample.at)


@rule("operations")
async def feeds(call: CallOf, query: Annotated[NoQuery, Query()]) -> Response:
    """Which feeds speak: when each was heard of last, and how often it should be."""
    del query

    def read(db: sqlite3.Connection) -> dict[str, Any]:
        silent = lists.silent_feeds(db, call.who)
        heard: dict[str, int] = dict(
            db.execute("SELECT facility, max(updated_at) FROM transitions GROUP BY facility")
        )
        since = call.site.log_now() - DAY
        parked: dict[str | None, int] = dict(
            db.execute(
                "SELECT facility, count(*) FROM letters WHERE at >= ? GROUP BY facility", (since,)
            )
        )
        names = sorted({*call.site.facilities.versions, *heard, *silent} - {""})
        items = [
            {
                "facility": name,
                "heard_at": None if name not in heard else text_of(heard[name]),
                "expected_interval_s": _seconds(usual(call.site, name)),
                "dead_letters_24h": parked.get(name, 0),
                "silent": name in silent,
            }
            for name in names
            if call.who.sees_facility(name)
        ]
        return {"items": items, "freshness": freshness(call, db)}

    return json_response(await call.site.reader.ask(read))


def usual(site: Site, facility: str) -> timedelta | None:
    """How often the feed of *facility* speaks; ``None``: nobody has said."""
    said = site.facilities.get(facility)
    each = [feed.expected_interval for feed in said.feeds if feed.expected_interval is not None]
    return said.expected_interval or min(each, default=None)


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds()
