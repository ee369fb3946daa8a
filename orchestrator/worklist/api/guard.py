"""What every request goes through: who asks, may they, how much, and the audit before the answer.

Each route names its rule (`rule`); one without cannot be added.  Authentication comes before the
body is read: a peer's worst hole was a parser open to anyone.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Final, TypeVar, cast, get_origin

import structlog
from fastapi import Depends, HTTPException, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel

from orchestrator.worklist import measures
from orchestrator.worklist.access.keys import KeysDue
from orchestrator.worklist.access.roles import Permission, Principal
from orchestrator.worklist.access.tokens import NotAuthentic
from orchestrator.worklist.api.bodies import LONGEST, StrictRequest, refuse_other_media
from orchestrator.worklist.audit import Account, Deed
from orchestrator.worklist.limits import Kind
from orchestrator.worklist.problems import FHIR_MEDIA, Problem, answer, of_status, of_validation
from orchestrator.worklist.site import Site

JSON: Final = "application/json"
logger = structlog.get_logger()

F = TypeVar("F", bound=Callable[..., Any])
Handler = Callable[[Request], Coroutine[Any, Any, Response]]

# By endpoint; `rule` fills it, and a route without one cannot be made.
RULES: Final[dict[Callable[..., Any], "Rule"]] = {}

# What an audit record calls an answer.
OUTCOMES: Final = {403: "forbidden", 404: "not-found", 409: "conflict", 412: "stale"}


@dataclass(frozen=True, slots=True)
class Rule:
    """
    Who may use a route, and what is recorded of it.

    Attributes:
        permission: ``None``: anyone, without a token.
        deed: What the audit calls it; ``None``: it tells nothing about a patient.
        media: What it answers with.
        touches: Whether asking keeps a page's session alive; what pages ask by themselves does not.
        forms: Whether a page that is open to anyone shows a form.
        files: How many files its form may bring.
        longest: Bytes of a JSON body.
    """

    permission: Permission | None
    deed: Deed | None
    limit: Kind = "api"
    media: str = JSON
    touches: bool = True
    forms: bool = False
    files: int = 0
    longest: int = LONGEST


def rule(
    permission: Permission | None,
    deed: Deed | None = None,
    *,
    limit: Kind = "api",
    media: str = JSON,
    touches: bool = True,
    forms: bool = False,
    files: int = 0,
    longest: int = LONGEST,
) -> Callable[[F], F]:
    """Say the rule of the endpoint below."""

    def said(endpoint: F) -> F:
        RULES[endpoint] = Rule(permission, deed, limit, media, touches, forms, files, longest)
        return endpoint

    return said


@dataclass(slots=True)
class Call:
    """One request of somebody known."""

    site: Site
    who: Principal
    rule: Rule
    request_id: str
    account: Account = field(default_factory=Account)
    extra_headers: dict[str, str] = field(default_factory=dict)
    trace: str | None = None  # what the caller's trace goes on under (W3C Trace Context)


def _call_of(request: Request) -> Call:
    return cast(Call, request.state.call)


CallOf = Annotated[Call, Depends(_call_of)]


class RuledRoute(APIRoute, ABC):
    """A route whose endpoint has a rule; one without cannot be made."""

    @property
    def rule(self) -> Rule:
        return RULES[self.endpoint]

    def get_route_handler(self) -> Handler:
        inner = super().get_route_handler()
        guarded = self.rule

        async def handle(request: Request) -> Response:
            return await self.guard(request, guarded, inner)

        return handle

    @abstractmethod
    async def guard(self, request: Request, guarded: Rule, inner: Handler) -> Response:
        """What stands between a request and its endpoint."""


class GuardedRoute(RuledRoute):
    """A route of JSON or FHIR: a bearer token says who asks."""

    async def guard(self, request: Request, guarded: Rule, inner: Handler) -> Response:
        return await _guarded(request, self, guarded, inner)

    @cached_property
    def said_once(self) -> frozenset[str]:
        """The parameters that hold one value."""
        return frozenset(
            info.alias or name
            for model in _queries(self.dependant)
            for name, info in model.model_fields.items()
            if get_origin(info.annotation) is not list
        )


def _queries(dependant: Dependant) -> Iterator[type[BaseModel]]:
    """What the endpoint and what it depends on take from the address."""
    for parameter in dependant.query_params:
        if isinstance(model := parameter.field_info.annotation, type) and issubclass(
            model, BaseModel
        ):
            yield model
    for one in dependant.dependencies:
        yield from _queries(one)


async def _guarded(
    request: Request, route: GuardedRoute, guarded: Rule, inner: Handler
) -> Response:
    request_id = request.scope["care.request_id"]
    site: Site = request.app.state.site
    if guarded.permission is None:
        return await _answered(inner(StrictRequest(request.scope, request.receive)), request)
    try:
        who = await identified(request, site)
        site.limits.take(who.actor, "api")
    except Problem as problem:
        return answer(problem, request.scope)
    call = Call(site, who, guarded, request_id, trace=request.scope["care.traceparent"])
    request.state.call = call
    response = await _answered(_permitted(request, call, route, inner), request)
    try:
        await record(call, response.status_code)
    except Problem as problem:
        return answer(problem, request.scope)
    response.headers.update(call.extra_headers)
    return response


async def record(call: Call, status: int) -> None:
    """
    Write down what *call* is about to be answered, where its rule says so.

    Raises:
        Problem: ``audit-unavailable``: the answer may not be sent.
    """
    deed = call.rule.deed
    if deed is None or not (status < 400 or status in (403, 404) or deed == "act"):
        return
    outcome = call.account.outcome or OUTCOMES.get(status, "success" if status < 400 else "refused")
    await call.site.audit.write(call.who, deed, outcome, call.account, call.request_id)


async def record_more(call: Call, what: str) -> bool:
    """Write down what a stream has told since the last record; what cannot be, is not told on."""
    account, call.account = call.account, Account()
    account.objects = [what]
    try:
        await call.site.audit.write(call.who, "read", "success", account, call.request_id)
    except Problem:
        return False
    return True


async def _permitted(request: Request, call: Call, route: GuardedRoute, inner: Handler) -> Response:
    permission = call.rule.permission
    if permission not in call.who.may:
        raise Problem("forbidden")
    if call.rule.limit != "api":
        call.site.limits.take(call.who.actor, call.rule.limit)
    refuse_unacceptable(request, call.rule.media)
    _refuse_repeated(request, route.said_once)
    if route.body_field is not None:
        refuse_other_media(request)
    return await inner(StrictRequest(request.scope, request.receive, call.rule.longest))


def _refuse_repeated(request: Request, said_once: Collection[str]) -> None:
    """
    Of a filter that is said twice, the last would hold and the first be lost in silence.

    Raises:
        Problem: ``malformed``; names the parameters.
    """
    said = Counter(name for name, _ in request.query_params.multi_items() if name in said_once)
    repeated = [name for name, times in sorted(said.items()) if times > 1]
    if repeated:
        errors = [
            {"pointer": f"query:{name}", "code": "repeated", "detail": "may be said once"}
            for name in repeated
        ]
        raise Problem("malformed", "A parameter that holds one value is repeated.", errors=errors)


async def _answered(answering: Awaitable[Response], request: Request) -> Response:
    try:
        return await answering
    except RequestValidationError as fault:
        return answer(of_validation(fault), request.scope)
    except HTTPException as fault:
        problem = of_status(fault)
        if problem.status_code == 403:
            logger.warning("auth.failed", reason=problem.reason)
        return answer(problem, request.scope)


async def identified(request: Request, site: Site) -> Principal:
    """
    Who asks, by the bearer token; the cookie is never read here, so no other site can ask for them.

    Raises:
        Problem: ``unauthenticated``.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    try:
        if scheme.lower() != "bearer" or not token.strip():
            raise NotAuthentic("missing")
        try:
            return site.authenticator.principal(token.strip())
        except KeysDue:
            await asyncio.to_thread(site.authenticator.look_up)
        try:
            return site.authenticator.principal(token.strip())
        except KeysDue:
            raise NotAuthentic("unknown-key") from None
    except NotAuthentic as problem:
        measures.auth_failed(problem.cause)
        raise Problem("unauthenticated") from None


def refuse_unacceptable(request: Request, media: str) -> None:
    """
    Only *media* is written; ``_format`` of FHIR's requests has the last word over ``Accept``.

    Raises:
        Problem: ``not-acceptable``.
    """
    also = (JSON, "application/json+fhir", "text/json", "json") if media == FHIR_MEDIA else ()
    said = request.query_params.get("_format") if media == FHIR_MEDIA else None
    accept = said or request.headers.get("accept")
    if not accept:
        return
    kind = media.partition("/")[0]
    for part in accept.split(","):
        wanted, _, more = part.partition(";")
        refused = more.replace(" ", "") in ("q=0", "q=0.0", "q=0.00", "q=0.000")
        # A plus sign in an address means a blank.
        plain = wanted.strip().lower().replace("application/fhir json", FHIR_MEDIA)
        if plain in (media, *also, "*/*", f"{kind}/*") and not refused:
            return
    raise Problem("not-acceptable")
