"""Live: what changes comes by itself, in the caller's view; nobody misses anything in silence."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from orchestrator.worklist.access.roles import principal
from orchestrator.worklist.api import stream
from tests.worklist.world import WAIT_S, World, discharged, happened

Event = tuple[str, Any, str]  # name, data, id


class Reader:
    """An open stream, read event by event, straight from the application."""

    def __init__(self) -> None:
        self.status = 0
        self.answered = asyncio.Event()
        self.headers: dict[str, str] = {}
        self._chunks: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._text = ""

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.answered.set()
            self.headers = {k.decode(): v.decode() for k, v in message["headers"]}
            return
        await self._chunks.put(message.get("body", b""))
        if not message.get("more_body"):
            await self._chunks.put(None)

    async def next(self, *names: str) -> Event:
        """The next event of one of *names*."""
        async with asyncio.timeout(WAIT_S):
            while True:
                head, found, rest = self._text.partition("\n\n")
                if found:
                    self._text = rest
                    event = _parsed(head)
                    if event is not None and (not names or event[0] in names):
                        return event
                    continue
                chunk = await self._chunks.get()
                if chunk is None:
                    raise EOFError
                self._text += chunk.decode()

    async def end(self) -> None:
        """Wait until the stream is over."""
        async with asyncio.timeout(WAIT_S):
            while await self._chunks.get() is not None:
                pass


def _parsed(text: str) -> Event | None:
    fields = dict(line.split(": ", 1) for line in text.splitlines() if not line.startswith(":"))
    if "event" not in fields:
        return None
    return fields["event"], orjson.loads(fields["data"]), fields["id"]


@asynccontextmanager
async def reading(
    made: World, query: str = "", token: str = "demo-rn", last: str | None = None
) -> AsyncIterator[Reader]:
    """An open stream."""
    headers = [(b"authorization", f"Bearer {token}".encode())]
    if last is not None:
        headers.append((b"last-event-id", last.encode()))
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/api/v1/stream",
        "raw_path": b"/api/v1/stream",
        "query_string": query.encode(),
        "root_path": "",
        "headers": headers,
        "client": ("test", 1),
        "server": ("test", 80),
    }
    gone = asyncio.Event()

    async def receive() -> Any:
        await gone.wait()
        return {"type": "http.disconnect"}

    reader = Reader()
    answering = asyncio.create_task(made.app(scope, receive, reader.send))
    try:
        yield reader
    finally:
        gone.set()
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)


async def test_a_change_comes_by_itself(running: World) -> None:
    """Somebody accepts a task: all who look at that queue see it, with why."""
    task = await running.call()
    async with reading(running) as live:
        await live.next("freshness")
        await running.act(task, "accept")
        name, data, _ = await live.next("task")

    assert live.headers["content-type"].startswith("text/event-stream")
    assert (name, data["task"]["task_id"]) == ("task", task["task_id"])
    assert (data["task"]["owner"], data["change"]) == ("demo-supervisor", "task.updated")


async def test_who_comes_back_goes_on_where_they_were(running: World) -> None:
    """`Last-Event-ID`: what happened meanwhile comes first, each change once."""
    task = await running.call()
    async with reading(running) as live:
        _, _, at = await live.next("freshness")
    accepted = await running.act(task, "accept")
    version = accepted.json()["task"]["version"]
    await running.act(task, "release", version=version)
    async with reading(running, last=at) as live:
        first = await live.next()
        second = await live.next()

    assert [e[1]["task"]["version"] for e in (first, second)] == [version, version + 1]


@pytest.mark.parametrize("last", ["nonsense", "another-file.5", "other.x", ""])
async def test_who_cannot_go_on_is_told_to_read_the_lists(running: World, last: str) -> None:
    """Another read model, or nonsense: `resync`, never a silent hole."""
    async with reading(running, last=last) as live:
        name, _, _ = await live.next()

    assert name == "resync"


async def test_who_was_away_too_long_is_told_to_read_the_lists(
    running: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More changes than are kept ready: `resync`."""
    async with reading(running) as live:
        _, _, at = await live.next("freshness")
    await running.act(await running.call(), "accept")
    monkeypatch.setattr(stream, "MISSED_MAX", 0)
    async with reading(running, last=at) as live:
        name, _, _ = await live.next()

    assert name == "resync"


