"""The page that tries out a policy: its form, a bad file, the bar, the answer; without script."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any, Final

import httpx
import pytest
import pytest_asyncio

from orchestrator.worklist.pages import policy_trial_words
from tests.worklist.test_what_if import CHANGED, HEAD, days
from tests.worklist.world import Browser, World, world

pytestmark = pytest.mark.asyncio(loop_scope="module")

WAIT_S: Final = 120.0
FORM: Final = "/policy/what-if"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One worklist of six discharged patients."""
    async with world(tmp_path_factory.mktemp("what-if-page")) as made:
        yield made


async def uploaded(browser: Browser, content: bytes, **form: Any) -> httpx.Response:
    """The form with a file, as a browser sends it."""
    return await browser.client.post(
        FORM,
        data={"csrf": browser.csrf, **days(), "policy": "", **form},
        files={"file": ("policy.yaml", content)},
        headers={"Sec-Fetch-Site": "same-origin"},
    )


async def answered(browser: Browser, response: httpx.Response) -> str:
    """The page of the job once it has ended, loaded again and again as by `Refresh`."""
    assert response.status_code == 303, response.text
    where = response.headers["location"]
    end = asyncio.get_running_loop().time() + WAIT_S
    while "Trying out a policy" in (text := (await browser.get(where)).text):
        if "Refresh" not in text:
            break
        assert asyncio.get_running_loop().time() < end
        await asyncio.sleep(0.05)
    return text


async def test_the_answer_says_how_many_and_why(shared: World) -> None:
    """The sentence, and each group with both due times and both reasons."""
    async with shared.browser() as browser:
        text = await answered(browser, await browser.post(FORM, policy=CHANGED, **days()))
    assert "6 tasks the same, 6 due earlier, 6 gone." in text
    assert "Nothing was published" in text
    assert text.count("a call is owed within 48 hours.") == 6
    assert text.count("a call is owed within 24 hours.") == 6
    assert text.count("<strong>no such task</strong>") == 6
    assert "6 discharges from" in text


async def test_a_file_takes_the_place_of_the_text(shared: World) -> None:
    """What was chosen last is what is tried."""
    async with shared.browser() as browser:
        text = await answered(browser, await uploaded(browser, CHANGED.encode(), policy="rubbish"))
    assert "What P9 would change" in text
    assert "6 due earlier" in text


async def test_a_bad_file_is_told_by_line_and_field_and_stays_in_the_form(shared: World) -> None:
    """The summary leads to the field; what was in the file can be mended there."""
    wrong = HEAD + "windows: {tcm_period_days: ages}\n"
    async with shared.browser() as browser:
        response = await uploaded(browser, wrong.encode())
    assert response.status_code == 422
    assert '<a href="#policy">The policy cannot be used. Line 3: windows.' in response.text
    area = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", response.text, re.DOTALL)
    assert area is not None
    assert area[1].strip() == wrong.strip()
    assert "<h1>Policy P0</h1>" in response.text, "the old policy stays"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"from": "", "policy": CHANGED}, "A day is missing or is none."),
        ({"from": "2026-05-05", "to": "2026-05-04"}, "must not be before the first"),
        ({"from": "2026-01-01", "to": "2026-05-04"}, "at most 90"),
        ({"policy": " "}, "Choose a policy file, or paste its text."),
    ],
)
async def test_what_cannot_be_tried_is_said_and_kept(
    shared: World, said: dict[str, str], told: str
) -> None:
    """One error summary; days and text as they were typed."""
    typed = {"policy": CHANGED, **days(), **said}
    async with shared.browser() as browser:
        response = await browser.post(FORM, **typed)
    assert response.status_code == 422
    assert told in response.text
    assert f'value="{typed["to"]}"' in response.text
    assert ("ours/call-24h" in response.text) == ("ours" in typed["policy"])


async def test_a_file_that_is_no_text_is_said(shared: World) -> None:
    """A spreadsheet, taken by mistake."""
    async with shared.browser() as browser:
        response = await uploaded(browser, b"PK\x03\x04\xff\xfe")
    assert response.status_code == 422
    assert "The file is not text" in response.text


