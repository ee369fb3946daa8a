"""Clock records come in time, say something true, and wait when they would not."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from orchestrator.core.instants import DAY, HOUR, MINUTE, SECOND, read, written
from orchestrator.stream import inflow
from orchestrator.stream.clock import ManualClock
from orchestrator.stream.embedded import Pace, Runtime
from orchestrator.stream.rounds import Round
from orchestrator.stream.timekeeper import confirm_clock
from schemas.topics import BACKFILL, JOURNAL
from tests.stream.fakes import (
    FACILITIES,
    PARTITIONS,
    SITE_KEY,
    START,
    FakeProcessor,
    admitted,
    journal_of,
    new_log,
    partition_of_patient,
    send,
)
from tests.stream.running import assert_all_accounted, held, published, runtime_of, settle


def test_a_deadline_fires_once_its_instant_has_passed(tmp_path: Path) -> None:
    """Not a microsecond early, at the latest one turn after, and then no more."""
    log, clock = new_log(tmp_path)
    runtime = runtime_of(log, Pace(sign_of_life=DAY))
    send(log, admitted(1))
    settle(runtime)
    clock.advance(HOUR - 1)
    settle(runtime)
    assert [task["overdue"] for task in published(log)] == [False]

    clock.advance(1)
    settle(runtime)

    assert [task["overdue"] for task in published(log)] == [False, True]
    assert published(log)[1]["at"] == written(START + HOUR)
    p = partition_of_patient("GEN|MRN1")
    clocks = [v["at"] for v in journal_of(log) if v["kind"] == "clock"]
    assert clocks.count(written(START + HOUR)) == 1
    assert runtime.timekeeper.last[p] == START + HOUR


def test_each_partition_gives_a_sign_of_life(tmp_path: Path) -> None:
    """Without any deadline a clock comes every thirty seconds, so that a stuck one is seen."""
    log, clock = new_log(tmp_path)
    runtime = runtime_of(log)
    for _ in range(4):
        settle(runtime)
        clock.advance(15 * SECOND)

    for partition in range(PARTITIONS):
        stamps = [r.stamp - START for r in log.read(JOURNAL, partition, 0, 99)]
        assert stamps == [0, 30 * SECOND]


def test_a_wake_that_a_clock_did_not_move_is_no_reason_for_the_next(tmp_path: Path) -> None:
    """A patient who waits for something else than time must not fill the journal with clocks."""

    class Waiting(FakeProcessor):
        def _clock(self, rnd: Round, partition: int, now: int) -> None:
            pass

    log, clock = new_log(tmp_path)
    runtime = Runtime(log, Waiting, FACILITIES, SITE_KEY, Pace(sign_of_life=DAY))
    send(log, admitted(1))
    settle(runtime)
    clock.advance(2 * HOUR)
    settle(runtime)
    before = len(journal_of(log))
    for _ in range(20):
        clock.advance(SECOND)
        settle(runtime)
    assert len(journal_of(log)) == before


def test_everything_accepted_before_a_clock_precedes_it(tmp_path: Path) -> None:
    """Inputs that land while a batch is decoded are taken in before T, or T waits."""
    log, clock = new_log(tmp_path)
    runtime = runtime_of(log)
    settle(runtime)
    take = runtime.inflow._take
    landed = iter([admitted(2)])

    def take_while_another_lands(records: Any) -> Any:
        taken = take(records)
        if records and not log.connection.in_transaction:
            for event in landed:
                send(log, event)
        return taken

    runtime.inflow._take = take_while_another_lands  # type: ignore[method-assign]
    clock.advance(MINUTE)
    send(log, admitted(1))
    runtime.turn()

    for partition in range(PARTITIONS):
        values = [orjson.loads(r.value or b"") for r in log.read(JOURNAL, partition, 0, 99)]
        kinds = [v["kind"] for v in values]
        assert kinds[-1] == "clock", "the clock stands behind what landed before T"
    assert len([v for v in journal_of(log) if v["kind"] == "event"]) == 2


def test_a_backlog_holds_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deadline must not fire before the message that settles it, further back, was read."""
    monkeypatch.setattr(inflow, "GATE_RECORDS", 2)
    log, clock = new_log(tmp_path)
    runtime = runtime_of(log, Pace(intake_records=2))
    send(log, *(admitted(n) for n in range(20)))
    runtime.turn()
    assert held(runtime) == "lag"
    assert [v for v in journal_of(log) if v["kind"] == "clock"] == []

    settle(runtime)
    assert held(runtime) is None
    assert runtime.timekeeper.last == [START] * PARTITIONS
    clock.advance(HOUR)
    settle(runtime)
    assert sum(task["overdue"] for task in published(log)) == 20


