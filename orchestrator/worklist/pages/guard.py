"""What every page goes through: a session, its rule, the check of its form, the audit.

The same rules as JSON (`rule`), another way of knowing who asks: the cookie.  So what changes
something must come from a form of our own page: the browser says that it does, and the form brings
a token that only our pages have.
"""

import asyncio
import re
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Annotated, Final, cast
from urllib.parse import quote, urlsplit

import structlog
from fastapi import Depends, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException as StarletteHTTPException

from orchestrator.worklist import edge, measures
from orchestrator.worklist.access.roles import principal
from orchestrator.worklist.access.sessions import Session
from orchestrator.worklist.api.bodies import StrictRequest
from orchestrator.worklist.api.guard import Call, Handler, Rule, RuledRoute, record
from orchestrator.worklist.pages import script
from orchestrator.worklist.pages.faults import fault_page
from orchestrator.worklist.problems import Problem, of_status, of_validation
from orchestrator.worklist.site import Site

logger = structlog.get_logger()

HTML: Final = "text/html"
SIGN_IN: Final = "/sign-in"
SAFE: Final = frozenset({"GET", "HEAD"})
FIELD: Final = "csrf"
# Holds forms of people without a session together with their page: sign-in alone has one.
VISITOR: Final = "care_visitor"
FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")
# Where somebody sends what they have written about a task.
_WRITES: Final = re.compile(r"/tasks/([A-Za-z0-9._:-]{1,128})/(?:report|draft)")
NOBODY: Final = principal("nobody", frozenset(), frozenset(), frozenset())


@dataclass(slots=True, kw_only=True)
class PageCall(Call):
    """
    One request of a page.

    Attributes:
        session: ``None``: a page that is open to anyone, before sign-in.
        form: What a form brought, but for its token; the words as they were typed.
        cookies: Whole ``Set-Cookie`` headers of the answer.
    """

    request: Request
    session: Session | None = None
    form: FormData = field(default_factory=FormData)
    cookies: list[str] = field(default_factory=list)
    word: str = ""

    @property
    def csrf(self) -> str:
        """What each form of this page must bring, as the field `csrf`."""
        return self.site.access.sessions.form_token(self.word)

    @property
    def htmx(self) -> bool:
        """Whether a part of a page asks, not the address line."""
        return self.request.headers.get("hx-request") == "true"

    @property
    def ends_in_s(self) -> int | None:
        """Seconds until this session times out; ``None``: there is none."""
        return None if self.session is None else self.session.ends_in_s()

    def seconds_left(self) -> int:
        """The same as of now, whoever has used or ended the session meanwhile; 0: it is over."""
        if self.session is None:
            return 0
        found = self.site.access.sessions.find(self.session.word, touch=False)
        return 0 if found is None else found.ends_in_s()


def _call_of(request: Request) -> PageCall:
    return cast(PageCall, request.state.call)


PageCallOf = Annotated[PageCall, Depends(_call_of)]


class PageRoute(RuledRoute):
    """A page: its session's cookie says who asks."""

    async def guard(self, request: Request, guarded: Rule, inner: Handler) -> Response:
        return await _guarded(request, guarded, inner)


async def _guarded(request: Request, guarded: Rule, inner: Handler) -> Response:
    site: Site = request.app.state.site
    session = _session_of(request, site, guarded)
    if session is None and guarded.permission is not None:
        await keep_typed(request, site)
        return _to_sign_in(request)
    who = NOBODY if session is None else session.who
    call = PageCall(
        site=site,
        who=who,
        rule=guarded,
        request_id=request.scope["care.request_id"],
        request=request,
        session=session,
    )
    request.state.call = call
    _let_forms_come_back(call)
    response = await _answered(_permitted(call, inner), call)
    await call.form.close()
    try:
        await record(call, response.status_code)
    except Problem as problem:
        response = await fault_page(problem, call)
    response.headers.update(call.extra_headers)
    for cookie in call.cookies:
        response.headers.append("set-cookie", cookie)
    return response


def _session_of(request: Request, site: Site, guarded: Rule) -> Session | None:
    access = site.access
    word = request.cookies.get(access.cookie())
    session = access.sessions.find(word, touch=guarded.touches)
    if session is None and word and guarded.permission is not None:
        measures.auth_failed("session")
    return session


def _let_forms_come_back(call: PageCall) -> None:
    if call.session is not None:
        call.word = call.session.word
        return
    access = call.site.access
    call.word = call.request.cookies.get(access.cookie(VISITOR), "")
    if call.request.method in SAFE and not call.word and call.rule.forms:
        call.word = edge.secret()
        call.cookies.append(access.set_cookie(call.word, VISITOR))


async def _permitted(call: PageCall, inner: Handler) -> Response:
    if call.session is not None:
        call.site.limits.take(call.who.actor, "api")
    permission, limit = call.rule.permission, call.rule.limit
    if permission is not None and permission not in call.who.may:
        raise Problem("forbidden")
    request = StrictRequest(call.request.scope, call.request.receive)
    if request.method not in SAFE:
        await _read_form(call, request)
    if limit != "api":
        call.site.limits.take(call.who.actor, limit)
    return await inner(request)


