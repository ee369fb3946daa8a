"""The deciding process is away, or one topic lags: nothing is lost, nothing is called overdue."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from orchestrator.core.instants import HOUR, MINUTE, SECOND, written
from orchestrator.stream.clock import RealClock
from orchestrator.worklist.log.feed import LogAway
from orchestrator.worklist.model import freshness
from orchestrator.worklist.serving import Plan
from schemas.topics import topic_of
from tests.browser.conftest import Open, windows
from tests.browser.served import Served, served
from tests.browser.test_accessible import violations
from tests.browser.test_live import event
from tests.browser.test_shift import QUESTIONS, row_of
from tests.worklist.world import discharged

CALLS = "/work?kind=CALL_48H"
DAY = 24 * HOUR
BOOKED = "appointment.booked"
# So long an action waits where nobody says otherwise.
WAITS_S = {one.name: one.default for one in fields(Plan)}["action_wait"]


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A few patients, of whom one was told three days late."""
    with served(tmp_path_factory.mktemp("away"), patients=4) as made:
        made.send(*discharged(41, hours_ago=75))
        made.do(lambda world: world.until("/tasks?born_overdue=true", lambda told: told["total"]))
        yield made


@pytest.fixture
def window(chromium: Browser, hospital: Served) -> Iterator[Open]:
    yield from windows(chromium, hospital)


@pytest.fixture
def later(hospital: Served) -> Iterator[Any]:
    """Move the hour of the pages alone; nobody decides by it."""
    site = hospital.world.site
    usual = site.log_now

    def moved(by: int) -> None:
        site.log_now = lambda: usual() + by

    yield moved
    site.log_now = usual


