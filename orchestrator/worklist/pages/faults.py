"""A problem as a page."""

from typing import TYPE_CHECKING

from fastapi import Request, Response

from orchestrator.worklist.pages.frame import page
from orchestrator.worklist.problems import REASONS, Problem

if TYPE_CHECKING:
    from orchestrator.worklist.pages.guard import PageCall


async def fault_page(problem: Problem, call: "PageCall") -> Response:
    """What is wrong, and the id to ask for it by; nothing of what was sent."""
    return await _page(problem, call.request)


def wants_page(request: Request) -> bool:
    """Whether a person's browser asked, at an address where pages are."""
    accepts = "text/html" in request.headers.get("accept", "")
    return accepts and not request.url.path.startswith(("/api/", "/fhir/"))


async def lost_page(problem: Problem, request: Request) -> Response:
    """A page for an address that there is not."""
    return await _page(problem, request)


async def _page(problem: Problem, request: Request) -> Response:
    _, title, _ = REASONS[problem.reason]
    return await page(
        request,
        "fault.html",
        title,
        problem.status_code,
        headers=problem.headers,
        detail="" if problem.detail == title else problem.detail,
        request_id=request.scope["care.request_id"],
    )
