"""Sign-in at the hospital's provider, over real HTTP: who comes back is who left, or nobody."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import pytest_asyncio

from orchestrator.worklist import edge
from orchestrator.worklist.access.bearer import IssuedTokens
from orchestrator.worklist.access.modes import access_of
from orchestrator.worklist.access.oidc import Provider
from tests.worklist.issuer import AUDIENCE, CLIENT, SECRET, Issuer, issuing, made_key
from tests.worklist.world import Browser, World, world

pytestmark = pytest.mark.asyncio(loop_scope="module")
NOBODY: Final = "did not say who you are"


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with issuing() as made:
        yield made


@pytest.fixture(autouse=True)
def as_ever(issuer: Issuer) -> Iterator[None]:
    """Each test changes the provider for itself alone."""
    yield
    issuer.says, issuer.header, issuer.metadata, issuer.refuses = {}, {}, {}, None


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A worklist of the mode `oidc`."""
    provider = Provider(issuer.url, CLIENT, SECRET)
    async with world(
        tmp_path_factory.mktemp("oidc"),
        patients=0,
        access=lambda store: access_of(store, "oidc", secret=b"s" * 32, provider=provider),
        authenticator=lambda store: IssuedTokens(provider.keys, issuer.url, AUDIENCE, store),
    ) as made:
        yield made


async def left(browser: Browser, path: str = "/sign-in/start?next=/keys") -> str:
    """Where the button leads."""
    response = await browser.get(path)
    assert response.status_code == 303, response.text
    return response.headers["location"]


async def returned(url: str) -> str:
    """Where the provider sends the browser back to."""
    async with httpx.AsyncClient() as client:
        response = await client.get(url)
    assert response.status_code == 302, response.text
    return response.headers["location"]


async def came_back(browser: Browser) -> httpx.Response:
    """There and back."""
    return await browser.get(await returned(await left(browser)))


async def test_one_button_leads_to_the_provider(shared: World, issuer: Issuer) -> None:
    """A link, so that it works without script and our own policy lets it."""
    async with shared.browser(None) as browser:
        page = await browser.get("/sign-in?next=/work?team=x%26y=1")
        url = urlsplit(await left(browser))
        form = await browser.post("/sign-in", name="ann", password="x" * 12)
    asked = parse_qs(url.query)

    assert "Sign in with your hospital account" in page.text
    assert 'href="/sign-in/start?next=/work%3Fteam%3Dx%26y%3D1"' in page.text
    assert f"{url.scheme}://{url.netloc}" == issuer.url
    assert asked["redirect_uri"] == ["http://test/sign-in/callback"]
    assert asked["code_challenge_method"] == ["S256"]
    assert {"state", "nonce", "code_challenge"} <= asked.keys()
    assert asked["scope"] == ["openid"]
    assert form.status_code in (403, 404)


async def test_who_signs_in_there_is_somebody_here(shared: World) -> None:
    """Roles, teams and facilities are the token's; then on to where one was."""
    async with shared.browser(None) as browser:
        response = await came_back(browser)
        inside = await browser.get("/keys")
        work = await browser.get("/work")
    record = next(r for r in reversed(shared.audit()) if r["action"] == "sign-in")

    assert (response.status_code, response.headers["location"]) == (303, "/keys")
    assert (inside.status_code, work.status_code) == (200, 200)
    assert (record["actor"], record["roles"], record["outcome"]) == ("u-1", ["rn"], "success")


async def test_signing_out_leads_on_to_the_provider(shared: World, issuer: Issuer) -> None:
    """Else the next person at the desk would come in as the one before, with one click."""
    provider = shared.site.access.provider
    assert provider is not None
    provider.forget()
    issuer.metadata = {"end_session_endpoint": f"{issuer.url}/leave"}
    async with shared.browser(None) as browser:
        await came_back(browser)
        browser.word = browser.client.cookies["care_session"]
        out = await browser.post("/sign-out")
        page = await browser.get(out.headers["location"])
        after = await browser.get("/keys")
    provider.forget()

    assert out.headers["location"] == "/sign-in?out=1"
    assert "You are signed out here." in page.text
    assert f'href="{issuer.url}/leave"' in page.text
    assert after.status_code == 303


async def test_roles_may_stand_deeper(issuer: Issuer, tmp_path_factory: Any) -> None:
    """`realm_access.roles`, as Keycloak has it; another name does not count."""
    provider = Provider(issuer.url, CLIENT, SECRET, roles="realm_access.roles")
    issuer.says = {"roles": ["supervisor"], "realm_access": {"roles": ["auditor"]}}
    async with (
        world(
            tmp_path_factory.mktemp("deep"),
            patients=0,
            access=lambda store: access_of(
                store,
                "oidc",
                secret=b"s" * 32,
                provider=provider,
                roles_claim="realm_access.roles",
            ),
        ) as made,
        made.browser(None) as browser,
    ):
        response = await browser.get(await returned(await left(browser, "/sign-in/start")))
        work = await browser.get("/work")

    assert response.headers["location"] == "/audit"
    assert work.status_code == 403


@pytest.mark.parametrize(
    "says",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "another-client"},
        {"aud": None},
        {"iss": "http://127.0.0.1:1"},
        {"azp": "another-client"},
        {"exp": 1},
        {"sub": None},
        {"iat": None},
    ],
)
async def test_an_id_token_that_is_not_for_this_sign_in_is_nobodys(
    shared: World, issuer: Issuer, says: dict[str, Any]
) -> None:
    """One claim wrong is enough; the page says so and the audit too."""
    issuer.says = says
    async with shared.browser(None) as browser:
        response = await came_back(browser)
        inside = await browser.get("/keys")

    assert response.status_code == 422
    assert NOBODY in response.text
    assert inside.status_code == 303
    assert (shared.audit()[-1]["action"], shared.audit()[-1]["outcome"]) == ("sign-in", "refused")


