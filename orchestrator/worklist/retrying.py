"""Sends a dead letter again, or puts it away; what became of it stands in the audit log.

What is sent goes through the same adapters as at a door (`stream.resend`).  A letter that would be
refused again stays open, and nothing is appended.  One that is sent twice, because the first
answer was lost, has one effect: its event has the same id.
"""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final, Literal, NamedTuple, Protocol, TypeVar

import structlog

from events.reject import Reject
from orchestrator.stream import resend
from orchestrator.worklist import edge, measures
from orchestrator.worklist.access.roles import Principal
from orchestrator.worklist.audit import Account
from orchestrator.worklist.instants import text_of
from orchestrator.worklist.log.feed import LETTERS, LogAway, Places, Record, Sender
from orchestrator.worklist.model import letters, stories
from orchestrator.worklist.model.letters import Letter
from orchestrator.worklist.problems import Problem
from schemas.facilities import Facilities

Result = Literal["accepted", "ignored", "refused", "pending"]

TICK_S: Final = 0.5
MOST_DONE: Final = 20_000
TOLD_S: Final = 60.0  # within which the rows tell what was done
DONE: Final[dict[str, str]] = {"retried": "sent again", "discarded": "dropped"}

T = TypeVar("T")

logger = structlog.get_logger()


class Rows(Protocol):
    """Who answers from the rows."""

    async def ask(self, question: Callable[[sqlite3.Connection], T]) -> T: ...


class Ticks(Protocol):
    """Where one waits for more rows."""

    async def tick(self, wait_s: float) -> None: ...


class Reached(Protocol):
    """How far the rows are."""

    @property
    def until(self) -> int | None: ...


class Around(Protocol):
    """What sending again needs: a worklist has it, and a terminal puts it together."""

    @property
    def reader(self) -> Rows: ...
    @property
    def hub(self) -> Ticks: ...
    @property
    def freshness(self) -> Reached: ...
    @property
    def knows_deeds(self) -> bool: ...
    @property
    def places(self) -> Places: ...
    @property
    def sender(self) -> Sender: ...
    @property
    def facilities(self) -> Facilities: ...
    @property
    def log_now(self) -> Callable[[], int]: ...
    @property
    def key_of(self) -> Callable[[str], str]: ...


class Sent(NamedTuple):
    """
    A letter that was sent again, or would be.

    Attributes:
        again: What was appended; nothing where it would be refused, or means nothing here.
        behind: The last row of the change log before it.
        letters_behind: The last letter before it.
        values: Of what was appended the sizes and digests.
        until: The log's time after it.
    """

    letter: Letter
    again: resend.Again
    behind: int = 0
    letters_behind: int = 0
    values: tuple[tuple[int, bytes], ...] = ()
    until: int = 0


class Outcome(NamedTuple):
    """
    What became of a letter.

    Attributes:
        result: ``accepted``; ``ignored``: legal, and nothing here follows from it; ``refused``: it
            stays, or came back as *letter*; ``pending``: stored, and not decided on yet.
        reason, detail: Why it was refused; a word of the contract, a sentence without values.
        changes, tasks: How many changes followed from it, and of how many tasks.
        letter: The place of the new letter, where deciding refused it.
    """

    result: Result
    reason: str | None = None
    detail: str | None = None
    changes: int = 0
    tasks: int = 0
    letter: str | None = None


