"""A nurse's shift: sign in, take, log a voicemail, complete, and stop what is withdrawn.

By mouse, by keyboard alone, and without script: the same work comes out of it.
"""

import re

import pytest
from playwright.sync_api import Page, expect

from orchestrator.core.instants import written
from orchestrator.stream.clock import RealClock
from tests.browser.conftest import Open, Window
from tests.browser.served import Served

QUESTIONS = ("understanding", "medicines", "symptoms", "appointment", "help_at_home")
CALLS = "/work?kind=CALL_48H&owner=none"


def cancelled(name: str) -> dict[str, object]:
    """The hospital takes back the discharge of the patient of this name."""
    number = int(name.removeprefix("Made-Up Patient"))
    facility, now = ("GEN" if number % 2 else "MID"), written(RealClock().now())
    return {
        "specversion": "1.0",
        "id": f"cancel-{number}-{now}",
        "source": f"hospital/{facility}/adt",
        "type": "care.discharge.cancelled.v1",
        "time": now,
        "subject": f"{facility}|MRN{number}",
        "facility": facility,
        "data": {"visit_number": f"V{number}"},
    }


def first(page: Page) -> tuple[str, str]:
    """The first task of the list: its id and its patient's name."""
    row = page.locator("tbody.task").first
    task = row.get_attribute("data-task")
    assert task is not None
    return task, row.locator("th.patient a").inner_text()


def row_of(task: str) -> str:
    return f'tbody[data-task="{task}"]'


class Mouse:
    """Clicks on what is there; with or without script."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def sign_in(self) -> None:
        self.page.locator('button[name="role"][value="rn"]').click()

    def accept(self, task: str) -> None:
        self.page.locator(row_of(task)).get_by_role("button", name="Accept").click()

    def open(self, task: str) -> None:
        self.page.locator(f"{row_of(task)} th.patient a").click()

    def choose(self, name: str, value: str) -> None:
        self.page.locator(f'input[name="{name}"][value="{value}"]').check()

    def press(self, name: str) -> None:
        self.page.locator("#task-buttons").get_by_role("button", name=name).click()

    def got_it(self, task: str) -> None:
        self.page.locator(row_of(task)).get_by_role("button", name="Got it").click()


class Keyboard(Mouse):
    """Never touches the mouse: tab, arrows, space, enter, and the keys of the pages."""

    def _tab_to(self, matches: str) -> None:
        for _ in range(200):
            self.page.keyboard.press("Tab")
            if self.page.evaluate("(css) => document.activeElement.matches(css)", matches):
                assert self.page.evaluate(
                    "() => getComputedStyle(document.activeElement).outlineStyle !== 'none'"
                    " || document.activeElement.matches('input')"
                ), "the focus cannot be seen"
                return
        raise AssertionError(f"no way to {matches} by keyboard")

    def _row(self, task: str) -> None:
        for _ in range(60):
            self.page.keyboard.press("j")
            here = "(css) => document.activeElement.closest('tbody.task')?.matches(css)"
            if self.page.evaluate(here, row_of(task)):
                return
        raise AssertionError("no way to the row by keyboard")

    def sign_in(self) -> None:
        self._tab_to('button[name="role"][value="rn"]')
        self.page.keyboard.press("Enter")

    def accept(self, task: str) -> None:
        self._row(task)
        self.page.keyboard.press("a")

    def open(self, task: str) -> None:
        self._row(task)
        self.page.keyboard.press("Enter")

    def choose(self, name: str, value: str) -> None:
        one = f'input[name="{name}"]'
        self._tab_to(one)
        for _ in range(12):
            if self.page.evaluate("() => document.activeElement.value") == value:
                break
            self.page.keyboard.press("ArrowDown")
        self.page.keyboard.press("Space")
        assert self.page.locator(f'{one}[value="{value}"]').is_checked()

    def press(self, name: str) -> None:
        if name == "Complete":
            self.page.keyboard.press("c")
            return
        self._tab_to('#task-buttons button[value="attempt"]')
        self.page.keyboard.press("Enter")

    def got_it(self, task: str) -> None:
        self._row(task)
        self.page.keyboard.press("e")


@pytest.mark.parametrize("how", ["mouse", "keyboard", "without script"])
def test_a_shift(how: str, window: Open, site: Served) -> None:
    """Sign in, take, log a voicemail, complete, go on with the next, and stop what is withdrawn."""
    script = how != "without script"
    one = window(None, script=script)
    page = one.page
    hand: Mouse = Keyboard(page) if how == "keyboard" else Mouse(page)

    one.go("/work")
    expect(page).to_have_url(re.compile("/sign-in"))
    hand.sign_in()
    expect(page.locator("h1")).to_have_text("My work")

    one.go(CALLS)
    task, _ = first(page)
    hand.accept(task)
    expect(page.locator("#notice")).to_contain_text("Accepted.")
    one.go("/work?kind=CALL_48H&owner=me")
    expect(page.locator(row_of(task))).to_contain_text("you")

    hand.open(task)
    expect(page.locator("#task-state")).to_contain_text("Accepted, yours")
    hand.choose("reached", "voicemail")
    hand.press("Log attempt")
    expect(page.locator("#notice")).to_contain_text("Attempt logged.")
    expect(page.locator("#task-state")).to_contain_text("1 attempt")

    hand.choose("reached", "patient")
    for name in QUESTIONS:
        hand.choose(f"answer-{name}", "none" if name == "symptoms" else "yes")
    hand.press("Complete")
    # One answer is missing: that is said before it counts as an attempt only.
    expect(page.locator("#problem")).to_contain_text("One answer is missing: education given.")
    hand.choose("answer-education_given", "yes")
    hand.press("Complete")
    expect(page.locator("#notice")).to_contain_text("Done.")
    expect(page.locator("h1")).to_have_text("My work")
    expect(page.locator(row_of(task))).to_have_count(0)

    _withdrawn(one, hand, window, site)


def _withdrawn(one: Window, hand: Mouse, window: Open, site: Served) -> None:
    """A held task whose discharge is cancelled stays, says why, until it is understood."""
    page = one.page
    one.go(CALLS)
    task, name = first(page)
    hand.accept(task)
    expect(page.locator("#notice")).to_contain_text("Accepted.")
    site.send(cancelled(name))
    site.do(lambda world: world.until(f"/tasks/{task}", lambda t: t["status"] == "cancelled"))
    one.go("/work")
    row = page.locator(row_of(task))
    expect(row).to_contain_text("Withdrawn")
    expect(row).to_contain_text("cancelled the discharge")
    expect(row.locator("th.patient a")).to_have_text(name)  # nothing is open: no list names them
    expect(row.get_by_role("button")).to_have_text(["Got it"])
    expect(page.locator("#withdrawn-count")).to_have_text("Withdrawn (1)")

    later = window()
    later.go("/work")
    expect(later.page.locator(row_of(task))).to_contain_text("Withdrawn")

    hand.got_it(task)
    expect(page.locator(row_of(task))).to_have_count(0)
    later.go("/work")
    expect(later.page.locator("h1")).to_have_text("My work")
    expect(later.page.locator(row_of(task))).to_have_count(0)
