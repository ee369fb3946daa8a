"""Many dead letters at once: first what would become of them, then what did, with a bar."""

from typing import Annotated, Any, Final

from fastapi import Query, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError

from orchestrator.worklist.api.guard import rule
from orchestrator.worklist.jobs import Job
from orchestrator.worklist.pages import dead_letter_words
from orchestrator.worklist.pages.acts import said
from orchestrator.worklist.pages.dead_letters import Filters
from orchestrator.worklist.pages.frame import page
from orchestrator.worklist.pages.guard import HTML, PageCall, PageCallOf
from orchestrator.worklist.pages.jobs import JobName, job_of, moving
from orchestrator.worklist.problems import Problem
from orchestrator.worklist.retrying_many import Many

KIND: Final = "dead-letters"


@rule("dead-letter-retry", limit="actions", media=HTML)
async def begin(call: PageCallOf) -> Response:
    """Look what would become of all that the filters take, or send them."""
    filters = _filters(call)
    chosen = filters.chosen(call.site.log_now())
    dry_run = said(call, "do") != "send"
    many = Many(call.site, call.who, chosen, dry_run, call.request_id)
    job = call.site.jobs.start(call.who, KIND, many.run)
    return _to_page(job, filters)


def _filters(call: PageCall) -> Filters:
    fields = {name: said(call, name) for name in Filters.model_fields if name != "status"}
    try:
        return Filters.model_validate(fields)
    except ValidationError:
        raise Problem("malformed", "The filters cannot be read.") from None


def _to_page(job: Job, filters: Filters) -> Response:
    query = filters.text()
    return RedirectResponse(f"/dead-letters/jobs/{job.id}{'?' if query else ''}{query}", 303)


@rule("dead-letter-retry", media=HTML)
async def shown(call: PageCallOf, job: JobName, query: Annotated[Filters, Query()]) -> Response:
    """How far it is, or what became of each."""
    found = job_of(call, job, KIND)
    running = found.state == "running"  # looked at once: it may end while the page is made
    result: dict[str, Any] = (None if running else found.result) or {}
    return await page(
        call.request,
        "dead_letters_job.html",
        "Dead letters",
        job=found,
        running=running,
        query=query,
        result=result,
        sentence=dead_letter_words.of_many(result) if result else "",
        ended=dead_letter_words.ended(found.state, found.reason, result.get("ended_by")),
        words=dead_letter_words,
    )


@rule("dead-letter-retry", media=HTML, touches=False)
async def progress(call: PageCallOf, job: JobName) -> Response:
    """The bar alone."""
    return moving(call, job_of(call, job, KIND), "dead_letters_bar.html")


@rule("dead-letter-retry", limit="actions", media=HTML)
async def stop(call: PageCallOf, job: JobName) -> Response:
    """End it after the letter at hand; what was sent stays sent."""
    found = job_of(call, job, KIND)
    call.site.jobs.stop(call.who, found.id)
    return _to_page(found, _filters(call))


@rule("dead-letter-retry", media=HTML)
async def its_page(call: PageCallOf, job: JobName) -> Response:
    """The address of a form leads to the page that it stands on."""
    return _to_page(job_of(call, job, KIND), Filters())


ROUTES: Final = (
    ("/dead-letters/retry", ["POST"], begin),
    ("/dead-letters/jobs/{job}", ["GET"], shown),
    ("/dead-letters/jobs/{job}/progress", ["GET"], progress),
    ("/dead-letters/jobs/{job}/stop", ["GET"], its_page),
    ("/dead-letters/jobs/{job}/stop", ["POST"], stop),
)
