"""``worklist``: the care teams' door, in a process of its own or inside ``up``."""

import asyncio
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import structlog

from orchestrator import log
from orchestrator.cli import door, identity, on_kafka, site
from orchestrator.cli.console import hint, progress, say
from orchestrator.cli.faults import Away, Mistake
from orchestrator.settings import site_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.ops.health import Check
    from orchestrator.settings import Settings
    from orchestrator.stream.shelf import Journal
    from orchestrator.worklist.doors import Door
    from orchestrator.worklist.log.feed import FeedFactory, Places, Sender
    from orchestrator.worklist.serving import Plan, Server
    from orchestrator.worklist.site import Site

OPS: Final = 8010
STOP_S: Final = 5.0

logger = structlog.get_logger()


def run(data_dir: Path | None) -> None:
    """Serve until SIGINT or SIGTERM."""
    here = site.load(data_dir)
    log.configure(here.log_level, here.log_format)
    entry = entry_of(here)
    if on_kafka.is_chosen(here):
        _same_site(here)
    else:
        site.installed(here)
    working = Working(here, entry)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with (
        working.served(lambda text: hint(f"{text}  [Ctrl-C stops]")),
        door.of_part(here, working.part, role="worklist", usual=OPS),
    ):
        while not stopped.wait(0.2) and working.lives:
            pass
    working.raise_fault()


def _same_site(here: "Settings") -> None:
    """
    Refuse another site key than the workers'; while no broker answers, the feed will.

    Raises:
        OtherSiteKey: It is another one.
    """
    from orchestrator.stream.kafka.broker import BrokerAway
    from orchestrator.stream.kafka.site_key import OtherSiteKey, is_ours

    key = site_key(here)
    with suppress(BrokerAway):
        if on_kafka.ask(lambda broker: is_ours(broker, key), here) is False:
            raise OtherSiteKey


@contextmanager
def beside(
    here: "Settings",
    entry: "Entry",
    tell: Callable[[str], None],
    plan: "Callable[[], Plan] | None" = None,
) -> "Iterator[Working]":
    """
    The worklist in a thread of its own, while the deciding goes on.

    Args:
        plan: Makes it of something else than the settings.
    """
    working = Working(here, entry, plan)
    with working.served(tell):
        yield working


class Entry(NamedTuple):
    """The door, its port taken already: a fault of the settings is said before anything starts."""

    door: "Door"
    socket: socket


def entry_of(here: "Settings") -> Entry:
    """
    Take the port.

    Raises:
        Mistake, PortTaken: The settings cannot be followed.
    """
    from orchestrator.worklist.doors import bound

    where = door_of(here)
    return Entry(where, bound(where))


class Working:
    """A worklist that runs in a thread."""

    def __init__(
        self, here: "Settings", entry: Entry, plan: "Callable[[], Plan] | None" = None
    ) -> None:
        self._here = here
        self._plan = plan or (lambda: plan_of(here))
        self._entry = entry
        self._server: Server | None = None
        self._site: Site | None = None
        self._fault: BaseException | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="worklist", daemon=True)
        self._told: Callable[[str], None] = hint
        self.part = door.Part(self._collectors(), self._checks)

    @property
    def lives(self) -> bool:
        return self._thread.is_alive()

    def raise_fault(self) -> None:
        """Pass on what ended it."""
        if self._fault is not None:
            raise self._fault

    @contextmanager
    def served(self, tell: Callable[[str], None]) -> Iterator[None]:
        self._told = tell
        self._thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            if self._server is not None:
                self._server.should_exit = True
            self._thread.join(STOP_S)
            self._entry.socket.close()
            logger.info("process.stopped", role="worklist")

    def _run(self) -> None:
        if self._stopping.is_set():
            return
        try:
            # What it needs is loaded here, so that deciding does not wait for it.
            from importlib.metadata import version

            from orchestrator.worklist.serving import serve

            plan = self._plan()
            release = version("care-orchestrator")
            asyncio.run(serve(plan, self._entry.door, self._entry.socket, release, self._listening))
        except BaseException as fault:  # told to whoever waits for the thread
            self._fault = fault
            # Who comes now is refused at once, and does not wait for an answer that nobody gives.
            self._entry.socket.close()
            logger.exception("process.stopped", role="worklist")

    def _listening(self, server: "Server", opened: "Site") -> None:
        self._server, self._site = server, opened
        if self._stopping.is_set():
            server.should_exit = True
            return
        where = self._entry.socket.getsockname()
        scheme = "https" if self._entry.door.certificate is not None else "http"
        logger.info("process.started", role="worklist", port=where[1])
        self._told(f"Worklist on {scheme}://{where[0]}:{where[1]}")

    def _collectors(self) -> "list[Any]":
        from orchestrator.worklist import measures
        from orchestrator.worklist.model import tables
        from orchestrator.worklist.model.counts import Counts

        path = self._here.data_dir / tables.FILE
        ready = Counts(path, lambda: self._site is not None and self._site.projector.ready.is_set())
        progress = measures.Progress(
            lambda: None if self._site is None else self._site.projector.ahead,
            lambda: None if self._site is None else self._site.freshness.age(self._site.now()),
        )
        return [measures.REGISTRY, ready, progress]

    def _checks(self) -> "Sequence[Check]":
        from orchestrator.ops.health import Check

        opened = self._site
        if opened is None:
            detail = "starting" if self._fault is None else type(self._fault).__name__
            return [Check("projection", "not-ready", detail)]
        state = opened.freshness.state(opened.now())
        failing = opened.projector.failing
        return [
            Check("projection", "ready" if state == "current" else "degraded", failing or state),
            Check("audit", "not-ready" if opened.audit.failing else "ready"),
            Check("keys", "ready"),
        ]


