"""Signing in with a name and a password: never which was wrong, and not for ever."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import httpx
import orjson
import pytest
import pytest_asyncio

from orchestrator.worklist import edge, measures
from orchestrator.worklist.access import users
from orchestrator.worklist.access.modes import access_of
from orchestrator.worklist.access.tokens import LocalTokens, site_signing_key
from tests.worklist.world import Browser, World, world

pytestmark = pytest.mark.asyncio(loop_scope="module")
PASSWORD: Final = "correct horse battery staple"
CHEAP: Final = users.Cost(2**10, 8, 1)  # the real one is felt, which is its purpose
WRONG: Final = "Name or password is not right."
REST: Final = "Try again in 15 minutes."


@pytest.fixture(autouse=True)
def cheaply(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that nobody has costs as little as the others here."""
    monkeypatch.setattr(users, "_NOBODYS", users.hashed("x", CHEAP))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A worklist of the mode `local` with two people."""
    folder = tmp_path_factory.mktemp("local")
    async with world(
        folder,
        patients=0,
        access=lambda store: access_of(store, "local", secret=b"s" * 32),
        authenticator=lambda store: LocalTokens(site_signing_key(folder), "x", store),
    ) as made:
        hash_ = users.hashed(PASSWORD, CHEAP)
        claims = {"roles": ["rn"], "teams": ["nurse-outreach"], "facilities": ["GEN"]}
        for name in ("ann", "bob", "cy", "dee"):
            made.site.store.put_user(name, hash_, orjson.dumps(claims).decode(), edge.now())
        made.site.store.put_user(
            "feed", hash_, orjson.dumps({"roles": ["publisher"]}).decode(), edge.now()
        )
        yield made


async def visitor(made: World) -> Browser:
    browser = made.browser(None)
    await browser.get("/sign-in")
    browser.word = browser.client.cookies["care_visitor"]
    return browser


async def attempt(made: World, name: str, password: str) -> httpx.Response:
    """One try, from a browser of its own."""
    async with await visitor(made) as browser:
        return await browser.post("/sign-in", name=name, password=password)


async def test_the_right_password_signs_in(shared: World) -> None:
    """As who the list of users says, and the audit knows."""
    async with await visitor(shared) as browser:
        response = await browser.post("/sign-in", name="ann", password=PASSWORD)
        inside = await browser.get("/keys")

    assert (response.status_code, response.headers["location"]) == (303, "/work")
    assert inside.status_code == 200
    record = shared.audit()[-1]
    assert (record["actor"], record["action"], record["outcome"], record["roles"]) == (
        "ann",
        "sign-in",
        "success",
        ["rn"],
    )


async def test_a_wrong_one_does_not_say_which(shared: World) -> None:
    """The same words for a wrong password, a wrong name, and somebody who is out."""
    shared.site.store.disable("dee", edge.now())
    wrong = await attempt(shared, "ann", "not her password at all")
    unknown = await attempt(shared, "nobody-of-ours", PASSWORD)
    out = await attempt(shared, "dee", PASSWORD)
    records = shared.audit()[-3:]

    for response in (wrong, unknown, out):
        assert response.status_code == 422
        assert WRONG in response.text
        assert "care_session" not in str(response.headers)
        assert PASSWORD not in response.text
    assert 'value="ann"' in wrong.text
    # What was typed as a name may be a password: it is written down only if it is a name.
    assert [(r["actor"], r["outcome"]) for r in records] == [
        ("ann", "refused"),
        ("unknown", "refused"),
        ("dee", "refused"),
    ]
    assert "nobody-of-ours" not in str(shared.audit())


async def test_five_wrong_ones_are_enough(shared: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """429 for a quarter of an hour, also with the right one; others sign in meanwhile."""
    for _ in range(5):
        assert (await attempt(shared, "bob", "wrong wrong wrong")).status_code == 422
    locked = await attempt(shared, "bob", PASSWORD)
    other = await attempt(shared, "cy", PASSWORD)
    later = edge.elapsed() + 15 * 60 + 1
    monkeypatch.setattr(edge, "elapsed", lambda: later)
    again = await attempt(shared, "bob", PASSWORD)

    assert locked.status_code == 429
    assert REST in locked.text
    assert 0 < int(locked.headers["retry-after"]) <= 15 * 60 + 1
    assert (other.status_code, again.status_code) == (303, 303)


async def test_guesses_at_the_same_moment_count_too(shared: World) -> None:
    """Nobody gets a sixth try by sending all of them at once."""
    tries = [attempt(shared, "eve", f"wrong wrong {n:>5}") for n in range(12)]
    codes = [response.status_code for response in await asyncio.gather(*tries)]

    assert sorted(codes) == [422] * 5 + [429] * 7


async def test_the_right_one_forgives_the_wrong_ones(shared: World) -> None:
    """Who mistypes twice a day is not locked out in the evening."""
    for _ in range(3):
        for _ in range(4):
            await attempt(shared, "cy", "wrong wrong wrong")
        assert (await attempt(shared, "cy", PASSWORD)).status_code == 303


async def test_a_user_without_a_page_is_not_let_in(shared: World) -> None:
    """A feed's account has nothing to do here, and is told so."""
    response = await attempt(shared, "feed", PASSWORD)

    assert response.status_code == 422
    assert "Your account has no role here." in response.text


async def test_who_cannot_be_recorded_does_not_come_in(
    shared: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No audit, no session."""
    from orchestrator.worklist.log.feed import LogAway

    async def away(*_: object) -> None:
        raise LogAway("disk")

    monkeypatch.setattr(shared.site.sender, "send", away)
    response = await attempt(shared, "ann", PASSWORD)

    assert response.status_code == 503
    assert "set-cookie" not in response.headers


async def test_the_demos_words_are_nobody_here(shared: World) -> None:
    """Neither as a token nor as a button."""
    async with shared.client("demo-rn") as client:
        token = await client.get("/me")
    async with await visitor(shared) as browser:
        button = await browser.post("/sign-in", role="rn")

    assert token.status_code == 401
    assert button.status_code == 422
    assert "care_session" not in str(button.headers)


async def test_failures_are_counted_by_cause(shared: World) -> None:
    """So that somebody who tries passwords is seen on a dashboard."""
    before = _failures("password")
    await attempt(shared, "zoe", "wrong wrong wrong")

    assert _failures("password") == before + 1


def _failures(cause: str) -> float:
    return measures.REGISTRY.get_sample_value("care_auth_failures_total", {"cause": cause}) or 0.0


@pytest.mark.parametrize("name", ["", " ", "a" * 100_000, "\x00", "é", "a\r\nb", "<b>", "ann\x00"])
async def test_any_name_is_only_a_name(shared: World, name: str) -> None:
    """No name breaks the page or gets into it as markup."""
    response = await attempt(shared, name, "wrong wrong wrong")

    assert response.status_code in (422, 429)
    assert "<b>" not in response.text


async def test_a_password_is_kept_as_scrypt_with_a_salt_of_its_own() -> None:
    """Two people with one password have nothing in common in the file."""
    one, other = users.hashed(PASSWORD), users.hashed(PASSWORD)

    assert one != other
    assert one.startswith("scrypt$65536$8$2$")
    assert users.is_right(PASSWORD, one)
    assert not users.is_right(PASSWORD + " ", one)
    assert PASSWORD not in one
