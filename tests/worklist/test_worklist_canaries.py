"""Recognisable patient data on every route: not in logs, addresses, titles, metrics, errors."""

import io
import re
from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import unquote

import pytest
import pytest_asyncio
from prometheus_client import generate_latest

from orchestrator.worklist import measures
from tests.worklist.asking import ask, ways
from tests.worklist.planted import GEN, found_in, person, planted
from tests.worklist.test_access import ids_of
from tests.worklist.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")

CANARIES: Final = GEN.personal + GEN.clinical
# A conflict shows the current state to who may see it, a form what was typed; these show nothing.
TELLING_NOTHING: Final = frozenset(
    {400, 401, 403, 404, 405, 406, 410, 413, 415, 428, 429, 500, 503}
)
SEARCHES: Final = (
    {"identifier": f"GEN|{GEN.mrn}"},
    {"name": GEN.name, "birth_date": GEN.birth_date},
)
ADDRESS: Final = re.compile(r"""(?:href|action|src|formaction|hx-[a-z:-]+)=["']([^"']*)["']""")
TITLE: Final = re.compile(r"<title>(.*?)</title>", re.DOTALL)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One worklist with one recognisable patient at each of two facilities."""
    async with planted(tmp_path_factory.mktemp("canaries")) as made:
        yield made


async def test_what_is_shown_stays_on_the_page(shared: World, lines: io.StringIO) -> None:
    """Names are in bodies alone: no title, no link, no header, no metric, no line of the log."""
    who = person(shared, "supervisor", "*")
    ids = await ids_of(shared, "GEN")
    shown = 0
    for way in ways(shared):
        if way.live:
            continue
        for search in SEARCHES:
            bodies = {"/api/v1/patients/search": search}
            response = await ask(shared, way, who.actor, ids, bodies=bodies)
            shown += bool(found_in(response.text, CANARIES))
            assert found_in(unquote(str(response.headers)), CANARIES) == [], way
            if response.headers.get("content-type", "").startswith("text/html"):
                addresses = " ".join(
                    [*ADDRESS.findall(response.text), *TITLE.findall(response.text)]
                )
                # A number to dial goes to the telephone; what is sent anywhere has none.
                sent = re.sub(r"tel:\+?\d+", "", unquote(addresses))
                assert found_in(sent, (*CANARIES, GEN.phone.replace("-", ""))) == [], way
            if response.status_code in TELLING_NOTHING:
                assert found_in(response.text, CANARIES) == [], way

    assert shown > 10
    assert found_in(lines.getvalue(), CANARIES) == []
    assert found_in(generate_latest(measures.REGISTRY).decode(), CANARIES) == []
    assert found_in(str(shared.audit()), CANARIES) == []


async def test_what_is_refused_is_not_repeated(shared: World, lines: io.StringIO) -> None:
    """Patient data in the wrong place: in a path, a query, a header, a body of another form."""
    who = person(shared, "supervisor", "*")
    wrong = GEN.name
    for way in ways(shared):
        if way.live or way.path in ("/sign-in", "/sign-in/start"):
            continue
        ids = dict.fromkeys(
            ("task_id", "gap_id", "transition_id", "key", "event_id", "version", "name", "reason"),
            wrong,
        )
        response = await ask(
            shared,
            way,
            who.actor,
            {**ids, "place": wrong, "audit_id": wrong},
            bodies={way.path: {"x": GEN.note, "reason": GEN.note, "name": GEN.name}},
            query=f"?q={GEN.mrn}&team={GEN.phone}&due_before={GEN.birth_date}x",
        )
        assert found_in(str(response.headers), CANARIES) == [], way
        if response.status_code in TELLING_NOTHING or (
            response.status_code == 422 and not way.page
        ):
            # What stood in the path may: the menu leads back to the address that was asked for.
            rest = tuple(canary for canary in CANARIES if canary != wrong)
            assert found_in(response.text, rest) == [], (way, response.text[:500])

    assert found_in(lines.getvalue(), CANARIES) == []
    assert found_in(generate_latest(measures.REGISTRY).decode(), CANARIES) == []


async def test_a_bug_does_not_tell_either(
    shared: World, lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of ours amid a patient's data: 500 with an id, a log line without values."""
    from orchestrator.worklist import views

    def broken(kind: str, value: bytes, *_: object) -> None:
        name, note = GEN.name, GEN.note
        raise ValueError(f"{kind} {name} {note} {value!r}")

    monkeypatch.setattr(views, "item", broken)
    who = person(shared, "supervisor", "*")
    async with shared.client(who.actor) as client:
        answer = await client.get("/tasks")
    async with shared.browser(who.actor) as browser:
        page = await browser.get("/work")

    assert (answer.status_code, page.status_code) == (500, 500)
    assert found_in(answer.text + page.text, CANARIES) == []
    assert answer.json()["reason"] == "internal"
    assert "http.failed" in lines.getvalue()
    assert found_in(lines.getvalue(), CANARIES) == []


async def test_sign_in_repeats_no_password(shared: World, lines: io.StringIO) -> None:
    """Neither in the page, nor in the log, nor in a metric's label."""
    secret = "Tr0ub4dor-and-3"
    async with shared.browser(None) as browser:
        await browser.get("/sign-in")
        browser.word = browser.client.cookies["care_visitor"]
        response = await browser.post("/sign-in", name=secret, password=secret, role=secret)

    assert response.status_code == 422
    assert secret not in response.text
    assert secret not in lines.getvalue() + generate_latest(measures.REGISTRY).decode()
    assert secret not in str(shared.audit())
