"""``/dead-letters``: messages that could not be taken: which, why, and what mends them.

Operators see no byte of them; a data steward does, after typing what for, and it is recorded
first.
"""

import sqlite3
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

from fastapi import Path, Query, Response
from pydantic import BeforeValidator, Field

from orchestrator.worklist.api.answers import freshness
from orchestrator.worklist.api.guard import rule
from orchestrator.worklist.api.queries import Query as NoQuery
from orchestrator.worklist.instants import SECOND
from orchestrator.worklist.model import letters
from orchestrator.worklist.model.letters import Chosen, Letter, Status
from orchestrator.worklist.pages import dead_letter_words, wording
from orchestrator.worklist.pages.frame import page, zone_of
from orchestrator.worklist.pages.guard import HTML, PageCall, PageCallOf

ROWS: Final = 50
HOUR: Final = 3600 * SECOND
SINCE: Final = {"1h": HOUR, "24h": 24 * HOUR, "7d": 168 * HOUR}

Place = Annotated[str, Path(pattern=r"^[A-Za-z0-9._-]{1,120}-\d{1,9}-\d{1,19}$")]


def _said(value: Any) -> Any:
    """A form sends each of its fields, also those that nobody filled in."""
    return None if value == "" else value


class Filters(NoQuery):
    """Which letters; nothing said: all that wait."""

    reason: Annotated[
        str | None, Field(max_length=64, pattern=r"^[a-z0-9-]+$"), BeforeValidator(_said)
    ] = None
    facility: Annotated[
        str | None, Field(max_length=64, pattern=r"^[A-Za-z0-9._-]+$"), BeforeValidator(_said)
    ] = None
    since: Annotated[Literal["1h", "24h", "7d"] | None, BeforeValidator(_said)] = None
    status: Annotated[Status, BeforeValidator(lambda value: value or "open")] = "open"

    def chosen(self, now: int) -> Chosen:
        since = None if self.since is None else now - SINCE[self.since]
        return Chosen(self.reason, self.facility, since, self.status)

    def said(self, **other: str | None) -> list[tuple[str, str]]:
        """As fields of a form, with *other* in place of what it says of those."""
        pairs = {name: getattr(self, name) for name in Filters.model_fields} | other
        return [(k, v) for k, v in pairs.items() if v and (k, v) != ("status", "open")]

    def text(self, **other: str | None) -> str:
        """As the query of an address."""
        return urlencode(self.said(**other))


class LettersQuery(Filters):
    after: Annotated[int, Field(ge=0)] = 0


@dataclass(frozen=True, slots=True)
class LetterLine:
    """One letter, without what stood in it."""

    place: str
    age: str
    came: str
    reason: str
    words: str
    stage: str
    source: str
    facility: str
    error: str
    size: str
    status: str
    tries: int
    ended: str | None  # what became of it, when, by whom
    kind: str | None


def line_of(call: PageCall, letter: Letter) -> LetterLine:
    """*letter* in words."""
    site, now = call.site, call.site.log_now()
    known = letter.facility is not None and site.facilities.listed(letter.facility)
    headers = letter.headers
    return LetterLine(
        place=letter.place,
        kind=letter.kind,
        age=wording.length(max(0, now - letter.at)),
        came=wording.moment(letter.at, zone_of(site, None), now),
        reason=letter.reason,
        words=dead_letter_words.reason(letter.reason),
        stage=dead_letter_words.stage(letter.stage),
        source=" ".join(filter(None, (headers.get("topic"), headers.get("offset")))),
        # Whatever else stands where a facility should may be anything.
        facility=str(letter.facility) if known else "not known",
        error=headers.get("error", ""),
        size=f"{letter.size:,} bytes",
        status=letter.status,
        tries=letter.tries,
        ended=_ended(call, letter, now),
    )


def _ended(call: PageCall, letter: Letter, now: int) -> str | None:
    if letter.decided_at is None or letter.status == "open":
        return None
    words = dead_letter_words.ENDED[str(letter.status)]
    when = wording.moment(letter.decided_at, zone_of(call.site, None), now)
    why = f": {letter.purpose}" if letter.status == "discarded" and letter.purpose else ""
    return f"{words} {when} by {letter.decided_by}{why}"


@rule("dead-letters", media=HTML)
async def dead_letters(call: PageCallOf, query: Annotated[LettersQuery, Query()]) -> Response:
    """The list, by reason, the oldest first."""
    found = await call.site.reader.ask(lambda db: _read(call, db, query))
    return await page(
        call.request,
        "dead_letters.html",
        "Dead letters",
        fresh=found.pop("fresh"),
        query=query,
        since=dead_letter_words.SINCE,
        statuses=dead_letter_words.STATUSES,
        feeds=sorted(filter(call.who.sees_facility, call.site.facilities.versions)),
        may=call.who.may,
        **found,
    )


def _read(call: PageCall, db: sqlite3.Connection, query: LettersQuery) -> dict[str, Any]:
    chosen = query.chosen(call.site.log_now())
    found = letters.listed(db, call.who, chosen, query.after, ROWS + 1)
    shown = found[:ROWS]
    groups: dict[str, list[LetterLine]] = {}
    # Stable: within a reason the oldest first.
    for _, letter in sorted(shown, key=lambda one: one[1].reason):
        groups.setdefault(letter.reason, []).append(line_of(call, letter))
    (messages,) = db.execute("SELECT coalesce(sum(next), 0) FROM positions").fetchone()
    return {
        "counts": [(reason, count) for reason, count, _ in letters.counts(db, call.who)],
        "groups": [
            (code, dead_letter_words.reason(code), dead_letter_words.cure(code), rows)
            for code, rows in groups.items()
        ],
        "total": letters.how_many(db, call.who, chosen),
        "following": shown[-1][0] if len(found) > ROWS else None,
        "read": messages,
        "fresh": freshness(call, db),
    }


ROUTES: Final = (("/dead-letters", ["GET"], dead_letters),)
