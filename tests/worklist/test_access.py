"""Who may ask what: every route against every role, other facilities, other teams, nobody."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import pytest_asyncio
from fastapi import APIRouter
from starlette.routing import Route

from orchestrator.worklist import edge
from orchestrator.worklist.access.roles import ROLES, Principal, principal
from orchestrator.worklist.api.guard import GuardedRoute
from orchestrator.worklist.app import Envelope
from tests.worklist.world import World, world

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEAMS: Final = frozenset({"nurse-outreach", "scheduling", "pharmacy"})
# What is asked of each route, so that only the rule can stand in the way.
BODIES: Final[dict[str, Any]] = {
    "/api/v1/patients/search": {"identifier": "GEN|MRN1"},
    "/api/v1/tasks/bulk": {"action": "accept", "items": [{"task_id": "none", "version": 1}]},
    "/api/v1/tasks/{task_id}/attempt": {"reached": "no-answer"},
    "/api/v1/tasks/{task_id}/complete": {"outcome": "ok"},
    "/api/v1/tasks/{task_id}/reject": {"reason": "x"},
    "/api/v1/tasks/{task_id}/reassign": {"to": "pharmacy"},
    "/api/v1/tasks/{task_id}/note": {"note": "x"},
    "/api/v1/patients/{key}/break-glass": {"reason": "found on the street"},
    "/api/v1/policy/what-if": {
        "policy": "version: P9\neffective_from: 2031-01-01T00:00:00Z\n",
        "from": "2026-10-01",
        "to": "2026-10-31",
    },
    "/fhir/Task/{task_id}": [{"op": "replace", "path": "/status", "value": "accepted"}],
}
OPEN: Final = {
    "/problems/{reason}",
    "/schemas/{name}",
    "/fhir/metadata",
    "/fhir/.well-known/smart-configuration",
    "/.well-known/smart-configuration",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One worklist for all questions; what they change does not matter here."""
    async with world(tmp_path_factory.mktemp("access")) as made:
        yield made


def routes(made: World) -> list[GuardedRoute]:
    assert isinstance(made.app, Envelope)
    return [route for route in made.app.routes if isinstance(route, GuardedRoute)]


async def ask(
    made: World, route: GuardedRoute, token: str | None, ids: dict[str, str]
) -> httpx.Response:
    """One request to *route* that is right but for who asks."""
    (method,) = route.methods or {"GET"}
    path = route.path
    for name, value in ids.items():
        path = path.replace(f"{{{name}}}", value)
    headers = {"Idempotency-Key": f"{token}{route.path}", "If-Match": '"999"'}
    headers["Prefer"] = "wait=0"
    if route.path == "/fhir/Task/{task_id}" and method != "GET":
        kind = "json-patch+json" if method == "PATCH" else "fhir+json"
        headers["content-type"] = f"application/{kind}"
    async with made.client(token) as client:
        return await client.request(
            method, f"http://test{path}", json=BODIES.get(route.path), headers=headers
        )


def is_shut(response: httpx.Response) -> bool:
    """Whether the route's own rule has refused, not the policy of the care teams behind it."""
    judged = "Policy lets another role" in response.text or "Only its owner" in response.text
    return response.status_code == 403 and not judged


async def ids_of(made: World, facility: str) -> dict[str, str]:
    """Things of *facility*, by the names of path parameters."""
    task = (await made.get("/tasks", facility=facility, kind="CALL_48H"))["items"][0]
    gap = (await made.get("/gaps", facility=facility))["items"][0]
    return {
        "task_id": task["task_id"],
        "gap_id": gap["gap_id"],
        "transition_id": task["transition_id"],
        "key": task["patient_key"],
        "event_id": "none",
        "audit_id": "none",
        "version": "P0",
        "reason": "malformed",
        "name": "care.task.v1.json",
    }


