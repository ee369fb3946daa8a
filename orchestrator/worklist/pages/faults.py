"""A problem as a page."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from fastapi import Request, Response

from orchestrator.worklist.access.roles import ROLES
from orchestrator.worklist.pages.frame import fragment, html, page
from orchestrator.worklist.problems import REASONS, Problem

if TYPE_CHECKING:
    from orchestrator.worklist.pages.guard import PageCall


# Not to be sent along once more: the page that offers it brings its own.
_OWN: Final = frozenset({"csrf"})
TYPED: Final = ("note", "reason", "other")  # what a person has written, not chosen
PROGRAM: Final = "care-system"  # reads no pages
LOG_AWAY: Final = "Could not save: the log is unavailable. Nothing was lost; try again."


def not_saved(problem: Problem) -> str:
    """That it may be tried again, in a sentence."""
    if problem.reason == "unavailable":
        return LOG_AWAY
    _, title, _ = REASONS[problem.reason]
    return f"Could not save: {title[0].lower()}{title[1:]}. Nothing was lost; try again."


async def fault_page(problem: Problem, call: "PageCall") -> Response:
    """
    What is wrong, and the id to ask for it by.

    Where a form of somebody signed in may be sent again as it is, the page holds it for that: what
    was typed is not lost because too much was asked at once.
    """
    again = problem.reason in REASONS and REASONS[problem.reason][2]
    posted = call.session is not None and call.request.method == "POST"
    if call.htmx and posted:
        words = not_saved(problem) if again else problem.detail
        text = fragment("macros.html", "failed", words, call.request_id)
        return html(call.request, text, problem.status_code, problem.headers)
    fields = [
        (name, value)
        for name, value in call.form.multi_items()
        if isinstance(value, str) and name not in _OWN
    ]
    return await _page(
        problem,
        call.request,
        told=not_saved(problem) if again and posted else "",
        fields=fields if again and posted else [],
        words=[]
        if again or not posted
        else [value for name, value in fields if name in TYPED and value],
        opened_by=opened_by(call) if problem.reason == "forbidden" else [],
    )


def opened_by(call: "PageCall") -> list[str]:
    """The roles of people for whom a page is that the reader may not open."""
    wanted = call.rule.permission
    if call.session is None or wanted is None or wanted in call.who.may:
        return []
    return [name for name, role in ROLES.items() if wanted in role.may and name != PROGRAM]


def wants_page(request: Request) -> bool:
    """Whether a person's browser asked, at an address where pages are."""
    accepts = "text/html" in request.headers.get("accept", "")
    return accepts and not request.url.path.startswith(("/api/", "/fhir/"))


async def lost_page(problem: Problem, request: Request) -> Response:
    """A page for an address that there is not."""
    return await _page(problem, request)


async def _page(
    problem: Problem,
    request: Request,
    told: str = "",
    fields: Sequence[tuple[str, str]] = (),
    opened_by: Sequence[str] = (),
    words: Sequence[str] = (),
) -> Response:
    _, title, _ = REASONS[problem.reason]
    return await page(
        request,
        "fault.html",
        title,
        problem.status_code,
        headers=problem.headers,
        detail=told or ("" if problem.detail == title else problem.detail),
        fields=fields,
        words=words,
        path=request.url.path,
        opened_by=opened_by,
        request_id=request.scope["care.request_id"],
    )
