"""``/jobs``: how far something that runs longer than a request is; told to who started it."""

from typing import Annotated, Any

from fastapi import Path, Query, Response

from orchestrator.worklist.api.answers import json_response
from orchestrator.worklist.api.guard import CallOf, rule
from orchestrator.worklist.api.queries import Query as NoQuery
from orchestrator.worklist.instants import text_of
from orchestrator.worklist.jobs import Job
from orchestrator.worklist.problems import Problem

Name = Annotated[str, Path(pattern=r"^[0-9a-f-]{36}$")]


@rule("self")
async def job(call: CallOf, name: Name, query: Annotated[NoQuery, Query()]) -> Response:
    """How far it is, and its result once it has ended."""
    del query
    return json_response(as_plain(_found(call.site.jobs.get(call.who, name))))


@rule("self", limit="actions")
async def stop(call: CallOf, name: Name, query: Annotated[NoQuery, Query()]) -> Response:
    """Ask it to end after the step at hand; what it has done stays done."""
    del query
    return json_response(as_plain(_found(call.site.jobs.stop(call.who, name))))


def _found(job: Job | None) -> Job:
    if job is None:
        raise Problem("not-found")
    return job


def started(job: Job) -> Response:
    """The answer to whoever began a job."""
    where = f"/api/v1/jobs/{job.id}"
    return json_response(as_plain(job), 202, {"Location": where})


def as_plain(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "kind": job.kind,
        "state": job.state,
        "progress": job.progress.ratio if job.state == "running" else 1.0,
        "done": job.progress.done,
        "total": job.progress.total,
        "started_at": text_of(job.started_at),
        "ended_at": None if job.ended_at is None else text_of(job.ended_at),
        "result": job.result,
        "reason": job.reason,
    }
