"""Where a terminal looks at dead letters and deals with them, straight on the log.

It stands in for the worklist: the same core sends again, the same records say who did it.
"""

import asyncio
import os
import pwd
import signal
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from orchestrator.cli import on_kafka, site
from orchestrator.cli.console import Step
from orchestrator.cli.dlq_rows import FOLLOWED, LOOKED_AT, Rows, Searched
from orchestrator.settings import site_key
from orchestrator.stream.keys import patient_key
from orchestrator.worklist.access.roles import Principal, principal
from orchestrator.worklist.audit import Audit
from orchestrator.worklist.retrying import Retrying

if TYPE_CHECKING:
    import sqlite3

    from orchestrator.settings import Settings
    from orchestrator.worklist.log.feed import Places, Record, Sender
    from orchestrator.worklist.model.freshness import Freshness
    from schemas.facilities import Facilities

# Who may log in where the log is may do what an operator and a data steward may.
ROLES: Final = frozenset({"operator", "data-steward"})

T = TypeVar("T")


def somebody(by: str | None) -> Principal:
    """
    Whoever sits at the terminal, as the machine knows them.

    Args:
        by: Who they say that they are.
    """
    name = _user()[0] if by is None else f"{_user()[0]}/{by}"
    return principal(f"terminal:{name}", ROLES, frozenset(), frozenset({"*"}))


def is_nobody() -> bool:
    """Whether the machine's user is no person: a service's own, as in a container."""
    return _user()[1]


def _user() -> tuple[str, bool]:
    number = os.getuid()
    try:
        found = pwd.getpwuid(number)
    except KeyError:  # a container's user need not have a name
        return f"uid-{number}", True
    return found.pw_name, found.pw_shell.endswith(("nologin", "false"))


class _Log(NamedTuple):
    """What is needed of either runtime."""

    feed: Callable[[], Searched]
    sender: "Sender"
    places: "Places"
    now: Callable[[], int]


class Desk:
    """
    The letters' rows, and the log that they lie on.

    Attributes:
        stopped: Set by Ctrl-C: nothing more is begun or waited for.
        on_tick: Called whenever somebody waits.
    """

    def __init__(
        self,
        log: _Log,
        facilities: "Facilities",
        key_of: Callable[[str], str],
        by: str | None,
    ) -> None:
        self._log = log
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="dlq")  # the feed's and the rows'
        self._rows: Rows | None = None
        self.stopped = threading.Event()
        self.on_tick: Callable[[], None] = lambda: None
        self.who = somebody(by)
        self.facilities = facilities
        self.key_of = key_of
        self.log_now = log.now
        self.sender = log.sender
        self.places = log.places
        self.audit = Audit(log.sender)
        self.retrying = Retrying(self)

    async def fill(self, told: Step) -> None:
        """Read what there is; raises as `Rows.fill`."""

        def filled() -> Rows:
            rows = Rows(self._log.feed(), self.key_of, self.stopped)
            try:
                rows.fill(told)
            except BaseException:
                rows.close()
                raise
            return rows

        self._rows = await self._in_thread(filled)

    @property
    def rows(self) -> Rows:
        assert self._rows is not None, "filled at first"
        return self._rows

    @property
    def reader(self) -> "Desk":
        return self

    async def ask(self, question: "Callable[[sqlite3.Connection], T]") -> T:
        """The answer of the rows."""
        return await self._in_thread(partial(question, self.rows.db))

    @property
    def hub(self) -> "Desk":
        return self

    async def tick(self, wait_s: float) -> None:
        """Wait for more rows, by reading them."""
        if not self.stopped.is_set():
            self.on_tick()
            await self._in_thread(partial(self.rows.follow, wait_s))

    @property
    def freshness(self) -> "Freshness":
        return self.rows.freshness

    @property
    def knows_deeds(self) -> bool:
        """All that was done is read before anything is."""
        return True

    async def record(self, place: str) -> "Record | None":
        """The letter as it lies on its topic, with its bytes."""
        topic, partition, offset = place.rsplit("-", 2)
        return await self.places.record(topic, int(partition), int(offset))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def close(self) -> None:
        await self.places.close()
        await self.sender.close()
        if self._rows is not None:
            await self._in_thread(self._rows.close)
        self._thread.shutdown()


@asynccontextmanager
async def opened(
    here: "Settings", told: Step, *, sending: bool, by: str | None
) -> AsyncIterator[Desk]:
    """
    A desk whose rows are there.

    Args:
        sending: Something may be sent: what follows from it is read too.
        by: Who somebody says that they are.

    Raises:
        LogAway: The log does not answer.
        Mistake: The settings name none.
    """
    key = site_key(here) if sending else None
    log = _kafka(here, key) if on_kafka.is_chosen(here) else _embedded(here, sending=sending)
    facilities = site.facilities_of(here)
    desk = Desk(log, facilities, lambda subject: patient_key(key or b"", subject), by)
    loop = asyncio.get_running_loop()

    def stop() -> None:
        desk.stopped.set()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)  # the second time it ends at once

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        await desk.fill(told)
        yield desk
    finally:
        await desk.close()


def _kafka(here: "Settings", key: bytes | None) -> _Log:
    from orchestrator.worklist import edge
    from orchestrator.worklist.log.kafka import KafkaFeed, KafkaPlaces, KafkaSender

    kafka, wait = on_kafka.brokers(here), here.store_timeout.total_seconds()
    on_kafka.hush()
    topics = LOOKED_AT if key is None else FOLLOWED
    return _Log(
        lambda: KafkaFeed(kafka, here.group, key, topics, clocks=key is not None),
        KafkaSender(kafka, wait),
        KafkaPlaces(kafka, wait),
        edge.now,
    )


def _embedded(here: "Settings", *, sending: bool) -> _Log:
    from orchestrator.stream.sqlite_log import Log
    from orchestrator.worklist.log.embedded import EmbeddedFeed, EmbeddedPlaces, EmbeddedSender

    site.installed(here)
    folder = here.data_dir
    with Log.open(folder) as opened:
        clock = opened.clock
    topics = FOLLOWED if sending else LOOKED_AT
    return _Log(
        lambda: EmbeddedFeed(folder, topics=topics),
        EmbeddedSender(folder),
        EmbeddedPlaces(folder),
        clock.now,
    )