async def _read_form(call: PageCall, request: StrictRequest) -> None:
    """
    The form, if it is one of ours.

    Raises:
        Problem: ``cross-site``.
    """
    # Looked at before the body: another site's request is not worth reading.
    if not comes_from_here(call.request, call.site):
        raise Problem("cross-site")
    said = await _form_of(request, files=call.rule.files)
    if not is_ours(request, call.site, call.word, said):
        measures.auth_failed("form-token")
        raise Problem("cross-site")
    call.form = FormData([(name, value) for name, value in said.multi_items() if name != FIELD])
    request._form = call.form  # noqa: SLF001 - an endpoint's `Form()` sees no token either


async def _form_of(request: StrictRequest, files: int = 0) -> FormData:
    media = request.headers.get("content-type", FORMS[0]).partition(";")[0].strip().lower()
    if media not in FORMS:
        raise Problem("unsupported-media-type")
    request._body = await request.body()  # noqa: SLF001 - bounded; Starlette's parser reads on here
    # No file that is not asked for.  One that is stays in memory: the body is bounded to what
    # Starlette's parser keeps there (1 MiB).
    try:
        return await request.form(max_files=files)
    except StarletteHTTPException:  # too many fields, a file, parts that are none
        raise Problem("malformed", "The form cannot be read.") from None


def is_ours(request: Request, site: Site, word: str, form: FormData) -> bool:
    """Whether *form* brings the token of a page of the session of *word*."""
    token = form.get(FIELD, request.headers.get("x-csrf-token"))
    if not word or not isinstance(token, str):
        return False
    return site.access.sessions.is_form_token(word, token)


def comes_from_here(request: Request, site: Site) -> bool:
    """Whether the browser says that one of our own pages sends this."""
    headers = request.headers
    said = headers.get("sec-fetch-site")
    if said == "same-origin":
        return True
    if said not in (None, "none"):
        measures.auth_failed("cross-site")
        return False
    # An older browser, or one that cannot tell: then its Origin must be this very host.
    origin = urlsplit(headers.get("origin", ""))
    scheme = "https" if site.access.secure else "http"
    if origin.scheme == scheme and origin.netloc and origin.netloc == headers.get("host"):
        return True
    measures.auth_failed("cross-site")
    return False


async def _answered(answering: Awaitable[Response], call: PageCall) -> Response:
    try:
        return await answering
    except RequestValidationError as fault:
        return await fault_page(of_validation(fault), call)
    except HTTPException as fault:
        return await fault_page(of_status(fault), call)
    except Exception:  # as `app` does for JSON: whoever reads gets a page
        logger.exception("http.failed", status=500)
        return await fault_page(Problem("internal"), call)


async def keep_typed(request: Request, site: Site) -> None:
    """
    What was sent after its session had run out is kept as the draft that the sign-in speaks of.

    Only of whoever held that session, from one of its own pages: the cookie and the form's token
    are still theirs.
    """
    place = _WRITES.fullmatch(request.url.path)
    word = request.cookies.get(site.access.cookie())
    if request.method != "POST" or place is None or word is None:
        return
    actor = site.access.sessions.whose(word)
    if actor is None or not comes_from_here(request, site):
        return
    try:
        form = await _form_of(StrictRequest(request.scope, request.receive))
    except HTTPException:
        return  # what cannot be read cannot be kept
    typed = script.from_form(form)
    if is_ours(request, site, word, form) and typed.typed:
        before = site.pages.draft(actor, place[1])
        fields = {**before, **typed.plain()}
        await asyncio.to_thread(site.pages.keep_draft, actor, place[1], fields, edge.now())


def _to_sign_in(request: Request) -> Response:
    # What was posted is not done after the sign-in: its page is shown again instead.
    safe = request.method in SAFE
    path = request.url.path if safe else request.url.path.rpartition("/")[0] or "/"
    query = f"?{request.url.query}" if safe and request.url.query else ""
    if request.headers.get("hx-request") == "true":
        shown = urlsplit(request.headers.get("hx-current-url", ""))
        place = own_path(f"{shown.path}?{shown.query}" if shown.query else shown.path)
        where = {"HX-Redirect": _sign_in(place or path)}
        challenge = {"WWW-Authenticate": 'Cookie realm="care-orchestrator"'}
        return Response(status_code=401, headers={**where, **challenge})
    return RedirectResponse(_sign_in(path + query), 303)


def _sign_in(path: str) -> str:
    return SIGN_IN if path in ("", "/") else f"{SIGN_IN}?next={quote(path, safe='/')}"


def own_path(text: str | None) -> str | None:
    """*text* if it is a path on this host and nothing that a browser takes for another one."""
    if not text or not text.startswith("/") or text.startswith(("//", "/\\")):
        return None
    if "\\" in text or any(ord(char) < 0x21 or ord(char) == 0x7F for char in text):
        return None
    parts = urlsplit(text)
    return None if parts.scheme or parts.netloc else text
