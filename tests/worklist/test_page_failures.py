"""What could not be saved, at once or later: it is said, and every typed word is kept."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from html import unescape
from typing import Any

import pytest
import pytest_asyncio

from orchestrator.worklist import edge
from orchestrator.worklist.access.sessions import Sessions
from orchestrator.worklist.limits import Limits, Rate
from orchestrator.worklist.log.feed import LogAway
from orchestrator.worklist.pages.acts import CAUGHT_UP
from orchestrator.worklist.pages.store import DRAFT_KEPT
from tests.worklist.test_my_work import SCRIPT, page, words
from tests.worklist.world import FREELY, World, world

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOTE = "Rings <twice>, then once"
KEPT = "Rings &lt;twice&gt;, then once</textarea>"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with world(tmp_path_factory.mktemp("failures"), patients=12) as made:
        yield made


@contextmanager
def away(made: World) -> Iterator[None]:
    """While the deciding process is away nobody waits for it."""
    usual, made.site.action_wait = made.site.action_wait, 0.0
    made.worker.stop()
    try:
        yield
    finally:
        made.worker.start()
        made.site.action_wait = usual


async def judged(made: World, task: str, actor: str) -> None:
    """Until nothing of *actor* at *task* is pending any more."""
    for one in made.site.pages.waits(actor).get(task, ()):
        await made.until(
            f"/actions/{one.event}", lambda found: found["state"] != "pending", token=actor
        )


async def test_what_is_refused_later_is_told_until_it_is_understood(shared: World) -> None:
    """Both were told `Saved`; the one who came second reads why not, and what she had written."""
    task = (await shared.call(owner="none", team="nurse-outreach"))["task_id"]
    form = {"do": "complete", "reached": "patient", "note": NOTE, **SCRIPT}
    async with shared.browser("demo-rn") as nurse, shared.browser("demo-supervisor") as other:
        with away(shared):
            path = f"/tasks/{task}/report"
            first = await other.post(path, version="1", key="later-1", **form)
            second = await nurse.post(path, version="1", key="later-2", **form)
            assert (first.status_code, second.status_code) == (303, 303)
            assert CAUGHT_UP in words(await nurse.get("/work?owner=idle"))
        await judged(shared, task, "demo-rn")
        await shared.until(f"/tasks/{task}", lambda one: one["status"] == "completed")

        listed, opened = await nurse.get("/work"), await nurse.get(f"/tasks/{task}")
        again = await nurse.get("/work?owner=none")
        understood = re.search(r'got-it" name="version" value="([^"]+)"', listed.text)
        assert understood is not None
        told = await nurse.post(f"/tasks/{task}/got-it", version=understood[1], back="/work")
        after, there = await nurse.get("/work"), await nurse.get(f"/tasks/{task}")

    refused = r"Refused: your completion of \d\d:\d\d\. It had been done already\."
    for response in (listed, opened, again):
        assert re.search(refused, words(response))
    assert "Refused (1)" in words(listed)
    assert "What you wrote is kept" in words(opened)
    assert f"Note {NOTE}" in words(opened)
    assert told.status_code == 303
    for response in (after, there):
        assert "Refused" not in words(response)


async def test_what_was_refused_is_sent_again(shared: World) -> None:
    """The task is still open: her words stand in the form; sent again they count, and it is told
    no longer."""
    task = (await shared.call(owner="none", team="nurse-outreach"))["task_id"]
    form = {"do": "complete", "reached": "patient", "note": NOTE, **SCRIPT}
    async with shared.browser("demo-rn") as nurse, shared.browser("demo-supervisor") as other:
        with away(shared):
            path = f"/tasks/{task}/accept"
            await other.post(path, version="1", key="again-1", back="/work")
            told = await nurse.post(f"/tasks/{task}/report", version="1", key="again-2", **form)
            assert told.status_code == 303
        await judged(shared, task, "demo-rn")
        opened = await nurse.get(f"/tasks/{task}")
        fields = dict(re.findall(r'name="(version|key|again)" value="([^"]*)"', opened.text))
        text = words(opened)
        sent = await nurse.post(f"/tasks/{task}/report", **{**form, **fields, "key": "again-3"})
        there = await nurse.get(f"/tasks/{task}")
    assert "Refused: your completion of" in text
    assert "Taken by someone else." in text
    assert KEPT in opened.text
    assert sent.status_code == 303
    assert "Refused" not in words(there)
    assert f"Note {NOTE}" in words(there)


async def test_what_is_refused_behind_a_closed_door_is_told_too(shared: World) -> None:
    """The task has gone to a team that is not the reader's: nothing of it, but their own words."""
    task = (await shared.call(owner="none", team="nurse-outreach"))["task_id"]
    async with shared.browser("demo-rn") as nurse, shared.browser("demo-supervisor") as other:
        with away(shared):
            path = f"/tasks/{task}/reassign"
            await other.post(path, version="1", key="gone-1", to="scheduling")
            form = {"do": "complete", "reached": "patient", "note": NOTE, **SCRIPT}
            await nurse.post(f"/tasks/{task}/report", version="1", key="gone-2", **form)
        await shared.until(f"/tasks/{task}", lambda one: one["team"] == "scheduling")
        (event,) = [one.event for one in shared.site.pages.waits("demo-rn")[task]]
        await judged(shared, task, "demo-rn")
        listed = words(await nurse.get("/work"))
        await nurse.post(f"/tasks/{task}/got-it", version=f"0 {event}", back="/work")
        after = words(await nurse.get("/work"))
    assert "Refused: your completion of" in listed
    assert "It is not in your queue any more." in listed
    assert f"Note {NOTE}" in listed
    assert "Refused" not in after


