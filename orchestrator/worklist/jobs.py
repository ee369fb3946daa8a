"""Long work that somebody started and may watch, and stop: retrying many, trying out a policy.

A job lives in this process and ends with it; what it has done by then is as durable as the single
steps it is made of.  Only who started it is told of it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

import structlog

from orchestrator.worklist import edge
from orchestrator.worklist.access.roles import Principal
from orchestrator.worklist.problems import Problem

State = Literal["running", "done", "stopped", "failed"]

KEPT: Final = 20  # of those that have ended
KEPT_S: Final = 3600.0  # and for how long
AT_ONCE: Final = 2  # of one person
ALL_AT_ONCE: Final = 4
RETRY_AFTER_S: Final = 30
END_S: Final = 5.0  # for the step at hand, when the process goes down

logger = structlog.get_logger()


class Progress:
    """
    How far a job is, as it tells itself.

    Attributes:
        stopped: Somebody asked it to end; what it has by then is its result.
    """

    def __init__(self) -> None:
        self.done = 0
        self.total = 0
        self.stopped = False

    def at(self, done: int, total: int) -> None:
        self.done, self.total = done, total

    @property
    def ratio(self) -> float:
        """From 0 to 1."""
        return min(1.0, self.done / self.total) if self.total else 0.0


@dataclass(slots=True, eq=False)
class Job:
    """
    One of them.

    Attributes:
        result: What it found, once it has ended; of one that was stopped, as far as it came.
        reason: Why it failed, in a word.
    """

    id: str
    who: Principal
    kind: str
    started_at: int
    progress: Progress = field(default_factory=Progress)
    state: State = "running"
    ended_at: int | None = None
    result: dict[str, Any] | None = None
    reason: str | None = None
    task: "asyncio.Task[None] | None" = None
    ended: float | None = None  # in seconds that cannot be set back


Work = Callable[[Progress], Awaitable[dict[str, Any]]]


class Jobs:
    """Those of one process."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}

    def start(self, who: Principal, kind: str, work: Work) -> Job:
        """
        Begin *work*.

        Raises:
            Problem: ``rate-limited``: too many are running.
        """
        running = [job for job in self._jobs.values() if job.state == "running"]
        own = sum(job.who.actor == who.actor for job in running)
        if own >= AT_ONCE or len(running) >= ALL_AT_ONCE:
            raise Problem(
                "rate-limited",
                "So many jobs are running already.",
                headers={"Retry-After": str(RETRY_AFTER_S)},
            )
        self._forget()
        job = Job(edge.new_id(), replace(who, until=None), kind, edge.now())
        self._jobs[job.id] = job
        job.task = asyncio.create_task(_run(job, work), name=f"job-{kind}")
        return job

    def get(self, who: Principal, name: str) -> Job | None:
        """The job of that name, if *who* started it and has the same rights still."""
        self._forget()
        job = self._jobs.get(name)
        return job if job is not None and job.who == replace(who, until=None) else None

    def stop(self, who: Principal, name: str) -> Job | None:
        """Ask it to end after the step at hand; one that has ended stays as it is."""
        job = self.get(who, name)
        if job is not None:
            job.progress.stopped = True
        return job

    async def close(self) -> None:
        """End all of them, each after the step at hand: the process goes down."""
        tasks = [job.task for job in self._jobs.values() if job.task is not None]
        for job in self._jobs.values():
            job.progress.stopped = True
        if tasks:
            await asyncio.wait(tasks, timeout=END_S)
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task

    def _forget(self) -> None:
        ended = [name for name, job in self._jobs.items() if job.ended is not None]
        oldest = edge.elapsed() - KEPT_S
        for number, name in enumerate(reversed(ended), 1):
            if number > KEPT or (self._jobs[name].ended or 0.0) < oldest:
                del self._jobs[name]


async def _run(job: Job, work: Work) -> None:
    try:
        job.result = await work(job.progress)
        job.state = "stopped" if job.progress.stopped else "done"
    except asyncio.CancelledError:
        job.state = "stopped"
        raise
    except Problem as problem:
        job.state, job.reason = "failed", problem.reason
    except Exception as bug:
        logger.exception("job.failed", kind=job.kind)
        job.state, job.reason = "failed", type(bug).__name__
    finally:
        job.ended_at, job.ended = edge.now(), edge.elapsed()
