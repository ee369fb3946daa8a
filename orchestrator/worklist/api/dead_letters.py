"""``/ops/dead-letters``: what could not be taken, sent again or put away.

Operators see no byte of them; a data steward does, after saying what for, and may mend them.
"""

import base64
import binascii
import sqlite3
from typing import Annotated, Any, Final

from fastapi import Path, Query, Response
from pydantic import Field, field_validator

from orchestrator.worklist.api.answers import freshness, json_response
from orchestrator.worklist.api.bodies import Body
from orchestrator.worklist.api.guard import Call, CallOf, rule
from orchestrator.worklist.api.jobs import started
from orchestrator.worklist.api.queries import Cursor, Instant
from orchestrator.worklist.api.queries import Query as NoQuery
from orchestrator.worklist.instants import micros, text_of
from orchestrator.worklist.model import letters, stories
from orchestrator.worklist.model.filters import BadCursor, cursor_of, list_name, read_cursor
from orchestrator.worklist.model.letters import KEPT, OBJECT, Chosen, Letter, Status
from orchestrator.worklist.problems import Problem
from orchestrator.worklist.retrying_many import Many, as_plain

MESSAGE_BYTES: Final = 1024 * 1024
BASE64_LENGTH: Final = (MESSAGE_BYTES + 2) // 3 * 4

Place = Annotated[str, Path(pattern=r"^[A-Za-z0-9._-]{1,120}-\d{1,9}-\d{1,19}$")]
Reason = Annotated[str, Field(max_length=64, pattern=r"^[a-z0-9-]+$")]
Facility = Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]


class LettersQuery(NoQuery):
    reason: Reason | None = None
    facility: Facility | None = None
    since: Instant | None = None
    status: Status = "open"
    limit: Annotated[int, Field(ge=1, le=500)] = 50
    cursor: Cursor = None


class Purpose(Body):
    purpose: Annotated[str, Field(min_length=10, max_length=1000, pattern=r"\S.*\S")]


class Retry(Body):
    replacement_base64: Annotated[str, Field(min_length=4, max_length=BASE64_LENGTH)] | None = None

    @field_validator("replacement_base64")
    @classmethod
    def _is_base64(cls, said: str | None) -> str | None:
        if said is not None:
            try:
                base64.b64decode(said, validate=True)
            except binascii.Error:
                raise ValueError("no base64") from None
        return said


class Why(Body):
    reason: Annotated[str, Field(min_length=3, max_length=1000, pattern=r"\S.*\S")]


class Filter(Body):
    """Which letters, all of them open; nothing said: all."""

    reason: Reason | None = None
    facility: Facility | None = None
    since: Instant | None = None


class RetryMany(Body):
    filter: Filter
    dry_run: bool = False


def _micros(instant: str | None) -> int | None:
    return None if instant is None else micros(instant)


@rule("dead-letters")
async def dead_letters(call: CallOf, query: Annotated[LettersQuery, Query()]) -> Response:
    """What could not be taken, the oldest first; none of its bytes."""
    chosen = Chosen(query.reason, query.facility, _micros(query.since), query.status)

    def read(db: sqlite3.Connection) -> dict[str, Any]:
        name = list_name("letters", stories.generation(db), chosen.name)
        after = 0
        if query.cursor is not None:
            try:
                (after,) = read_cursor(query.cursor, name, 1)
            except BadCursor:
                raise Problem("malformed", "The cursor is not one of this list.") from None
        found = letters.listed(db, call.who, chosen, after, query.limit + 1)
        shown = found[: query.limit]
        return {
            "items": [letters.as_plain(one, call.site.facilities) for _, one in shown],
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
    edits = await call.site.reader.ask(lambda db: letters.edits(db, letter.place))
    told = [
        {"id": one.place, "at": text_of(one.at), "by": one.by, "size": one.size} for one in edits
    ]
    return json_response({**letters.as_plain(letter, call.site.facilities), "edits": told})


@rule("dead-letter-bytes", "raw", limit="actions")
async def raw(
    call: CallOf, place: Place, body: Purpose, query: Annotated[NoQuery, Query()]
) -> Response:
    """The bytes, once it is written down who wanted them and what for."""
    del query
    call.account.objects.append(f"{OBJECT}/{place}")
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


async def _found(call: Call, place: str) -> tuple[Letter, bytes]:
    found = await call.site.reader.ask(lambda db: letters.one(db, call.who, place))
    if found is None:
        raise Problem("not-found")
    return found


@rule("dead-letter-retry", "retry", limit="actions", longest=BASE64_LENGTH + 1024)
async def retry(
    call: CallOf, place: Place, query: Annotated[NoQuery, Query()], body: Retry | None = None
) -> Response:
    """Send it again, as it was or mended; the answer says what followed."""
    del query
    replacement = None
    if body is not None and body.replacement_base64 is not None:
        if "dead-letter-bytes" not in call.who.may:
            raise Problem("forbidden", "Whoever mends a message has to see it.")
        replacement = base64.b64decode(body.replacement_base64)
        if len(replacement) > MESSAGE_BYTES:
            raise Problem("too-large")
    outcome = await call.site.retrying.retry(
        call.who, place, call.account, replacement=replacement, wait_s=call.site.action_wait
    )
    return json_response(as_plain(place, outcome))


@rule("dead-letter-bytes", "discard", limit="actions")
async def discard(
    call: CallOf, place: Place, body: Why, query: Annotated[NoQuery, Query()]
) -> Response:
    """Put it away for good; it is kept as long as the others, with the reason."""
    del query
    await call.site.retrying.discard(call.who, place, call.account, body.reason)
    return json_response({"id": place, "status": "discarded", "reason": body.reason})


@rule("dead-letter-retry", limit="actions")
async def retry_many(call: CallOf, body: RetryMany, query: Annotated[NoQuery, Query()]) -> Response:
    """Send again all that the filter takes, or look what would become of them: a job."""
    del query
    said = body.filter
    chosen = Chosen(said.reason, said.facility, _micros(said.since))
    many = Many(call.site, call.who, chosen, body.dry_run, call.request_id)
    return started(call.site.jobs.start(call.who, "dead-letters", many.run))
