"""The log says who was not let in, what became of actions, and whether the worklist keeps up."""

import asyncio
import io
import time
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
import pytest_asyncio

from orchestrator.worklist.access.roles import principal
from orchestrator.worklist.log.feed import AUDIT, LogAway
from tests.worklist.world import WAIT_S, World, world

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with world(tmp_path_factory.mktemp("lines")) as made:
        yield made


def said(lines: io.StringIO, event: str) -> list[dict[str, Any]]:
    found = [orjson.loads(text) for text in lines.getvalue().splitlines()]
    return [line for line in found if line["event"] == event]


async def _until_said(lines: io.StringIO, event: str) -> dict[str, Any]:
    end = time.monotonic() + WAIT_S
    while not said(lines, event):
        assert time.monotonic() < end, lines.getvalue()
        await asyncio.sleep(0.02)
    return said(lines, event)[0]


async def test_who_is_not_let_in_is_told(shared: World, lines: io.StringIO) -> None:
    """By the cause, never by what they brought: a token may be somebody's."""
    async with shared.client("not-a-token") as client:
        nobody = await client.get("/tasks")
    async with shared.client("demo-rn") as client:
        forbidden = await client.get("/audit")
    async with shared.browser() as browser:
        forged = await browser.client.post("/work/bulk", headers={"Sec-Fetch-Site": "cross-site"})
    found = said(lines, "auth.failed")

    assert (nobody.status_code, forbidden.status_code, forged.status_code) == (401, 403, 403)
    assert [line["reason"] for line in found] == ["unknown-token", "forbidden", "cross-site"]
    assert {line["level"] for line in found} == {"warning"}
    assert "not-a-token" not in lines.getvalue()


async def test_a_wrong_password_is_told_by_its_cause(shared: World, lines: io.StringIO) -> None:
    """Under a name that may be the password itself, which is therefore not written."""
    object.__setattr__(shared.site.access, "mode", "local")
    try:
        async with shared.browser(None) as browser:
            await browser.get("/sign-in")
            browser.word = browser.client.cookies["care_visitor"]
            answer = await browser.post("/sign-in", name="hunter2-twice", password="hunter2-twice")
    finally:
        object.__setattr__(shared.site.access, "mode", "demo")

    assert answer.status_code == 422
    assert [line["reason"] for line in said(lines, "auth.failed")] == ["password"]
    assert "hunter2" not in lines.getvalue()


async def test_each_action_is_told_with_what_became_of_it(
    shared: World, lines: io.StringIO
) -> None:
    """Applied, pending, refused with the reason; nothing of what was said with it."""
    task = await shared.call()
    who = principal("n-lines", frozenset({"rn"}), frozenset({"nurse-outreach"}), frozenset({"*"}))
    shared.people.known[who.actor] = who
    done = await shared.act(task, "attempt", {"reached": "voicemail", "note": "SECRET"})
    shared.worker.stop()
    now = done.json()["task"]
    pending = await shared.act(now, "note", {"note": "SECRET"}, Prefer="wait=0")
    shared.worker.start()
    stale = await shared.act(task, "accept", token=who.actor)
    (applied,), (waits,), (refused,) = [
        said(lines, f"action.{word}") for word in ("applied", "pending", "refused")
    ]

    assert (done.status_code, pending.status_code, stale.status_code) == (200, 202, 412)
    assert (applied["event_id"], applied["kind"]) == (done.json()["event_id"], "attempt")
    assert waits["event_id"] == pending.json()["event_id"]
    assert (refused["kind"], refused["reason"]) == ("accept", "stale-version")
    assert "dropped" not in applied
    assert "SECRET" not in lines.getvalue()
    assert task["patient"] not in lines.getvalue()


async def test_it_is_told_when_the_pages_fall_behind_and_catch_up(
    shared: World, lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once each, not at every look."""
    monkeypatch.setattr(shared.site.freshness, "state", lambda _now: "behind")
    behind = await _until_said(lines, "projection.behind")
    await asyncio.sleep(1.2)  # two more looks
    monkeypatch.undo()
    await _until_said(lines, "projection.caught_up")

    assert behind["reason"] == "behind"
    assert len(said(lines, "projection.behind")) == 1


async def test_an_audit_that_cannot_be_written_is_told_once(
    shared: World, lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is shown meanwhile; the log says so at the beginning of it."""
    send = shared.site.sender.send

    async def failing(topic: str, key: str | None, value: bytes) -> None:
        if topic == AUDIT:
            raise LogAway
        await send(topic, key, value)

    monkeypatch.setattr(shared.site.sender, "send", failing)
    async with shared.client() as client:
        answers = [await client.get("/tasks") for _ in range(2)]
    monkeypatch.undo()
    await shared.get("/tasks")

    assert [a.status_code for a in answers] == [503, 503]
    assert len(said(lines, "audit.failed")) == 1