class Retrying:
    """The way of dead letters back to where they came from."""

    def __init__(self, site: Around) -> None:
        self._site = site
        self._underway: set[str] = set()
        # By place, what was done and the rows do not tell yet, and when that was.
        self._done: dict[str, tuple[str, float]] = {}

    async def retry(
        self,
        who: Principal,
        place: str,
        account: Account,
        *,
        replacement: bytes | None = None,
        wait_s: float,
    ) -> Outcome:
        """
        Send the letter of *place* again, and wait for what follows.

        Args:
            account: What the audit will say; the caller writes it.
            replacement: What *who* made of it; kept beside the original.

        Raises:
            Problem: It is not there, not open any more, or could not be stored.
        """
        async with self.of(place, account):
            sent = await self.send(who, place, account, replacement=replacement)
            outcome = await self.outcome(sent, wait_s)
        told(sent.letter, outcome)
        return outcome

    async def discard(self, who: Principal, place: str, account: Account, reason: str) -> Letter:
        """
        Put the letter of *place* away for good.

        Raises:
            Problem: It is not there, or not open any more.
        """
        async with self.of(place, account):
            letter = await self._open(who, place)
            account.purpose = reason
            account.rows = 1
            self._did(place, "discarded")
        logger.info("dead_letter.discarded", reason=letter.reason, stage=letter.stage)
        return letter

    @asynccontextmanager
    async def of(self, place: str, account: Account) -> AsyncIterator[None]:
        """One at a time does anything about a letter."""
        account.objects.append(f"{letters.OBJECT}/{place}")
        if place in self._underway:
            raise Problem("not-possible-now", "It is being sent again at this moment.")
        self._underway.add(place)
        try:
            yield
        finally:
            self._underway.discard(place)

    def _did(self, place: str, deed: str) -> None:
        """Of what could not be recorded the rows will never tell: then it may be done again."""
        now = edge.elapsed()
        if len(self._done) >= MOST_DONE:
            self._done = {name: one for name, one in self._done.items() if now < one[1] + TOLD_S}
        self._done[place] = (deed, now)

    async def _open(self, who: Principal, place: str) -> Letter:
        site = self._site
        found = await site.reader.ask(lambda db: letters.one(db, who, place))
        if found is None:
            raise Problem("not-found")
        letter = found[0]
        if letter.status != "open":
            self._done.pop(place, None)
        elif (done := self._done.get(place)) is not None and edge.elapsed() < done[1] + TOLD_S:
            raise Problem("not-possible-now", f"It was {DONE[done[0]]} a moment ago.")
        elif not site.knows_deeds:
            raise Problem("unavailable", "What became of it before is not known yet.")
        if letter.status == "edit":
            raise Problem("not-possible-now", "It is what somebody made of another one.")
        if letter.status != "open":
            raise Problem(
                "not-possible-now",
                f"It was {DONE[letter.status]} at {text_of(letter.decided_at or 0)}.",
                why=f"{DONE[letter.status]} by {letter.decided_by}",
            )
        return letter

    async def look(
        self, who: Principal, place: str, replacement: bytes | None = None
    ) -> tuple[Letter, resend.Again]:
        """What sending it again would append; nothing is."""
        letter = await self._open(who, place)
        site = self._site
        try:
            whole = await self._record(letter.place)
            lay = None
            if (lies := resend.place_of(letter.headers)) is not None:
                lay = await site.places.record(*lies)
        except LogAway:
            raise Problem("unavailable") from None
        if whole is None:
            raise Problem("not-found", "The log does not keep it any more.")
        value = whole.value or b""
        original = resend.Letter(letter.at, letter.headers, value, letter.size, whole.pairs)
        try:
            again = resend.again(
                original,
                None if lay is None else resend.Lay(lay.value or b"", lay.pairs),
                site.facilities,
                site.key_of,
                receipt=text_of(site.log_now()),
                replacement=replacement,
            )
        except Exception as bug:
            # It may be the very one that made the letter.
            logger.exception("record.failed", stage="retry")
            again = resend.Again(reject=Reject("handler-failed", type(bug).__name__))
        _refuse_foreign(who, again, site.facilities, mended=replacement is not None)
        return letter, again

    async def _record(self, place: str) -> Record | None:
        topic, partition, offset = place.rsplit("-", 2)
        return await self._site.places.record(topic, int(partition), int(offset))

    async def send(
        self, who: Principal, place: str, account: Account, *, replacement: bytes | None = None
    ) -> Sent:
        """
        Append what it becomes, and say in *account* what was done.

        Raises:
            Problem: As `retry`.
        """
        site = self._site
        letter, again = await self.look(who, place, replacement)
        account.patient_keys.update(map(site.key_of, again.subjects))
        account.rows = len(again.rows)
        if again.reject is not None:
            account.outcome = "refused"
            return Sent(letter, again)
        behind, before = await site.reader.ask(lambda db: (stories.end(db), letters.end(db)))
        try:
            if replacement is not None:
                await self._keep(who, letter, replacement)
            for row in again.rows:
                key = None if row.subject is None else site.key_of(row.subject)
                await site.sender.send(row.topic, key, row.value, row.headers)
        except LogAway:
            raise Problem("unavailable") from None
        self._did(place, "retried")
        values = tuple((len(row.value), letters.digest(row.value)) for row in again.rows)
        # What was appended may be long, and many letters may be sent at once.
        return Sent(letter, again._replace(rows=()), behind, before, values, site.log_now())

    async def _keep(self, who: Principal, letter: Letter, replacement: bytes) -> None:
        """What somebody made of a letter lies beside it, for as long."""
        headers = {
            "reason": letter.reason,
            "stage": letters.EDIT,
            letters.EDITS: letter.place,
            letters.EDITOR: who.actor,
        }
        await self._site.sender.send(LETTERS, None, replacement, headers)

    async def outcome(self, sent: Sent, wait_s: float) -> Outcome:
        """What followed, as far as it is known within *wait_s*."""
        again = sent.again
        if again.reject is not None:
            return Outcome("refused", again.reject.reason, again.reject.detail)
        if not again.events:
            return Outcome("ignored")
        site, left = self._site, wait_s
        while True:
            # Asked first: what it promises is in the rows that are read after it.
            reached = site.freshness.until
            known = reached is not None and reached > sent.until
            outcome = await site.reader.ask(partial(_outcome, sent=sent, known=known))
            if outcome.result != "pending" or left <= 0:
                return outcome
            await site.hub.tick(min(TICK_S, left))
            left -= TICK_S