def rebuild(data_dir: Path | None) -> None:
    """Make the read model anew from the topics, and end."""
    from orchestrator.worklist.log.feed import LogAway
    from orchestrator.worklist.model import tables
    from orchestrator.worklist.model.rebuild import rebuild as made_anew

    here = site.load(data_dir)
    site.installed(here)
    plan = plan_of(here)
    path = plan.folder / tables.FILE
    try:
        with closing(plan.feed()) as feed, progress() as bar:
            records = made_anew(path, feed, plan.key_of, bar("rebuilding"))
    except (LogAway, sqlite3.Error) as problem:
        raise Away(f"the read model could not be made: {problem}") from problem
    say(f"{path}: made anew from {records:,} records")


def plan_of(here: "Settings") -> "Plan":
    """What the worklist of these settings is made of."""
    from orchestrator.stream.keys import patient_key
    from orchestrator.worklist.log.trial import Trial
    from orchestrator.worklist.serving import Plan

    key = site_key(here)
    found = log_of(here, key)
    ways = identity.ways_of(here)
    policies, facilities = site.policies_of(here), site.facilities_of(here)
    return Plan(
        folder=here.data_dir,
        feed=found.feed,
        sender=found.sender,
        places=found.places,
        authenticator=ways.authenticator,
        access=ways.access,
        key_of=lambda subject: patient_key(key, subject),
        log_now=found.now,
        behind_after=here.behind_after.total_seconds(),
        action_wait=here.action_wait.total_seconds(),
        policies=[policy.model_dump(mode="json") for policy in policies],
        facilities=facilities,
        trial=Trial(found.journal, policies, facilities, here.data_dir),
        sampler=lambda told: door.sampler(here, also=told),
    )


class _Log(NamedTuple):
    feed: "FeedFactory"
    sender: "Callable[[], Sender]"
    places: "Callable[[], Places]"
    journal: "Journal"
    now: Callable[[], int]


def log_of(here: "Settings", key: bytes) -> _Log:
    if on_kafka.is_chosen(here):
        from orchestrator.worklist import edge
        from orchestrator.worklist.log.journal_kafka import KafkaJournal
        from orchestrator.worklist.log.kafka import KafkaFeed, KafkaPlaces, KafkaSender

        kafka, group, wait = on_kafka.brokers(here), here.group, here.store_timeout.total_seconds()
        feed = partial(KafkaFeed, kafka, group, key)
        return _Log(
            feed,
            lambda: KafkaSender(kafka, wait),
            lambda: KafkaPlaces(kafka, wait),
            KafkaJournal(kafka),
            edge.now,
        )
    from orchestrator.stream.sqlite_log import Log
    from orchestrator.worklist.log.embedded import EmbeddedFeed, EmbeddedPlaces, EmbeddedSender
    from orchestrator.worklist.log.journal_embedded import EmbeddedJournal

    folder = here.data_dir
    with Log.open(folder, create=True, partitions=here.partitions) as opened:
        clock = opened.clock
    return _Log(
        lambda: EmbeddedFeed(folder),
        lambda: EmbeddedSender(folder),
        lambda: EmbeddedPlaces(folder),
        EmbeddedJournal(folder),
        clock.now,
    )


def door_of(here: "Settings") -> "Door":
    """
    Where to listen.

    Raises:
        Mistake: Another address than loopback without TLS, or the demo's words beyond loopback.
    """
    from orchestrator.worklist.doors import Door

    identity.check(here)
    if here.host not in identity.LOOPBACK and not here.behind_tls_proxy and here.tls_cert is None:
        raise Mistake(
            f"CARE_HOST={here.host} needs TLS: set CARE_TLS_CERT and CARE_TLS_KEY, or"
            " CARE_BEHIND_TLS_PROXY=true behind a proxy that ends it"
        )
    if here.tls_cert is not None and here.tls_key is None:
        raise Mistake("CARE_TLS_CERT is set, CARE_TLS_KEY is not")
    return Door(
        host=here.host,
        port=here.worklist_port,
        under_tls=here.tls_cert is not None or here.behind_tls_proxy,
        certificate=here.tls_cert,
        key=here.tls_key,
    )
