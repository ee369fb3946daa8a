"""Sessions at pages: new at each sign-in, over in time, gone at once when they should be."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from orchestrator.worklist import edge
from orchestrator.worklist.access.modes import access_of
from orchestrator.worklist.access.roles import principal
from orchestrator.worklist.access.sessions import Sessions
from orchestrator.worklist.access.store import FILE, AccessStore
from tests.worklist.world import Browser, World, world

pytestmark = pytest.mark.asyncio(loop_scope="module")
MINUTE = 60_000_000


class Clock:
    """The time of day, moved by hand."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.at = edge.now()
        patch.setattr(edge, "now", lambda: self.at)

    def on(self, minutes: float) -> None:
        self.at += int(minutes * MINUTE)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[AccessStore]:
    made = AccessStore(tmp_path)
    yield made
    made.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One worklist for all who sign in here."""
    async with world(tmp_path_factory.mktemp("sessions"), patients=1) as made:
        yield made


def cookie(response_cookie: str) -> str:
    """What a Set-Cookie header sets."""
    return response_cookie.partition(";")[0].partition("=")[2]


async def visitor(made: World, path: str = "/sign-in") -> Browser:
    """A browser that shows the sign-in page."""
    browser = made.browser(None)
    response = await browser.get(path)
    assert response.status_code == 200
    browser.word = browser.client.cookies["care_visitor"]
    return browser


async def test_a_page_without_a_session_leads_to_sign_in(shared: World) -> None:
    """With the way back: own paths alone, filters included."""
    async with shared.browser(None) as browser:
        page = await browser.get("/session?x=1&y=/z")
        part = await browser.get(
            "/session", **{"HX-Request": "true", "HX-Current-URL": "http://evil.example/work?q=1"}
        )
        posted = await browser.post("/patients/x/break-glass", reason="long enough a reason")

    assert (page.status_code, page.headers["location"]) == (
        303,
        "/sign-in?next=/session%3Fx%3D1%26y%3D/z",
    )
    assert (part.status_code, part.headers["hx-redirect"]) == (
        401,
        "/sign-in?next=/work%3Fq%3D1",
    )
    assert posted.headers["location"] == "/sign-in?next=/patients/x"


async def test_one_click_signs_in_as_a_made_up_role(shared: World) -> None:
    """The demo: a new session, its cookie out of the reach of scripts, then on to where one was."""
    async with await visitor(shared) as browser:
        response = await browser.post("/sign-in", role="rn", next="/keys")
        session = await browser.get("/session")
    set_ = response.headers.get_list("set-cookie")

    assert (response.status_code, response.headers["location"]) == (303, "/keys")
    assert set_[0].startswith("care_session=")
    assert set_[0].endswith("; Path=/; HttpOnly; SameSite=Lax")
    assert set_[1].startswith("care_visitor=; ")
    assert len(cookie(set_[0])) >= 43
    assert session.status_code == 200
    deeds = [(r["actor"], r["action"], r["outcome"]) for r in shared.audit()]
    assert ("demo-rn", "sign-in", "success") in deeds


@pytest.mark.parametrize(
    ("wanted", "goes"),
    [
        ("/work?team=x", "/work?team=x"),
        ("https://evil.example/", "/work"),
        ("//evil.example/", "/work"),
        ("/\\evil.example", "/work"),
        ("/x\\y", "/work"),
        ("javascript:alert(1)", "/work"),
        ("/a\r\nSet-Cookie: x=y", "/work"),
        ("/sign-in?next=/sign-in", "/work"),
        ("", "/work"),
    ],
)
async def test_sign_in_leads_to_own_paths_alone(shared: World, wanted: str, goes: str) -> None:
    """A link that somebody sends cannot send people elsewhere after they have signed in."""
    async with await visitor(shared) as browser:
        response = await browser.post("/sign-in", role="rn", next=wanted)

    assert response.headers["location"] == goes
    assert "set-cookie" in response.headers


@pytest.mark.parametrize(
    ("role", "home"),
    [
        ("scheduler", "/work"),
        ("supervisor", "/work"),
        ("operator", "/operations"),
        ("data-steward", "/dead-letters"),
        ("auditor", "/audit"),
    ],
)
async def test_everybody_begins_at_what_is_theirs(shared: World, role: str, home: str) -> None:
    """Nobody's first page is one that they may not see."""
    async with await visitor(shared) as browser:
        response = await browser.post("/sign-in", role=role)

    assert response.headers["location"] == home


@pytest.mark.parametrize("role", ["", "root", "publisher/../rn", "demo-rn"])
async def test_an_unknown_role_is_nobody(shared: World, role: str) -> None:
    """A form that was changed by hand opens nothing."""
    async with await visitor(shared) as browser:
        response = await browser.post("/sign-in", role=role)

    assert response.status_code == 422
    assert "set-cookie" not in response.headers


