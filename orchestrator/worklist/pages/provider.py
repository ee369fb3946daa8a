"""The way to the hospital's identity provider and back."""

import asyncio
from typing import Final

import structlog
from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from orchestrator.worklist import measures
from orchestrator.worklist.access.claims import principal_of
from orchestrator.worklist.access.keys import KeysAway
from orchestrator.worklist.access.oidc import NotSignedIn, Provider
from orchestrator.worklist.api.guard import rule
from orchestrator.worklist.pages.guard import HTML, PageCall, PageCallOf, own_path
from orchestrator.worklist.pages.sign_in import NO_ROLE, let_in, refused, shown
from orchestrator.worklist.problems import Problem

AWAY: Final = "The hospital's sign-in does not answer. Try again."
NOBODY: Final = "The hospital's sign-in did not say who you are. Try again."

logger = structlog.get_logger()


@rule(None, media=HTML, forms=True)
async def start(call: PageCallOf, request: Request) -> Response:
    """Off to the provider."""
    path, provider = request.query_params.get("next"), _provider(call)
    try:
        url = await asyncio.to_thread(provider.leave, call.word, _home(call), own_path(path))
    except KeysAway as problem:
        return await _away(call, request, problem)
    return RedirectResponse(url, 303)


@rule(None, media=HTML, forms=True)
async def back(call: PageCallOf, request: Request) -> Response:
    """Back from it: who it is, or that it is nobody."""
    provider, said = _provider(call), dict(request.query_params)
    try:
        actor, claims, path = await asyncio.to_thread(provider.back, call.word, _home(call), said)
    except KeysAway as problem:
        return await _away(call, request, problem)
    except NotSignedIn as problem:
        measures.auth_failed(f"oidc-{problem.cause}")
        await refused(call, "unknown")
        return await shown(call, request, None, 422, wrong=NOBODY)
    who = principal_of(actor, claims, roles=provider.roles)
    if not who.may or call.site.store.is_disabled(actor):
        measures.auth_failed("disabled" if who.may else "no-role")
        await refused(call, actor)
        return await shown(call, request, None, 422, wrong=NO_ROLE)
    return await let_in(call, who, claims, path)


async def _away(call: PageCall, request: Request, problem: KeysAway) -> Response:
    measures.AUTH_FAILURES.labels("oidc-away").inc()
    logger.warning("auth.failed", reason=str(problem))
    return await shown(call, request, None, 503, wrong=AWAY, headers={"Retry-After": "5"})


def _provider(call: PageCall) -> Provider:
    provider = call.site.access.provider
    if provider is None or provider.client_id is None:
        raise Problem("not-found")
    return provider


def _home(call: PageCall) -> str:
    scheme = "https" if call.site.access.secure else "http"
    return f"{scheme}://{call.request.headers.get('host', '')}/sign-in/callback"


ROUTES: Final = (
    ("/sign-in/start", ["GET"], start),
    ("/sign-in/callback", ["GET"], back),
)
