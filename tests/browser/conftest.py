"""One browser and one worklist for all pages; whoever reads gets a window of their own."""

import asyncio
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser.served import Served, served

CHROMIUM: Final = Path("/usr/bin/chromium")
WAIT_MS: Final = 60_000  # a guard, not a promise
expect.set_options(timeout=WAIT_MS)


class Held:
    """
    The event loop that Playwright keeps running in this thread.

    Between tests nobody may find it running: tests of other folders, in the same process, run
    loops of their own.
    """

    loop: asyncio.AbstractEventLoop | None = None

    @classmethod
    def put_away(cls) -> None:
        cls.loop = asyncio._get_running_loop()
        asyncio._set_running_loop(None)

    @classmethod
    def take_out(cls) -> None:
        asyncio._set_running_loop(cls.loop)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium; on the build server it must be there."""
    if not CHROMIUM.exists():
        assert not os.environ.get("CI"), f"{CHROMIUM} is missing: apt-get install chromium"
        pytest.skip(f"NO BROWSER: {CHROMIUM} is missing; apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        Held.put_away()
        yield browser
        Held.take_out()
        browser.close()


@pytest.fixture(autouse=True)
def with_its_loop(chromium: Browser) -> Iterator[None]:
    """Set up before whatever opens a window, and put away after that is closed."""
    del chromium
    Held.take_out()
    yield
    Held.put_away()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A worklist with a dozen patients."""
    with served(tmp_path_factory.mktemp("site"), patients=12) as made:
        yield made


@dataclass
class Window:
    """One person's browser window, and what it had to complain of."""

    page: Page
    context: BrowserContext
    url: str
    faults: list[str] = field(default_factory=list)

    def go(self, path: str) -> None:
        self.page.goto(self.url + path)


Open = Callable[..., Window]


@pytest.fixture
def window(chromium: Browser, site: Served) -> Iterator[Open]:
    """Opens windows on the shared worklist; none may have complained at the end."""
    yield from windows(chromium, site)


def windows(chromium: Browser, on: Served) -> Iterator[Open]:
    opened: list[Window] = []

    def open_(
        actor: str | None = "demo-rn",
        *,
        width: int = 1280,
        scheme: Literal["light", "dark"] = "light",
        script: bool = True,
    ) -> Window:
        context = chromium.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            java_script_enabled=script,
            reduced_motion="reduce",
        )
        if actor is not None:
            access = on.world.site.access
            word = access.sessions.open(actor, {})
            context.add_cookies([{"name": access.cookie(), "url": on.url, "value": word}])
        context.set_default_timeout(WAIT_MS)
        made = Window(context.new_page(), context, on.url)
        _listen(made)
        opened.append(made)
        return made

    yield open_
    for one in opened:
        one.context.close()
    assert [fault for one in opened for fault in one.faults] == []


def _listen(made: Window) -> None:
    host = urlsplit(made.url).netloc

    def on_request(request: Any) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https") and parts.netloc != host:
            made.faults.append(f"request to {parts.netloc}")

    def on_console(message: Any) -> None:
        # The browser says so of every page that asks again with an error status.
        asked_again = "status of 422" in message.text or "status of 412" in message.text
        # A test that moves the page's clock lets what is being asked meanwhile run out of time.
        asked_again = asked_again or "htmx:error: timeout" in message.text
        if message.type in ("error", "warning") and not asked_again:
            made.faults.append(f"console: {message.text}")

    made.context.on("request", on_request)
    made.page.on("console", on_console)
    made.page.on("pageerror", lambda error: made.faults.append(f"script: {error}"))