async def test_a_form_that_was_changed_behind_the_back_button_keeps_its_words(
    shared: World,
) -> None:
    """The same key with other words: the page says so, holds them all, and takes them then."""
    task = (await shared.call(owner="none", team="nurse-outreach"))["task_id"]
    path = f"/tasks/{task}/report"
    async with shared.browser("demo-rn") as nurse:
        form = {"do": "note", "version": "1", "key": "back", "reached": "caregiver"}
        assert (await nurse.post(path, **form, note="First")).status_code == 303
        asked = await nurse.post(path, **form, note=NOTE)
        key = re.search(r'name="key" value="([^"]+)"', asked.text)
        assert key is not None
        sent = await nurse.post(path, **{**form, "key": key[1]}, note=NOTE)
    assert asked.status_code == 422
    assert "There is a problem This form was sent once before, with other words." in words(asked)
    assert '<a href="#report">' in asked.text
    assert KEPT in asked.text
    assert re.search(r'value="caregiver" checked', asked.text)
    assert sent.status_code == 303
    assert f"“{NOTE}”" in words(await page(shared, f"/tasks/{task}", "demo-supervisor"))


async def test_while_the_log_is_away_nothing_is_lost(
    shared: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 with the form, every word in it, under the same key: sent again it is done once."""
    task = (await shared.call(owner="none", team="nurse-outreach"))["task_id"]
    form = {"do": "complete", "reached": "patient", "note": NOTE, "version": "1", **SCRIPT}
    real = shared.site.sender.send

    async def gone(topic: str, key: str | None, value: bytes) -> None:
        if topic != "care.audit.v1":
            raise LogAway
        await real(topic, key, value)

    async with shared.browser("demo-rn") as nurse:
        with monkeypatch.context() as patched:
            patched.setattr(shared.site.sender, "send", gone)
            asked = await nurse.post(f"/tasks/{task}/report", key="away", **form)
            row = await nurse.client.post(
                f"/tasks/{task}/accept",
                data={"csrf": nurse.csrf, "version": "1", "key": "row", "list": "plain"},
                headers={"Sec-Fetch-Site": "same-origin", "HX-Request": "true"},
            )
        sent = await nurse.post(f"/tasks/{task}/report", key="away", **form)
    away_words = "Could not save: the log is unavailable. Nothing was lost; try again. Request "
    assert (asked.status_code, row.status_code) == (503, 503)
    assert f"There is a problem {away_words}" in words(asked)
    assert 'name="key" value="away"' in asked.text
    assert KEPT in asked.text
    assert away_words in words(row)
    assert "hx-partial" in row.text
    assert sent.status_code == 303
    assert (await shared.get(f"/tasks/{task}"))["status"] == "completed"


async def test_too_much_at_once_loses_no_word(tmp_path_factory: pytest.TempPathFactory) -> None:
    """429: the page holds the whole form and sends it again."""
    limits = Limits({**FREELY, "actions": Rate(1e-6, 1)})
    async with world(tmp_path_factory.mktemp("limited"), limits=limits, patients=1) as made:
        task = (await made.call())["task_id"]
        form = {"do": "note", "version": "1", "note": NOTE}
        async with made.browser("demo-rn") as nurse:
            await nurse.post(f"/tasks/{task}/report", key="a", **form)
            asked = await nurse.post(f"/tasks/{task}/report", key="b", **form)
            hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', asked.text)
            made.site.limits = Limits(dict(FREELY))
            again = {name: unescape(value) for name, value in hidden}
            again.pop("csrf")
            sent = await nurse.post(f"/tasks/{task}/report", **again)
        assert asked.status_code == 429
        assert "Could not save: too much at once. Nothing was lost; try again." in words(asked)
        assert f'action="/tasks/{task}/report"' in asked.text
        assert again["note"] == NOTE
        assert sent.status_code == 303
        assert f"“{NOTE}”" in words(await page(made, f"/tasks/{task}"))


async def test_cannot_be_done_keeps_its_words_too(shared: World) -> None:
    """Without a reason, and where it is over meanwhile."""
    task = await shared.call(owner="none", team="nurse-outreach")
    path = f"/tasks/{task['task_id']}/reject"
    async with shared.browser("demo-rn") as nurse:
        asked = await nurse.post(path, version="1", key="words-1", why=NOTE)
        await shared.act(task, "accept", key="words")
        stale = await nurse.post(path, version="1", key="words-2", why=NOTE, reason="duplicate")
    for response, status in ((asked, 422), (stale, 412)):
        assert response.status_code == status
        assert "There is a problem" in words(response)
        assert 'name="why" maxlength="500" value="Rings &lt;twice&gt;, then once"' in response.text
        assert '<details id="cannot" data-while-open open>' in response.text
    assert 'value="duplicate" checked' in stale.text


async def test_what_is_sent_after_the_session_ran_out_is_kept(
    shared: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`Your draft is kept` is true without script too; of another's form nothing is."""
    task = (await shared.call(owner="none", team="nurse-outreach"))["task_id"]
    path, form = f"/tasks/{task}/report", {"do": "note", "version": "1", "key": "late"}
    async with shared.browser("demo-rn") as nurse, shared.browser("demo-rn") as forged:
        token = nurse.csrf
        with monkeypatch.context() as patched:
            patched.setattr(Sessions, "_ran_out", lambda self, *_: self.idle)
            asked = await nurse.post(path, **form, note=NOTE)
            shown = await nurse.get(asked.headers["location"])
            await forged.post(path, **form, note="Not hers", csrf=token)
    assert (asked.status_code, asked.headers["location"]) == (303, f"/sign-in?next=/tasks/{task}")
    assert "You were signed out after 15 minutes. Your draft is kept." in words(shown)
    assert NOTE not in shown.text
    async with shared.browser("demo-rn") as later:
        assert KEPT in (await later.get(f"/tasks/{task}")).text


async def test_whose_page_it_is_not_is_told_whose_it_is(shared: World) -> None:
    """A page for other roles: which, and a way back."""
    async with shared.browser("demo-rn") as nurse:
        told: Any = await nurse.get("/audit")
    assert told.status_code == 403
    assert "You are signed in as rn. This is for: auditor." in words(told)
    assert '<a href="/work">Back to My work</a>' in told.text


async def test_nobody_comes_back_to_a_draft_of_last_month(shared: World) -> None:
    """Whatever somebody left unsent is dropped after 30 days, when the next one signs in."""
    pages = shared.site.pages
    pages.keep_draft("demo-rn", "T-old", {"note": NOTE}, edge.now() - DRAFT_KEPT - 1)
    pages.keep_draft("demo-rn", "T-new", {"note": NOTE}, edge.now() - DRAFT_KEPT // 2)
    async with shared.browser(None) as visitor:
        token = re.search(r'name="csrf" value="([^"]+)"', (await visitor.get("/sign-in")).text)
        assert token is not None
        told = await visitor.post("/sign-in", csrf=token[1], role="rn")
    assert told.status_code == 303
    assert pages.draft("demo-rn", "T-old") == {}
    assert pages.draft("demo-rn", "T-new") == {"note": NOTE}
