"""Does what a caller asks: publishes the event and waits for the change that names it.

So the actor reads their own write, and of fifty who want the same thing exactly one gets it: the
log decides the order, and everybody hears the verdict on their own event.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, NamedTuple, cast

import orjson
import structlog

from orchestrator.worklist import commands, edge, measures, recipients
from orchestrator.worklist.access.roles import Principal
from orchestrator.worklist.access.store import Action as Begun
from orchestrator.worklist.instants import text_of
from orchestrator.worklist.log.feed import OUTCOMES, LogAway
from orchestrator.worklist.model import lists, stories
from orchestrator.worklist.model.filters import Where
from orchestrator.worklist.problems import Problem
from orchestrator.worklist.site import Site

FORGET_EACH: Final = 1_000  # actions; the first of a process among them

NOT_BY_HAND: Final = "Nobody can close this by hand; it closes when what is missing is there."
BULK: Final = "bulk"  # what one key for many tasks stands under

logger = structlog.get_logger()


class Outcome(NamedTuple):
    """What became of an action: the thing as it stands after it; ``None``: not known yet."""

    event_id: str
    thing: dict[str, Any] | None
    why: str | None


class Asked(NamedTuple):
    """One action that somebody asks for."""

    action: commands.Action
    kind: str  # `task`, or `gap` for an acknowledgement
    name: str
    key: str  # the Idempotency-Key
    version: int | None  # If-Match
    body: Mapping[str, Any]
    trace: str | None = None  # traceparent


class Acting:
    """The way of actions from a request to its answer."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._underway: set[str] = set()
        self._begun = 0

    async def act(self, who: Principal, asked: Asked, visible: Where, wait_s: float) -> Outcome:
        """
        Do it.

        Args:
            visible: What *who* may see: what is not is not there.
            wait_s: How long to wait for the change.

        Raises:
            Problem: It is not possible, not allowed, or could not be stored.
        """
        event = commands.event_id(who.actor, asked.name, asked.key)
        if event in self._underway:
            raise Problem("idempotency-key-in-progress")
        self._underway.add(event)
        started = edge.elapsed()
        result, reason = "refused", "internal"
        try:
            outcome = await self._act(who, asked, visible, event, wait_s)
        except Problem as problem:
            result = {409: "conflict", 412: "stale"}.get(problem.status_code, "refused")
            reason = problem.reason
            raise
        else:
            result = "pending" if outcome.thing is None else "applied"
            return outcome
        finally:
            self._underway.discard(event)
            took = edge.elapsed() - started
            measures.ACTIONS.labels(asked.action, result).inc()
            measures.ACTION_SECONDS.labels(asked.action).observe(took)
            _tell(asked, event, result, reason, took)

    async def _act(
        self, who: Principal, asked: Asked, visible: Where, event: str, wait_s: float
    ) -> Outcome:
        site = self._site
        begun = await asyncio.to_thread(site.store.action, event)
        print_ = commands.fingerprint(asked.action, asked.version, asked.body)
        if begun is None:
            thing = await self._thing(asked.kind, asked.name, visible)
            if thing is None:
                raise Problem("not-found")
            self._check(who, asked, thing)
            _, value = commands.event(
                asked.action,
                thing,
                who,
                asked.body,
                event=event,
                version=asked.version,
                now=site.log_now(),
                trace=asked.trace,
            )
            fresh = Begun(event, who.actor, print_, value, False, asked.name, asked.action)
            begun = await self._begin(fresh)
        # From here on nothing asks what is visible: a repeat has the answer that the first had,
        # also once the task has been passed on.
        if begun.fingerprint != print_:
            raise Problem("idempotency-key-reused")
        return await self._finish(asked, begun, visible, wait_s)

    async def _begin(self, action: Begun) -> Begun:
        begun = await asyncio.to_thread(self._site.store.begin, action, edge.now())
        self._begun += 1
        if self._begun % FORGET_EACH == 1:
            await asyncio.to_thread(self._forget)
        return begun

    def _forget(self) -> None:
        """What is over and past in the worklist's own files; by each process now and then."""
        now = edge.now()
        self._site.store.forget(now)
        self._site.pages.forget(now)

    @asynccontextmanager
    async def together(
        self, who: Principal, key: str, body: Mapping[str, Any]
    ) -> AsyncIterator[None]:
        """
        While many are done under one *key*: it stands for this body and no other.

        Raises:
            Problem: The key was used for something else, or is being used.
        """
        event = commands.event_id(who.actor, BULK, key)
        if event in self._underway:
            raise Problem("idempotency-key-in-progress")
        self._underway.add(event)
        try:
            print_ = commands.fingerprint(BULK, None, body)
            begun = await self._begin(Begun(event, who.actor, print_, b"", True, BULK, BULK))
            if begun.fingerprint != print_:
                raise Problem("idempotency-key-reused")
            yield
        finally:
            self._underway.discard(event)

    async def again(
        self, who: Principal, name: str, key: str, visible: Where, wait_s: float
    ) -> Outcome | None:
        """
        What became of the action that *who* began on *name* under *key*; ``None``: there is none.

        For a door whose requests say what should be, not what to do: once done, the same request
        would mean something else.
        """
        event = commands.event_id(who.actor, name, key)
        begun = await asyncio.to_thread(self._site.store.action, event)
        if begun is None:
            return None
        asked = Asked(cast(commands.Action, begun.action), "task", name, key, None, {})
        return await self._finish(asked, begun, visible, wait_s)

    async def _finish(self, asked: Asked, begun: Begun, visible: Where, wait_s: float) -> Outcome:
        event = begun.event_id
        async with self._site.hub.awaiting(event) as woken:
            if not begun.stored:
                await self._store(event, begun.value)
            return await self._verdict(asked, event, visible, woken, wait_s)

    async def _store(self, event: str, value: bytes) -> None:
        try:
            await self._site.sender.send(OUTCOMES, None, value)
        except LogAway:
            raise Problem("unavailable") from None
        # Not stored twice by a repeat; if this is lost, the repeat has the same bytes and no
        # second effect.
        await asyncio.to_thread(self._site.store.stored, event)

    async def _verdict(
        self, asked: Asked, event: str, visible: Where, woken: asyncio.Event, wait_s: float
    ) -> Outcome:
        until = edge.elapsed() + wait_s
        while True:
            woken.clear()
            found = await self._site.reader.ask(lambda db: stories.verdict(db, event))
            if found is not None:
                return await self._told(asked, event, visible, found)
            left = until - edge.elapsed()
            if left <= 0:
                return Outcome(event, None, None)
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await woken.wait()

    async def _told(
        self, asked: Asked, event: str, visible: Where, verdict: stories.Told
    ) -> Outcome:
        change = orjson.loads(verdict.value)
        if change["change"] == "command.refused":
            await self._refused(asked, visible, change)

        # A note changes nothing, an acknowledgement may change another thing: it stands as it did.
        def read(db: sqlite3.Connection) -> tuple[dict[str, Any], str] | None:
            stood = stories.stood(db, event, asked.kind, asked.name, verdict.number)
            if stood is None:
                return None
            then = orjson.loads(stood.value)
            masked = bool(stories.masked_now(db, [stood]))
            thing = then[asked.kind]
            return {**thing, "masked": masked or thing.get("masked", False)}, then["why"]

        found = await self._site.reader.ask(read)
        return Outcome(event, None, None) if found is None else Outcome(event, *found)

    async def _refused(self, asked: Asked, visible: Where, change: dict[str, Any]) -> None:
        reason = change["command"]["reason"]
        if reason == "unknown-task":
            raise Problem("not-found")
        if reason == "role" and asked.kind == "task":
            raise Problem("forbidden", "Policy lets another role do this.")
        # What came before it may not be visible yet when the refusal is: both are of one step.
        thing = await self._thing(asked.kind, asked.name, visible)
        sentence = change["why"]
        if thing is not None:
            why = thing.pop("why", None)
            told = commands.impossible(asked.action, thing, why) if asked.kind == "task" else why
            if reason == "role":  # of a gap no role is the right one: it is not who asks
                told = NOT_BY_HAND
            if reason == "version" and told is None:
                raise Stale(thing, why)
            sentence = told or sentence
        raise Conflict(thing, sentence)

    def _check(self, who: Principal, asked: Asked, thing: dict[str, Any]) -> None:
        """What can be said without asking the log: never what only an older state would say."""
        why = thing.pop("why", None)
        if "to" in asked.body:
            recipients.check(self._site, who, thing, asked.body["to"])
        commands.check_said(thing, who, asked.body)
        if asked.kind != "task":
            return
        commands.check_owner(asked.action, thing, who)
        seen = asked.version
        if seen is not None and seen > thing["version"]:
            return  # the caller has seen more than is here yet
        told = commands.impossible(asked.action, thing, why)
        if told is not None:
            if asked.action == "accept" and thing["owner"] == who.actor and seen is not None:
                told = "You have accepted it already."
            raise Conflict(thing, told)
        if seen is not None and seen < thing["version"]:
            raise Stale(thing, why)

    async def _thing(self, kind: str, name: str, visible: Where) -> dict[str, Any] | None:
        def read(db: sqlite3.Connection) -> dict[str, Any] | None:
            row = lists.one(db, f"{kind}s", name, visible)
            if row is None:
                return None
            (at,) = db.execute(
                f"SELECT updated_at FROM {kind}s WHERE id = ?",
                (row.number,),
            ).fetchone()
            thing: dict[str, Any] = orjson.loads(row.value)
            return {**thing, "why": row.why, "changed_at": text_of(at)}

        return await self._site.reader.ask(read)

    async def state(self, who: Principal, event: str) -> dict[str, Any]:
        """
        What became of an action of *who*.

        Raises:
            Problem: ``not-found``: they have begun none of that id.
        """
        begun = await asyncio.to_thread(self._site.store.action, event)
        if begun is None or begun.actor != who.actor or begun.action == BULK:
            raise Problem("not-found")
        found = await self._site.reader.ask(lambda db: stories.verdict(db, event))
        answer: dict[str, Any] = {"event_id": event, "state": "pending", "task_id": begun.thing}
        if found is not None:
            change = orjson.loads(found.value)
            refused = change["change"] == "command.refused"
            answer["state"] = "refused" if refused else "applied"
            if refused:
                answer["reason"] = change["command"]["reason"]
        return answer


def _tell(asked: Asked, event: str, result: str, reason: str, took: float) -> None:
    """A line of the log; ids of our own alone, as a path that leads nowhere may hold anything."""
    said = {"event_id": event, "kind": asked.action, "seconds": round(took, 3)}
    if result == "applied":
        logger.info("action.applied", **said)
    elif result == "pending":
        logger.info("action.pending", **said)
    else:
        logger.info("action.refused", reason=reason, **said)


FIELDS_OF_STATE: Final = ("changed_at",)


class Refusal(Problem):
    """A problem that shows the current state; the route shows it in the caller's view."""

    def __init__(self, reason: str, thing: dict[str, Any] | None, why: str | None) -> None:
        super().__init__(reason, why or "")
        self.thing = None if thing is None else _plain(thing)
        self.why = why


class Conflict(Refusal):
    """Not possible any more."""

    def __init__(self, thing: dict[str, Any] | None, why: str | None) -> None:
        super().__init__("not-possible-now", thing, why)


class Stale(Refusal):
    """Still possible, but the caller saw an older version."""

    def __init__(self, thing: dict[str, Any], why: str | None) -> None:
        super().__init__("stale-version", thing, why)


def _plain(thing: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in thing.items() if name not in FIELDS_OF_STATE}