def test_what_is_done_while_nobody_decides_is_done_once_afterwards(
    window: Open, hospital: Served, later: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`Saved. It will show …` when nothing has come within 5 s; the page says that it stands still,
    and no task turns overdue meanwhile; back again, it is applied, once, in the open page."""
    site, worker = hospital.world.site, hospital.world.worker
    usual = site.action_wait
    one = window("demo-rn")
    page = one.page
    one.go(f"{CALLS}&owner=none&facility=GEN")
    row = page.locator("tbody.task", has_not_text="Arrived late").first
    task = str(row.get_attribute("data-task"))
    row = page.locator(row_of(task))
    worker.stop()
    try:
        site.action_wait = float(str(WAITS_S))
        row.get_by_role("button", name="Accept").click()
        expect(row).to_contain_text("Saved. It will show when the system has caught up.")
        expect(row.get_by_role("button")).to_have_count(0)

        with monkeypatch.context() as patched:
            patched.setattr(freshness, "STALE_AFTER_S", 0.0)
            expect(page.locator("#freshness-state")).to_contain_text("Not updating since")
            later(3 * DAY)
            other = window("demo-rn")
            other.go(f"{CALLS}&facility=GEN")
            waits = other.page.locator(row_of(task))
            expect(other.page.locator("#freshness-state")).to_contain_text(
                "Lists are as they were then; actions are stored and will take effect later."
            )
            expect(waits).to_contain_text("Saved. It will show when the system has caught up.")
            expect(waits).to_contain_text("due ")
            expect(waits).not_to_contain_text("Overdue")
            later(0)
    finally:
        site.action_wait = usual
        worker.start()
    expect(row).not_to_contain_text("Saved.")
    expect(row).to_contain_text("you")
    expect(row.get_by_role("button")).to_have_text("Release")
    found = hospital.do(lambda world: world.get(f"/tasks/{task}/history"))
    changes = [one["change"] for one in found["items"]]
    assert changes == ["task.requested", "task.updated"]


def test_what_was_refused_meanwhile_is_told_in_the_open_list(
    window: Open, hospital: Served
) -> None:
    """Another was first: said in the row without a reload, the words in the form, until `e`."""
    site, worker = hospital.world.site, hospital.world.worker
    usual = site.action_wait
    one, other = window("demo-rn"), window("demo-supervisor")
    page = one.page
    one.go(f"{CALLS}&owner=none&facility=MID")
    task = str(page.locator("tbody.task").first.get_attribute("data-task"))
    worker.stop()
    site.action_wait = 0.0
    try:
        other.go(f"/tasks/{task}")
        other.page.locator("#task-actions").get_by_role("button", name="Accept").click()
        page.locator(f"{row_of(task)} th.patient a").click()
        page.locator('input[name="reached"][value="patient"]').check()
        for name in (*QUESTIONS, "education_given"):
            said = "none" if name == "symptoms" else "yes"
            page.locator(f'input[name="answer-{name}"][value="{said}"]').check()
        page.locator("#note").fill("Feels well")
        page.locator("#complete").click()
        expect(page.locator("#notice")).to_contain_text("Saved. It will show when")
    finally:
        site.action_wait = usual
        worker.start()
    row = page.locator(row_of(task))
    expect(row).to_contain_text("Refused: your completion of")
    expect(row).to_contain_text("Taken by someone else.")
    expect(page.locator("#refused-count")).to_have_text("Refused (1)")
    assert violations(page) == []
    later = window("demo-rn", width=390, scheme="dark")
    later.go(f"/tasks/{task}")
    expect(later.page.locator("#task-refused")).to_contain_text("Feels well")
    expect(later.page.locator("#note")).to_have_value("Feels well")
    assert violations(later.page) == []
    row.locator("th.patient a").focus()
    page.keyboard.press("e")
    expect(row).not_to_contain_text("Refused")
    expect(page.locator("#refused-count")).to_be_empty()


def test_while_the_log_is_away_a_row_says_so_and_stays(
    window: Open, hospital: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be stored is said with the request's id; tried again, it is done."""
    sender = hospital.world.site.sender
    real = sender.send

    async def away(topic: str, key: str | None, value: bytes) -> None:
        if topic != "care.audit.v1":
            raise LogAway
        await real(topic, key, value)

    one = window("demo-rn")
    page = one.page
    one.go("/work?kind=MED_REC&owner=none")
    row = page.locator("tbody.task").first
    row = page.locator(row_of(str(row.get_attribute("data-task"))))
    text = row.inner_text()
    with monkeypatch.context() as patched:
        patched.setattr(sender, "send", away)
        row.get_by_role("button", name="Accept").click()
        expect(page.locator("#notice")).to_contain_text(
            "Could not save: the log is unavailable. Nothing was lost; try again. Request "
        )
    assert row.inner_text() == text
    row.get_by_role("button", name="Accept").click()
    expect(page.locator("#notice")).to_contain_text("Accepted.")
    one.faults[:] = [fault for fault in one.faults if "status of 503" not in fault]


def test_one_topic_that_lags_opens_no_gap_of_absence(
    window: Open, hospital: Served, later: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`Behind`, and no visit is called missing; caught up, the one that was booked opens nothing,
    and the other's gap says when it truly began."""
    worker = hospital.world.worker
    booked, missed = 51, 53
    inflow = worker.runtime.inflow
    merged = inflow._merged
    lagging = topic_of(f"care.{BOOKED}.v1")

    def without(positions: Any, topics: Any, limit: int) -> Any:
        return merged(positions, tuple(one for one in topics if one != lagging), limit)

    with monkeypatch.context() as patched:
        patched.setattr(inflow, "_merged", without)
        hospital.send(event(booked, BOOKED, **_visit(booked)))
        # From here on no clock passes.  A visit is missed a day after the discharge: in 2 s.
        begun = RealClock().now() - DAY + 2 * SECOND
        hours = (RealClock().now() - begun) / HOUR
        hospital.send(*(told for n in (booked, missed) for told in discharged(n, hours_ago=hours)))
        tasks = "/tasks?kind=PCP_VISIT_7D"
        hospital.do(lambda world: world.until(tasks, lambda told: told["total"] >= 7))
        one = window("demo-scheduler")
        one.page.wait_for_timeout(max(0, (begun + DAY - RealClock().now()) // 1000) + 1000)
        later(12 * MINUTE)
        one.go("/gaps?code=NO_PCP_APPOINTMENT")
        expect(one.page.locator("#freshness-state")).to_contain_text("Behind 12 min: what arrived")
        expect(one.page.locator("#freshness-state")).to_contain_text(
            "Nothing is called overdue or missing on the strength of it."
        )
        for number in (booked, missed):
            expect(one.page.locator("main")).not_to_contain_text(f"MRN{number}")
        assert worker.runtime.timekeeper.held == "lag"
        later(0)
    gaps = "/gaps?code=NO_PCP_APPOINTMENT"
    found = hospital.do(
        lambda world: world.until(
            gaps, lambda told: any(one["patient"] == f"GEN|MRN{missed}" for one in told["items"])
        )
    )
    said = {one["patient"]: one["since"] for one in found["items"]}
    assert f"GEN|MRN{booked}" not in said
    assert said[f"GEN|MRN{missed}"][:16] == written(begun + DAY)[:16]
    one.go("/gaps?code=NO_PCP_APPOINTMENT")
    expect(one.page.locator("#freshness-state")).to_have_text("Current")
    expect(one.page.locator("main")).to_contain_text(f"Patient MRN{missed}")
    expect(one.page.locator("main")).not_to_contain_text(f"Patient MRN{booked}")


def _visit(number: int) -> dict[str, Any]:
    return {
        "appointment_id": f"A{number}",
        "starts_at": written(RealClock().now() + 3 * DAY),
        "modality": "in-person",
        "provider": {"name": "Able", "specialty": "family medicine"},
    }


def test_what_was_told_late_is_nobodys_delay(window: Open) -> None:
    """In `Arrived late`, not in `Overdue`, with its original due time; it can be completed."""
    one = window("demo-rn")
    page = one.page
    one.go(CALLS)
    group = page.locator("#g-arrived-late")
    expect(group).to_contain_text("Arrived late (1)")
    row = group.locator("xpath=following-sibling::tbody[1]")
    task = str(row.get_attribute("data-task"))
    expect(row).to_contain_text("GEN told us 75 h after the discharge. A call is still worth")
    expect(row).to_contain_text("was due")
    expect(row.locator("td.due")).not_to_contain_text("Overdue")
    expect(page.locator("#g-overdue")).to_have_count(0)
    row.locator("th.patient a").click()
    page.locator('input[name="reached"][value="patient"]').check()
    for name in (*QUESTIONS, "education_given"):
        said = "none" if name == "symptoms" else "yes"
        page.locator(f'input[name="answer-{name}"][value="{said}"]').check()
    page.locator("#complete").click()
    expect(page.locator("#notice")).to_contain_text("Done.")
    expect(page.locator(row_of(task))).to_have_count(0)
