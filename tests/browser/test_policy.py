"""A supervisor tries out a policy on past days: with script, without, and with a bad file."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.test_accessible import no_violation
from tests.worklist.test_what_if import CHANGED, HEAD


def fill_days(page: Page) -> None:
    """A window about now."""
    today = datetime.now(UTC).date()
    page.get_by_label("First day").fill((today - timedelta(days=3)).isoformat())
    page.get_by_label("Last day").fill((today + timedelta(days=1)).isoformat())


@pytest.mark.parametrize("script", [True, False])
def test_a_changed_policy_is_tried_out(window: Open, tmp_path: Path, script: bool) -> None:
    """File, days, the bar, the answer; each group opens with both reasons."""
    file = tmp_path / "policy.yaml"
    file.write_text(CHANGED)
    one = window("demo-supervisor", script=script)
    one.go("/policy")
    one.page.get_by_label("Policy file").set_input_files(file)
    fill_days(one.page)
    one.page.get_by_role("button", name="Try it").click()
    expect(one.page).to_have_url(re.compile("/policy/what-if/"))
    if not script:
        while one.page.get_by_role("button", name="Refresh").is_visible():
            one.page.get_by_role("button", name="Refresh").click()
    expect(one.page.locator("h1")).to_have_text("What P9 would change")
    counted = re.compile(r"\d+ tasks the same, \d+ due earlier, .*\d+ gone")
    expect(one.page.locator("main")).to_contain_text(counted)
    expect(one.page.locator("main")).to_contain_text("Nothing was published")
    group = one.page.locator("details#earlier")
    expect(group.get_by_text("within 24 hours").first).to_be_hidden()
    group.locator("summary").click()
    expect(group.get_by_text("within 48 hours").first).to_be_visible()
    expect(group.get_by_text("within 24 hours").first).to_be_visible()
    if script:
        one.page.evaluate("() => document.querySelectorAll('details').forEach(x => x.open = true)")
        no_violation(one.page)
    group.locator("tbody th a").first.click()
    expect(one.page).to_have_url(re.compile("/tasks/"))


def test_a_bad_file_is_mended_where_it_was_sent_from(window: Open) -> None:
    """The summary has the focus and leads to the text, in which the mistake stands."""
    one = window("demo-operator")
    one.go("/policy")
    one.page.get_by_label("or its text").fill(HEAD + "weekend_escalation_hour: 31\n")
    fill_days(one.page)
    one.page.get_by_role("button", name="Try it").click()
    summary = one.page.locator("#problem")
    expect(summary).to_be_focused()
    expect(summary).to_contain_text("Line 3: weekend_escalation_hour: ")
    no_violation(one.page)
    summary.get_by_role("link").click()
    text = one.page.get_by_label("or its text")
    expect(text).to_be_focused()
    text.fill(text.input_value().replace("hour: 31", "hour: 9"))
    one.page.get_by_role("button", name="Try it").click()
    expect(one.page.locator("main")).to_contain_text(re.compile(r"\d+ tasks the same\."))
