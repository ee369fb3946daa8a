"""What happens on a page while somebody reads or writes: nothing moves, nothing is lost."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from orchestrator.core.instants import HOUR, MINUTE, written
from orchestrator.stream.clock import RealClock
from tests.browser.conftest import Open, Window, windows
from tests.browser.served import Served, served
from tests.browser.test_accessible import violations
from tests.browser.test_shift import cancelled, row_of
from tests.worklist.world import discharged

CALLS = "/work?kind=CALL_48H"


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A worklist in which only this test's patients move."""
    with served(tmp_path_factory.mktemp("quiet"), patients=20) as made:
        yield made


@pytest.fixture
def own(chromium: Browser, quiet: Served) -> Iterator[Open]:
    """Windows on it."""
    yield from windows(chromium, quiet)


def event(number: int, type_: str, **data: Any) -> dict[str, Any]:
    """What the hospital tells of one patient, now."""
    now = RealClock().now()
    facility = "GEN" if number % 2 else "MID"
    return {
        "specversion": "1.0",
        "id": f"{facility}-{number}-{type_}-{now}",
        "source": f"hospital/{facility}/adt",
        "type": f"care.{type_}.v1",
        "time": written(now),
        "subject": f"{facility}|MRN{number}",
        "facility": facility,
        "data": data,
    }


def test_no_row_moves_under_a_reader(own: Open, quiet: Served) -> None:
    """50 tasks arrive and 10 move: row 5 keeps place, text and focus; the bar counts both; `.`."""
    one = own("demo-supervisor")
    page = one.page
    one.go(CALLS)
    row = page.locator("tbody.task").nth(4)
    task = row.get_attribute("data-task")
    assert task is not None
    names = page.locator("tbody.task th.patient a").all_inner_texts()
    later = [int(name.removeprefix("Made-Up Patient")) for name in names[5:15]]
    row.locator("th.patient a").focus()
    row.locator("th.patient").hover()
    before, text = row.bounding_box(), row.inner_text()
    shown = page.locator("tbody.task").evaluate_all("rows => rows.map(row => row.dataset.task)")

    quiet.send(*(told for n in range(100, 150) for told in discharged(n, hours_ago=1)))
    at = written(RealClock().now() - HOUR - 30 * MINUTE)
    quiet.send(
        *(event(n, "discharge.corrected", visit_number=f"V{n}", discharged_at=at) for n in later)
    )

    expect(page.locator("#news")).to_contain_text("50 new, 10 moved. Show")
    after = row.bounding_box()
    assert before is not None
    assert after is not None
    assert (after["x"], after["y"]) == (before["x"], before["y"])
    assert row.inner_text() == text
    assert page.evaluate("() => document.activeElement.closest('tbody.task').dataset.task") == task
    rows = page.locator("tbody.task").evaluate_all("rows => rows.map(row => row.dataset.task)")
    assert rows == shown
    # Those that moved say so where they stand.
    expect(page.locator(row_of(shown[5]))).to_contain_text("corrected what it had told")

    assert violations(page) == []

    page.keyboard.press(".")
    expect(page.locator("#news")).to_be_empty()
    expect(page.locator("tbody.task")).to_have_count(50)
    expect(page.locator("tbody.group")).to_contain_text("(70)")
    # The page is another one now: what has the focus on it must be the same row.
    page.wait_for_function(
        "task => document.activeElement.closest('tbody.task')?.dataset.task === task", arg=task
    )
    expect(page.locator(row_of(task))).to_be_in_viewport()