async def test_a_session_that_was_handed_out_is_not_taken_up(shared: World) -> None:
    """Fixation: whoever put a cookie into the browser does not know the one after sign-in."""
    planted = "x" * 43
    async with await visitor(shared) as browser:
        browser.client.cookies.set("care_session", planted)
        response = await browser.post("/sign-in", role="rn")
    async with shared.browser(None) as attacker:
        attacker.client.cookies.set("care_session", planted)
        planted_opens = (await attacker.get("/session")).status_code

    assert cookie(response.headers.get_list("set-cookie")[0]) != planted
    assert planted_opens == 303


async def test_signing_in_again_ends_the_session_before(shared: World) -> None:
    """Two people at one desk: the first one's session does not live on under the second's."""
    async with shared.browser("demo-rn") as browser:
        first = browser.word
        page = await browser.get("/sign-in")
        response = await browser.post("/sign-in", role="auditor")

    assert page.status_code == 303  # who is signed in already goes on to their work
    assert response.status_code == 303
    assert shared.site.access.sessions.find(first) is None


async def test_signing_out_ends_it_everywhere(shared: World) -> None:
    """The cookie opens nothing any more, and nothing of the pages was kept for Back."""
    async with shared.browser("demo-rn") as browser:
        word = browser.word
        page = await browser.get("/keys")
        response = await browser.post("/sign-out")
        after = await browser.get("/keys")
    async with shared.browser(None) as copied:
        copied.client.cookies.set("care_session", word or "")
        again = await copied.get("/keys")

    assert page.headers["cache-control"] == "no-store"
    assert (response.status_code, response.headers["location"]) == (303, "/sign-in")
    assert "Max-Age=0" in response.headers["set-cookie"]
    assert (after.status_code, again.status_code) == (303, 303)


async def test_an_idle_session_runs_out_and_says_so(shared: World, clock: Clock) -> None:
    """After 15 minutes without use; the sign-in page says why, once."""
    async with shared.browser("demo-rn") as browser:
        clock.on(14.9)
        used = await browser.get("/keys")
        clock.on(14.9)
        again = await browser.get("/keys")
        clock.on(15)
        over = await browser.get("/keys")
        told = await browser.get("/sign-in?next=/keys")

    assert (used.status_code, again.status_code, over.status_code) == (200, 200, 303)
    assert "You were signed out after 15 minutes. Your draft is kept." in told.text
    assert 'value="/keys"' in told.text


async def test_a_page_that_asks_by_itself_does_not_keep_it_alive(
    shared: World, clock: Clock
) -> None:
    """What is left is told without counting as use; `I am still here` counts."""
    async with shared.browser("demo-rn") as browser:
        clock.on(13)
        left = (await browser.get("/session")).json()
        clock.on(1)
        stayed = (await browser.post("/session")).json()
        clock.on(13)
        late = (await browser.get("/session")).json()
        clock.on(2)
        over = await browser.get("/session")

    assert left == {"left_s": 120, "warn_s": 120}
    assert (stayed["left_s"], late["left_s"]) == (900, 120)
    assert over.status_code == 303


async def test_a_working_day_is_the_longest(shared: World, clock: Clock) -> None:
    """Ten hours after sign-in it is over, however busy it was."""
    async with shared.browser("demo-rn") as browser:
        for _ in range(60):
            clock.on(9.99)
            assert (await browser.get("/session")).status_code == 200
            await browser.post("/session")
        clock.on(0.7)
        over = await browser.get("/keys")
        told = await browser.get("/sign-in")

    assert over.status_code == 303
    assert "You were signed out after 10 hours. Your draft is kept." in told.text


async def test_a_role_that_is_taken_away_is_gone_at_the_next_click(shared: World) -> None:
    """A session is who somebody is now, not who they were at sign-in."""
    shared.people.known["kim"] = principal(
        "kim", frozenset({"supervisor"}), frozenset(), frozenset({"*"})
    )
    async with shared.browser("kim") as browser:
        before = await browser.get("/work")
        shared.people.known["kim"] = principal(
            "kim", frozenset({"auditor"}), frozenset(), frozenset({"*"})
        )
        after = await browser.get("/work")

    assert (before.status_code, after.status_code) == (200, 403)


async def test_who_is_disabled_is_out(shared: World) -> None:
    """Every session of theirs, at once."""
    async with shared.browser("demo-social-worker") as browser:
        before = await browser.get("/keys")
        shared.site.store.disable("demo-social-worker", edge.now())
        after = await browser.get("/keys")
    shared.site.store.enable("demo-social-worker")
    async with shared.browser("demo-social-worker") as browser:
        again = await browser.get("/keys")

    assert (before.status_code, after.status_code, again.status_code) == (200, 303, 200)


