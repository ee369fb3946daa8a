"""A worker ends itself when leaving it to somebody else would help, and not before."""

from collections.abc import Iterable

import pytest
from aiokafka import TopicPartition

from orchestrator.stream.kafka import watchdog
from orchestrator.stream.kafka.watchdog import Seen, Watchdog

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


def test_an_outage_is_nobodys_fault() -> None:
    """While no broker answers nothing counts, and afterwards it begins anew."""
    dog = Watchdog(0.0)
    waiting = {"settled": True, "positions": {TP: 5}, "ends": {TP: 9}}
    assert dog.judge(Seen(100.0, **waiting)) is None  # type: ignore[arg-type]
    dog.excuse(700.0)
    assert dog.judge(Seen(701.0, **waiting)) is None  # type: ignore[arg-type]
    assert dog.judge(Seen(800.0, **waiting)) is None  # type: ignore[arg-type]
    assert dog.judge(Seen(822.0, **waiting)) == watchdog.FROZEN  # type: ignore[arg-type]