def test_of_two_who_accept_one_gets_it(own: Open) -> None:
    """The other reads who was faster and goes on with the next; neither sees an error page."""
    nurse, other = own("demo-rn"), own("demo-supervisor")
    for one in (nurse, other):
        one.context.route("**/live/**", lambda route: route.fulfill(status=204))
        one.go(f"{CALLS}&owner=none")
    row = nurse.page.locator("tbody.task").first
    task = row.get_attribute("data-task")
    assert task is not None

    for one in (nurse, other):
        one.page.locator(row_of(task)).get_by_role("button", name="Accept").click()

    expect(nurse.page.locator(row_of(task))).to_contain_text("you")
    expect(other.page.locator(row_of(task))).to_contain_text("Taken by someone else at")
    expect(other.page.locator("h1")).to_have_text("My work")
    other.page.get_by_role("button", name="Next task (j)").click()
    here = "() => document.activeElement.closest('tbody.task')?.dataset.task"
    assert other.page.evaluate(here) not in (None, task)


def test_a_row_on_screen_changes_where_it_stands(own: Open, quiet: Served) -> None:
    """What another takes is marked as taken in the row, without a word of the reader."""
    one = own("demo-rn")
    one.go(f"{CALLS}&owner=none")
    row = one.page.locator("tbody.task").nth(2)
    task = row.get_attribute("data-task")
    expect(one.page.locator("#freshness-state")).to_have_text("Current")
    quiet.do(lambda world: _take(world, task))
    expect(one.page.locator(row_of(str(task)))).to_contain_text("Taken by someone else")
    assert one.page.locator("tbody.task").nth(2).get_attribute("data-task") == task


async def _take(world: Any, task: str | None) -> None:
    found = await world.get(f"/tasks/{task}")
    response = await world.act(found, "accept", key=f"take-{task}")
    assert response.status_code == 200


def test_a_death_stops_a_call_that_is_being_written_down(own: Open, quiet: Served) -> None:
    """The stop box comes over the form; what was typed stays; `Complete` is gone."""
    one = own("demo-rn")
    page = one.page
    one.go(f"{CALLS}&owner=none")
    link = page.locator("tbody.task th.patient a").nth(1)
    number = int(link.inner_text().removeprefix("Made-Up Patient"))
    link.click()
    page.locator('input[name="reached"][value="patient"]').check()
    page.locator("#note").fill("She says that she")
    expect(page.locator("#complete")).to_have_count(1)

    quiet.send(event(number, "patient.died", died_at=written(RealClock().now())))

    expect(page.locator("#task-stop")).to_contain_text("reports that the patient has died")
    expect(page.locator("#complete")).to_have_count(0)
    expect(page.locator("#task-buttons")).to_contain_text("Close without calling")
    assert page.locator("#note").input_value() == "She says that she"
    assert page.locator('input[name="reached"][value="patient"]').is_checked()
    assert page.evaluate("() => document.activeElement.id") == "note"
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert violations(page) == []


def test_what_was_typed_is_kept_until_it_is_sent(own: Open) -> None:
    """A draft is the writer's own: there again in another session, and not in anybody else's."""
    one = own("demo-rn")
    one.go(f"{CALLS}&owner=none")
    one.page.locator("tbody.task th.patient a").nth(3).click()
    task = one.page.url
    with one.page.expect_response(lambda told: told.url.endswith("/draft")) as kept:
        one.page.locator("#note").fill("Asks for a call after five")
    assert kept.value.status == 204

    again, other = own("demo-rn"), own("demo-supervisor")
    again.page.goto(task)
    expect(again.page.locator("#note")).to_have_value("Asks for a call after five")
    other.page.goto(task)
    expect(other.page.locator("#note")).to_have_value("")


def test_a_stale_form_says_what_changed(own: Open, quiet: Served) -> None:
    """The due time moves while somebody writes: it is said above the form, typed words stay."""
    one = own("demo-rn")
    page = one.page
    one.go(f"{CALLS}&owner=none")
    link = page.locator("tbody.task th.patient a", has_text="Made-Up").last
    number = int(link.inner_text().removeprefix("Made-Up Patient"))
    link.click()
    page.locator("#note").fill("Half a sentence")
    at = written(RealClock().now() - 3 * HOUR)
    quiet.send(event(number, "discharge.corrected", visit_number=f"V{number}", discharged_at=at))
    expect(page.locator("#stale")).to_contain_text("Changed while you wrote")
    expect(page.locator("#complete")).to_have_text("Save anyway")
    expect(page.locator("#note")).to_have_value("Half a sentence")