async def test_pages_do_not_take_bearer_tokens_nor_json_cookies(shared: World) -> None:
    """Two doors with two keys: so the one cannot be forged with the other."""
    async with shared.browser(None) as browser:
        page = await browser.get("/work", Authorization="Bearer demo-supervisor")
    async with shared.browser("demo-supervisor") as browser:
        answer = await browser.get("/api/v1/tasks")

    assert (page.status_code, answer.status_code) == (303, 401)


async def test_an_address_that_there_is_not_is_a_page_for_a_browser(shared: World) -> None:
    """And a problem for a program."""
    async with shared.browser("demo-rn") as browser:
        page = await browser.get("/nowhere", Accept="text/html,*/*;q=0.8")
        problem = await browser.get("/nowhere")
        wrong_way = await browser.client.put("/work", headers={"Accept": "text/html"})

    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "There is no such thing" in page.text
    assert problem.json()["reason"] == "not-found"
    assert (wrong_way.status_code, wrong_way.headers["allow"]) == (405, "GET")


async def test_under_tls_the_cookie_is_held_to_this_host(store: AccessStore) -> None:
    """`__Host-`, Secure: never over plain HTTP, never of a sub-domain."""
    access = access_of(store, "demo", secure=True)

    assert access.cookie() == "__Host-care_session"
    assert access.set_cookie("x") == (
        "__Host-care_session=x; Path=/; HttpOnly; SameSite=Lax; Secure"
    )
    assert access.drop_cookie().endswith("; Secure; Max-Age=0")


async def test_the_file_opens_no_session(store: AccessStore, tmp_path: Path) -> None:
    """Whoever reads the database finds digests, and another secret makes them worthless."""
    access = access_of(store, "demo", secret=b"a" * 32)
    word = access.sessions.open("demo-rn", {})
    other = access_of(store, "demo", secret=b"b" * 32)
    with sqlite3.connect(tmp_path / FILE) as db:
        dump = "\n".join(db.iterdump())
    db.close()

    assert word not in dump
    assert access.sessions.find(word) is not None
    assert other.sessions.find(word) is None


async def test_another_way_of_signing_in_ends_all_sessions(store: AccessStore) -> None:
    """A demo's visitor is nobody once the site asks for passwords."""
    word = access_of(store, "demo", secret=b"a" * 32).sessions.open("demo-rn", {})

    assert access_of(store, "local", secret=b"a" * 32).sessions.find(word) is None


async def test_a_restart_signs_nobody_out(tmp_path: Path, clock: Clock) -> None:
    """Sessions are kept in the file, with their last use to within seconds."""
    first = AccessStore(tmp_path)
    word = access_of(first, "demo", secret=b"a" * 32).sessions.open("demo-rn", {})
    clock.on(10)
    assert access_of(first, "demo", secret=b"a" * 32).sessions.find(word) is not None
    first.close()
    second = AccessStore(tmp_path)
    sessions = access_of(second, "demo", secret=b"a" * 32).sessions
    clock.on(14.9)
    found = sessions.find(word, touch=False)
    clock.on(0.1)
    over = sessions.find(word)
    second.close()

    assert found is not None
    assert over is None


async def test_lengths_are_settings(store: AccessStore, clock: Clock) -> None:
    """A hospital with its own rule sets its own lengths."""
    sessions = Sessions(
        store, b"a" * 32, "demo", lambda name, _: principal(
            name, frozenset({"rn"}), frozenset(), frozenset()
        ), idle=timedelta(minutes=5), longest=timedelta(hours=1),
    )  # fmt: skip
    word = sessions.open("ann", {})
    clock.on(4.9)
    found = sessions.find(word)
    clock.on(5)

    assert found is not None
    assert sessions.find(word) is None
    assert sessions.has_run_out(word) == timedelta(minutes=5)


async def test_a_file_of_the_layout_before_is_taken_over(tmp_path: Path) -> None:
    """An update keeps users, grants and tokens taken back."""
    AccessStore(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("DROP TABLE sessions")
        db.execute("DROP TABLE disabled")
        db.execute("DROP TABLE issued")
        db.execute("PRAGMA user_version = 1")
        db.execute("INSERT INTO revoked VALUES ('j', 1)")
    db.close()
    store = AccessStore(tmp_path)
    word = access_of(store, "demo", secret=b"a" * 32).sessions.open("demo-rn", {})

    assert store.is_revoked("j")
    assert access_of(store, "demo", secret=b"a" * 32).sessions.find(word) is not None
    store.close()
