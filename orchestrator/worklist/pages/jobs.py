"""What the pages of long work have in common: whose it is, and a bar that moves by itself."""

from typing import Annotated, Final

from fastapi import Path, Response

from orchestrator.worklist.jobs import Job
from orchestrator.worklist.pages.frame import fragment, html
from orchestrator.worklist.pages.guard import PageCall
from orchestrator.worklist.problems import Problem

JobName = Annotated[str, Path(pattern=r"^[0-9a-f-]{36}$")]
GONE: Final = "It ended with the server, or somebody else started it."


def job_of(call: PageCall, name: str, kind: str) -> Job:
    """
    The reader's job of that name.

    Raises:
        Problem: ``not-found``: there is none of this kind.
    """
    found = call.site.jobs.get(call.who, name)
    if found is None or found.kind != kind:
        raise Problem("not-found", GONE)
    return found


def moving(call: PageCall, job: Job, template: str) -> Response:
    """The bar alone, for a page that asks by itself; at the end the page is loaded anew."""
    if job.state != "running":
        return Response(status_code=204, headers={"HX-Refresh": "true"})
    return html(call.request, fragment(template, "bar", job))
