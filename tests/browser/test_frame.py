"""What is around every page: undo, drafts, sign-out, keys, print, and a page that is left open."""

import re

from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.browser.served import Served
from tests.browser.test_shift import row_of

CALLS = "/work?kind=CALL_48H&owner=none"


def test_after_sign_out_back_shows_nothing(window: Open, site: Served) -> None:
    """The browser keeps no page of a patient."""
    one = window("demo-supervisor")
    one.go("/work")
    name = one.page.locator("tbody.task th.patient a").first.inner_text()
    one.page.locator("details.menu summary").click()
    one.page.get_by_role("button", name="Sign out").click()
    expect(one.page).not_to_have_url(re.compile("/work"))
    one.page.go_back()
    expect(one.page).to_have_url(re.compile("/sign-in"))
    assert name not in one.page.content()
    assert site.url in one.page.url


def test_an_accept_is_undone_without_leaving_the_list(window: Open) -> None:
    """`Undo` beside the word, and the focus is in the row again."""
    one = window("demo-rn")
    one.go(CALLS)
    row = one.page.locator("tbody.task").first
    task = str(row.get_attribute("data-task"))
    row.get_by_role("button", name="Accept").click()
    expect(one.page.locator("#notice")).to_contain_text("Accepted.")
    expect(one.page.locator(row_of(task))).to_contain_text("Release")
    one.page.locator("#notice").get_by_role("button", name="Undo").click()
    expect(one.page.locator("#notice")).to_contain_text("Released.")
    expect(one.page.locator(row_of(task))).to_contain_text("Accept")
    here = "() => document.activeElement.closest('tbody.task')?.dataset.task"
    one.page.wait_for_function(f"task => ({here})() === task", arg=task)


def test_keys_are_off_while_typing_and_when_switched_off(window: Open) -> None:
    """`j` in a field is a letter; with shortcuts off it is nothing."""
    one = window("demo-case-manager")
    one.go("/gaps")
    one.page.keyboard.press("/")
    one.page.keyboard.type("gw?")
    expect(one.page.locator("#find")).to_have_value("gw?")
    one.page.locator("details.menu summary").click()
    one.page.get_by_label("Shortcuts").uncheck()
    one.page.get_by_role("button", name="Save").click()
    expect(one.page.locator("body")).to_have_attribute("data-keys", "off")
    one.page.keyboard.press("?")
    one.page.keyboard.press("g")
    one.page.keyboard.press("w")
    expect(one.page.locator("h1")).to_have_text("Gaps")


def test_g_and_question_mark_lead_to_pages(window: Open) -> None:
    """`g w`, `g g`, `?`."""
    one = window("demo-rn")
    one.go("/gaps")
    one.page.keyboard.press("g")
    one.page.keyboard.press("w")
    expect(one.page.locator("h1")).to_have_text("My work")
    one.page.keyboard.press("?")
    expect(one.page.locator("h1")).to_have_text("Keys")


def test_the_theme_is_the_readers_choice(window: Open) -> None:
    """Over the device's, and on every page from then on."""
    one = window("demo-pharmacist", scheme="light")
    one.go("/work")
    one.page.locator("details.menu summary").click()
    one.page.get_by_label("Colours").select_option("dark")
    one.page.get_by_role("button", name="Save").click()
    expect(one.page.locator("html")).to_have_attribute("data-theme", "dark")
    back = "() => getComputedStyle(document.documentElement).backgroundColor"
    dark = one.page.evaluate(back)
    light = window("demo-rn", scheme="light")
    light.go("/work")
    assert dark != light.page.evaluate(back)


def test_a_list_is_not_printed_by_the_way(window: Open) -> None:
    """On paper the list shows no patient; the page made for print does, without the frame."""
    one = window("demo-supervisor")
    one.go("/work")
    one.page.emulate_media(media="print")
    expect(one.page.locator("table.work")).to_be_hidden()
    expect(one.page.get_by_text("Printing a list of patients is recorded.")).to_be_visible()
    one.go("/work/print")
    expect(one.page.locator("table")).to_be_visible()
    expect(one.page.locator("header.frame")).to_be_hidden()
    expect(one.page.locator("tfoot.printed")).to_contain_text("contains health information")
    expect(one.page.locator("tfoot.printed")).to_be_visible()


def test_what_cannot_be_sent_is_said_and_nothing_is_lost(window: Open) -> None:
    """The connection is gone: the row stays as it is, and the page says so."""
    one = window("demo-rn")
    one.go(CALLS)
    row = one.page.locator("tbody.task").first
    text = row.inner_text()
    one.context.route("**/accept", lambda route: route.abort())
    row.get_by_role("button", name="Accept").click()
    expect(one.page.locator("#notice")).to_contain_text("Could not save: no connection.")
    assert row.inner_text() == text
    one.faults[:] = [
        fault
        for fault in one.faults
        if "ERR_FAILED" not in fault and "Failed to fetch" not in fault
    ]
    one.context.unroute("**/accept")
    row.get_by_role("button", name="Accept").click()
    expect(one.page.locator("#notice")).to_contain_text("Accepted.")


def test_paused_live_updates_are_said(window: Open) -> None:
    """When the stream cannot be had the page says so, and offers to be loaded again."""
    one = window("demo-rn")
    one.context.route("**/live/**", lambda route: route.fulfill(status=503, body=""))
    one.go("/work")
    expect(one.page.locator("#freshness-live")).to_contain_text("Live updates paused. Reconnecting")
    expect(
        one.page.locator("#freshness-live").get_by_role("button", name="Refresh")
    ).to_be_visible()
    one.context.unroute("**/live/**")
    expect(one.page.locator("#freshness-live")).to_be_empty()
    one.faults[:] = [fault for fault in one.faults if "status of 503" not in fault]


def test_the_end_of_a_session_is_announced_and_can_be_put_off(window: Open) -> None:
    """Two minutes before; the button keeps one signed in."""
    one = window("demo-rn")
    one.page.clock.install()
    one.context.route("**/live/**", lambda route: route.fulfill(status=204))
    one.context.route(
        "**/session",
        lambda route: (
            route.fulfill(json={"left_s": 100, "warn_s": 120})
            if route.request.method == "GET"
            else route.continue_()
        ),
    )
    one.go("/work")
    one.page.clock.fast_forward("13:10")
    expect(one.page.locator("#notice")).to_contain_text("You will be signed out in 2 min.")
    with one.page.expect_response(lambda told: told.url.endswith("/session")) as stayed:
        one.page.get_by_role("button", name="Stay signed in").click()
    assert stayed.value.ok
    expect(one.page.locator("#notice")).to_be_empty()