def _opened(one: Window, at: int) -> str:
    """Open the task of a row; its patient's name."""
    one.go(f"{CALLS}&owner=none")
    link = one.page.locator("tbody.task th.patient a").nth(at)
    name = link.inner_text()
    link.click()
    expect(one.page.locator("#task-phone")).to_contain_text("202-555-01")
    expect(one.page.locator("#freshness-state")).to_have_text("Current")
    return name


def _nothing_to_do(page: Page) -> None:
    """Neither a number nor anything to press but what closes the page."""
    expect(page.locator("#task-stop")).to_contain_text("Withdrawn")
    for name in ("Accept", "Complete", "Log attempt", "Save note", "Pass on", "Release"):
        expect(page.get_by_role("button", name=name, exact=True)).to_have_count(0)
    expect(page.get_by_text("Cannot be done").locator("visible=true")).to_have_count(0)
    expect(page.locator("main")).not_to_contain_text("202-555")
    expect(page.locator("main")).not_to_contain_text(" left, ")
    expect(page.locator("#task-why")).to_contain_text("cancelled the discharge")
    expect(page.locator("#task-contact s")).to_contain_text("was due")


def test_a_half_filled_form_that_was_sent_back_still_hears_of_a_stop(
    own: Open, quiet: Served
) -> None:
    """The page of an incomplete report asks for nothing that is not there, and stops like any."""
    one = own("demo-rn")
    page = one.page
    name = _opened(one, 2)
    task = page.url
    page.locator('input[name="reached"][value="patient"]').check()
    page.locator("#note").fill("She says")
    page.locator("#complete").click()
    expect(page.locator("#problem")).to_contain_text("This counts as an attempt.")
    expect(page.locator("#problem")).to_contain_text("Nothing is saved yet.")
    expect(page.locator("#freshness-state")).to_have_text("Current")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(2000)  # what would be asked every 0.7 s
    assert [url for url in asked if "/live/" not in url] == []

    quiet.send(cancelled(name))
    expect(page.locator("#problem")).to_be_hidden()
    _nothing_to_do(page)
    expect(page.locator("#task-buttons")).to_have_text("Close without calling")
    expect(page.locator("#note")).to_have_value("She says")
    page.goto(f"{task}/report")
    expect(page).to_have_url(task)
    expect(page.locator("#note")).to_have_value("She says")
    _nothing_to_do(page)


def test_what_is_withdrawn_while_one_looks_leaves_nothing_to_do(own: Open, quiet: Served) -> None:
    """Where nothing was written the form goes too; the same after the page is shown anew."""
    one = own("demo-rn")
    page = one.page
    name = _opened(one, 5)
    expect(page.get_by_role("button", name="Accept")).to_have_count(1)
    quiet.send(cancelled(name))
    _nothing_to_do(page)
    expect(page.locator("#report")).to_be_hidden()
    assert violations(page) == []
    page.reload()
    _nothing_to_do(page)
    expect(page.locator("#report")).to_have_count(0)


def test_the_tabs_count_what_was_taken_and_given_back(own: Open) -> None:
    """In place, without the page being shown anew."""
    one = own("demo-rn")
    page = one.page
    one.go(CALLS)
    tabs = page.locator("#owner-tabs a")
    before = tabs.all_inner_texts()
    mine, unowned = (int(text.split()[1]) for text in before[:2])
    page.get_by_role("button", name="Accept").first.click()
    after = [f"Mine {mine + 1}", f"Unowned {unowned - 1}", before[2]]
    expect(tabs).to_have_text(after)
    page.get_by_role("button", name="Undo").click()
    expect(tabs).to_have_text(before)
    assert page.locator('#owner-tabs [aria-current="true"]').inner_text() == before[2]
