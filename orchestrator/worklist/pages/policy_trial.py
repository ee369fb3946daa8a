"""``/policy/what-if``: a policy tried out on past days, how far that is, and what would change.

Without script a page that is loaded again says the same.
"""

from typing import Final

from fastapi import Response
from fastapi.responses import RedirectResponse
from starlette.datastructures import UploadFile

from orchestrator.worklist import what_if
from orchestrator.worklist.api.guard import rule
from orchestrator.worklist.pages import policy_trial_words
from orchestrator.worklist.pages.frame import page, zone_of
from orchestrator.worklist.pages.guard import HTML, PageCall, PageCallOf
from orchestrator.worklist.pages.jobs import JobName, job_of, moving
from orchestrator.worklist.pages.policy import Typed, policy_page
from orchestrator.worklist.reading_policy import read_policy
from schemas.yaml_node import FieldFault


@rule("what-if", "search", limit="actions", media=HTML, files=1)
async def begin(call: PageCallOf) -> Response:
    """Start trying; what cannot be tried is said where it stands, and what was typed is kept."""
    typed, errors = await _typed(call)
    days, proposed = None, None
    if not errors:
        try:
            proposed = await read_policy(typed.policy)
        except FieldFault as fault:
            errors.append(("policy", policy_trial_words.fault(fault)))
        try:
            days = what_if.days_of(typed.first, typed.last, zone_of(call.site, None))
        except what_if.BadDay as fault:
            errors.append((fault.field, policy_trial_words.bad_day(fault)))
    if days is None or proposed is None:
        return await policy_page(call, typed=typed, errors=errors, status=422)
    call.account.query_hash = call.site.key_of(f"what-if|{typed}")
    job = what_if.begin(call.site, call.who, proposed, days, call.request_id)
    return RedirectResponse(f"/policy/what-if/{job.id}", 303)


async def _typed(call: PageCall) -> tuple[Typed, list[tuple[str, str]]]:
    """What the form brought; a file that was chosen takes the place of the text."""
    first, last, text = (str(call.form.get(name, "")) for name in ("from", "to", "policy"))
    file = call.form.get("file")
    errors = []
    if isinstance(file, UploadFile) and file.filename:
        try:
            text = (await file.read()).decode()
        except UnicodeDecodeError:
            errors.append(("file", "The file is not text (UTF-8)."))
    if not errors and not text.strip():
        errors.append(("policy", "Choose a policy file, or paste its text."))
    return Typed(text, first.strip(), last.strip()), errors


@rule("what-if", "read", media=HTML)
async def shown(call: PageCallOf, job: JobName) -> Response:
    """How far it is, or what would change."""
    found = job_of(call, job, what_if.KIND)
    # Looked at once: it may end while the page is made.
    running, answer = found.state == "running", None
    if not running and found.result:
        call.account.patient_keys.update(one["patient_key"] for one in found.result["items"])
        call.account.rows = len(found.result["items"])
        zone = zone_of(call.site, None)
        answer = policy_trial_words.answer(found.result, zone, call.site.log_now())
    return await page(
        call.request,
        "policy_trial.html",
        "What if",
        job=found,
        running=running,
        answer=answer,
        ended="" if running else policy_trial_words.ended(found),
        may=call.who.may,
    )


@rule("what-if", media=HTML, touches=False)
async def progress(call: PageCallOf, job: JobName) -> Response:
    """The bar alone."""
    return moving(call, job_of(call, job, what_if.KIND), "policy_trial_parts.html")


@rule("what-if", limit="actions", media=HTML)
async def stop(call: PageCallOf, job: JobName) -> Response:
    """End it; nothing was published, so nothing is left."""
    found = job_of(call, job, what_if.KIND)
    call.site.jobs.stop(call.who, found.id)
    return RedirectResponse(f"/policy/what-if/{found.id}", 303)


ROUTES: Final = (
    ("/policy/what-if", ["POST"], begin),
    ("/policy/what-if/{job}", ["GET"], shown),
    ("/policy/what-if/{job}/progress", ["GET"], progress),
    ("/policy/what-if/{job}/stop", ["POST"], stop),
)
