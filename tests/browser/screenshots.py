"""``python -m tests.browser.screenshots``: makes the pictures of `docs/going-live.md` anew.

From the demo, so that everybody in them is made up; its clock is paused first, and its seed is
fixed, so that two runs show the same patients.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from playwright.sync_api import Page, ViewportSize, sync_playwright

from tests.browser.conftest import CHROMIUM

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs/images"
MAIN: Final = "from orchestrator.cli import main; main()"
START_S: Final = 120.0
WIDE: Final = ViewportSize(width=1280, height=640)


@contextmanager
def demo(folder: Path) -> Iterator[str]:
    """The demo, running; the address of its pages."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CARE_")}
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", MAIN, "demo", "--run-on", "--folder", str(folder / "demo")],
            env={**environment, "CARE_WORKLIST_PORT": "0", "PYTHONUNBUFFERED": "1"},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        end = time.monotonic() + START_S
        while not (found := re.search(r"http://\S+", (folder / "out").read_text())):
            assert time.monotonic() < end, "the demo does not say where it is"
            time.sleep(0.2)
        yield found[0]
    finally:
        process.terminate()
        process.wait(START_S)


def main() -> None:
    """All of them, in `docs/images`."""
    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as made,
        demo(Path(made)) as url,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = browser.new_page(viewport=WIDE)
        page.set_default_timeout(START_S * 1000)
        page.goto(url)
        page.get_by_role("button", name="Pause").click()
        page.locator('button[name="role"][value="rn"]').click()
        take(page, "my-work")
        page.goto(f"{url}/work?kind=CALL_48H&owner=none")
        page.locator("tbody.task th.patient a").first.click()
        take(page, "call")
        page.get_by_role("link", name="timeline").click()
        take(page, "timeline")
        page.context.clear_cookies()
        page.goto(url)
        page.locator('button[name="role"][value="operator"]').click()
        page.goto(f"{url}/operations")
        page.locator("canvas").first.wait_for()
        take(page, "operations")
        browser.close()


def take(page: Page, name: str) -> None:
    """One picture of what the window shows."""
    page.wait_for_load_state("load")
    assert page.locator("#freshness").count(), f"{name}: {page.title()}"  # not the page of an error
    page.mouse.move(0, 0)
    page.screenshot(path=FOLDER / f"{name}.png", animations="disabled")


if __name__ == "__main__":
    main()
