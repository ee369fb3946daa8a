"""Dead letters in a real browser: retried, mended, dropped; by keyboard alone, without script."""

import asyncio
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import orjson
import pytest
from playwright.sync_api import Browser, Page, expect

from orchestrator.worklist.access.demo import demo_principal
from orchestrator.worklist.jobs import Job, Progress
from orchestrator.worklist.pages.dead_letter_jobs import KIND
from tests.browser.conftest import Open, windows
from tests.browser.served import Served, served
from tests.browser.test_accessible import no_violation
from tests.worklist.test_retrying import discharge, letter_of, without_visit

STEWARD: Final = "demo-data-steward"
OPERATOR: Final = "demo-operator"
PURPOSE: Final = "mending the feed of GEN"


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("letters"), patients=1) as made:
        yield made


@pytest.fixture
def window(chromium: Browser, hospital: Served) -> Iterator[Open]:
    yield from windows(chromium, hospital)


def parked(hospital: Served, number: int) -> str:
    """The place of a new letter: a discharge of nobody known, without its visit."""
    letter = hospital.do(lambda world: letter_of(world, without_visit(number)))
    return str(letter["id"])


class Mouse:
    """Clicks and types; with or without script."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def follow(self, name: str | re.Pattern[str]) -> None:
        self.page.get_by_role("link", name=name).first.click()

    def press(self, css: str) -> None:
        self.page.locator(css).first.click()

    def write(self, css: str, text: str) -> None:
        self.page.locator(css).fill(text)


class Keyboard(Mouse):
    """Tab and Enter, and what one types."""

    def _tab_to(self, handle: Any) -> None:
        for _ in range(150):
            if handle.evaluate("one => one === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError("no way there by keyboard")

    def follow(self, name: str | re.Pattern[str]) -> None:
        self._tab_to(self.page.get_by_role("link", name=name).first)
        self.page.keyboard.press("Enter")

    def press(self, css: str) -> None:
        self._tab_to(self.page.locator(css).first)
        self.page.keyboard.press("Enter")

    def write(self, css: str, text: str) -> None:
        self._tab_to(self.page.locator(css))
        self.page.keyboard.press("Control+A")
        self.page.keyboard.insert_text(text)


@pytest.mark.parametrize("how", ["mouse", "keyboard", "without script"])
def test_a_letter_is_mended_and_sent_again(how: str, window: Open, hospital: Served) -> None:
    """Found, opened for a purpose, mended, refused once with every word kept, and accepted."""
    number = {"mouse": 61, "keyboard": 63, "without script": 65}[how]
    place = parked(hospital, number)
    one = window(STEWARD, script=how != "without script")
    page = one.page
    hand: Mouse = Keyboard(page) if how == "keyboard" else Mouse(page)

    one.go("/dead-letters")
    hand.follow(re.compile(r"^missing-visit \d+$"))
    expect(page.locator("h2")).to_have_text("It does not say of which visit missing-visit")
    hand.follow(f"Open raw of {place}")
    hand.write("#purpose", PURPOSE)
    hand.press("form[action$='/raw'] button")
    wrong = page.locator("tr", has_text="/data/visit_number")
    expect(wrong).to_contain_text("Wrong")
    expect(page.locator("#text")).to_have_value(re.compile(f"MRN{number}"))
    hand.press("form[action$='/mend'] button")
    expect(page.locator("#told")).to_contain_text("Refused again: It does not say of which visit.")
    expect(page.locator("#text")).to_have_value(re.compile(f"MRN{number}"))
    hand.write("#text", orjson.dumps(discharge(number)).decode())
    hand.press("form[action$='/mend'] button")
    expect(page.locator("#notice")).to_have_text(re.compile(r"Accepted: \d+ tasks changed\."))
    expect(page.locator("#state")).to_contain_text(f"by {STEWARD}")
    expect(page.locator("form[action$='/retry']")).to_have_count(0)
    one.go("/dead-letters?status=retried")
    expect(page.locator("tbody tr", has_text=place)).to_contain_text("Sent again")


@pytest.mark.parametrize("how", ["keyboard", "without script"])
def test_all_are_looked_at_then_sent_by_an_operator(
    how: str, window: Open, hospital: Served
) -> None:
    """The first button only looks; what would be refused is told; the second one sends."""
    place = parked(hospital, 71 if how == "keyboard" else 73)
    one = window(OPERATOR, script=how == "keyboard")
    page = one.page
    hand: Mouse = Keyboard(page) if how == "keyboard" else Mouse(page)
    one.go("/dead-letters?reason=missing-visit&facility=GEN&since=1h")
    _until_ended(page, lambda: hand.press("form[action='/dead-letters/retry'] button"))
    expect(page.locator("h1")).to_have_text("What would become of them")
    expect(page.locator("main")).to_contain_text(re.compile(r"0 would be accepted, \d+ not\."))
    expect(page.locator("tr", has_text=place)).to_contain_text("would be refused")
    expect(page.locator("button[value='send']")).to_have_count(0)  # none would be accepted
    _until_ended(page, lambda: hand.press("button[value='look']"))
    hand.follow(place)
    hand.press("#retry")
    expect(page.locator("#notice")).to_contain_text("Refused again")
    expect(page.locator("main")).to_contain_text("Tries1")


def _until_ended(page: Page, begin: Callable[[], None]) -> None:
    """Without script by hand: the page says how far it is, and is loaded again."""
    before = page.url
    begin()
    page.wait_for_url(lambda url: "/jobs/" in url and url != before)
    for _ in range(120):
        if not page.get_by_role("button", name="Stop", exact=True).count():
            return
        page.wait_for_timeout(500)
        page.reload()
    raise AssertionError("the job does not end")


def test_a_long_job_shows_its_bar_and_can_be_stopped(window: Open, hospital: Served) -> None:
    """The bar moves in place; stopped, it says what was done; axe finds nothing on the way."""

    async def work(progress: Progress) -> dict[str, Any]:
        progress.at(3, 38)
        for _ in range(6000):
            if progress.stopped:
                break
            await asyncio.sleep(0.01)
        ends = {"accepted": 3, "ignored": 0, "refused": 0, "pending": 0, "reasons": {}, "items": []}
        return {"dry_run": False, "letters": 3, "left": 35, "ended_by": None, **ends}

    async def begun(world: Any) -> Job:
        who = demo_principal(OPERATOR)
        assert who is not None
        job: Job = world.site.jobs.start(who, KIND, work)
        return job

    job = hospital.do(begun)
    one = window(OPERATOR)
    one.go(f"/dead-letters/jobs/{job.id}?reason=missing-visit")
    expect(one.page.locator("#job")).to_contain_text("3 of 38 letters")
    job.progress.at(17, 38)
    expect(one.page.locator("#job")).to_contain_text("17 of 38 letters")
    no_violation(one.page)
    one.page.get_by_role("button", name="Stop", exact=True).click()
    expect(one.page.locator("h1")).to_have_text("What became of them")
    expect(one.page.locator("main")).to_contain_text("Stopped. What was sent by then stays sent")
    expect(one.page.locator("main")).to_contain_text("35 more were not looked at.")
    expect(one.page).to_have_url(re.compile(r"reason=missing-visit"))


def test_no_violation_in_any_state(window: Open, hospital: Served) -> None:
    """List, letter, opened, refused, wrong, dropped, what would become of all."""
    place = parked(hospital, 81)
    one = window(STEWARD)
    page = one.page
    for path in ("/dead-letters", "/dead-letters?facility=MID", f"/dead-letters/{place}"):
        one.go(path)
        no_violation(page)
    page.locator("#reason").fill("x")
    page.get_by_role("button", name="Drop it").click()
    expect(page.locator("#problem")).to_contain_text("Say why it is dropped.")
    assert page.evaluate("() => document.activeElement.id") == "problem"
    no_violation(page)
    page.locator("#purpose").fill(PURPOSE)
    page.get_by_role("button", name="Open raw").click()
    expect(page.locator("#text")).to_be_visible()
    no_violation(page)
    page.get_by_role("button", name="Send this instead").click()
    expect(page.locator("#told")).to_contain_text("Refused again")
    no_violation(page)
    page.locator("#reason").fill("a test of ours")
    page.get_by_role("button", name="Drop it").click()
    expect(page.locator("#state")).to_contain_text("a test of ours")
    no_violation(page)
    one.go("/dead-letters?status=discarded")
    expect(page.locator("tbody tr", has_text=place)).to_contain_text("a test of ours")
    no_violation(page)
    parked(hospital, 83)
    one.go("/dead-letters")
    retry_all = page.get_by_role("button", name=re.compile(r"^Retry all \d+$"))
    _until_ended(page, retry_all.click)
    expect(page.locator("h1")).to_have_text("What would become of them")
    no_violation(page)
