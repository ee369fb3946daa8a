"""The application: routes, what every answer carries, and what becomes of a fault."""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import structlog
from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.routing import BaseRoute

from orchestrator.worklist import edge, measures
from orchestrator.worklist.api import (
    about,
    actions,
    dead_letters,
    document,
    exports,
    jobs,
    operations,
    patients,
    policy_trial,
    reading,
    records,
    shapes,
    shapes_ops,
    stream,
)
from orchestrator.worklist.api.guard import GuardedRoute
from orchestrator.worklist.fhir import routes as fhir
from orchestrator.worklist.fhir import writing
from orchestrator.worklist.http11 import HEAD_BYTES
from orchestrator.worklist.pages import router as pages
from orchestrator.worklist.pages.faults import lost_page, wants_page
from orchestrator.worklist.problems import Problem, answer, of_status, of_validation
from orchestrator.worklist.site import Site

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

Add = Callable[..., None]
Responses = dict[int | str, dict[str, Any]]

REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
TRACE: Final = re.compile(r"(?!ff)[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
# interfaces.md 4; `no-store` because all of it may be about patients.
HEADERS: Final = (
    (
        b"content-security-policy",
        (
            b"default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none';"
            b" form-action 'self'; frame-ancestors 'none'"
        ),
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)
HSTS: Final = (b"strict-transport-security", b"max-age=31536000")

logger = structlog.get_logger()


def application(site: Site, *, version: str, under_tls: bool = False) -> "Envelope":
    """The worklist's HTTP door over *site*."""
    app = FastAPI(
        title="Care transition orchestrator: worklist",
        version=version,
        docs_url=None,  # its page would load scripts from another host
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
    )
    app.state.site = site
    app.state.under_tls = under_tls  # what addresses in answers begin with
    routers = (_api(), _root(), pages.router())
    for router in routers:
        app.include_router(router)
    routes = [route for router in routers for route in router.routes]
    app.state.methods = [
        (route.path_regex, route.methods) for route in routes if isinstance(route, APIRoute)
    ]
    document.describe(app, routes)
    app.add_exception_handler(StarletteHTTPException, _on_status)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(Exception, _on_bug)
    return Envelope(app, routes, under_tls=under_tls)


def _api() -> APIRouter:
    api = APIRouter(prefix="/api/v1", route_class=GuardedRoute)
    problems: Responses = {
        code: {"model": shapes.ProblemShape, "description": "Problem details (RFC 9457)."}
        for code in (400, 401, 403, 404, 406, 409, 412, 413, 415, 422, 428, 429, 503)
    }

    def get(path: str, endpoint: Any, shape: Any = None, **more: Any) -> None:
        shown: Responses = {200: {"model": shape}} if shape is not None else {}
        responses = {**problems, **shown, **_others(more)}
        api.add_api_route(path, endpoint, methods=["GET"], responses=responses)

    def post(path: str, endpoint: Any, shape: Any, **more: Any) -> None:
        responses = {**problems, 200: {"model": shape}, **_others(more)}
        api.add_api_route(path, endpoint, methods=["POST"], responses=responses)

    def accepted(path: str, endpoint: Any) -> None:
        """A job."""
        responses = {**problems, 202: {"model": shapes_ops.Job}}
        api.add_api_route(path, endpoint, methods=["POST"], status_code=202, responses=responses)

    known = {"_304": "The caller has it already."}
    moved = {"_307": "Under the key that survived a merge."}
    get("/me", about.me, shapes.Me)
    get("/queues", about.queues, shapes.Queues)
    get("/freshness", about.how_fresh, shapes.FreshnessShape)
    get("/changes", about.changes, shapes.ChangeList)
    get("/tasks", reading.list_tasks, shapes.TaskList)
    get("/tasks.csv", exports.tasks_csv)
    get("/gaps.csv", exports.gaps_csv)
    get("/stream", stream.stream)
    get("/tasks/{task_id}", reading.read_task, shapes.TaskItem, **known)
    get("/tasks/{task_id}/history", reading.task_history, shapes.History)
    get("/gaps", reading.list_gaps, shapes.GapList)
    get("/gaps/{gap_id}", reading.read_gap, shapes.GapItem, **known)
    get("/transitions/{transition_id}", reading.read_transition, shapes.TransitionPage)
    post("/patients/search", patients.search, shapes.FoundList)
    post("/patients/{key}/break-glass", patients.break_glass, shapes.Opened)
    get("/patients/{key}", patients.card, shapes.Card, **moved)
    get("/patients/{key}/timeline", patients.timeline, shapes.Timeline, **moved)
    get("/patients/{key}/medications", patients.medications, shapes.Medications, **moved)
    post("/tasks/bulk", actions.bulk, shapes.Bulk, _207=shapes.Bulk)
    for endpoint in (
        actions.accept,
        actions.release,
        actions.attempt,
        actions.complete,
        actions.reject,
        actions.reassign,
        actions.note,
    ):
        path = f"/tasks/{{task_id}}/{endpoint.__name__}"
        post(path, endpoint, shapes.Applied, _202=shapes.Pending)
    post("/gaps/{gap_id}/acknowledge", actions.acknowledge, shapes.Applied, _202=shapes.Pending)
    get("/actions/{event_id}", actions.action_state, shapes.ActionState)
    get("/audit", records.audit, shapes.AuditList)
    get("/policy", records.policies, shapes.Policies)
    get("/policy/{version}", records.policy, dict[str, Any])
    accepted("/policy/what-if", policy_trial.what_if_under)
    _operations(get, post, accepted)
    return api


def _operations(get: Add, post: Add, job: Add) -> None:
    """What operators and data stewards use."""
    get("/ops/lag", operations.lag, shapes_ops.Lag)
    get("/ops/deadlines", operations.deadlines, shapes_ops.Deadlines)
    get("/ops/feeds", operations.feeds, shapes_ops.Feeds)
    get("/ops/dead-letters", dead_letters.dead_letters, shapes_ops.DeadLetters)
    job("/ops/dead-letters/retry", dead_letters.retry_many)
    get("/ops/dead-letters/{place}", dead_letters.dead_letter, shapes_ops.OneDeadLetter)
    post("/ops/dead-letters/{place}/raw", dead_letters.raw, shapes_ops.DeadLetterBytes)
    post("/ops/dead-letters/{place}/retry", dead_letters.retry, shapes_ops.Retried)
    post("/ops/dead-letters/{place}/discard", dead_letters.discard, shapes_ops.Discarded)
    get("/jobs/{name}", jobs.job, shapes_ops.Job)
    post("/jobs/{name}/stop", jobs.stop, shapes_ops.Job)


def _others(more: dict[str, Any]) -> Responses:
    """Further answers by their status: ``_202=`` a shape, or a sentence where there is no body."""
    return {
        int(name.removeprefix("_")): {"description": said}
        if isinstance(said, str)
        else {"model": said}
        for name, said in more.items()
    }


def _root() -> APIRouter:
    root = APIRouter(route_class=GuardedRoute)
    refused: Responses = {
        "default": {"model": shapes.ProblemShape, "description": "Problem details (RFC 9457)."}
    }
    for at, told in (
        ("/problems/{reason}", document.problem_type),
        ("/schemas/{name}", document.schema),
    ):
        root.add_api_route(at, told, methods=["GET"], responses=refused)
    outcome: Responses = {"default": {"description": "An OperationOutcome says what was wrong."}}
    for path, methods, endpoint in (*fhir.ROUTES, *writing.ROUTES):
        root.add_api_route(path, endpoint, methods=methods, responses=outcome)
    return root


async def _on_status(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, StarletteHTTPException)
    known = fault if isinstance(fault, HTTPException) else HTTPException(fault.status_code)
    if not isinstance(fault, Problem):
        known.headers = fault.headers
    if fault.status_code == 405:
        known.headers = {"Allow": ", ".join(_allowed(request))}
    problem = of_status(known)
    if wants_page(request):
        return await lost_page(problem, request)
    return answer(problem, request.scope)


def _allowed(request: Request) -> list[str]:
    """The methods of all routes of a path; the framework names those of the first alone."""
    path = request.url.path
    found = {
        method
        for regex, methods in request.app.state.methods
        if regex.match(path)
        for method in methods
    }
    return sorted(found | ({"HEAD"} if "GET" in found and _takes_head(path) else set()))


def _takes_head(path: str) -> bool:
    return path.startswith(("/fhir/", "/.well-known/"))


async def _on_validation(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, RequestValidationError)
    return answer(of_validation(fault), request.scope)


async def _on_bug(request: Request, bug: Exception) -> Response:
    # Whoever asks gets a problem, the log the type and the way of it.
    logger.error("http.failed", status=500, exc_info=bug)
    return answer(Problem("internal"), request.scope)


class Envelope:
    """Around every request: its id, the headers, the count, and the end of any fault."""

    def __init__(self, app: FastAPI, routes: list[BaseRoute], *, under_tls: bool) -> None:
        self.app = app
        self.routes = routes
        self._headers = (*HEADERS, HSTS) if under_tls else HEADERS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = edge.elapsed()
        request_id = _said(scope, b"x-request-id", REQUEST_ID) or edge.new_id()
        trace = _said(scope, b"traceparent", TRACE)
        scope["care.request_id"], scope["care.traceparent"] = request_id, trace
        bodiless = scope["method"] == "HEAD" and _takes_head(scope["path"])
        if bodiless:  # RFC 9110: as GET, without what it would show
            scope = {**scope, "method": "GET"}
        status = 0

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                given = {name.lower() for name, _ in message["headers"]}
                extra = [(b"x-request-id", request_id.encode()), *self._headers]
                if trace is not None:
                    extra.append((b"traceparent", trace.encode()))
                message["headers"] = [
                    *message["headers"],
                    *((name, value) for name, value in extra if name not in given),
                ]
            elif bodiless:
                message = {**message, "body": b""}
            await send(message)

        try:
            if sum(len(name) + len(value) for name, value in scope["headers"]) > HEAD_BYTES:
                await answer(Problem("headers-too-large"), scope)(scope, receive, send_on)
            else:
                await self.app(scope, receive, send_on)
        except Exception:
            # Answered and logged already (`_on_bug`), unless it broke an answer that had begun.
            if status != 500:
                raise
        finally:
            route = getattr(scope.get("route"), "path", "none")
            method = scope["method"] if scope["method"] in METHODS else "other"
            measures.REQUESTS.labels("worklist", route, method, str(status)).inc()
            seconds = edge.elapsed() - started
            measures.REQUEST_SECONDS.labels("worklist", route, method).observe(seconds)


METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})


def _said(scope: Scope, wanted: bytes, form: re.Pattern[str]) -> str | None:
    """What a header says, if it has the right form."""
    for name, value in scope["headers"]:
        if name == wanted and form.fullmatch(text := str(value, "latin-1")):
            return text
    return None
