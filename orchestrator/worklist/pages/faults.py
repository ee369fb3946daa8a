"""A problem as a page."""

from typing import TYPE_CHECKING

from fastapi import Response

from orchestrator.worklist.pages.frame import page
from orchestrator.worklist.problems import REASONS, Problem

if TYPE_CHECKING:
    from orchestrator.worklist.pages.guard import PageCall


async def fault_page(problem: Problem, call: "PageCall") -> Response:
    """What is wrong, and the id to ask for it by; nothing of what was sent."""
    _, title, _ = REASONS[problem.reason]
    return await page(
        call.request,
        "fault.html",
        title,
        problem.status_code,
        headers=problem.headers,
        detail="" if problem.detail == title else problem.detail,
        request_id=call.request_id,
    )