async def test_a_stream_shows_what_its_reader_may_see(running: World) -> None:
    """Nothing of another team or facility, whatever filter is asked for."""
    running.people.known["mid-nurse"] = principal(
        "mid-nurse", frozenset({"rn"}), frozenset({"nurse-outreach"}), frozenset({"MID"})
    )
    async with reading(running, "types=task,freshness", token="mid-nurse") as live:
        await live.next("freshness")  # it has begun: what comes now is told
        running.send(*discharged(101), *discharged(102))  # GEN, MID
        seen = [(await live.next("task"))[1]["task"] for _ in range(1)]
        whole = await running.until("/tasks?kind=CALL_48H", lambda found: found["total"] == 8)

    assert whole
    assert {(one["facility"], one["team"]) for one in seen} == {("MID", "nurse-outreach")}


async def test_filters_of_a_stream_narrow_it(running: World) -> None:
    """One patient's page hears of that patient alone."""
    tasks = (await running.get("/tasks", kind="CALL_48H"))["items"]
    query = f"types=task,freshness&patient_key={tasks[1]['patient_key']}"
    async with reading(running, query) as live:
        await live.next("freshness")
        await running.act(tasks[0], "accept")
        await running.act(tasks[1], "accept")
        _, data, _ = await live.next("task")

    assert data["task"]["task_id"] == tasks[1]["task_id"]


async def test_a_stream_follows_its_patient_through_a_merge(running: World) -> None:
    """Asked for by the key that was, before the merge or after it: what happens comes."""
    found = await running.get("/tasks", kind="CALL_48H", facility="GEN")
    first, second, *_ = found["items"]
    query = f"types=task,freshness&patient_key={second['patient_key']}"
    merge = happened("GEN", 900, ("patient.merged", 0.0, {"retired": second["patient"]}))[0]
    async with reading(running, query) as before:
        await before.next("freshness")
        running.send({**merge, "subject": first["patient"]})
        path = f"/tasks/{second['task_id']}"
        now = await running.until(path, lambda t: t["patient_key"] == first["patient_key"])
        async with reading(running, query) as after:
            await after.next("freshness")
            await running.act(now, "accept")
            told = [
                await _until(live, lambda t: t["task_id"] == now["task_id"] and t["owner"])
                for live in (before, after)
            ]

    assert now["patient_key"] != second["patient_key"]
    assert [one["status"] for one in told] == ["accepted", "accepted"]


async def _until(live: Reader, holds: Any) -> Any:
    """The first task told that *holds*."""
    while True:
        _, data, _ = await live.next("task")
        if holds(data["task"]):
            return data["task"]


async def test_a_subject_has_few_streams(running: World) -> None:
    """A client that leaks connections is told; another subject is not held up by it."""
    async with (
        reading(running) as first,
        reading(running),
        reading(running),
        reading(running),
        reading(running) as fifth,
    ):
        await first.next("freshness")
        await fifth.next("freshness")
        async with reading(running) as sixth, reading(running, token="demo-pharmacist") as other:
            await other.next("freshness")
            async with asyncio.timeout(WAIT_S):
                await sixth.answered.wait()
    async with reading(running) as again:
        await again.next("freshness")

    assert (sixth.status, again.status) == (429, 200)


async def test_a_stream_ends_with_its_token(running: World) -> None:
    """Who may not ask any more hears nothing more."""
    running.people.known["short"] = principal(
        "short", frozenset({"rn"}), frozenset({"nurse-outreach"}), frozenset({"*"}), until=1
    )
    async with reading(running, token="short") as live:
        await live.next("freshness")
        await live.end()


async def test_a_stream_ends_when_its_token_is_taken_back(
    running: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Revoking a token takes effect on what is open already."""
    monkeypatch.setattr(stream, "EACH_S", 0.1)
    running.people.known["lost"] = principal(
        "lost", frozenset({"rn"}), frozenset({"nurse-outreach"}), frozenset({"*"})
    )
    async with reading(running, token="lost") as live:
        await live.next("freshness")
        del running.people.known["lost"]
        await live.end()


async def test_streams_end_when_the_server_goes_down(running: World) -> None:
    """They would be waited for otherwise."""
    async with reading(running) as live:
        await live.next("freshness")
        running.site.closing.set()
        await live.end()
