"""Forms: only our own pages' change anything."""

from collections.abc import AsyncIterator
from typing import Final

import httpx
import pytest
import pytest_asyncio

from orchestrator.worklist.access.roles import ROLES, principal
from orchestrator.worklist.access.sessions import Sessions
from orchestrator.worklist.pages.guard import SAFE, PageRoute
from tests.worklist.world import Browser, World, world

pytestmark = pytest.mark.asyncio(loop_scope="module")
HERE: Final = {"Sec-Fetch-Site": "same-origin"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One worklist for all forms."""
    async with world(tmp_path_factory.mktemp("csrf"), patients=1) as made:
        yield made


def sessions(made: World) -> Sessions:
    return made.site.access.sessions


async def send(
    browser: Browser, headers: dict[str, str], path: str = "/session", **form: str
) -> httpx.Response:
    return await browser.client.post(path, data=form, headers=headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "null"},  # as no-referrer makes it
        {"Origin": "http://test"},
        {"Sec-Fetch-Site": "none", "Origin": "http://test"},
    ],
)
async def test_a_form_of_our_own_page_is_taken(shared: World, headers: dict[str, str]) -> None:
    """The browser says that it comes from here, and it brings the page's token."""
    async with shared.browser("demo-rn") as browser:
        response = await send(browser, headers, csrf=browser.csrf)

    assert response.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://test"},
        {"Origin": "null"},
        {"Origin": "https://test"},
        {"Origin": "http://test.evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://test:81"},
        {"Referer": "http://test/work"},
    ],
)
async def test_another_sites_form_is_not_even_with_the_token(
    shared: World, headers: dict[str, str]
) -> None:
    """403 `cross-site`, whatever it brings."""
    async with shared.browser("demo-rn") as browser:
        response = await send(browser, headers, csrf=browser.csrf)

    assert response.status_code == 403
    assert "The form is not one of ours" in response.text


async def test_a_form_without_the_right_token_is_not_taken(shared: World) -> None:
    """None, an empty one, a changed one, another person's, one of before sign-in."""
    async with shared.browser("demo-rn") as browser, shared.browser("demo-rn") as other:
        right = browser.csrf
        wrong = [
            "",
            "x",
            "é",
            right[:-4],
            right[:-8] + "AAAAAAA=",
            right + right,
            other.csrf,
            sessions(shared).form_token("v" * 43),
            sessions(shared).form_token(""),
            "A" * 88,
        ]
        codes = [(await send(browser, HERE, csrf=token)).status_code for token in wrong]
        none = await send(browser, HERE)
        twice = await send(browser, {**HERE, "X-CSRF-Token": right}, csrf="x")

    assert codes == [403] * len(wrong)
    assert (none.status_code, twice.status_code) == (403, 403)


async def test_script_may_bring_the_token_as_a_header(shared: World) -> None:
    """An action without fields needs no form."""
    async with shared.browser("demo-rn") as browser:
        headers = {**HERE, "X-CSRF-Token": browser.csrf}
        response = await browser.client.post("/session", headers=headers)

    assert response.status_code == 200


async def test_each_page_has_another_token_and_all_are_good(shared: World) -> None:
    """Compressed pages do not give it away (BREACH)."""
    async with shared.browser("demo-rn") as browser:
        tokens = {browser.csrf for _ in range(20)}
        codes = {(await send(browser, HERE, csrf=token)).status_code for token in tokens}

    assert len(tokens) == 20
    assert codes == {200}


async def test_sign_in_has_a_token_too(shared: World) -> None:
    """Nobody is signed in as somebody else by another site."""
    async with shared.browser(None) as browser:
        page = await browser.get("/sign-in")
        browser.word = browser.client.cookies["care_visitor"]
        without = await send(browser, HERE, "/sign-in", role="rn")
        foreign = await send(
            browser, {"Sec-Fetch-Site": "cross-site"}, "/sign-in", role="rn", csrf=browser.csrf
        )
        browser.client.cookies.delete("care_visitor")
        lost = await send(browser, HERE, "/sign-in", role="rn", csrf=browser.csrf)

    assert page.status_code == 200
    assert [r.status_code for r in (without, foreign, lost)] == [403] * 3
    assert not any("care_session" in str(r.headers) for r in (without, foreign, lost))


@pytest.mark.parametrize("media", ["text/plain", "application/json", "application/xml"])
async def test_only_forms_are_read(shared: World, media: str) -> None:
    """JSON in another coat, which sites may send without asking, is not a form."""
    async with shared.browser("demo-rn") as browser:
        body = f"csrf={browser.csrf}".encode()
        headers = {**HERE, "Content-Type": media}
        response = await browser.client.post("/session", content=body, headers=headers)

    assert response.status_code == 415


async def test_a_form_of_any_length_is_not_read(shared: World) -> None:
    """Beyond a mebibyte it is refused."""
    async with shared.browser("demo-rn") as browser:
        response = await send(browser, HERE, csrf=browser.csrf, x="x" * 1_100_000)

    assert response.status_code == 413


def pages(made: World) -> list[PageRoute]:
    return [route for route in made.app.routes if isinstance(route, PageRoute)]


async def test_every_page_that_changes_something_asks_for_both(shared: World) -> None:
    """No route was forgotten: without the token, or from elsewhere, 403 for everybody."""
    changing = [route for route in pages(shared) if not (route.methods or set()) <= SAFE]
    all_ = principal("all", frozenset(ROLES), frozenset({"*"}), frozenset({"*"}), part2=True)
    shared.people.known["all"] = all_
    assert len(changing) > 5
    for route in changing:
        path = route.path.format(**dict.fromkeys(route.param_convertors, "0" * 32))
        async with shared.browser("all") as browser:
            foreign = await send(browser, {"Sec-Fetch-Site": "cross-site"}, path, csrf=browser.csrf)
            without = await send(browser, HERE, path)
        assert (foreign.status_code, without.status_code) == (403, 403), route.path
        assert "The form is not one of ours" in foreign.text, route.path
