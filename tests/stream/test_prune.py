"""What is no longer kept goes, bounded; what is still needed stays, however old."""

from pathlib import Path

from orchestrator.core.instants import DAY, HOUR
from orchestrator.stream.clock import ManualClock
from orchestrator.stream.prune import Pruner
from orchestrator.stream.sqlite_log import Log
from schemas.topics import INPUTS, JOURNAL
from tests.stream.fakes import PARTITIONS, START, new_log

INPUT = "care.admission.v1"
TASKS = "care.task.v1"
NOTHING_TAKEN = dict.fromkeys(INPUTS, 0)
ALL_TAKEN = dict.fromkeys(INPUTS, 10**9)
ALL_DECIDED = [10**9] * PARTITIONS


def daily(log: Log, clock: ManualClock, topic: str, days: int) -> None:
    for day in range(days):
        log.append(topic, "00000000", b"%d" % day)
        clock.advance(DAY)


def prune(pruner: Pruner, decided: list[int], taken: dict[str, int], now: int) -> None:
    """Until there is nothing to do."""
    while pruner.step(decided, taken, now):
        pass


def test_inputs_go_after_thirty_days(tmp_path: Path) -> None:
    """The boundary: thirty days old is kept, a day more is not."""
    log, clock = new_log(tmp_path)
    daily(log, clock, INPUT, 40)
    prune(Pruner(log, step=3), ALL_DECIDED, ALL_TAKEN, START + 40 * DAY)

    assert [r.offset for r in log.read(INPUT, 0, 0, 99)] == list(range(10, 40))
    assert log.first_offsets(INPUT) == [10]
    assert log.end_offsets(INPUT) == [40]
    assert log.append(INPUT, None, b"next") == (0, 40)


def test_unread_inputs_are_never_removed(tmp_path: Path) -> None:
    """A worker that was away for a quarter of a year finds everything."""
    log, clock = new_log(tmp_path)
    daily(log, clock, INPUT, 5)
    prune(Pruner(log), ALL_DECIDED, NOTHING_TAKEN | {INPUT: 2}, START + 90 * DAY)
    assert [r.offset for r in log.read(INPUT, 0, 0, 99)] == [2, 3, 4]


def test_the_journal_is_kept_for_120_days_and_until_decided(tmp_path: Path) -> None:
    """It is what everything else is derived from."""
    log, clock = new_log(tmp_path)
    daily(log, clock, JOURNAL, 130)
    prune(Pruner(log), [4, 0, 0, 0], ALL_TAKEN, START + 130 * DAY)
    assert log.first_offsets(JOURNAL)[0] == 4
    prune(Pruner(log), ALL_DECIDED, ALL_TAKEN, START + 130 * DAY)
    assert log.first_offsets(JOURNAL)[0] == 10


def test_nothing_goes_before_the_first_clock(tmp_path: Path) -> None:
    """Time is the partitions' clock, which a jump of the machine's does not move."""
    log, clock = new_log(tmp_path)
    daily(log, clock, INPUT, 5)
    clock.jump(400 * DAY)
    prune(Pruner(log), ALL_DECIDED, ALL_TAKEN, 0)
    assert len(log.read(INPUT, 0, 0, 99)) == 5


def test_a_compacted_topic_keeps_the_latest_of_each_key(tmp_path: Path) -> None:
    """However old it is; and what replaced it yesterday may still be read along with it."""
    log, clock = new_log(tmp_path)
    for value in (b"a1", b"a2", b"a3"):
        log.append(TASKS, "0000000a", value, {})
        clock.advance(HOUR)
    log.append(TASKS, "0000000e", b"e1")
    clock.advance(30 * DAY)
    log.append(TASKS, "0000000e", b"e2")
    now = clock.now()

    prune(Pruner(log, step=2), ALL_DECIDED, ALL_TAKEN, now)

    assert [r.value for r in log.read(TASKS, 2, 0, 99)] == [b"a3", b"e1", b"e2"]
    prune(Pruner(log, step=2), ALL_DECIDED, ALL_TAKEN, now + 2 * DAY)
    assert [r.value for r in log.read(TASKS, 2, 0, 99)] == [b"a3", b"e2"]


def test_a_tombstone_removes_its_key(tmp_path: Path) -> None:
    """Nothing is left of a patient who has nothing open, and a later record begins anew."""
    log, clock = new_log(tmp_path)
    log.append(TASKS, "0000000a", b"a1")
    log.append(TASKS, "0000000a", None)
    clock.advance(2 * DAY)
    pruner = Pruner(log)
    prune(pruner, ALL_DECIDED, ALL_TAKEN, clock.now())
    assert log.read(TASKS, 2, 0, 99) == []
    assert log.append(TASKS, "0000000a", b"a2") == (2, 2)
    clock.advance(2 * DAY)
    prune(pruner, ALL_DECIDED, ALL_TAKEN, clock.now())
    assert [r.value for r in log.read(TASKS, 2, 0, 99)] == [b"a2"]


def test_a_step_is_bounded(tmp_path: Path) -> None:
    """A senders' transaction never waits for a month of old records."""
    log, clock = new_log(tmp_path)
    daily(log, clock, INPUT, 50)
    assert Pruner(log, step=7).step(ALL_DECIDED, ALL_TAKEN, START + 200 * DAY) == 7
    assert log.first_offsets(INPUT) == [7]
