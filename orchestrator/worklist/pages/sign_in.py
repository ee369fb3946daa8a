"""Signing in and out at pages, and how long a session has left."""

import asyncio
from datetime import timedelta
from typing import Final

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from orchestrator.worklist import edge, measures
from orchestrator.worklist.access import users
from orchestrator.worklist.access.demo import PREFIX, demo_principal
from orchestrator.worklist.access.keys import is_safe
from orchestrator.worklist.access.modes import Access
from orchestrator.worklist.access.roles import ROLES, Principal
from orchestrator.worklist.api.answers import freshness, json_response
from orchestrator.worklist.api.guard import rule
from orchestrator.worklist.audit import Account
from orchestrator.worklist.pages.frame import page, zone_of
from orchestrator.worklist.pages.fresh import fresh_words
from orchestrator.worklist.pages.guard import HTML, VISITOR, PageCall, PageCallOf, own_path
from orchestrator.worklist.problems import Problem

# Who has something to do at pages; the others are programs.
DEMO_ROLES: Final = tuple(name for name in ROLES if name not in ("publisher", "care-system"))
HOMES: Final = (
    ("tasks", "/work"),
    ("operations", "/operations"),
    ("dead-letter-bytes", "/dead-letters"),
    ("audit", "/audit"),
)
WRONG: Final = "Name or password is not right."
NO_ROLE: Final = "Your account has no role here."
OUT: Final = "You are signed out here. At a shared desk, sign out of your hospital account too."
REST: Final = "Try again in 15 minutes."
WARNED_S: Final = 120  # before a time-out, so that nobody loses what they write


@rule(None, media=HTML, forms=True)
async def sign_in(call: PageCallOf, request: Request) -> Response:
    """Who are you?"""
    if call.session is not None:
        return RedirectResponse(_next(request.query_params.get("next"), call.who), 303)
    access = call.site.access
    over = access.sessions.has_run_out(request.cookies.get(access.cookie()))
    told = "" if over is None else f"You were signed out after {_length(over)}. Your draft is kept."
    if access.provider is not None and "out" in request.query_params:
        told = OUT
    return await shown(call, request, request.query_params.get("next"), told=told)


@rule(None, media=HTML, forms=True)
async def take_sign_in(call: PageCallOf, request: Request) -> Response:
    """Let somebody in, or say that they are not."""
    wanted = call.form.get("next")
    path = wanted if isinstance(wanted, str) else None
    mode = call.site.access.mode
    if mode == "demo":
        who = demo_principal(f"{PREFIX}{call.form.get('role')}")
        if who is None:
            raise Problem("unprocessable")
        return await let_in(call, who, {}, path)
    if mode != "local":
        raise Problem("not-found")
    return await _by_password(call, request, path)


async def _by_password(call: PageCall, request: Request, path: str | None) -> Response:
    name, password = call.form.get("name", ""), call.form.get("password", "")
    if not isinstance(name, str) or not isinstance(password, str):
        raise Problem("unprocessable")
    name, guesses, store = name.strip()[:128], call.site.access.guesses, call.site.store
    address = "" if request.client is None else request.client.host
    if wait := guesses.wait_s(name, address):
        measures.auth_failed("too-many")
        headers = {"Retry-After": str(wait)}
        return await shown(call, request, path, 429, name=name, wrong=REST, headers=headers)
    guesses.wrong(name, address)
    async with call.site.access.desk.turn():
        right = await asyncio.to_thread(users.signed_in, store, name, password)
    who = users.standing(store, name) if right else None
    if who is not None and not who.may:
        await refused(call, name)
        return await shown(call, request, path, 422, name=name, wrong=NO_ROLE)
    if who is not None:
        guesses.right(name, address)
        return await let_in(call, who, {}, path)
    measures.auth_failed("password")
    # What was typed as a name may be the password: only a name that is one is written down.
    known = users.standing(store, name)
    await refused(call, "unknown" if known is None else name)
    return await shown(call, request, path, 422, name=name, wrong=WRONG)


