"""The other pages in a browser: for everybody, alive where they say so, whole without script."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from orchestrator.core.instants import MINUTE
from orchestrator.ops.history import History
from orchestrator.ops.lag import Judge
from orchestrator.ops.look_embedded import looking
from orchestrator.ops.sampler import Sampler
from orchestrator.stream.sqlite_log import Log
from orchestrator.worklist.demo import Demo
from orchestrator.worklist.watch import Watch
from tests.browser.conftest import Open, windows
from tests.browser.served import Served, served
from tests.browser.test_accessible import violations

PAGES = {
    "landing": (None, "/"),
    "gaps": ("demo-rn", "/gaps"),
    "gaps, facts": ("demo-supervisor", "/gaps?status=recorded"),
    "gaps, printed": ("demo-supervisor", "/gaps/print"),
    "gaps, operator": ("demo-operator", "/gaps"),
    "search": ("demo-rn", "/patients"),
    "patient": ("demo-rn", "patient"),
    "patient, scheduler": ("demo-scheduler", "patient"),
    "operations": ("demo-operator", "/operations?range=1h"),
    "dead letters": ("demo-operator", "/dead-letters"),
    "dead letter": ("demo-data-steward", "letter"),
    "policy": ("demo-supervisor", "/policy"),
    "audit": ("demo-auditor", "/audit"),
    "begins again": (None, "over"),
}


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A demo with a watched lag, and a message that cannot be read."""
    folder = tmp_path_factory.mktemp("story")
    with served(folder, patients=6) as made:
        with Log.open(folder) as log:
            log.append("care.discharge.v1", None, b'{"facility": "GEN"')
        history = History()
        sampler = Sampler(
            lambda: looking(folder, "care"), Judge(MINUTE, MINUTE), every_s=1, told=history.take
        )
        sampler.start()
        made.world.site.watch = Watch(sampler, history)
        made.world.site.demo = Demo()
        yield made
        sampler.stop()


@pytest.fixture
def window(chromium: Browser, hospital: Served) -> Iterator[Open]:
    yield from windows(chromium, hospital)


def go(page: Page, url: str, path: str) -> None:
    """Open *path*; some are found on another page."""
    if path == "patient":
        page.goto(f"{url}/gaps")
        path = page.locator("a[href^='/patients/']").first.get_attribute("href") or ""
    elif path == "letter":
        page.goto(f"{url}/dead-letters")
        for _ in range(60):
            if page.locator("td a").count():
                break
            page.wait_for_timeout(1000)
            page.reload()
        path = page.locator("td a").first.get_attribute("href") or ""
    elif path == "over":
        page.goto(f"{url}/")
        page.get_by_role("button", name="Start over").click()
        return
    page.goto(url + path)


@pytest.mark.parametrize("name", PAGES)
def test_no_violation(name: str, window: Open) -> None:
    """A and AA of WCAG 2.0 to 2.2, light and dark, wide and narrow; nothing to scroll sideways."""
    actor, path = PAGES[name]
    one = window(actor)
    found: list[str] = []
    for width in (1280, 390):
        one.page.set_viewport_size({"width": width, "height": 900})
        go(one.page, one.url, path)
        # Those of the page; the menu's card would lie over it.
        opened = "() => document.querySelectorAll('main details').forEach(d => d.open = true)"
        one.page.evaluate(opened)
        for scheme in ("light", "dark"):
            one.page.emulate_media(color_scheme=scheme)
            found += [f"{width} {scheme} {told}" for told in violations(one.page)]
        wide = one.page.evaluate("() => document.documentElement.scrollWidth > innerWidth")
        found += [f"{width}: scrolls sideways"] if wide else []
    assert found == []


