"""``worklist``: the care teams' door, over the read model of the published topics."""

import asyncio
import signal
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator import log
from orchestrator.cli import site
from orchestrator.cli.console import hint, progress, say
from orchestrator.cli.faults import Away, Mistake
from orchestrator.settings import site_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.settings import Settings
    from orchestrator.worklist.access.store import AccessStore
    from orchestrator.worklist.access.tokens import Authenticator
    from orchestrator.worklist.serving import Door, Plan

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def run(data_dir: Path | None) -> None:
    """Serve until SIGINT or SIGTERM."""
    from importlib.metadata import version

    from orchestrator.worklist.serving import Server, bound, serve

    here = site.load(data_dir)
    log.configure(here.log_level, here.log_format)
    plan, door = plan_of(here), door_of(here)
    taken = bound(door)
    port = taken.getsockname()[1]

    async def served() -> None:
        loop = asyncio.get_running_loop()

        def listening(server: Server) -> None:
            hint(f"Worklist on http://{door.host}:{port}  [Ctrl-C stops]")

            def stop() -> None:
                server.should_exit = True

            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, stop)

        await serve(plan, door, taken, version("care-orchestrator"), listening)

    asyncio.run(served())


def rebuild(data_dir: Path | None) -> None:
    """Make the read model anew from the topics, and end."""
    from orchestrator.worklist.log.feed import LogAway
    from orchestrator.worklist.model import tables
    from orchestrator.worklist.model.projector import Projection

    here = site.load(data_dir)
    plan = plan_of(here)
    path = plan.folder / tables.FILE
    try:
        feed = plan.feed()
        for end in ("", "-wal", "-shm"):
            path.with_name(path.name + end).unlink(missing_ok=True)
        projection = Projection(path, feed, plan.key_of)
        try:
            left = projection.left()
            with progress() as bar:
                step, done = bar("rebuilding"), 0
                while (batch := projection.step()) is not None:
                    done += left - batch.left
                    left = batch.left
                    step(done, done + left)
        finally:
            projection.close()
            feed.close()
    except (LogAway, sqlite3.Error) as problem:
        raise Away(f"the read model could not be made: {problem}") from problem
    say(f"{path}: {done:,} records")


def plan_of(here: "Settings") -> "Plan":
    """What the worklist of these settings is made of."""
    from orchestrator.stream.keys import patient_key
    from orchestrator.worklist.serving import Plan

    key = site_key(here)
    feed, sender, log_now = _log_of(here)
    return Plan(
        folder=here.data_dir,
        feed=feed,
        sender=sender,
        authenticator=lambda store: authenticator_of(here, store),
        key_of=lambda subject: patient_key(key, subject),
        log_now=log_now,
        behind_after=here.behind_after.total_seconds(),
        action_wait=here.action_wait.total_seconds(),
    )


def _log_of(here: "Settings") -> "tuple[Any, Any, Callable[[], int]]":
    from orchestrator.stream.sqlite_log import Log
    from orchestrator.worklist.log.embedded import EmbeddedFeed, EmbeddedSender

    folder = here.data_dir
    with Log.open(folder, create=True, partitions=here.partitions) as opened:
        clock = opened.clock
    return lambda: EmbeddedFeed(folder), lambda: EmbeddedSender(folder), clock.now


def authenticator_of(here: "Settings", store: "AccessStore") -> "Authenticator":
    """
    Whose tokens are taken.

    Raises:
        Mistake: The mode does not fit the rest of the settings.
    """
    from orchestrator.worklist.access.tokens import DemoTokens, LocalTokens, site_signing_key

    if here.auth_mode == "demo":
        return DemoTokens()
    return LocalTokens(site_signing_key(here.data_dir), here.auth_audience, store)


def door_of(here: "Settings") -> "Door":
    """
    Where to listen.

    Raises:
        Mistake: Another address than loopback without TLS, or the demo's words beyond loopback.
    """
    from orchestrator.worklist.serving import Door

    local = here.host in LOOPBACK
    if here.auth_mode == "demo" and not local:
        raise Mistake(
            "CARE_AUTH_MODE=demo is for loopback alone; its tokens are known to everybody"
        )
    if not local and not here.behind_tls_proxy and here.tls_cert is None:
        raise Mistake(
            f"CARE_HOST={here.host} needs TLS: set CARE_TLS_CERT and CARE_TLS_KEY, or"
            " CARE_BEHIND_TLS_PROXY=true behind a proxy that ends it"
        )
    key = None
    if here.tls_cert is not None:
        if here.tls_key is None:
            raise Mistake("CARE_TLS_CERT is set, CARE_TLS_KEY is not")
        key = here.tls_key
    return Door(
        host=here.host,
        port=here.worklist_port,
        under_tls=here.tls_cert is not None or here.behind_tls_proxy,
        certificate=here.tls_cert,
        key=key,
    )