async def let_in(
    call: PageCall, who: Principal, claims: dict[str, object], path: str | None
) -> Response:
    """
    Begin a session of *who*: a new one, whatever cookie the browser brought.

    Raises:
        Problem: ``audit-unavailable``: nobody comes in unseen.
    """
    access, request = call.site.access, call.request
    await call.site.audit.write(who, "sign-in", "success", Account(), call.request_id)
    access.sessions.end(request.cookies.get(access.cookie()))
    await asyncio.to_thread(call.site.pages.forget, edge.now())
    word = access.sessions.open(who.actor, claims)
    call.cookies += [access.set_cookie(word), access.drop_cookie(VISITOR)]
    return RedirectResponse(_next(path, who), 303)


async def refused(call: PageCall, name: str) -> None:
    """Record that somebody was not let in."""
    who = Principal(name, frozenset(), frozenset(), frozenset(), None)
    await call.site.audit.write(who, "sign-in", "refused", Account(), call.request_id)


async def shown(
    call: PageCall,
    request: Request,
    path: str | None,
    status: int = 200,
    *,
    told: str = "",
    wrong: str = "",
    name: str = "",
    headers: dict[str, str] | None = None,
) -> Response:
    """The page, with what went wrong."""
    site = call.site
    now = await site.reader.ask(lambda db: freshness(call, db))
    age = site.freshness.age(site.now())
    return await page(
        request,
        "sign_in.html",
        "Sign in",
        status,
        headers=headers,
        mode=site.access.mode,
        token=call.csrf,
        next=own_path(path) or "",
        told=told,
        wrong=wrong,
        name=name,
        roles=[(role, role_words(role)) for role in DEMO_ROLES],
        version=request.app.version,
        leave=_leave(site.access) if told == OUT else None,
        data=fresh_words(now, age, zone_of(site, None), site.log_now()).words,
    )


@rule("self")
async def sign_out(call: PageCallOf) -> Response:
    """End the session; what it showed was kept nowhere on the way."""
    access = call.site.access
    access.sessions.end(call.word)
    call.cookies.append(access.drop_cookie())
    return RedirectResponse("/sign-in" if access.provider is None else "/sign-in?out=1", 303)


@rule("self", touches=False)
async def session(call: PageCallOf) -> Response:
    """How long it lasts without doing anything; asking is not doing."""
    assert call.session is not None
    return json_response(_left(call))


@rule("self")
async def stay(call: PageCallOf) -> Response:
    """I am still here."""
    return json_response(_left(call))


def _leave(access: Access) -> str | None:
    """Where one signs out of the provider itself, which would let the next person in unasked."""
    url = {} if access.provider is None else access.provider.known()
    place = url.get("end_session_endpoint")
    return place if isinstance(place, str) and is_safe(place) else None


def _left(call: PageCall) -> dict[str, int]:
    return {"left_s": call.seconds_left(), "warn_s": WARNED_S}


def _next(path: str | None, who: Principal) -> str:
    own = own_path(path)
    if own is not None and not own.startswith("/sign-"):
        return own
    return next((home for permission, home in HOMES if permission in who.may), "/")


def role_words(role: str) -> str:
    """A role as a button names it."""
    return {"rn": "Nurse (RN)"}.get(role, role.replace("-", " ").capitalize())


def _length(over: timedelta) -> str:
    minutes = int(over.total_seconds()) // 60
    if minutes >= 120 and minutes % 60 == 0:
        return f"{minutes // 60} hours"
    return "1 minute" if minutes == 1 else f"{minutes} minutes"


ROUTES: Final = (
    ("/sign-in", ["GET"], sign_in),
    ("/sign-in", ["POST"], take_sign_in),
    ("/sign-out", ["POST"], sign_out),
    ("/session", ["GET"], session),
    ("/session", ["POST"], stay),
)
