"""Every route × every role × own and other facility: nobody reads what is not theirs."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import pytest
import pytest_asyncio
from fastapi import APIRouter

from orchestrator.worklist.access.roles import ROLES
from orchestrator.worklist.api.guard import GuardedRoute
from orchestrator.worklist.pages.guard import PageRoute
from tests.worklist.asking import Way, ask, ways
from tests.worklist.planted import GEN, found_in, person, planted, text_of
from tests.worklist.test_access import ids_of, is_shut
from tests.worklist.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Doors without a lock: nothing behind them is about anybody.
OPEN: Final = {
    "/",
    "/.well-known/smart-configuration",
    "/docs",
    "/fhir/.well-known/smart-configuration",
    "/fhir/metadata",
    "/problems/{reason}",
    "/schemas/{name}",
    "/sign-in",
    "/sign-in/callback",
    "/sign-in/start",
    "/static/{name}",
}
# The demo's controls; 404 outside the demo, where there is nobody to harm.
DEMO: Final = "/demo/"


BODIES: Final = {"/api/v1/patients/search": {"identifier": f"GEN|{GEN.mrn}"}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One worklist with one recognisable patient at each of two facilities."""
    async with planted(tmp_path_factory.mktemp("matrix")) as made:
        yield made


def reachable(router: Any) -> Iterator[Any]:
    """Every route that a request can come to, however deep it was put in."""
    for route in router.routes:
        inner = getattr(route, "original_router", None) or getattr(route, "app", None)
        if inner is not None and hasattr(inner, "routes"):
            yield from reachable(inner)
        else:
            yield route


async def test_every_route_of_the_application_has_a_policy(shared: World) -> None:
    """JSON, FHIR, pages: whatever is mounted is guarded, and what is open to anyone stands here."""
    everything = ways(shared)
    plain = [
        route
        for route in reachable(shared.app.app)
        if not isinstance(route, GuardedRoute | PageRoute)
    ]

    assert [getattr(route, "path", route) for route in plain] == ["/openapi.json"]
    assert len(list(reachable(shared.app.app))) == len(shared.app.routes) + len(plain)
    opened = {way.path for way in everything if way.rule.permission is None}
    assert {path for path in opened if not path.startswith(DEMO)} <= OPEN
    assert len({way.path for way in everything}) > 60


async def test_a_page_without_a_policy_cannot_be_made() -> None:
    """Who adds a page and forgets its rule hears of it at once."""

    async def forgotten() -> None:
        """A page without a rule."""

    with pytest.raises(KeyError):
        APIRouter(route_class=PageRoute).add_api_route("/forgotten", forgotten)


async def test_what_changes_or_takes_away_is_counted_as_such(shared: World) -> None:
    """Actions and exports have their own limits, at pages as at the API."""
    for way in ways(shared):
        if way.rule.deed == "act":
            assert way.rule.limit == "actions", way
        if way.rule.deed == "export":
            assert way.rule.limit == "export", way
            # What auditors take away names no patient.
            assert way.rule.permission in ("export", "audit"), way


@pytest.mark.parametrize("role", ROLES)
async def test_each_role_opens_its_own_doors_alone(shared: World, role: str) -> None:
    """403 for a role that the table does not let in, and for no other."""
    who = person(shared, role, "GEN", "MID")
    ids = await ids_of(shared, "GEN")
    for way in ways(shared):
        if way.live and way.open_to(role):
            continue  # does not end; tests/worklist/test_stream.py
        response = await ask(shared, way, who.actor, ids, bodies=BODIES)
        assert is_shut(response) != way.open_to(role), (way, response.text[:300])
        assert response.status_code < 500 or response.status_code == 503, (way, response.text)