async def test_every_route_has_a_rule(shared: World) -> None:
    """There is no door without one: all routes are guarded, and what is open is listed here."""
    guarded = {
        (route.path, method.lower()) for route in routes(shared) for method in route.methods or ()
    }
    async with shared.client(None) as client:
        told = (await client.get("http://test/openapi.json")).json()["paths"]
    plain = [route for route in shared.app.app.routes if isinstance(route, Route)]

    assert {(path, method) for path, methods in told.items() for method in methods} == guarded
    assert len(guarded) > 25
    assert [route.path for route in plain] == ["/openapi.json"]
    assert {r.path for r in routes(shared) if r.rule.permission is None} == OPEN


async def test_a_route_without_a_rule_cannot_be_made() -> None:
    """Who adds a route and forgets its rule hears of it at once."""

    async def forgotten() -> None:
        """An endpoint without a rule."""

    with pytest.raises(KeyError):
        APIRouter(route_class=GuardedRoute).add_api_route("/forgotten", forgotten)


async def test_nobody_is_let_in_without_a_token(shared: World) -> None:
    """401 before anything else is looked at: also for what does not exist."""
    ids = dict.fromkeys(await ids_of(shared, "GEN"), "x")
    for route in routes(shared):
        response = await ask(shared, route, None, ids)
        if route.path in OPEN:
            continue
        assert response.status_code == 401, route.path
        if not route.path.startswith("/fhir"):
            assert response.json()["reason"] == "unauthenticated"
        assert response.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("role", ROLES)
async def test_a_route_is_open_to_the_roles_of_its_rule_alone(shared: World, role: str) -> None:
    """403 for every role that the table does not let in, and for no other."""
    who = principal(f"m-{role}", frozenset({role}), TEAMS, frozenset({"*"}))
    shared.people.known[f"m-{role}"] = who
    ids = await ids_of(shared, "GEN")
    for route in routes(shared):
        if route.path in OPEN or route.rule.media == "text/event-stream":
            continue
        response = await ask(shared, route, f"m-{role}", ids)
        allowed = route.rule.permission in ROLES[role].may
        assert is_shut(response) != allowed, (route.path, response.text)
        assert response.status_code < 500, (route.path, response.text)


async def test_another_facility_is_not_there(shared: World) -> None:
    """Whoever is of MID finds nothing of GEN: not by id, not in lists, counts, search, changes."""
    shared.people.known["mid"] = principal(
        "mid", frozenset({"supervisor"}), TEAMS, frozenset({"MID"})
    )
    ids = await ids_of(shared, "GEN")
    for route in routes(shared):
        if "{" not in route.path or route.path in OPEN:
            continue
        if route.path.endswith(("/break-glass", "/policy/{version}")):
            continue  # it is for what one may not see, below; the rules are the same everywhere
        if route.rule.permission not in shared.people.known["mid"].may:
            continue  # 403, above
        response = await ask(shared, route, "mid", ids)
        assert response.status_code == 404, (route.path, response.text)
    for path in ("/tasks", "/gaps"):
        whole = await shared.get(path)
        found = await shared.get(path, "mid", limit=500)
        assert {item["facility"] for item in found["items"]} == {"MID"}
        assert found["total"] == len(found["items"]) < whole["total"]
    changes = (await shared.get("/changes", "mid", limit=500))["items"]
    assert changes
    assert "GEN|" not in str(changes)
    async with shared.client("mid") as client:
        found = await client.post("/patients/search", json={"identifier": "GEN|MRN1"})
        table = await client.get("/tasks.csv")
    assert found.json()["items"] == []
    assert "GEN" not in table.text
    queues = (await shared.get("/queues", "mid"))["items"]
    assert {queue["open"] for queue in queues} == {3}


async def test_another_teams_task_is_not_there(shared: World) -> None:
    """A scheduler neither reads nor counts calls; their patients are those of their tasks."""
    shared.people.known["sched"] = principal(
        "sched", frozenset({"scheduler"}), frozenset({"scheduling"}), frozenset({"*"})
    )
    call = await shared.call()
    found = await shared.get("/tasks", "sched", limit=500)
    async with shared.client("sched") as client:
        one = await client.get(f"/tasks/{call['task_id']}")
        act = await client.post(
            f"/tasks/{call['task_id']}/accept",
            headers={"Idempotency-Key": "s", "If-Match": '"1"'},
        )

    assert {item["team"] for item in found["items"]} == {"scheduling"}
    assert (one.status_code, act.status_code) == (404, 404)


