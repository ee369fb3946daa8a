"""Intake marks a round as done when, and only when, the brokers have all that follows from it."""

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

import orjson
import pytest
from faust.types import TP

from orchestrator.stream.kafka import intake
from orchestrator.stream.kafka.connection import Kafka
from orchestrator.stream.kafka.intake import IntakeShell
from orchestrator.stream.kafka.rounds_in import PollRound
from orchestrator.stream.kafka.site import Site
from orchestrator.stream.status import Status
from schemas.topics import DEAD_LETTER, JOURNAL
from tests.stream.fakes import FACILITIES, PARTITIONS, SITE_KEY, admitted, product

ADMISSIONS = TP("care.admission.v1", 0)


class Row(NamedTuple):
    """A record as aiokafka hands it over."""

    offset: int
    value: bytes
    topic: str = ADMISSIONS.topic
    partition: int = ADMISSIONS.partition
    timestamp: int = 1_791_000_000_000
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


class Brokers:
    """Take what they are given; who writes to *slow* waits until they are told to answer."""

    def __init__(self, slow: str = "", problem: Exception | None = None) -> None:
        self.topics: list[str] = []
        self.answer = asyncio.Event()
        self._slow = slow
        self._problem = problem

    async def land(self, rows: Mapping[tuple[str, int], list[Any]], *_: Any) -> dict[Any, Any]:
        topics = {topic for (topic, _), theirs in rows.items() if theirs}
        self.topics += sorted(topics)
        if self._slow in topics:
            await self.answer.wait()
        if self._problem is not None:
            raise self._problem
        return {}


class Left(BaseException):
    """Instead of the end of this process."""


def shell_over(brokers: Brokers) -> IntakeShell:
    site = Site(
        kafka=Kafka("nowhere:1"),
        group="care",
        partitions=PARTITIONS,
        replication=1,
        facilities=FACILITIES,
        site_key=SITE_KEY,
        processor=product,
    )
    app = SimpleNamespace(producer=brokers, consumer=SimpleNamespace(done={}))
    return IntakeShell(site, app, Status("intake"))


def a_round() -> PollRound:
    rows = [Row(7, orjson.dumps(admitted(1))), Row(8, b'{"half": ')]
    return PollRound({ADMISSIONS: rows})


@pytest.mark.parametrize("slow", [JOURNAL, DEAD_LETTER])
async def test_nothing_is_done_before_the_brokers_have_all_of_it(slow: str) -> None:
    """Journal and dead letters alike: whoever dies before reads the round again."""
    brokers = Brokers(slow)
    shell, rnd = shell_over(brokers), a_round()

    handling = asyncio.create_task(shell.handle(rnd))
    for _ in range(100):
        await asyncio.sleep(0)

    assert {JOURNAL, DEAD_LETTER} <= set(brokers.topics)
    assert (shell._app.consumer.done, rnd.finished, handling.done()) == ({}, False, False)
    brokers.answer.set()
    await handling
    assert (shell._app.consumer.done, rnd.finished) == ({ADMISSIONS: 9}, True)


async def test_what_the_brokers_refuse_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """No exception is passed over, and nothing of the round counts as done."""
    reasons = []

    def leave(reason: str, problem: BaseException | None = None, code: int = 70) -> None:
        reasons.append((reason, type(problem), code))
        raise Left

    monkeypatch.setattr(intake, "leave", leave)
    shell, rnd = shell_over(Brokers(problem=OSError("no"))), a_round()

    with pytest.raises(Left):
        await shell.handle(rnd)

    assert reasons == [("intake-failed", OSError, 70)]
    assert (shell._app.consumer.done, rnd.finished) == ({}, False)
