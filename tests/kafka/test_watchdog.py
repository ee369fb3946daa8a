"""A worker ends itself when leaving it to somebody else would help, and not before."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

import mode
import pytest
from aiokafka import TopicPartition

from orchestrator.stream.kafka import pulse, watchdog
from orchestrator.stream.kafka.connection import Kafka
from orchestrator.stream.kafka.leaving import STUCK
from orchestrator.stream.kafka.pulse import STOP_TICKS, STUCK_TICKS, Pulse
from orchestrator.stream.kafka.watchdog import Seen, Watchdog
from orchestrator.stream.kafka.worker import Role
from orchestrator.stream.status import Status
from tests.kafka import world
from tests.kafka.test_worker import some_events

TP = TopicPartition("care.journal.v1", 0)
OTHER = TopicPartition("care.journal.v1", 1)


def judged(looks: Iterable[Seen]) -> list[str]:
    """What was said, from the first look on."""
    dog = Watchdog(0.0)
    return [said for look in looks if (said := dog.judge(look)) is not None]


def every_ten_seconds(until: int) -> range:
    return range(0, until + 1, 10)


def test_a_rebalance_or_a_recovery_without_progress_ends() -> None:
    """Faust may wait for ever; what is read meanwhile counts as progress."""
    stuck = [Seen(t, settled=False, restored=7) for t in every_ten_seconds(150)]
    slow = [Seen(t, settled=False, restored=t) for t in every_ten_seconds(600)]
    short = [Seen(t, settled=t % 100 == 0) for t in every_ten_seconds(600)]
    assert set(judged(stuck)) == {watchdog.NO_PROGRESS}
    assert judged(slow) == judged(short) == []


def test_a_position_that_stands_while_there_is_more_to_read_ends() -> None:
    """Also when others move on, and only when it is the same position all the time."""
    frozen = [
        Seen(t, settled=True, positions={TP: 5, OTHER: t}, ends={TP: 5 + t, OTHER: t + 9})
        for t in every_ten_seconds(150)
    ]
    slow = [
        Seen(t, settled=True, positions={TP: t // 100}, ends={TP: 1000})
        for t in every_ten_seconds(900)
    ]
    idle = [Seen(t, settled=True, positions={TP: 5}, ends={TP: 5}) for t in every_ten_seconds(900)]
    assert set(judged(frozen)) == {watchdog.FROZEN}
    assert judged(slow) == judged(idle) == []


def test_brokers_that_answer_but_take_nothing_end_it() -> None:
    """A producer that failed for good refuses each mark; one refusal is none."""
    for_good = [Seen(t, settled=True, refused=True) for t in every_ten_seconds(150)]
    now_and_then = [Seen(t, settled=True, refused=t % 50 > 0) for t in every_ten_seconds(900)]
    assert set(judged(for_good)) == {watchdog.REFUSED}
    assert judged(now_and_then) == []


@pytest.mark.parametrize(("end", "expected"), [(5, {watchdog.NO_CLOCK}), (6, set())])
def test_a_clock_that_stands_still_ends_it(end: int, expected: set[str]) -> None:
    """Nothing holds it and the journal is read; one that is behind has older clocks to read."""
    looks = [
        Seen(t, settled=True, positions={TP: t + 5}, ends={TP: t + end}, clocks={0: 1.0 + t})
        for t in every_ten_seconds(650)
    ]
    assert set(judged(looks)) == expected


def test_a_clock_that_nobody_kept_is_not_the_newcomers() -> None:
    """After an hour without any worker the first clock may take its time."""
    looks = [
        Seen(t, settled=True, positions={TP: 5}, ends={TP: 5}, clocks={0: 3600.0 + t})
        for t in every_ten_seconds(500)
    ]
    assert judged(looks) == []


def test_a_recovery_that_faust_gave_up_ends_it() -> None:
    """Seen twice in a row, while brokers answer: nothing would ever start it again."""
    gone = [Seen(t, settled=False, given_up=True) for t in (10, 20)]
    starting = [Seen(t, settled=False, given_up=t % 20 == 0) for t in (10, 20, 30, 40)]
    assert judged(gone) == [watchdog.GIVEN_UP]
    assert judged(starting) == []


@pytest.mark.parametrize(
    ("names", "expected"),
    [(["_restart_recovery", "_slurp_changelogs"], False), (["_slurp_changelogs"], True)],
)
async def test_a_recovery_lives_as_long_as_its_task(names: list[str], expected: bool) -> None:
    """As Faust's services keep their tasks: named after what runs in them, gone with it."""

    class Service(mode.Service):
        async def _restart_recovery(self) -> None:
            await asyncio.sleep(60)

        async def _slurp_changelogs(self) -> None:
            await asyncio.sleep(60)

    recovery = Service()
    async with recovery:
        for name in names:
            recovery.add_future(getattr(recovery, name)())
        tables = type("Tables", (), {"recovery": recovery})
        assert watchdog.gave_up(type("App", (), {"tables": tables})) is expected


def test_an_outage_is_nobodys_fault() -> None:
    """While no broker answers nothing counts, and afterwards it begins anew."""
    dog = Watchdog(0.0)
    waiting = {"settled": True, "positions": {TP: 5}, "ends": {TP: 9}}
    assert dog.judge(Seen(100.0, **waiting)) is None  # type: ignore[arg-type]
    dog.excuse(700.0)
    assert dog.judge(Seen(701.0, **waiting)) is None  # type: ignore[arg-type]
    assert dog.judge(Seen(800.0, **waiting)) is None  # type: ignore[arg-type]
    assert dog.judge(Seen(822.0, **waiting)) == watchdog.FROZEN  # type: ignore[arg-type]


def ticked(status: Status, ticks: int, *, stopping: bool, turning: bool) -> set[str]:
    """What a pulse said in the course of *ticks*."""
    one, said = Pulse(status, lambda: stopping), set()
    for number in range(ticks):
        if turning:
            status.turned += number
        said.add(one.tick())
    return {reason for reason in said if reason is not None}


def test_a_loop_that_does_not_turn_ends_it() -> None:
    """A minute of its own ticks; a process that was paused makes none, and is not blamed."""
    still, turning = Status("decide"), Status("decide")
    assert ticked(still, STUCK_TICKS, stopping=False, turning=False) == set()
    assert ticked(still, STUCK_TICKS + 1, stopping=False, turning=False) == {pulse.LOOP}
    assert ticked(turning, 10 * STUCK_TICKS, stopping=False, turning=True) == set()


def test_an_end_that_does_not_come_is_made() -> None:
    """Asked to stop, or stopped by Faust itself: gone after a while, however the loop turns."""
    assert ticked(Status("intake"), STOP_TICKS, stopping=True, turning=True) == set()
    assert ticked(Status("intake"), STOP_TICKS + 1, stopping=True, turning=True) == {pulse.STOP}


async def test_a_worker_that_hangs_in_its_end_is_gone_all_the_same(
    kafka: Kafka, tmp_path: Path
) -> None:
    """SIGTERM, and the stop never gets on: exit code 75, at which supervisors start another."""
    hanging: dict[Role, str] = {"decide": "stop.draining=sleep:300"}
    await world.publish(kafka, some_events(31, 20))
    async with world.workers(kafka, tmp_path, failpoints=hanging) as workers:
        await workers.caught_up()
        hung = workers.running["decide", "a"]
        hung.terminate()
        assert await asyncio.to_thread(hung.wait, 120) == STUCK
