"""Takes a poll of the public topics into the journal: decoded, re-keyed, acknowledged, then done.

Stateless and at least once: what a crash lets it append twice is dropped by the journal's
reader, which alone knows what a patient's events were.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

import structlog

from orchestrator.stream.failpoints import hit
from orchestrator.stream.intake import LARGEST_ENTRY, Intake, Signs, Taken
from orchestrator.stream.kafka.fenced_out import OutRow, Place, size
from orchestrator.stream.kafka.leaving import leave
from orchestrator.stream.kafka.rounds_in import PollRound
from orchestrator.stream.kafka.site import Site
from orchestrator.stream.keys import partition_of
from orchestrator.stream.sqlite_log import Record
from orchestrator.stream.status import Status
from schemas.topics import DEAD_LETTER, JOURNAL

ROUND_S: Final = 30.0
_BREATH: Final = 100  # records taken in before others of this process get a turn

logger = structlog.get_logger()


class IntakeShell:
    """The work of the intake app."""

    def __init__(self, site: Site, app: Any, status: Status) -> None:
        self._site = site
        self._app = app
        self._status = status
        # Signs of life are sampled anew after a restart; one too many says nothing new.
        self._intake = Intake(site.facilities, site.site_key, Signs())
        self.woken = asyncio.Event()

    async def handle(self, rnd: PollRound) -> None:
        """Append what follows from *rnd*, and only then let it be committed."""
        began = time.monotonic()
        took: list[tuple[str, Taken]] = []
        try:
            async with asyncio.timeout(ROUND_S):
                hit("intake.read")
                await self._append(await self._taken(rnd, took))
        except Exception as problem:  # noqa: BLE001 - no exception may leave an agent
            self._status.publish_errors[JOURNAL] += 1
            leave("intake-failed", problem)
        done = self._app.consumer.done
        done.update({tp: rows[-1].offset + 1 for tp, rows in rnd.items()})
        rnd.finished = True
        self.woken.set()
        self._count(took)
        self._status.batch_seconds.observe(time.monotonic() - began)
        hit("intake.committed")

    def _count(self, took: Iterable[tuple[str, Taken]]) -> None:
        for topic, taken in took:
            self._status.took(topic, taken.result)
            for letter in taken.dead_letters:
                self._status.parked(letter.headers)

    async def _taken(
        self, rnd: PollRound, took: list[tuple[str, Taken]]
    ) -> dict[Place, list[OutRow]]:
        out: dict[Place, list[OutRow]] = defaultdict(list)
        # In the order in which they were accepted, as far as one poll shows it.
        rows = sorted((row for rows in rnd.values() for row in rows), key=lambda r: r.timestamp)
        for number, row in enumerate(rows, 1):
            taken = self._intake.take(record_of(row), row.headers)
            for key, value in taken.journal:
                partition = partition_of(key, self._site.partitions)
                out[JOURNAL, partition].append(OutRow(key.encode(), value))
            out[DEAD_LETTER, 0] += _letters(row, taken)
            took.append((row.topic, taken))
            if number % _BREATH == 0:
                await asyncio.sleep(0)
        hit("intake.decoded")
        return out

    async def _append(self, rows: dict[Place, list[OutRow]]) -> None:
        await self._app.producer.land(rows)
        hit("intake.appended")


def record_of(row: Any) -> Record:
    """A record of a public topic as intake reads it; its stamp is the broker's append time."""
    return Record(
        row.topic,
        row.partition,
        row.offset,
        row.timestamp * 1000,
        None if row.key is None else row.key.decode("utf-8", "replace"),
        row.value or b"",
        {name: (value or b"").decode("utf-8", "replace") for name, value in row.headers},
    )


def _letters(row: Any, taken: Taken) -> Iterable[OutRow]:
    """Dead letters with the sender's own key, value and headers; what we say of it comes last."""
    for letter in taken.dead_letters:
        ours = [(name, value.encode()) for name, value in letter.headers.items()]
        value = None if row.value is None else letter.value
        whole = OutRow(row.key, value, [*row.headers, *ours])
        # What is said of it must fit, too: then the sender's key and headers are left out.
        yield whole if size(whole) <= LARGEST_ENTRY else OutRow(None, value, ours)
