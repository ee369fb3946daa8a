"""Each page, light and dark, wide and narrow: axe-core finds nothing against WCAG 2.2 A and AA."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.conftest import Open
from tests.browser.served import Served

RULES: Final = {
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa"],
    }
}


class Seen(NamedTuple):
    """A page, who opens it, and what is done before it is looked at."""

    actor: str | None
    path: str
    then: Callable[[Page], None] | None = None


def _first_task(page: Page) -> None:
    page.locator("tbody.task th.patient a").first.click()


def _all_open(page: Page) -> None:
    page.evaluate("() => document.querySelectorAll('details').forEach(one => one.open = true)")


def _wrong(page: Page) -> None:
    _first_task(page)
    page.locator("#complete").click()


# A few rows: each of more would be the same again, and axe looks at every one.
FEW: Final = "/work?kind=CALL_48H&facility=GEN"
PAGES: Final = {
    "sign-in": Seen(None, "/sign-in"),
    "work": Seen("demo-rn", FEW),
    "work, supervisor, all open": Seen("demo-supervisor", FEW, _all_open),
    "work, nothing matches": Seen("demo-rn", "/work?flag=AMA"),
    "work, printed": Seen("demo-supervisor", FEW.replace("/work", "/work/print")),
    "call": Seen("demo-rn", "/work?kind=CALL_48H", _first_task),
    "call, wrong": Seen("demo-rn", "/work?kind=CALL_48H", _wrong),
    "visit": Seen("demo-scheduler", "/work?kind=PCP_VISIT_7D", _first_task),
    "reconciliation": Seen("demo-pharmacist", "/work?kind=MED_REC", _first_task),
    "keys": Seen("demo-rn", "/keys"),
    "not there": Seen("demo-rn", "/tasks/none"),
}


@pytest.mark.parametrize("name", PAGES)
def test_no_violation(name: str, window: Open, site: Served) -> None:
    """A and AA of WCAG 2.0 to 2.2; and nothing to be scrolled sideways on a small screen."""
    del site
    seen = PAGES[name]
    one = window(seen.actor)
    one.faults = _Tolerant()
    found: list[str] = []
    for width in (1280, 390):
        one.page.set_viewport_size({"width": width, "height": 900})
        one.go(seen.path)
        if seen.then is not None:
            seen.then(one.page)
            one.page.wait_for_load_state()
        for scheme in ("light", "dark"):
            one.page.emulate_media(color_scheme=scheme)
            found += [f"{width} {scheme} {told}" for told in violations(one.page)]
        wide = one.page.evaluate("() => document.documentElement.scrollWidth > innerWidth")
        found += [f"{width}: scrolls sideways"] if wide else []
    assert found == []


class _Tolerant(list[str]):
    """A page that is not there is told as an error by the browser, too."""

    def append(self, fault: str) -> None:
        if "status of 404" not in fault:
            super().append(fault)


def violations(page: Page) -> list[str]:
    """Which rule is broken where."""
    told: dict[str, Any] = Axe().run(page, options=RULES).response
    return [
        f"{one['id']}: {node['target']} {node.get('failureSummary', '')[:200]}"
        for one in told["violations"]
        for node in one["nodes"][:3]
    ]


def no_violation(page: Page) -> None:
    """On a phone and a screen, light and dark; nor does the page scroll sideways."""
    found = []
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            found += [f"{page.url} {width} {scheme} {told}" for told in violations(page)]
        wide = page.evaluate("() => document.documentElement.scrollWidth > innerWidth")
        found += [f"{page.url} {width}: scrolls sideways"] if wide else []
    assert found == []
