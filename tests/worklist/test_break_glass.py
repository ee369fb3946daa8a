"""Break-glass at the pages: a question first, then one record for an hour, and somebody is told."""

import io
from collections.abc import AsyncIterator
from typing import Final

import orjson
import pytest
import pytest_asyncio

from orchestrator.worklist import edge, measures
from orchestrator.worklist.access.roles import principal
from tests.worklist.test_access import ids_of
from tests.worklist.world import World, world

pytestmark = pytest.mark.asyncio(loop_scope="module")
REASON: Final = "found unconscious in the corridor"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One worklist; each test has people of its own."""
    async with world(tmp_path_factory.mktemp("glass")) as made:
        yield made


def er(made: World, name: str, role: str = "rn") -> str:
    """A clinician of another facility."""
    made.people.known[name] = principal(
        name, frozenset({role}), frozenset({"nurse-outreach"}), frozenset({"MID"})
    )
    return name


async def test_a_stranger_is_asked_why(shared: World) -> None:
    """Their page leads to the question, which tells nothing of them."""
    key = (await ids_of(shared, "GEN"))["key"]
    async with shared.browser(er(shared, "er-1")) as browser:
        page = await browser.get(f"/patients/{key}")
        asked = await browser.get(f"/patients/{key}/break-glass")
        short = await browser.post(f"/patients/{key}/break-glass", reason="hurry")
        blank = await browser.post(f"/patients/{key}/break-glass", reason=" " * 40)

    assert (page.status_code, page.headers["location"]) == (303, f"/patients/{key}/break-glass")
    assert "Why do you need this record?" in asked.text
    assert "MRN" not in asked.text
    assert (short.status_code, blank.status_code) == (422, 422)
    assert 'href="#reason"' in short.text
    assert ">hurry</textarea>" in short.text


async def test_with_a_reason_one_record_opens_for_an_hour(
    shared: World, lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log and the metric tell it, every look is marked, nothing else is wider by it."""
    key = (await ids_of(shared, "GEN"))["key"]
    before = measures.REGISTRY.get_sample_value("care_break_glass_total") or 0.0
    async with shared.browser(er(shared, "er-2")) as browser:
        opened = await browser.post(f"/patients/{key}/break-glass", reason=REASON)
        seen = await browser.get(f"/patients/{key}")
        work = await browser.get("/work")
        export = await browser.get("/work/print")
        later = edge.now() + 3601 * 1_000_000
        monkeypatch.setattr(edge, "now", lambda: later)
        browser.client.cookies.set("care_session", shared.site.access.sessions.open("er-2", {}))
        closed = await browser.get(f"/patients/{key}")
    monkeypatch.undo()
    mine = [r for r in shared.audit() if r["actor"] == "er-2"]
    alerts = [
        line for text in lines.getvalue().splitlines()
        if (line := orjson.loads(text))["event"] == "auth.break_glass"
    ]  # fmt: skip

    assert (opened.status_code, opened.headers["location"]) == (303, f"/patients/{key}")
    assert seen.status_code == 200
    assert key not in work.text
    assert export.status_code == 403
    assert closed.status_code == 303
    assert [(r["action"], r["purpose"]) for r in mine if key in r["patient_keys"]][:2] == [
        ("break-glass", REASON),
        ("read", "break-glass"),
    ]
    assert measures.REGISTRY.get_sample_value("care_break_glass_total") == before + 1
    assert len(alerts) == 1
    assert alerts[0]["level"] == "warning"
    assert REASON not in lines.getvalue()


@pytest.mark.parametrize("role", ["scheduler", "operator", "auditor", "data-steward"])
async def test_it_is_for_clinicians_alone(shared: World, role: str) -> None:
    """Who does not treat patients gets no question and no record."""
    key = (await ids_of(shared, "GEN"))["key"]
    async with shared.browser(er(shared, f"er-{role}", role)) as browser:
        asked = await browser.get(f"/patients/{key}/break-glass")
        taken = await browser.post(f"/patients/{key}/break-glass", reason=REASON)

    assert (asked.status_code, taken.status_code) == (403, 403)


async def test_nobody_can_be_found_by_it(shared: World) -> None:
    """A key that is nobody's opens nothing, and is recorded as a try."""
    key = "0" * 32
    async with shared.browser(er(shared, "er-3")) as browser:
        taken = await browser.post(f"/patients/{key}/break-glass", reason=REASON)
    record = shared.audit()[-1]

    assert taken.status_code == 404
    assert (record["actor"], record["action"], record["outcome"]) == (
        "er-3",
        "break-glass",
        "not-found",
    )


async def test_a_role_that_loses_the_right_loses_what_it_opened(shared: World) -> None:
    """A grant is worth nothing to who may break no glass any more."""
    key = (await ids_of(shared, "GEN"))["key"]
    name = er(shared, "er-4")
    async with shared.browser(name) as browser:
        await browser.post(f"/patients/{key}/break-glass", reason=REASON)
        before = await browser.get(f"/patients/{key}")
        er(shared, name, "scheduler")
        after = await browser.get(f"/patients/{key}")

    assert before.status_code == 200
    assert after.status_code in (303, 404)
    assert "MRN" not in after.text
