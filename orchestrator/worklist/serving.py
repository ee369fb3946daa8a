"""Puts a worklist together over a log and serves it until it is told to stop."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import uvicorn

from orchestrator.worklist.access.modes import Access, access_of
from orchestrator.worklist.access.store import AccessStore
from orchestrator.worklist.access.tokens import Authenticator
from orchestrator.worklist.acting import Acting
from orchestrator.worklist.api.stream import Streams
from orchestrator.worklist.app import application
from orchestrator.worklist.audit import Audit
from orchestrator.worklist.demo import Demo
from orchestrator.worklist.doors import Door
from orchestrator.worklist.http11 import HEAD_BYTES, Guarded
from orchestrator.worklist.hub import Hub
from orchestrator.worklist.limits import Limits
from orchestrator.worklist.log.feed import FeedFactory, Places, Sender
from orchestrator.worklist.log.trial import Trial
from orchestrator.worklist.model import tables
from orchestrator.worklist.model.freshness import Freshness
from orchestrator.worklist.model.projector import Projector
from orchestrator.worklist.model.reader import Reader
from orchestrator.worklist.pages.store import PagesStore
from orchestrator.worklist.retrying import Retrying
from orchestrator.worklist.site import Site
from orchestrator.worklist.watch import SamplerOf, watching
from schemas.facilities import Facilities

READY_WITHIN_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a worklist is made of."""

    folder: Path
    feed: FeedFactory
    sender: Callable[[], Sender]
    places: Callable[[], Places]
    authenticator: Callable[[AccessStore], Authenticator]
    key_of: Callable[[str], str]
    log_now: Callable[[], int]
    behind_after: float = 60.0
    action_wait: float = 5.0
    policies: Sequence[dict[str, Any]] = ()
    limits: Callable[[], Limits] = Limits
    trial: Trial | None = None
    sampler: SamplerOf | None = None
    demo: Demo | None = None
    access: Callable[[AccessStore], Access] = access_of
    facilities: Facilities = field(default_factory=lambda: Facilities.load(None))


@asynccontextmanager
async def opened(plan: Plan) -> AsyncIterator[Site]:
    """The worklist, its projector running."""
    loop = asyncio.get_running_loop()
    hub = Hub(loop)
    freshness = Freshness(plan.behind_after)
    path = plan.folder / tables.FILE
    os.close(tables.lock(path))  # said at the start, not in the projector's log
    projector = Projector(path, plan.feed, plan.key_of, freshness, hub.from_thread)
    store = AccessStore(plan.folder)
    pages = PagesStore(plan.folder)
    sender, places = plan.sender(), plan.places()
    projector.start()
    watch = None if plan.sampler is None else watching(plan.sampler, freshness, plan.log_now)
    try:
        await asyncio.to_thread(projector.ready.wait, READY_WITHIN_S)
        reader = Reader(path)
        site = Site(
            reader=reader,
            projector=projector,
            freshness=freshness,
            sender=sender,
            places=places,
            hub=hub,
            audit=Audit(sender),
            store=store,
            authenticator=plan.authenticator(store),
            access=plan.access(store),
            limits=plan.limits(),
            log_now=plan.log_now,
            key_of=plan.key_of,
            policies=plan.policies,
            action_wait=plan.action_wait,
            facilities=plan.facilities,
            trial=plan.trial,
            watch=watch,
            demo=plan.demo,
            pages=pages,
        )
        site.acting = Acting(site)
        site.streams = Streams()
        site.retrying = Retrying(site)
        # The identity provider may be slow or away: nobody waits for it here.
        warming = asyncio.create_task(asyncio.to_thread(site.access.warm))
        try:
            yield site
        finally:
            await site.jobs.close()
            await warming
            reader.close()
    finally:
        if watch is not None:
            await asyncio.to_thread(watch.sampler.stop)
        await asyncio.to_thread(projector.stop)
        await places.close()
        await sender.close()
        store.close()
        pages.close()


class Server(uvicorn.Server):
    """uvicorn that leaves signals to whoever started it, and tells once it listens."""

    def __init__(
        self, config: uvicorn.Config, listening: Callable[["Server"], None], closing: asyncio.Event
    ) -> None:
        super().__init__(config)
        self._told = listening
        self._closing = closing

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._closing.set()  # live streams would be waited for
        await super().shutdown(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._told(self)


async def serve(
    plan: Plan,
    door: Door,
    taken: socket.socket,
    version: str,
    listening: Callable[[Server, Site], None],
) -> None:
    """
    Serve until ``should_exit`` of the server is set.

    Args:
        listening: Told once requests are taken.
    """
    async with opened(plan) as site:
        app = application(site, version=version, under_tls=door.under_tls)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,  # addresses of requests name patients' keys; metrics count them
            server_header=False,
            date_header=True,
            proxy_headers=False,
            lifespan="off",
            timeout_graceful_shutdown=10,
            ssl_certfile=door.certificate,
            ssl_keyfile=door.key,
            http=Guarded,
            h11_max_incomplete_event_size=HEAD_BYTES,
        )
        server = Server(config, lambda one: listening(one, site), site.closing)
        # `serve` would take the process's signals, which are whoever's who started this.
        await server._serve([taken])  # noqa: SLF001
