"""Many pages of one person, pages that nobody looks at, and pages without a connection."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from orchestrator.worklist.api.stream import STREAMS_MAX
from orchestrator.worklist.pages import live
from tests.browser.conftest import WAIT_MS, Open, windows
from tests.browser.served import Served, served
from tests.browser.test_accessible import violations
from tests.browser.test_live import _take
from tests.browser.test_shift import row_of

CALLS = "/work?kind=CALL_48H&owner=none"
# As a browser has it of a tab behind others.
HIDDEN = """
  window.away = true;
  Object.defineProperty(document, "hidden", { get: () => window.away });
"""


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("tabs"), patients=6) as made:
        yield made


@pytest.fixture
def window(chromium: Browser, hospital: Served) -> Iterator[Open]:
    yield from windows(chromium, hospital)


def test_a_page_too_many_says_so_and_keeps_up(
    window: Open, hospital: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told that its updates are paused, is brought up to date now and then, and is live
    again once another page is closed."""
    monkeypatch.setattr(live, "CROWDED_S", 1)
    one = window("demo-rn")
    one.go(CALLS)
    pages = [one.page]
    streams = hospital.world.site.streams
    for number in range(1, STREAMS_MAX + 1):
        # Each has its stream before the next one asks: the last is the one too many.
        end = time.monotonic() + WAIT_MS / 1000
        while streams._open["demo-rn"] < number:
            assert time.monotonic() < end
            one.page.wait_for_timeout(50)
        pages.append(one.context.new_page())
        pages[-1].goto(hospital.url + CALLS)
    crowded, others = pages[-1], pages[:-1]
    expect(crowded.locator("#freshness-live")).to_contain_text(
        f"Live updates paused: more than {STREAMS_MAX} pages of yours are open."
    )
    assert violations(crowded) == []
    task = str(crowded.locator("tbody.task").nth(1).get_attribute("data-task"))
    hospital.do(lambda world: _take(world, task))
    for page in (crowded, others[0]):
        expect(page.locator(row_of(task))).to_contain_text("Taken by someone else")
    expect(crowded.locator("#freshness-live")).to_contain_text("Live updates paused")
    others[0].close()
    expect(crowded.locator("#freshness-live")).to_have_text("")
    expect(crowded.locator("#freshness-state")).to_have_text("Current")


def test_a_page_that_nobody_looks_at_asks_for_nothing_until_somebody_does(
    window: Open, hospital: Served
) -> None:
    """Opened in a tab behind: it takes no stream, and on being looked at it is right at once."""
    one = window("demo-rn")
    one.context.add_init_script(HIDDEN)
    asked: list[str] = []
    one.page.on("request", lambda told: asked.append(told.url))
    one.go(CALLS)
    row = one.page.locator("tbody.task").nth(2)
    task = str(row.get_attribute("data-task"))
    hospital.do(lambda world: _take(world, task))
    one.page.wait_for_timeout(1500)  # a page in front asks at once
    assert [url for url in asked if "/live/" in url] == []
    one.page.evaluate(
        "() => { window.away = false; document.dispatchEvent(new Event('visibilitychange')); }"
    )
    expect(one.page.locator(row_of(task))).to_contain_text("Taken by someone else")
    expect(one.page.locator("#freshness-state")).to_have_text("Current")


def test_without_a_connection_nothing_is_called_current(window: Open) -> None:
    """The line says that updates are paused and what it last knew; back, it is current again."""
    one = window("demo-rn")
    one.go(CALLS)
    expect(one.page.locator("#freshness-state")).to_have_text("Current")
    away: list[Any] = []

    def refuse(route: Any) -> None:
        away.append(route.request.url)
        route.abort()

    one.context.route("**/live/**", refuse)
    one.go(CALLS)
    line = one.page.locator("#freshness")
    expect(line).to_contain_text("Live updates paused. Reconnecting")
    expect(line).to_contain_text("Was current")
    expect(line.get_by_role("button", name="Refresh")).to_be_visible()
    assert violations(one.page) == []
    assert away
    one.context.unroute("**/live/**")
    expect(one.page.locator("#freshness-state")).to_have_text("Current")
    expect(one.page.locator("#freshness-live")).to_have_text("")
    told = ("Failed to fetch", "ERR_FAILED")
    one.faults[:] = [fault for fault in one.faults if not any(part in fault for part in told)]