async def test_part_2_needs_its_own_right() -> None:
    """The team `restricted` is seen with the `part2` claim alone, by supervisors too."""
    who = principal("s", frozenset({"supervisor"}), TEAMS, frozenset({"*"}))
    with_right = principal("s", frozenset({"supervisor"}), TEAMS, frozenset({"*"}), part2=True)

    assert not who.sees_team("restricted")
    assert with_right.sees_team("restricted")


@pytest.mark.parametrize(
    ("view", "hidden"),
    [
        ("clinical", []),
        ("minimal", ["evidence", "outcome"]),
        (
            "pseudonymous",
            [
                "appointment_id",
                "contact",
                "evidence",
                "outcome",
                "owner",
                "patient",
                "subject",
                "visit_number",
            ],
        ),
    ],
)
async def test_a_view_hides_what_its_role_may_not_see(
    shared: World, view: str, hidden: list[str]
) -> None:
    """Hidden is null and named, whether or not there was anything to hide."""
    shared.people.known[view] = principal(
        view, frozenset({"rn"}), TEAMS, frozenset({"*"}), view=view
    )
    found = (await shared.get("/tasks", view, limit=500))["items"]

    for item in found:
        assert item["hidden"] == hidden
        assert [item[name] for name in hidden] == [None] * len(hidden)
    assert ("MRN" in str(found)) == (view != "pseudonymous")


async def test_an_operator_sees_gaps_and_no_patient(shared: World) -> None:
    """What is missing, where and since when; of whom stays a key."""
    found = (await shared.get("/gaps", "demo-operator", limit=500))["items"]

    assert found
    assert "MRN" not in str(found)
    assert all(gap["why"] == gap["rule"] for gap in found)


