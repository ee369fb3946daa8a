"""``dlq``: what could not be taken, looked at, sent again or put away, straight on the log.

Needs no running worklist.  What is done is recorded, under the name that the machine knows, before
anything is said of it; no byte of a letter is printed but by ``--raw``.
"""

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from orchestrator import log
from orchestrator.cli import dlq_words as words
from orchestrator.cli import site
from orchestrator.cli.console import hint, progress, say, say_json
from orchestrator.cli.dlq_desk import Desk, is_nobody, opened
from orchestrator.cli.dlq_sending import Sending
from orchestrator.cli.faults import NO, Away, Fault, Mistake, No, as_mistakes
from orchestrator.worklist import edge
from orchestrator.worklist.audit import Account
from orchestrator.worklist.log.feed import LogAway
from orchestrator.worklist.model import letters
from orchestrator.worklist.model.letters import OBJECT, Chosen, Letter, Status
from orchestrator.worklist.pages import dead_letter_words
from orchestrator.worklist.problems import Problem
from orchestrator.worklist.retrying_many import MOST

if TYPE_CHECKING:
    from orchestrator.cli.console import Progress
    from orchestrator.worklist.log.feed import Record

PURPOSE_MIN: Final = 10
REASON_MIN: Final = 3
WORDS_MAX: Final = 1000
MESSAGE_BYTES: Final = 1024 * 1024
ALL: Final = sys.maxsize
STDIN: Final = Path("-")
Tell = Callable[[], None]  # prints the answer
_NAME: Final = re.compile(r"[A-Za-z0-9._@-]{1,64}")
_ID: Final = re.compile(r"care\.dead-letter\.v1-\d{1,9}-\d{1,19}")


def listed(
    data_dir: Path | None,
    *,
    reason: str | None,
    facility: str | None,
    status: Status,
    as_json: bool,
) -> None:
    """Print the letters of that status, the oldest first."""

    async def asked(desk: Desk, _: "Progress") -> Tell:
        chosen = Chosen(reason, facility, None, status)
        found = await _listed(desk, chosen)
        if as_json:
            items = [letters.as_plain(one, desk.facilities) for one in found]
            return partial(say_json, {"items": items, "count": len(items)})
        now = desk.log_now()
        lines = words.table(found, desk.facilities, now) if found else []
        return partial(say, "\n".join([*lines, words.last_line(status, found, now)]))

    _run(data_dir, asked)


async def _listed(desk: Desk, chosen: Chosen) -> list[Letter]:
    found = await desk.ask(lambda db: letters.listed(db, desk.who, chosen, 0, ALL))
    return sorted((letter for _, letter in found), key=lambda one: (one.at, one.place))


def show(place: str, data_dir: Path | None, *, as_json: bool) -> None:
    """Print all that is told of one letter without a value of its."""
    _check_id(place)

    async def asked(desk: Desk, _: "Progress") -> Tell:
        letter = await _letter(desk, place)
        edits = await desk.ask(lambda db: letters.edits(db, place))
        tries = await desk.ask(lambda db: letters.tries(db, place))
        segments = dead_letter_words.segments((await _lying(desk, place)).value or b"")
        shown = words.Shown(letter, edits, tries, segments)
        if as_json:
            return partial(say_json, words.as_plain(shown, desk.facilities))
        return partial(say, "\n".join(words.in_full(shown, desk.facilities, desk.log_now())))

    _run(data_dir, asked, place=place)


def raw(place: str, data_dir: Path | None, *, purpose: str | None, by: str | None) -> None:
    """Write one letter's bytes, once it is recorded who wanted them and what for."""
    _check_id(place)
    _check_by(by)
    said = _said("--purpose", purpose, PURPOSE_MIN, "what the bytes are needed for")

    async def asked(desk: Desk, _: "Progress") -> Tell:
        letter = await _letter(desk, place)
        value = (await _lying(desk, place)).value or b""
        account = Account(objects=[f"{OBJECT}/{place}"], purpose=said, rows=1)
        await desk.audit.write(desk.who, "raw", "success", account, edge.new_id())
        return partial(_write, value, letter.size)

    _run(data_dir, asked, place=place, by=by)


def _write(value: bytes, size: int) -> None:
    if sys.stdout.isatty():
        say(words.readable(value))
    else:
        sys.stdout.buffer.write(value)
        sys.stdout.buffer.flush()
    if size > len(value):
        hint(f"only the first {len(value):,} of {size:,} bytes were kept")


def retry(
    place: str | None,
    data_dir: Path | None,
    *,
    reason: str | None,
    everything: bool,
    replacement: Path | None,
    dry_run: bool,
    by: str | None,
    as_json: bool,
) -> None:
    """
    Send letters again, or look what would become of them; exit 1 if one is refused.

    Raises:
        Mistake: Not one of *place*, *reason* and *everything* says which.
    """
    if sum((place is not None, reason is not None, everything)) != 1:
        raise Mistake("say which: an ID, --reason R or --all (`dlq list` prints what waits)")
    if replacement is not None and place is None:
        raise Mistake("--replacement goes with one ID: it stands in for that message")
    if place is not None:
        _check_id(place)
    if not dry_run:
        _check_by(by)
    mended = None if replacement is None else _read(replacement)

    async def asked(desk: Desk, bar: "Progress") -> Tell:
        sending = Sending(desk, bar, dry_run=dry_run)
        if place is not None:
            one = await sending.one(place, mended)
            return partial(_tell_one, one, dry_run=dry_run, as_json=as_json)
        if reason is not None:
            await _check_reason(desk, reason)
        return partial(_tell_many, await sending.many(Chosen(reason)), as_json=as_json)

    _run(data_dir, asked, place=place, sending=True, by=by)


