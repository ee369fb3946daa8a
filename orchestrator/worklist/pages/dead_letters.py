"""``/dead-letters``: messages that could not be taken: which, why, and what mends them.

Operators see no byte of them; a data steward does, after typing what for, and it is recorded
first.  Nothing can be retried or dropped from here yet, so nothing pretends to.
"""

import sqlite3
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Path, Query, Response
from pydantic import BeforeValidator, Field

from orchestrator.worklist.api.answers import freshness
from orchestrator.worklist.api.guard import rule
from orchestrator.worklist.api.queries import Query as NoQuery
from orchestrator.worklist.model import letters
from orchestrator.worklist.model.letters import KEPT, Letter
from orchestrator.worklist.pages import dead_letter_words, wording
from orchestrator.worklist.pages.frame import page, zone_of
from orchestrator.worklist.pages.guard import HTML, PageCall, PageCallOf
from orchestrator.worklist.problems import Problem

ROWS: Final = 50
PURPOSE_MIN: Final = 10
PURPOSE_MAX: Final = 1000
SHORT: Final = f"Say in at least {PURPOSE_MIN} characters what you need it for."

Place = Annotated[str, Path(pattern=r"^[A-Za-z0-9._-]{1,120}-\d{1,9}-\d{1,19}$")]
Reason = Annotated[
    str | None,
    Field(max_length=64, pattern=r"^[a-z0-9-]+$"),
    BeforeValidator(lambda value: None if value == "" else value),
]


class LettersQuery(NoQuery):
    reason: Reason = None
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


@rule("dead-letters", media=HTML)
async def dead_letters(call: PageCallOf, query: Annotated[LettersQuery, Query()]) -> Response:
    """The list, by reason, the oldest first."""
    now = call.site.log_now()

    def read(db: sqlite3.Connection) -> dict[str, Any]:
        found = letters.listed(db, call.who, query.reason, query.after, ROWS + 1)
        shown = found[:ROWS]
        lines = [_line(call, one, now) for _, one in shown]
        lines.sort(key=lambda line: line.reason)  # stable: within a reason the oldest first
        groups: dict[str, list[LetterLine]] = {}
        for line in lines:
            groups.setdefault(line.reason, []).append(line)
        (messages,) = db.execute("SELECT coalesce(sum(next), 0) FROM positions").fetchone()
        return {
            "counts": [(reason, count) for reason, count, _ in letters.counts(db, call.who)],
            "groups": [
                (code, dead_letter_words.reason(code), dead_letter_words.cure(code), rows)
                for code, rows in groups.items()
            ],
            "following": shown[-1][0] if len(found) > ROWS else None,
            "read": messages,
            "fresh": freshness(call, db),
        }

    found = await call.site.reader.ask(read)
    fresh = found.pop("fresh")
    return await page(
        call.request,
        "dead_letters.html",
        "Dead letters",
        fresh=fresh,
        query=query,
        may_open="dead-letter-bytes" in call.who.may,
        **found,
    )


def _line(call: PageCall, letter: Letter, now: int) -> LetterLine:
    site = call.site
    known = letter.facility is not None and site.facilities.listed(letter.facility)
    headers = letter.headers
    source = " ".join(filter(None, (headers.get("topic"), headers.get("offset"))))
    return LetterLine(
        place=letter.place,
        age=wording.length(max(0, now - letter.at)),
        came=wording.moment(letter.at, zone_of(site, None), now),
        reason=letter.reason,
        words=dead_letter_words.reason(letter.reason),
        stage=dead_letter_words.stage(letter.stage),
        source=source,
        # Whatever else stands where a facility should may be anything.
        facility=str(letter.facility) if known else "not known",
        error=headers.get("error", ""),
        size=f"{letter.size:,} bytes",
    )


@rule("dead-letters", media=HTML)
async def ask(call: PageCallOf, place: Place) -> Response:
    """One letter without its bytes; whoever may have those is asked what for."""
    return await _asked(call, place)


async def _asked(
    call: PageCall, place: str, purpose: str = "", wrong: str = "", status: int = 200
) -> Response:
    letter, value = await _found(call, place)
    line = _line(call, letter, call.site.log_now())
    return await page(
        call.request, "dead_letter.html", "Dead letter", status,
        letter=line, cure=dead_letter_words.cure(line.reason), purpose=purpose, wrong=wrong,
        least=PURPOSE_MIN, raw=None, segments=dead_letter_words.segments(value), cut=False,
        may_open="dead-letter-bytes" in call.who.may,
    )  # fmt: skip


@rule("dead-letter-bytes", "raw", limit="actions", media=HTML)
async def raw(call: PageCallOf, place: Place) -> Response:
    """The bytes, once it is written down who wanted them and what for."""
    purpose = " ".join(str(call.form.get("purpose", "")).split())
    call.account.objects.append(f"dead-letter/{place}")
    if not PURPOSE_MIN <= len(purpose) <= PURPOSE_MAX:
        return await _asked(call, place, purpose, SHORT, 422)
    letter, value = await _found(call, place)
    call.account.purpose = purpose
    call.account.rows = 1
    line = _line(call, letter, call.site.log_now())
    text = value.decode("utf-8", "backslashreplace").replace("\r", "\n")
    return await page(
        call.request, "dead_letter.html", "Dead letter",
        letter=line, cure=dead_letter_words.cure(line.reason), purpose=purpose, wrong="",
        least=PURPOSE_MIN, raw=text, segments=dead_letter_words.segments(value),
        cut=letter.size > KEPT, printable=False, may_open=True,
    )  # fmt: skip


async def _found(call: PageCall, place: str) -> tuple[Letter, bytes]:
    found = await call.site.reader.ask(lambda db: letters.one(db, call.who, place))
    if found is None:
        raise Problem("not-found")
    return found


ROUTES: Final = (
    ("/dead-letters", ["GET"], dead_letters),
    ("/dead-letters/{place}", ["GET"], ask),
    ("/dead-letters/{place}/raw", ["POST"], raw),
)
