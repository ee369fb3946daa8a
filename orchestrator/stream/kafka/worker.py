"""The worker's process: check the topics, make the app of one role, run it until a signal.

`run_all` is ``worker`` without a role: one process for each, which end together, since half a
worker would only look like one.
"""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from types import FrameType
from typing import Final, Literal

import structlog

from orchestrator.stream.kafka import pulse
from orchestrator.stream.kafka.broker import admin
from orchestrator.stream.kafka.leaving import leave
from orchestrator.stream.kafka.site import Site
from orchestrator.stream.kafka.site_key import claim
from orchestrator.stream.kafka.topic_settings import wanted
from orchestrator.stream.status import Status

Role = Literal["intake", "decide"]
ROLES: Final[tuple[Role, ...]] = ("intake", "decide")
PARENT: Final = "ORCHESTRATOR_PARENT_PIPE"
STOP_S: Final = 20.0

logger = structlog.get_logger()


def run(site: Site, role: Role, status: Status | None = None) -> int:
    """
    Run one role until SIGTERM or SIGINT; the exit code.

    Args:
        status: Is kept up to date; whoever shows it reads it from another thread.

    Raises:
        TopicMismatch: The topics are not as they must be.
        OtherSiteKey: Other workers have another site key.
        BrokerAway: No broker answers.
    """
    check_topics(site)
    _watch_parent()
    from orchestrator.stream.kafka.apps import Worker, app_of

    status = status or Status(role)
    app = app_of(site, role, status)
    pulse.keep(status, lambda: app.should_stop)
    # Our logs, not Faust's: its texts hold keys and records.
    worker = Worker(
        app,
        quiet=True,
        override_logging=False,
        redirect_stdouts=False,
    )
    worker.spinner = None  # it writes to the terminal
    try:
        worker.execute_from_commandline()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
        if code:
            leave("faust-failed", code=code)
    logger.info("process.stopped", role=role)
    return 0


def run_all(commands: Sequence[Sequence[str]]) -> int:
    """Run *commands*, one process each, until one ends or a signal comes; the exit code."""
    reading, writing = os.pipe()
    environment = {**os.environ, PARENT: str(reading)}
    children = [
        subprocess.Popen(command, env=environment, pass_fds=(reading,))  # noqa: S603 - ourselves
        for command in commands
    ]
    os.close(reading)
    asked = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        asked.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    while not asked.wait(0.1) and all(child.poll() is None for child in children):
        pass
    ended = [child.returncode for child in children if child.returncode is not None]
    for child in children:
        child.terminate()
    until = time.monotonic() + STOP_S
    for child in children:
        try:
            child.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    os.close(writing)
    failed = [abs(child.returncode) for child in children if child.returncode]
    return failed[0] if failed else int(bool(ended) and not asked.is_set())


def check_topics(site: Site) -> None:
    """
    Refuse to start over topics that would lose or misplace records, or that others key otherwise.

    Raises:
        TopicMismatch: The topics are not as they must be; says which.
        OtherSiteKey: Other workers have another site key.
        BrokerAway: No broker answers.
    """

    async def check() -> None:
        async with admin(site.kafka) as broker:
            await broker.check(wanted(site.partitions, site.replication, site.teams))
            await claim(site.kafka, broker, site.site_key)

    asyncio.run(check())


def _watch_parent() -> None:
    """End with the process that started this one, even if that was killed."""
    descriptor = os.environ.pop(PARENT, None)
    if descriptor is None:
        return
    pipe = int(descriptor)

    def wait() -> None:
        os.read(pipe, 1)  # answers when the other end is closed
        leave("parent-gone")

    threading.Thread(target=wait, daemon=True).start()


def command_of(role: Role) -> list[str]:
    """The command line of this very command for one role."""
    program = "from orchestrator.cli import main; main()"
    return [sys.executable, "-c", program, *sys.argv[1:], "--role", role]
