"""The worker on a real broker publishes what the journal says, whatever happens to it."""

import asyncio
import random
import signal
from pathlib import Path
from typing import Any, Final

import orjson

from orchestrator.core.instants import HOUR, SECOND, written
from orchestrator.stream.clock import RealClock
from orchestrator.stream.kafka.connection import Kafka
from orchestrator.stream.kafka.leaving import FAILED
from orchestrator.stream.kafka.worker import Role
from tests.kafka import world
from tests.kafka.worker_process import SESSION_S
from tests.stream.hospital_events import drawn

# Where a process kills itself, in which pass of the place.
KILL_POINTS: Final[tuple[tuple[Role, str], ...]] = (
    ("decide", "decide.processed=kill@2"),
    ("intake", "intake.decoded=kill@2"),
    ("decide", "decide.some=kill@3"),
    ("decide", "decide.outputs=kill@2"),
    ("intake", "intake.appended=kill@2"),
    ("decide", "decide.commit=kill:0.002@2"),
    ("decide", "decide.committed=kill@4"),
    ("decide", "clock.due=kill@2"),
    ("decide", "clock.appended=kill@1"),
    ("decide", "start.checked=kill@1"),
)


def some_events(seed: int, number: int, first: int = 0) -> list[tuple[str, dict[str, Any]]]:
    rng = random.Random(seed)
    now = RealClock().now()
    return [drawn(rng, first + n, before=now) for n in range(number)]


async def test_what_is_published_follows_from_the_journal(kafka: Kafka, tmp_path: Path) -> None:
    """Byte for byte what a replay of the exported journal publishes, and both leave in order."""
    await world.publish(kafka, some_events(1, 300))

    async with world.workers(kafka, tmp_path) as workers:
        await workers.caught_up()
        assert workers.stop() == [0, 0]
        decided = await workers.decided()

    lines = await world.journal_lines(kafka, decided)
    events = [line for line in lines if orjson.loads(line)["value"]["kind"] == "event"]
    assert len(events) == 300
    assert await world.published(kafka) == world.replayed(lines)


async def test_killed_anywhere_it_goes_on_where_it_was(kafka: Kafka, tmp_path: Path) -> None:
    """SIGKILL at each place while events flow: nothing lost, doubled or different."""
    sent: list[tuple[str, dict[str, Any]]] = []

    async def send(seed: int, number: int, first: int) -> None:
        events = some_events(seed, number, first)
        await world.publish(kafka, events)
        sent.extend(events)

    async with world.workers(kafka, tmp_path) as workers:
        for turn, (role, point) in enumerate(KILL_POINTS):
            workers.kill(role, "a")
            workers.start(role, "a", failpoints=point)
            await send(turn, 40, 1000 * turn)
            for number in range(120):
                if workers.running[role, "a"].poll() is not None:
                    break
                await send(number, 2, 1000 * turn + 50 + number * 2)
                await asyncio.sleep(0.5)
            workers.revive()
            assert len(workers.ends) == turn + 1, f"{point} was not met"
        await workers.caught_up()
        workers.stop()
        decided = await workers.decided()

    lines = await world.journal_lines(kafka, decided)
    values = [orjson.loads(line)["value"] for line in lines]
    taken = {value["event"]["id"] for value in values if value["kind"] == "event"}
    assert taken == {event["id"] for _, event in sent}
    expected = world.replayed(lines)
    assert workers.ends == [-9] * len(KILL_POINTS)
    assert await world.published(kafka) == expected
    uncommitted = await world.published(kafka, isolation="read_uncommitted")
    assert world.without_repeats(uncommitted) == world.without_repeats(expected)


async def test_a_paused_worker_cannot_write_over_its_successor(
    kafka: Kafka, tmp_path: Path
) -> None:
    """SIGSTOP beyond the session, another takes over, SIGCONT: the brokers refuse the first."""
    slow: dict[Role, str] = {"decide": "decide.some=sleep:0.4"}  # inside each transaction
    async with world.workers(kafka, tmp_path, ("a", "b"), slow) as workers:
        await world.publish(kafka, some_events(5, 100))
        await workers.caught_up()
        for turn in range(1, 3):
            stopped = workers.running["decide", "ab"[turn % 2]]
            await world.publish(kafka, some_events(5, 150, first=1000 * turn))
            await asyncio.sleep(0.3)
            stopped.send_signal(signal.SIGSTOP)
            await asyncio.sleep(SESSION_S + 2)
            await workers.caught_up()
            await world.publish(kafka, some_events(5, 50, first=1000 * turn + 500))
            stopped.send_signal(signal.SIGCONT)
            await asyncio.sleep(2)
            await workers.caught_up()
        workers.stop()
        decided = await workers.decided()

    expected = world.replayed(await world.journal_lines(kafka, decided))
    assert FAILED in workers.ends, "it was paused inside a transaction, and refused after it"
    assert await world.published(kafka) == expected


async def test_a_deadline_fires_by_itself_and_never_early(kafka: Kafka, tmp_path: Path) -> None:
    """Nobody sends anything, and the call is overdue when its 48 hours are over."""
    async with world.workers(kafka, tmp_path) as workers:
        await world.publish(kafka, some_events(3, 5))
        await workers.caught_up()
        due = RealClock().now() // SECOND * SECOND + 5 * SECOND
        await world.publish(kafka, [_discharged(due - 48 * HOUR)])
        found: list[int] = []

        async def fired() -> bool:
            changes = (await world.read(kafka, "care.change.v1")).values()
            found[:] = [
                row.timestamp * 1000
                for rows in changes
                for row in rows
                if (value := orjson.loads(row.value))["at"] == written(due)
                and value["subject"] == "GEN|MRN-IDLE"
            ]
            return bool(found)

        await world.until(fired, "the deadline", 60)

    assert min(found) >= due


def _discharged(at: int) -> tuple[str, dict[str, Any]]:
    return "care.discharge.v1", {
        "specversion": "1.0",
        "id": "IDLE-1",
        "source": "hospital/GEN/adt",
        "type": "care.discharge.recorded.v1",
        "time": written(at),
        "subject": "GEN|MRN-IDLE",
        "facility": "GEN",
        "data": {"visit_number": "V-IDLE", "disposition": {"code": "01"}},
    }