def test_numbers_change_in_place_until_they_are_held(window: Open) -> None:
    """Each five seconds, without a reload; `Pause` holds them."""
    one = window("demo-operator")
    one.go("/operations")
    caption = one.page.locator("#now caption")
    before = caption.inner_text()
    one.page.evaluate("() => { document.body.dataset.same = 'yes'; }")
    expect(one.page.locator("#now .sentence")).to_contain_text("All data is current to")

    # The minute of the caption changes; the page was not loaded anew.
    expect(caption).not_to_have_text(before, timeout=120_000)
    assert one.page.evaluate("() => document.body.dataset.same") == "yes"

    one.page.get_by_role("button", name="Pause").last.click()
    expect(one.page.locator("#pause-says")).to_contain_text("Paused")
    one.page.evaluate("() => { document.querySelector('#now caption').textContent = 'held'; }")
    one.page.wait_for_timeout(7_000)
    assert caption.inner_text() == "held"


def test_the_curve_is_read_by_keyboard_and_as_a_table(window: Open) -> None:
    """Arrow keys tell each point in words; the table tells the same."""
    one = window("demo-operator")
    for _ in range(60):
        one.go("/operations?range=1h")
        if one.page.locator("#chart canvas").count():
            break
        one.page.wait_for_timeout(1000)
    chart = one.page.locator("#chart")
    chart.focus()
    chart.press("Home")

    expect(one.page.locator("#chart-says")).to_have_text(re.compile(r"\d\d:\d\d: \d+ s behind$"))
    one.page.get_by_text("The same as a table").click()
    expect(one.page.locator("details table tbody tr").first).to_contain_text("s")


def test_a_visitor_pauses_the_clock_and_hides_the_buttons(window: Open) -> None:
    """By plain buttons; the line that nothing is real stays."""
    one = window("demo-rn", script=False)
    one.go("/gaps")
    one.page.get_by_role("button", name="Pause").click()
    expect(one.page.locator(".banner")).to_contain_text("clock paused")
    one.page.get_by_role("button", name="x60", exact=True).click()
    expect(one.page.locator(".banner")).to_contain_text("clock x60")
    one.page.get_by_role("button", name="Hide for 1 h").click()
    expect(one.page.get_by_role("button", name="Start over")).to_have_count(0)
    expect(one.page.locator(".banner")).to_contain_text("nothing is real")


def test_search_and_a_dead_letter_without_script(window: Open) -> None:
    """Plain forms: find a patient, open the story, open a letter with a purpose."""
    nurse = window("demo-rn", script=False)
    nurse.go("/work")
    nurse.page.locator("#find").fill("Patient01 1941-05-04")
    nurse.page.get_by_role("button", name="Find").click()
    nurse.page.get_by_role("link", name=re.compile("Made-Up Patient01")).click()
    expect(nurse.page.get_by_role("heading", level=1)).to_contain_text("Made-Up Patient01")
    nurse.page.get_by_role("link", name="gaps", exact=True).click()
    expect(nurse.page.locator("ol.timeline").last).to_contain_text("Gap opened")

    steward = window("demo-data-steward", script=False)
    go(steward.page, steward.url, "letter")
    steward.page.locator("#purpose").fill("mend the feed of GEN")
    steward.page.get_by_role("button", name="Open raw").click()
    expect(steward.page.locator("pre.raw")).to_have_text('{"facility": "GEN"')


def test_a_patients_page_prints_on_white_without_frame(window: Open) -> None:
    """No buttons, no tabs; what it is, until when, and that it is a demo's, stand below."""
    one = window("demo-rn", scheme="dark")
    go(one.page, one.url, "patient")
    one.page.emulate_media(media="print")

    for gone in ("header.frame", ".banner form", "nav.filters"):
        expect(one.page.locator(gone).first).to_be_hidden()
    expect(one.page.locator(".print-foot")).to_contain_text("contains health information")
    expect(one.page.locator(".print-foot")).to_contain_text("DEMO")
    assert one.page.evaluate("() => getComputedStyle(document.body).backgroundColor") == (
        "rgb(255, 255, 255)"
    )