async def test_an_answer_is_good_once_and_in_its_own_browser(shared: World) -> None:
    """Not again, not in another browser, not without the state, not with a made-up one."""
    async with shared.browser(None) as browser, shared.browser(None) as other:
        back = await returned(await left(browser))
        await other.get("/sign-in")
        stolen = await other.get(back)
        spent = await browser.get(back)
        fresh = await returned(await left(browser))
        once = await browser.get(fresh)
        browser.client.cookies.delete("care_session")
        twice = await browser.get(fresh)
        none = await browser.get("/sign-in/callback?code=x")
        made_up = await browser.get("/sign-in/callback?code=x&state=y")

    assert once.status_code == 303
    for response in (stolen, spent, twice, none, made_up):
        assert response.status_code == 422
        assert NOBODY in response.text


async def test_another_providers_answer_is_not_taken(shared: World) -> None:
    """Mix-up (RFC 9207): the answer names its issuer, and it is not ours."""
    async with shared.browser(None) as browser:
        back = (await returned(await left(browser))).replace("iss=", "iss=x")
        response = await browser.get(back)

    assert response.status_code == 422


async def test_who_says_no_there_is_nobody_here(shared: World, issuer: Issuer) -> None:
    """`access_denied` is a page, not a fault."""
    issuer.refuses = "access_denied"
    async with shared.browser(None) as browser:
        response = await came_back(browser)

    assert response.status_code == 422
    assert NOBODY in response.text


async def test_who_takes_too_long_begins_again(
    shared: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten minutes at the provider's page, no more."""
    async with shared.browser(None) as browser:
        back = await returned(await left(browser))
        later = edge.elapsed() + 601
        monkeypatch.setattr(edge, "elapsed", lambda: later)
        response = await browser.get(back)

    assert response.status_code == 422


async def test_who_has_no_role_here_is_told_so(shared: World, issuer: Issuer) -> None:
    """An account of the hospital is not yet one of the worklist."""
    issuer.says = {"roles": ["gardener"]}
    async with shared.browser(None) as browser:
        response = await came_back(browser)

    assert response.status_code == 422
    assert "Your account has no role here." in response.text


async def test_who_is_disabled_here_does_not_come_in(shared: World, issuer: Issuer) -> None:
    """`auth user disable` holds for the provider's people too."""
    issuer.says = {"sub": "u-gone"}
    shared.site.store.disable("u-gone", edge.now())
    async with shared.browser(None) as browser:
        response = await came_back(browser)
    async with shared.client(issuer.signed({"sub": "u-gone"})) as client:
        token = await client.get("/me")

    assert (response.status_code, token.status_code) == (422, 401)


async def test_a_provider_that_is_away_is_a_page_that_says_so(tmp_path_factory: Any) -> None:
    """503 and try again; nothing of ours is broken."""
    provider = Provider("http://127.0.0.1:9", CLIENT, SECRET)  # discard: nobody listens
    async with (
        world(
            tmp_path_factory.mktemp("away"),
            patients=0,
            access=lambda store: access_of(store, "oidc", secret=b"s" * 32, provider=provider),
        ) as made,
        made.browser(None) as browser,
    ):
        response = await browser.get("/sign-in/start")

    assert response.status_code == 503
    assert "does not answer" in response.text
    assert response.headers["retry-after"]


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "http://127.0.0.1:1"},
        {"authorization_endpoint": "http://evil.example/authorize"},
        {"authorization_endpoint": None},
    ],
)
async def test_a_discovery_document_that_cannot_be_trusted_is_not(
    issuer: Issuer, metadata: dict[str, Any]
) -> None:
    """Another issuer's, or one that sends people over plain HTTP."""
    from orchestrator.worklist.access.keys import KeysAway

    issuer.metadata = metadata
    with pytest.raises(KeysAway):
        Provider(issuer.url, CLIENT, SECRET).leave("v", "http://test/sign-in/callback", None)


async def test_a_program_comes_with_the_providers_token(shared: World, issuer: Issuer) -> None:
    """RFC 9068: the same issuer's access token opens the API, for our audience."""
    async with shared.client(issuer.signed({"client_id": "ehr"})) as client:
        me = await client.get("/me")
    async with shared.client(issuer.signed({"aud": CLIENT})) as client:
        id_token = await client.get("/me")

    assert me.status_code == 200
    assert (me.json()["actor"], me.json()["roles"]) == ("u-1", ["rn"])
    assert id_token.status_code == 401
    assert id_token.headers["www-authenticate"].startswith("Bearer")


async def test_a_new_key_is_found_within_a_minute(
    shared: World, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown `kid` asks the provider, at most once a minute however many tokens name one."""
    async with shared.client(issuer.signed()) as client:
        assert (await client.get("/me")).status_code == 200
    fresh = made_key("ES256", "k2")
    later = edge.elapsed() + 61
    monkeypatch.setattr(edge, "elapsed", lambda: later)
    asked = issuer.asked.count("/jwks")
    forged = issuer.signed(key=made_key("ES256", "k9"))
    async with shared.client(forged) as client:
        codes = [(await client.get("/me")).status_code for _ in range(10)]
    issuer.keys.append(fresh)
    async with shared.client(issuer.signed(key=fresh)) as client:
        early = await client.get("/me")
        later += 61
        known = await client.get("/me")
    asked = issuer.asked.count("/jwks") - asked
    issuer.keys.remove(fresh)

    assert codes == [401] * 10
    assert (early.status_code, known.status_code) == (401, 200)
    assert asked == 2