async def test_break_glass_opens_one_patient_to_one_person_for_an_hour(
    shared: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a reason; every read is marked; nobody else, no list and no export is wider by it."""
    for name in ("er", "er-2"):
        shared.people.known[name] = principal(
            name, frozenset({"rn"}), frozenset({"nurse-outreach"}), frozenset({"MID"})
        )
    gen = await ids_of(shared, "GEN")
    path = f"/patients/{gen['key']}"
    before = len(shared.audit())
    async with shared.client("er") as client:
        hidden = await client.get(path)
        short = await client.post(f"{path}/break-glass", json={"reason": "why not"})
        opened = await client.post(f"{path}/break-glass", json={"reason": "found on the street"})
        card = await client.get(path)
        timeline = await client.get(f"{path}/timeline")
        others = await client.get("/tasks")
    async with shared.client("er-2") as client:
        another = await client.get(path)
    deeds = [(r["action"], r["purpose"]) for r in shared.audit()[before:] if r["actor"] == "er"]
    now = edge.now()
    monkeypatch.setattr(edge, "now", lambda: now + 3601 * 1_000_000)
    async with shared.client("er") as client:
        later = await client.get(path)

    assert (hidden.status_code, short.status_code, another.status_code) == (404, 422, 404)
    assert (opened.status_code, card.status_code, timeline.status_code) == (200, 200, 200)
    assert {task["facility"] for task in card.json()["tasks"]} == {"GEN"}
    assert {task["facility"] for task in others.json()["items"]} == {"MID"}
    assert ("break-glass", "found on the street") in deeds
    assert deeds.count(("read", "break-glass")) == 2
    assert later.status_code == 404


async def test_a_view_never_widens() -> None:
    """A token that asks for more than its roles see gets what they see."""
    who = principal("x", frozenset({"scheduler"}), TEAMS, frozenset({"*"}), view="clinical")

    assert who.view == "minimal"


async def test_a_role_that_is_not_known_gives_nothing() -> None:
    """A typing error in a role opens no door."""
    who = principal("x", frozenset({"superviser"}), TEAMS, frozenset({"*"}))

    assert (who.may, who.view, who.patients) == (frozenset(), None, None)


@pytest.mark.parametrize(("path", "deed"), [("/tasks", "search"), ("/tasks/{task_id}", "read")])
async def test_each_answer_about_patients_is_recorded_first(
    shared: World, path: str, deed: str
) -> None:
    """Who, what, about whom: one record an answer, on the log before the answer is sent."""
    task = await shared.call()
    before = len(shared.audit())
    async with shared.client("demo-rn") as client:
        response = await client.get(
            path.replace("{task_id}", task["task_id"]), headers={"X-Request-ID": "req-1"}
        )
    (record,) = shared.audit()[before:]

    assert response.headers["x-request-id"] == "req-1"
    assert (record["actor"], record["action"], record["outcome"], record["request_id"]) == (
        "demo-rn",
        deed,
        "success",
        "req-1",
    )
    assert task["patient_key"] in record["patient_keys"]
    assert f"task/{task['task_id']}" in record["objects"]
    assert "MRN" not in str(record)


@pytest.mark.parametrize(
    ("token", "path", "outcome"),
    [
        ("demo-operator", "/tasks", "forbidden"),
        ("demo-rn", "/tasks/none", "not-found"),
        ("demo-rn", "/patients/" + "0" * 32, "not-found"),
    ],
)
async def test_what_was_refused_is_recorded_too(
    shared: World, token: str, path: str, outcome: str
) -> None:
    """A probe leaves its trace."""
    before = len(shared.audit())
    async with shared.client(token) as client:
        response = await client.get(path)
    (record,) = shared.audit()[before:]

    assert response.status_code in (403, 404)
    assert (record["actor"], record["outcome"]) == (token, outcome)


async def test_what_cannot_be_recorded_is_not_shown(
    shared: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No audit, no patient: 503, and nothing of the list."""
    from orchestrator.worklist.log.feed import LogAway

    async def away(*_: object) -> None:
        raise LogAway("disk")

    monkeypatch.setattr(shared.site.sender, "send", away)
    async with shared.client("demo-rn") as client:
        response = await client.get("/tasks")

    assert (response.status_code, response.json()["reason"]) == (503, "audit-unavailable")
    assert "items" not in response.json()
    assert response.headers["retry-after"]


@pytest.mark.parametrize("path", ["/tasks", "/tasks/none", "/me", "/nowhere", "/tasks?x=1"])
async def test_every_answer_carries_the_headers(shared: World, path: str) -> None:
    """Nothing is stored on the way, framed, sniffed, or told to other sites."""
    async with shared.client("demo-rn") as client:
        response = await client.get(path)

    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert "default-src 'self'" in response.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in response.headers["content-security-policy"]
    assert response.headers["x-request-id"]
    assert not {"server", "access-control-allow-origin", "set-cookie"} & response.headers.keys()


async def test_a_cookie_opens_nothing_here(shared: World) -> None:
    """JSON reads the bearer header alone, so no other site can ask with a browser's cookie."""
    async with shared.client(None) as client:
        client.cookies.set("care_session", "demo-rn")
        response = await client.get("/tasks")

    assert response.status_code == 401


async def test_who_asks_too_much_waits(tmp_path: Path) -> None:
    """429 with the seconds to wait; others are not held up by it."""
    from orchestrator.worklist.limits import Limits, Rate

    limits = Limits({"api": Rate(0.05, 3), "actions": Rate(1, 60), "export": Rate(1, 6)})
    async with world(tmp_path, limits=limits, patients=0) as made:
        async with made.client("demo-rn") as client:
            codes = [(await client.get("/me")).status_code for _ in range(5)]
            refused = await client.get("/me")
        async with made.client("demo-scheduler") as client:
            other = await client.get("/me")

    assert codes == [200, 200, 200, 429, 429]
    assert (refused.json()["reason"], other.status_code) == ("rate-limited", 200)
    assert int(refused.headers["retry-after"]) >= 1


async def test_a_principal_sees_its_own_facilities_alone() -> None:
    """No facility in the token is no facility, not all of them."""
    nobody = principal("x", frozenset({"rn"}), TEAMS, frozenset())
    everyone: Principal = principal("x", frozenset({"rn"}), TEAMS, frozenset({"*"}))

    assert not nobody.sees_facility("GEN")
    assert everyone.sees_facility("GEN")