def _refuse_foreign(
    who: Principal, again: resend.Again, facilities: Facilities, *, mended: bool
) -> None:
    """
    What somebody sends is of their facilities; what they mend is a hospital's, and of whom it was.

    Raises:
        Problem: ``facility-not-allowed``, ``forbidden``, ``unprocessable``.
    """
    if not all(map(who.sees_facility, again.facilities)):
        raise Problem("facility-not-allowed")
    if not mended:
        return
    if any(kind.startswith(resend.COMMANDS) for kind in again.types):
        raise Problem("unprocessable", "What a care team did is said by who did it, not mended.")
    if who.facilities is None:
        return
    # The facility is what the bytes say, and the bytes are now of whoever mends.
    if again.types & resend.IDENTITY_TYPES:
        raise Problem("forbidden", "Who is whom is mended by who sees all facilities.")
    if again.named:
        if not again.named.issuperset(again.subjects):
            raise Problem("forbidden", "Another patient's is mended by who sees all facilities.")
    elif not all(s.partition("|")[0] in _authorities(who, facilities) for s in again.subjects):
        raise Problem("facility-not-allowed")


def _authorities(who: Principal, facilities: Facilities) -> set[str]:
    """Who gives the identifiers at the facilities of somebody."""
    names = who.facilities or frozenset()
    feeds = (feed for name in names for feed in facilities.get(name).feeds)
    return {*names, *(feed.authority for feed in feeds if feed.authority)}


def _outcome(db: sqlite3.Connection, *, sent: Sent, known: bool) -> Outcome:
    again = sent.again
    back = letters.parked_again(db, sent.values, sent.letters_behind)
    if back is not None:
        return Outcome("refused", back.reason, back.headers.get("error"), letter=back.place)
    changes, tasks = stories.brought(db, again.events, sent.behind)
    # That an event came is itself a change; one that is a repeat brings none.
    known = known or stories.have_come(db, again.events, sent.behind)
    return Outcome("accepted" if known else "pending", changes=changes, tasks=tasks)


def told(letter: Letter, outcome: Outcome) -> None:
    """Count and log what became of a letter."""
    measures.LETTER_RETRIES.labels(outcome.result).inc()
    logger.info(
        "dead_letter.retried",
        result=outcome.result,
        reason=outcome.reason or letter.reason,
        stage=letter.stage,
    )
