"""``/ops``: how far behind the readers are, which feeds speak, what could not be taken.

No patient is here; what is not known is null, never 0.
"""

import base64
import sqlite3
from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import Path, Query, Response
from pydantic import Field

from orchestrator.ops.lag import Sample
from orchestrator.worklist.api.answers import freshness, json_response
from orchestrator.worklist.api.bodies import Body
from orchestrator.worklist.api.guard import Call, CallOf, rule
from orchestrator.worklist.api.queries import Cursor
from orchestrator.worklist.api.queries import Query as NoQuery
from orchestrator.worklist.instants import SECOND, text_of
from orchestrator.worklist.model import letters, lists, stories
from orchestrator.worklist.model.filters import BadCursor, cursor_of, list_name, read_cursor
from orchestrator.worklist.model.letters import KEPT, Letter
from orchestrator.worklist.problems import Problem
from orchestrator.worklist.site import Site

DAY: Final = 24 * 3600 * SECOND

Place = Annotated[str, Path(pattern=r"^[A-Za-z0-9._-]{1,120}-\d{1,9}-\d{1,19}$")]


class LettersQuery(NoQuery):
    reason: Annotated[str, Field(max_length=64, pattern=r"^[a-z0-9-]+$")] | None = None
    limit: Annotated[int, Field(ge=1, le=500)] = 50
    cursor: Cursor = None


class Purpose(Body):
    purpose: Annotated[str, Field(min_length=10, max_length=1000, pattern=r"\S.*\S")]


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


@rule("dead-letters")
async def dead_letters(call: CallOf, query: Annotated[LettersQuery, Query()]) -> Response:
    """What could not be taken, the oldest first; none of its bytes."""

    def read(db: sqlite3.Connection) -> dict[str, Any]:
        name = list_name("letters", stories.generation(db), query.reason)
        after = 0
        if query.cursor is not None:
            try:
                (after,) = read_cursor(query.cursor, name, 1)
            except BadCursor:
                raise Problem("malformed", "The cursor is not one of this list.") from None
        found = letters.listed(db, call.who, query.reason, after, query.limit + 1)
        shown = found[: query.limit]
        return {
            "items": [_item(call, one) for _, one in shown],
            "next": cursor_of(name, [shown[-1][0]]) if len(found) > query.limit else None,
            "counts": [
                {"reason": reason, "count": count, "oldest": text_of(oldest)}
                for reason, count, oldest in letters.counts(db, call.who)
            ],
            "freshness": freshness(call, db),
        }

    return json_response(await call.site.reader.ask(read))


@rule("dead-letters")
async def dead_letter(call: CallOf, place: Place, query: Annotated[NoQuery, Query()]) -> Response:
    """One of them, without its bytes."""
    del query
    letter, _ = await _found(call, place)
    return json_response(_item(call, letter))


@rule("dead-letter-bytes", "raw", limit="actions")
async def raw(
    call: CallOf, place: Place, body: Purpose, query: Annotated[NoQuery, Query()]
) -> Response:
    """The bytes, once it is written down who wanted them and what for."""
    del query
    call.account.objects.append(f"dead-letter/{place}")
    letter, value = await _found(call, place)
    call.account.purpose = body.purpose
    call.account.rows = 1
    return json_response(
        {
            "id": place,
            "value_base64": base64.b64encode(value).decode(),
            "size": letter.size,
            "cut": letter.size > KEPT,
        }
    )


def _item(call: Call, letter: Letter) -> dict[str, Any]:
    known = letter.facility is not None and call.site.facilities.listed(letter.facility)
    return {
        "id": letter.place,
        "at": text_of(letter.at),
        "reason": letter.reason,
        "stage": letter.stage,
        "topic": letter.topic,
        "offset": letter.headers.get("offset"),
        "error": letter.headers.get("error"),
        # Whatever else stands where a facility should may be anything.
        "facility": letter.facility if known else None,
        "size": letter.size,
    }


async def _found(call: Call, place: str) -> tuple[Letter, bytes]:
    found = await call.site.reader.ask(lambda db: letters.one(db, call.who, place))
    if found is None:
        raise Problem("not-found")
    return found
