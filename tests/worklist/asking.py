"""Every route of the application asked as anybody: JSON, FHIR and pages alike."""

from typing import Any, Final, NamedTuple

import httpx

from orchestrator.worklist.access.roles import ROLES, Permission
from orchestrator.worklist.api.guard import GuardedRoute, Rule
from orchestrator.worklist.app import Envelope
from orchestrator.worklist.pages.guard import PageRoute
from tests.worklist.test_access import BODIES
from tests.worklist.world import World

LIVE: Final = "text/event-stream"
# What a form says, so that only the rule can stand in the way.
FORMS: Final[dict[str, dict[str, str]]] = {
    "/patients/{key}/break-glass": {"reason": "found on the street"},
}


class Way(NamedTuple):
    """One method of one route."""

    method: str
    path: str
    rule: Rule
    page: bool

    @property
    def live(self) -> bool:
        return self.rule.media == LIVE

    def open_to(self, role: str) -> bool:
        """Whether the table of roles lets *role* in."""
        permission: Permission | None = self.rule.permission
        return permission is None or permission in ROLES[role].may


def ways(made: World) -> list[Way]:
    """All of them, as the application has them."""
    assert isinstance(made.app, Envelope)
    found = []
    for route in made.app.routes:
        assert isinstance(route, GuardedRoute | PageRoute), route
        page = isinstance(route, PageRoute)
        found += [Way(m, route.path, route.rule, page) for m in sorted(route.methods or ())]
    return found


def filled(path: str, ids: dict[str, str]) -> str:
    """*path* with the things of somebody's facility; what is unknown to us is `none`."""
    for part in path.split("/"):
        if part.startswith("{"):
            name = part.strip("{}").partition(":")[0]
            path = path.replace(part, ids.get(name, "none"))
    return path


async def ask(
    made: World,
    way: Way,
    actor: str | None,
    ids: dict[str, str],
    *,
    bodies: dict[str, Any] | None = None,
    query: str = "",
    request_id: str = "matrix",
) -> httpx.Response:
    """One request that is right but for who asks."""
    path = filled(way.path, ids) + query
    said = {**BODIES, **(bodies or {})}.get(way.path)
    if way.page:
        async with made.browser(actor) as browser:
            return await browser.client.request(
                way.method,
                path,
                data=None if way.method == "GET" else {
                    "csrf": browser.csrf, **FORMS.get(way.path, {})
                },
                headers={"Sec-Fetch-Site": "same-origin", "X-Request-ID": request_id},
            )  # fmt: skip
    headers = {
        "Idempotency-Key": f"{actor}{way.path}{ids.get('task_id')}"[:128],
        "If-Match": '"999"',
        "Prefer": "wait=0",
        "X-Request-ID": request_id,
    }
    if way.path.startswith("/fhir/Task/") and way.method != "GET":
        kind = "json-patch+json" if way.method == "PATCH" else "fhir+json"
        headers["Content-Type"] = f"application/{kind}"
    if way.path.endswith("/_search"):
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    async with made.client(actor) as client:
        return await client.request(way.method, f"http://test{path}", json=said, headers=headers)