def test_backfill_neither_holds_the_clock_nor_waits_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two years of history are taken in beside the live feed, and deadlines fire meanwhile."""
    monkeypatch.setattr(inflow, "GATE_RECORDS", 2)
    log, _ = new_log(tmp_path)
    runtime = runtime_of(log, Pace(intake_records=8))
    send(log, *(admitted(n) for n in range(100)), topic=BACKFILL)
    send(log, *(admitted(200 + n) for n in range(30)))
    runtime.turn()
    runtime.turn()

    assert log.committed(inflow.READER, BACKFILL)[0] == 4
    while log.committed(inflow.READER, "care.admission.v1") != [30]:
        runtime.turn()
    assert log.committed(inflow.READER, BACKFILL)[0] < 100
    assert runtime.timekeeper.last == [START] * PARTITIONS
    settle(runtime)
    assert_all_accounted(log)


def test_a_jump_of_the_machines_time_fires_nothing(tmp_path: Path) -> None:
    """Forty days at once: nothing is overdue until somebody says that it is true."""
    log, clock = new_log(tmp_path)
    runtime = runtime_of(log)
    send(log, admitted(1))
    settle(runtime)
    clock.jump(40 * DAY)
    settle(runtime)
    send(log, admitted(2))
    settle(runtime)

    assert held(runtime) == "clock-jump"
    assert not any(task["overdue"] for task in published(log))
    assert len(published(log)) == 2, "events are still decided"
    assert runtime.timekeeper.last == [START] * PARTITIONS

    confirm_clock(log)
    settle(runtime)
    assert held(runtime) is None
    assert sum(task["overdue"] for task in published(log)) == 1


def test_a_jump_that_is_taken_back_needs_nobody(tmp_path: Path) -> None:
    """When the machine's time is right again, the clocks go on by themselves."""
    log, clock = new_log(tmp_path)
    runtime = runtime_of(log)
    settle(runtime)
    clock.jump(2 * MINUTE)
    settle(runtime)
    assert held(runtime) == "clock-jump"
    clock.jump(-2 * MINUTE)
    clock.advance(MINUTE)
    settle(runtime)
    assert held(runtime) is None
    assert runtime.timekeeper.last == [START + MINUTE] * PARTITIONS


def test_a_restart_does_not_confirm_a_jump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the same boot the log remembers what to compare with."""
    monkeypatch.setattr(ManualClock, "boot", "this-boot")
    log, clock = new_log(tmp_path)
    settle(runtime_of(log))
    clock.jump(40 * DAY)
    runtime = runtime_of(log)
    settle(runtime)
    assert held(runtime) == "clock-jump"

    monkeypatch.setattr(ManualClock, "boot", "next-boot")
    runtime = runtime_of(log)
    settle(runtime)
    assert held(runtime) is None


def test_time_that_is_set_back_does_not_run_backwards(tmp_path: Path) -> None:
    """No clock below the last, and what is received meanwhile is stamped after it."""
    log, clock = new_log(tmp_path)
    runtime = runtime_of(log)
    settle(runtime)
    clock.jump(-HOUR)
    send(log, admitted(1))
    settle(runtime)
    assert held(runtime) == "clock-jump"
    confirm_clock(log)
    settle(runtime)

    (event,) = [v["event"] for v in journal_of(log) if v["kind"] == "event"]
    assert read(event["receivedtime"]) > START
    assert runtime.timekeeper.last == [START] * PARTITIONS
    clock.advance(HOUR + 31 * SECOND)
    settle(runtime)
    assert runtime.timekeeper.last == [START + 31 * SECOND] * PARTITIONS
