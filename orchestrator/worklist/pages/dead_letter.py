"""``/dead-letters/{place}``: one letter, opened, sent again as it is or mended, or dropped."""

from typing import Annotated, Any, Final

from fastapi import Query, Response
from fastapi.responses import RedirectResponse
from pydantic import Field

from orchestrator.worklist import edge
from orchestrator.worklist.api.guard import rule
from orchestrator.worklist.api.queries import Query as NoQuery
from orchestrator.worklist.model import letters
from orchestrator.worklist.model.letters import EDIT, EDITS, KEPT, OBJECT, Letter
from orchestrator.worklist.pages import dead_letter_parse, dead_letter_words, wording
from orchestrator.worklist.pages.acts import said
from orchestrator.worklist.pages.dead_letters import Place, line_of
from orchestrator.worklist.pages.faults import not_saved
from orchestrator.worklist.pages.frame import page, zone_of
from orchestrator.worklist.pages.guard import HTML, PageCall, PageCallOf
from orchestrator.worklist.problems import Problem
from orchestrator.worklist.retrying import Outcome

PURPOSE_MIN: Final = 10
REASON_MIN: Final = 3
WORDS_MAX: Final = 1000
SHORT: Final = f"Say in at least {PURPOSE_MIN} characters what you need it for."
WHY: Final = "Say why it is dropped."
SEEN_WITHIN_S: Final = 5.0
TICK_S: Final = 0.25


class SeenQuery(NoQuery):
    """What the page that one comes from has just done: the rows may be a moment behind."""

    done: bool = False
    tries: Annotated[int | None, Field(ge=0, le=1_000_000)] = None


@rule("dead-letters", media=HTML)
async def one(call: PageCallOf, place: Place, query: Annotated[SeenQuery, Query()]) -> Response:
    """One letter without its bytes; whoever may have those is asked what for."""
    await _until_seen(call, place, query)
    return await shown(call, place)


async def _until_seen(call: PageCall, place: str, query: SeenQuery) -> None:
    end = edge.elapsed() + SEEN_WITHIN_S
    while (query.done or query.tries is not None) and edge.elapsed() < end:
        letter, _ = await _found(call, place)
        tried = query.tries is not None and letter.tries >= query.tries
        if letter.status != "open" or (tried and not query.done):
            return
        await call.site.hub.tick(TICK_S)


async def shown(
    call: PageCall,
    place: str,
    status: int = 200,
    *,
    errors: tuple[tuple[str, str], ...] = (),
    told: Outcome | None = None,
    purpose: str = "",
    why: str = "",
    raw: bool = False,
    typed: str | None = None,
) -> Response:
    """
    The page.

    Args:
        errors: Fields and what is wrong with them.
        told: What became of it just now.
        purpose: What its bytes are, or were, opened for.
        why: Why it is to be dropped, as it was typed.
        raw: Show the bytes; that is recorded already.
        typed: What somebody has made of the bytes.
    """
    letter, value = await _found(call, place)
    edits = await call.site.reader.ask(lambda db: letters.edits(db, place))
    cut = letter.size > KEPT
    text = None if cut else dead_letter_parse.text_of(value)
    now, zone = call.site.log_now(), zone_of(call.site, None)
    return await page(
        call.request,
        "dead_letter.html",
        "Dead letter",
        status,
        letter=line_of(call, letter),
        cure=dead_letter_words.cure(letter.reason),
        segments=dead_letter_words.segments(value),
        edits=[(edit, wording.moment(edit.at, zone, now)) for edit in edits],
        original=letter.headers[EDITS] if letter.status == EDIT else None,
        errors=errors,
        told=None if told is None else dead_letter_words.outcome(told),
        purpose=purpose,
        why=why,
        least=PURPOSE_MIN,
        raw=value.decode("utf-8", "backslashreplace").replace("\r", "\n") if raw else None,
        parts=dead_letter_parse.parts(value, letter.headers.get("error", "")) if raw else [],
        typed=(typed if typed is not None else text) if raw or typed is not None else None,
        cut=cut,
        may=call.who.may,
        printable=not raw,
    )


@rule("dead-letter-bytes", "raw", limit="actions", media=HTML)
async def raw(call: PageCallOf, place: Place) -> Response:
    """The bytes, once it is written down who wanted them and what for."""
    purpose = " ".join(said(call, "purpose").split())
    call.account.objects.append(f"{OBJECT}/{place}")
    if not PURPOSE_MIN <= len(purpose) <= WORDS_MAX:
        return await shown(call, place, 422, errors=(("purpose", SHORT),), purpose=purpose)
    call.account.purpose = purpose
    call.account.rows = 1
    return await shown(call, place, purpose=purpose, raw=True)


