"""Seeing a patient of another care team: a reason first, then an hour (`screens.md` 4)."""

from typing import Final

from fastapi import Response
from fastapi.responses import RedirectResponse

from orchestrator.worklist.api.guard import rule
from orchestrator.worklist.api.patients import Key
from orchestrator.worklist.opened import open_by_force
from orchestrator.worklist.pages.frame import page
from orchestrator.worklist.pages.guard import HTML, PageCall, PageCallOf

SHORTEST, LONGEST = 10, 1000
TITLE: Final = "Why do you need this record?"


@rule("break-glass", media=HTML)
async def ask(call: PageCallOf, key: Key) -> Response:
    """The question; it tells nothing of the patient, not even whether there is one."""
    return await _shown(call, key)


@rule("break-glass", "break-glass", limit="actions", media=HTML)
async def take(call: PageCallOf, key: Key) -> Response:
    """Open the record for an hour, or say what is missing."""
    said = call.form.get("reason")
    reason = said if isinstance(said, str) else ""
    if len(reason.strip()) < SHORTEST or len(reason) > LONGEST:
        wrong = f"Say why, in {SHORTEST} to {LONGEST:,} characters."
        return await _shown(call, key, reason=reason, wrong=wrong)
    survivor, _ = await open_by_force(call, key, reason.strip())
    return RedirectResponse(f"/patients/{survivor}", 303)


async def _shown(call: PageCall, key: str, *, reason: str = "", wrong: str = "") -> Response:
    return await page(
        call.request,
        "break_glass.html",
        TITLE,
        422 if wrong else 200,
        key=key,
        reason=reason,
        wrong=wrong,
    )


ROUTES: Final = (
    ("/patients/{key}/break-glass", ["GET"], ask),
    ("/patients/{key}/break-glass", ["POST"], take),
)