async def test_nobody_reads_anything(shared: World) -> None:
    """Without a token or a session: 401, or the way to sign-in; nothing of any patient."""
    ids = await ids_of(shared, "GEN")
    for way in ways(shared):
        response = await ask(shared, way, None, ids, bodies=BODIES)
        if way.rule.permission is not None:
            assert response.status_code == (303 if way.page else 401), way
            if way.page:
                assert response.headers["location"].startswith("/sign-in"), way
        assert found_in(text_of(response), GEN.personal + GEN.clinical) == [], way


async def test_outside_the_demo_its_controls_are_not_there(shared: World) -> None:
    """Nobody moves a real hospital's clock: not with a session, not without."""
    controls = [way for way in ways(shared) if way.path.startswith(DEMO)]
    assert controls
    for way in controls:
        signed_in = await ask(shared, way, person(shared, "supervisor", "GEN").actor, {})
        anybody = await ask(shared, way, None, {})
        assert (signed_in.status_code, anybody.status_code) == (404, 403), way


@pytest.mark.parametrize("role", ROLES)
async def test_another_facility_is_not_there(shared: World, role: str) -> None:
    """
    Whoever is of MID alone reads nothing of GEN, on any route, whichever way they ask for it.

    By the ids of its things, in lists, in a search for its patient, in what was refused.
    """
    who = person(shared, role, "MID")
    gen = await ids_of(shared, "GEN")
    secrets = GEN.personal + GEN.clinical
    things = tuple(gen[name] for name in ("task_id", "gap_id", "transition_id"))
    for way in ways(shared):
        if (way.live and way.open_to(role)) or way.path.endswith("/break-glass"):
            continue  # break-glass is for what one may not see; tests/worklist/test_access.py
        response = await ask(shared, way, who.actor, gen, bodies=BODIES)
        told = text_of(response).replace(str(response.request.url.path), "")
        assert found_in(told, secrets) == [], way
        if way.method == "GET" and response.status_code == 200:
            assert found_in(told, things) == [], way


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_reads_no_more_than_its_view(shared: World, role: str) -> None:
    """
    Of its own facility: who is pseudonymous or without a view reads no name, number or birth date;
    who is minimal reads no clinical word.
    """
    who = person(shared, role, "GEN")
    ids = await ids_of(shared, "GEN")
    hidden: tuple[str, ...] = ()
    if who.view != "clinical":
        hidden += GEN.clinical
    if who.view not in ("clinical", "minimal"):
        hidden += GEN.personal
    seen: set[str] = set()
    for way in ways(shared):
        if way.live and way.open_to(role):
            continue
        # One's own search words come back in no answer; the key alone is asked for.
        response = await ask(shared, way, who.actor, ids, bodies=BODIES)
        assert found_in(text_of(response), hidden) == [], way
        seen |= set(found_in(text_of(response), GEN.personal + GEN.clinical))

    # The test would see it: whoever may read a name does.
    assert (GEN.mrn in seen) == (who.view in ("clinical", "minimal"))


async def test_whatever_shows_a_patient_is_recorded(shared: World) -> None:
    """Each answer with a patient's data has its record on the log, under its request's id."""
    who = person(shared, "supervisor", "GEN")
    ids = await ids_of(shared, "GEN")
    shown: dict[str, Way] = {}
    for number, way in enumerate(ways(shared)):
        if way.live:
            continue
        name = f"shown-{number}"
        response = await ask(shared, way, who.actor, ids, bodies=BODIES, request_id=name)
        marks = (*GEN.personal, *GEN.clinical, ids["key"])
        if response.status_code == 200 and found_in(response.text, marks):
            shown[name] = way
    recorded = {
        record["request_id"]: record for record in shared.audit() if record["actor"] == who.actor
    }

    assert len(shown) >= 8
    for name, way in shown.items():
        if way.path.endswith("/break-glass"):
            continue  # the question before the record is shown: its address has the key, no more
        assert name in recorded, way
        assert recorded[name]["outcome"] == "success", way
        assert not found_in(str(recorded[name]), GEN.personal + GEN.clinical), way