@rule("dead-letter-retry", "retry", limit="actions", media=HTML)
async def retry(call: PageCallOf, place: Place) -> Response:
    """Send it again as it is; what followed is said on its page."""
    letter, _ = await _found(call, place)
    try:
        outcome = await call.site.retrying.retry(
            call.who, place, call.account, wait_s=call.site.action_wait
        )
    except Problem as problem:
        return await _not_done(call, place, problem)
    return _done(call, letter, outcome)


@rule("dead-letter-bytes", "retry", limit="actions", media=HTML)
async def mend(call: PageCallOf, place: Place) -> Response:
    """Send what somebody made of it; where that is refused, their words are not lost."""
    typed, purpose = str(call.form.get("text", "")), " ".join(said(call, "purpose").split())
    letter, value = await _found(call, place)
    if not typed.strip():
        errors = (("text", "Nothing is left of the message."),)
        return await shown(call, place, 422, errors=errors, typed=typed, purpose=purpose)
    mended = dead_letter_parse.bytes_of(typed)
    text = None if letter.size > KEPT else dead_letter_parse.text_of(value)
    unchanged = text is not None and mended == dead_letter_parse.bytes_of(text)
    call.account.purpose = purpose[:WORDS_MAX] or None
    try:
        outcome = await call.site.retrying.retry(
            call.who,
            place,
            call.account,
            replacement=None if unchanged else mended,
            wait_s=call.site.action_wait,
        )
    except Problem as problem:
        return await _not_done(call, place, problem, typed=typed, purpose=purpose)
    if outcome.result != "refused" or outcome.letter is not None:
        return _done(call, letter, outcome)
    return await shown(call, place, told=outcome, typed=typed, purpose=purpose)


@rule("dead-letter-bytes", "discard", limit="actions", media=HTML)
async def discard(call: PageCallOf, place: Place) -> Response:
    """Drop it, with a reason; it is kept as long as the others."""
    why = " ".join(said(call, "reason").split())
    if not REASON_MIN <= len(why) <= WORDS_MAX:
        return await shown(call, place, 422, errors=(("reason", WHY),), why=why)
    try:
        await call.site.retrying.discard(call.who, place, call.account, why)
    except Problem as problem:
        return await _not_done(call, place, problem, why=why)
    call.site.pages.flash(call.who.actor, {"text": "Dropped.", "undo": None})
    return RedirectResponse(f"/dead-letters/{place}?done=true", 303)


def _done(call: PageCall, letter: Letter, outcome: Outcome) -> Response:
    text = dead_letter_words.outcome(outcome)
    call.site.pages.flash(call.who.actor, {"text": text, "undo": None})
    stays = outcome.result == "refused" and outcome.letter is None
    seen = f"tries={letter.tries + 1}" if stays else "done=true"
    # Where deciding refused it, the letter that it became says what is wrong now.
    place = outcome.letter or letter.place
    return RedirectResponse(f"/dead-letters/{place}{'' if outcome.letter else f'?{seen}'}", 303)


async def _not_done(call: PageCall, place: str, problem: Problem, **more: Any) -> Response:
    """The page again, every word in it, and what kept it from being done."""
    if problem.reason not in ("not-possible-now", "unavailable"):
        raise problem
    words = str(problem.detail)
    if problem.reason == "unavailable":
        words = f"{not_saved(problem)} Request {call.request_id}."
    return await shown(call, place, problem.status_code, errors=(("", words),), **more)


@rule("dead-letters", media=HTML)
async def its_page(call: PageCallOf, place: Place) -> Response:
    """What a form is sent to has no page of its own: the letter's is shown."""
    await _found(call, place)
    return RedirectResponse(f"/dead-letters/{place}", 303)


async def _found(call: PageCall, place: str) -> tuple[Letter, bytes]:
    found = await call.site.reader.ask(lambda db: letters.one(db, call.who, place))
    if found is None:
        raise Problem("not-found")
    return found


SENT_TO: Final = ("raw", "retry", "mend", "discard")
ROUTES: Final = (
    *((f"/dead-letters/{{place}}/{name}", ["GET"], its_page) for name in SENT_TO),
    ("/dead-letters/{place}", ["GET"], one),
    ("/dead-letters/{place}/raw", ["POST"], raw),
    ("/dead-letters/{place}/retry", ["POST"], retry),
    ("/dead-letters/{place}/mend", ["POST"], mend),
    ("/dead-letters/{place}/discard", ["POST"], discard),
)