async def test_the_form_of_another_page_takes_no_file(shared: World) -> None:
    """Only this one asks for any."""
    async with shared.browser() as browser:
        response = await browser.client.post(
            "/menu",
            data={"csrf": browser.csrf, "back": "/work"},
            files={"file": ("policy.yaml", b"x")},
            headers={"Sec-Fetch-Site": "same-origin"},
        )
    assert response.status_code == 400


async def test_while_it_runs_there_is_a_bar_and_it_can_be_stopped(
    shared: World, monkeypatch: Any
) -> None:
    """Reloaded by hand or by script; stopping says that nothing was published."""
    from orchestrator.worklist.log import trial

    monkeypatch.setattr(trial, "PROGRAM", "import time; time.sleep(600)")
    async with shared.browser() as browser:
        response = await browser.post(FORM, policy=CHANGED, **days())
        where = response.headers["location"]
        running = (await browser.get(where)).text
        assert "<progress" in running
        assert f'<a href="{where}" role="button" class="small secondary">Refresh</a>' in running
        bar = await browser.get(f"{where}/progress")
        assert "<progress" in bar.text
        assert "<html" not in bar.text
        stopped = await answered(browser, await browser.post(f"{where}/stop"))
        assert "Stopped. Nothing was decided, and nothing published." in stopped
        over = await browser.get(f"{where}/progress")
        assert (over.status_code, over.headers["hx-refresh"]) == (204, "true")


async def test_a_trial_of_somebody_else_is_not_there(shared: World) -> None:
    """Nor its bar, nor its stop."""
    async with shared.browser() as browser, shared.browser("demo-operator") as other:
        response = await browser.post(FORM, policy=CHANGED, **days())
        where = response.headers["location"]
        for path in (where, f"{where}/progress"):
            assert (await other.get(path)).status_code == 404
        assert (await other.post(f"{where}/stop")).status_code == 404
        await answered(browser, response)


async def test_an_operator_is_led_to_no_patient(shared: World) -> None:
    """Keys and rules; no links to pages that an operator may not open, no sentence."""
    async with shared.browser("demo-operator") as browser:
        text = await answered(browser, await browser.post(FORM, policy=CHANGED, **days()))
    assert "6 due earlier" in text
    assert "/tasks/" not in text
    assert "/patients/" not in text
    assert "Discharged home" not in text
    assert text.count("core/call-48h") == 6


async def test_only_who_may_try_is_offered_it(shared: World) -> None:
    """Reading the rules is one thing, trying others another."""
    async with shared.browser() as browser:
        assert "Try out another policy" in (await browser.get("/policy")).text
    shared.people.known["narrow"] = shared.people.known.get("narrow") or _reader()
    async with shared.browser("narrow") as browser:
        assert (await browser.get("/policy")).status_code == 403


def _reader() -> Any:
    from orchestrator.worklist.access.roles import principal

    return principal("narrow", frozenset({"rn"}), frozenset(), frozenset({"*"}))


async def test_zeros_are_left_out_of_the_sentence() -> None:
    """Screens, 8: `412 tasks the same, 9 due earlier, 3 new, 1 gone`."""
    counts = {"same": 412, "earlier": 9, "later": 0, "new": 3, "gone": 1, "changed": 0}
    result = {
        "version": "P9",
        "from": "2026-10-01T04:00:00Z",
        "to": "2026-10-31T03:59:59.999999Z",
        "as_of": "2026-11-01T12:00:00Z",
        "journal_from": "2026-10-03T00:00:00Z",
        "transitions": 140,
        "tasks": counts,
        "gaps": {"same": 31, "new": 0, "gone": 2, "changed": 0},
        "items": [],
        "failed": 0,
    }
    told = policy_trial_words.answer(result, "America/New_York", 1793534400000000)
    assert told.sentence == "412 tasks the same, 9 due earlier, 3 new, 1 gone."
    assert told.gaps == "Gaps: 31 the same, 2 gone."
    assert [group.title for group in told.groups] == ["9 due earlier", "3 new", "1 gone"]
    assert "The journal begins on" in told.notes[0]