def _tell_one(one: Mapping[str, Any], *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        say_json({**one, "dry_run": dry_run})
    else:
        say(words.result(one, dry_run=dry_run))
    if one["result"] == "refused":
        sys.exit(NO)


def _tell_many(many: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        say_json(many)
    else:
        say("\n".join(words.results(many)))
    if many["ended_by"] is not None:
        raise Problem(many["ended_by"])
    if many["letters"] + many["left"] == MOST:
        hint(f"at most {MOST:,} are dealt with at once: again for the rest")
    if many["left"]:
        hint(f"stopped: {many['left']:,} not looked at, they wait as before")
    if many["refused"] or many["left"]:
        sys.exit(NO)


def discard(
    place: str, data_dir: Path | None, *, reason: str | None, by: str | None, as_json: bool
) -> None:
    """Put a letter away for good, with the reason."""
    _check_id(place)
    _check_by(by)
    said = _said("--reason", reason, REASON_MIN, "why it is not needed")

    async def asked(desk: Desk, _: "Progress") -> Tell:
        account = Account()
        await desk.retrying.discard(desk.who, place, account, said)
        await desk.audit.write(desk.who, "discard", "success", account, edge.new_id())
        if as_json:
            return partial(say_json, {"id": place, "status": "discarded", "reason": said})
        return partial(say, f"{place}  dropped; it is kept as long as the others")

    _run(data_dir, asked, place=place, by=by)


def _run(
    data_dir: Path | None,
    question: "Callable[[Desk, Progress], Awaitable[Tell]]",
    *,
    place: str | None = None,
    sending: bool = False,
    by: str | None = None,
) -> None:
    """Open a desk, and tell in words what keeps *question* from being answered."""
    here = site.load(data_dir=data_dir)
    log.configure("error", here.log_format)

    async def run() -> Tell:
        with progress() as bar:
            async with opened(here, bar("reading"), sending=sending, by=by) as desk:
                return await question(desk, bar)

    try:
        tell = asyncio.run(run())
        tell()  # not while a bar is on the screen: it would take the lines for its own
    except Problem as problem:
        raise _fault(problem, place) from None
    except LogAway as problem:
        raise Away(f"the log does not answer: {problem}") from None
    except KeyboardInterrupt:
        raise No("ended at once; what was sent stays sent, `dlq list` says what waits") from None


def _fault(problem: Problem, place: str | None) -> Fault:
    match problem.reason:
        case "not-found":
            return No(f"{place}: no such dead letter is kept; `dlq list` prints those that wait")
        case "not-possible-now":
            said = problem.more.get("why", "").rpartition(" by ")[2]
            by = f", by {said}" if said else ""
            detail = problem.detail.rstrip(".")
            return No(f"{place}: {detail[:1].lower()}{detail[1:]}{by}")
        case "audit-unavailable":
            return Away(
                "it could not be recorded who did this, so nothing is shown; the letter waits as"
                " before, and may be sent again: what came twice has one effect"
            )
        case "unavailable":
            return Away(
                "the log does not answer; what was not told of waits as before, and may be sent"
                " again: what came twice has one effect"
            )
    return No(problem.detail)


async def _letter(desk: Desk, place: str) -> Letter:
    found = await desk.ask(lambda db: letters.one(db, desk.who, place))
    if found is None:
        raise Problem("not-found")
    return found[0]


async def _lying(desk: Desk, place: str) -> "Record":
    found = await desk.record(place)
    if found is None:
        raise Problem("not-found")
    return found


async def _check_reason(desk: Desk, reason: str) -> None:
    """A mistyped reason is no reason that nothing waits for."""
    counts = await desk.ask(partial(letters.counts, who=desk.who))
    there = {name: count for name, count, _ in counts}
    if reason not in there and reason not in dead_letter_words.REASONS:
        waiting = ", ".join(f"{name} {count:,}" for name, count in there.items()) or "nothing"
        raise Mistake(f"--reason {words.plain(reason)}: no such reason; waiting: {waiting}")


def _check_id(place: str) -> None:
    if not _ID.fullmatch(place):
        raise Mistake(
            f"{words.plain(place)}: must be an id as `dlq list` prints it, like"
            " care.dead-letter.v1-3-17"
        )


def _check_by(by: str | None) -> None:
    if by is None and is_nobody():
        raise Mistake("say who you are, it is recorded: --by NAME (this user is a service's own)")
    if by is not None and not _NAME.fullmatch(by):
        raise Mistake("--by must be a name of 1 to 64 letters, digits and . _ @ -")


def _said(option: str, text: str | None, least: int, what: str) -> str:
    said = " ".join((text or "").split())
    if not least <= len(said) <= WORDS_MAX:
        raise Mistake(f"{option} must say {what}, in {least} to {WORDS_MAX:,} characters")
    return said


def _read(path: Path) -> bytes:
    if path == STDIN:
        found = sys.stdin.buffer.read(MESSAGE_BYTES + 1)
    else:
        with as_mistakes(), path.open("rb") as file:
            found = file.read(MESSAGE_BYTES + 1)
    if len(found) > MESSAGE_BYTES:
        raise Mistake(f"{path}: has more than 1 MiB, which is the most that a message may have")
    return found
