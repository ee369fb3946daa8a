"""The loop takes everything in once, decides it, and fires clocks only when they are true."""

import os
import subprocess
from itertools import count
from pathlib import Path
from typing import Any

import orjson
import pytest

from orchestrator.core.instants import DAY, HOUR, MINUTE, SECOND, read, written
from orchestrator.stream import inflow
from orchestrator.stream.clock import ManualClock
from orchestrator.stream.embedded import Pace, Runtime, opened
from orchestrator.stream.intake import DEAD_LETTER_BYTES
from orchestrator.stream.log_errors import LogError, LogFull, LogInUse, LogMismatch
from orchestrator.stream.memory_store import MemoryStore
from orchestrator.stream.rounds import JournalRecord, Out, Round
from orchestrator.stream.sqlite_log import Log
from orchestrator.stream.timekeeper import confirm_clock
from schemas.topics import BACKFILL, INPUTS, JOURNAL
from tests.stream.fakes import (
    FACILITIES,
    PARTITIONS,
    SITE_KEY,
    START,
    FakeProcessor,
    admitted,
    fill,
    journal_of,
    new_log,
    partition_of_patient,
    send,
)

PACE = Pace(retry_s=0.01, poll_s=0.01)


def runtime_of(log: Log, pace: Pace = PACE) -> Runtime:
    return Runtime(log, FakeProcessor, FACILITIES, SITE_KEY, pace)


def settle(runtime: Runtime) -> None:
    """Turn until there is nothing more to do."""
    while runtime.turn():
        pass


def held(runtime: Runtime) -> str | None:
    return runtime.timekeeper.held


def unavailable(runtime: Runtime) -> str | None:
    return runtime.health.unavailable


def published(log: Log, topic: str = "care.task.v1") -> list[dict[str, Any]]:
    return [
        orjson.loads(r.value or b"")
        for p in range(log.partitions)
        for r in log.read(topic, p, 0, 100_000)
    ]


def replayed(log: Log) -> list[tuple[str, str, int, bytes | None]]:
    """What an undisturbed run of the same journal publishes, in memory, one record at a time."""
    store = MemoryStore()
    processor = FakeProcessor(store)
    for partition in range(log.partitions):
        for r in log.read(JOURNAL, partition, 0, 1_000_000):
            record = JournalRecord(partition, r.offset, r.stamp, r.key or "", r.value or b"")
            store.commit(processor.process(partition, [record]))
    return sorted((o.topic, o.key, o.partition or 0, o.value) for o in store.published)


def stored(log: Log) -> list[tuple[str, str, int, bytes | None]]:
    """The same as it lies in the log."""
    return sorted(
        (topic, r.key or "", p, r.value)
        for topic in ("care.task.v1", "care.change.v1", "care.gap.v1")
        for p in range(log.partitions)
        for r in log.read(topic, p, 0, 1_000_000)
    )


def assert_all_accounted(log: Log) -> None:
    """Per input: what landed is what was journalled, parked or ignored."""
    accounts = log.accounts()
    for topic in INPUTS:
        (landed,) = log.end_offsets(topic)
        (taken,) = log.committed(inflow.READER, topic)
        results = [n for (t, _, _), n in accounts.items() if t == topic]
        assert landed == taken == sum(results)


def test_an_event_becomes_a_journal_record_and_a_task(tmp_path: Path) -> None:
    """From the public topic to the published task, with the log's receipt and the patient's key."""
    log, _ = new_log(tmp_path)
    runtime = runtime_of(log)
    send(log, admitted(1))
    settle(runtime)

    (event,) = [v["event"] for v in journal_of(log) if v["kind"] == "event"]
    assert event["id"] == "GEN-000001"
    assert event["receivedtime"] == written(START)
    assert [task["version"] for task in published(log)] == [1]
    assert runtime.health.results == {("care.admission.v1", "journalled"): 1}
    assert_all_accounted(log)


def test_the_receipt_is_the_inputs_append_time_however_late_it_is_read(tmp_path: Path) -> None:
    """A worker that was down reads the same receipt as one that was not."""
    log, clock = new_log(tmp_path)
    send(log, admitted(1, receivedtime="2020-01-01T00:00:00Z"))
    clock.advance(6 * HOUR)
    settle(runtime_of(log))

    (event,) = [v["event"] for v in journal_of(log) if v["kind"] == "event"]
    assert event["receivedtime"] == written(START)
    assert event["sentreceivedtime"] == "2020-01-01T00:00:00Z"


def test_a_bad_record_is_parked_with_its_bytes_and_never_blocks(tmp_path: Path) -> None:
    """The dead letter says where it came from and why, and its headers name no patient."""
    log, _ = new_log(tmp_path)
    bad = orjson.dumps(admitted(2, data={"class": "INPATIENT"}))
    log.append("care.admission.v1", "their key", b"{not json")
    log.append("care.admission.v1", None, bad)
    send(log, admitted(3))
    settle(runtime_of(log))

    first, second = log.read("care.dead-letter.v1", 0, 0, 9)
    assert (first.key, first.value) == ("their key", b"{not json")
    assert first.headers["reason"] == "malformed"
    assert first.headers["stage"] == "intake"
    assert first.headers["topic"] == "care.admission.v1"
    assert (first.headers["partition"], first.headers["offset"]) == ("0", "0")
    assert (second.value, second.headers["reason"]) == (bad, "missing-visit")
    assert "MRN" not in " ".join(second.headers.values())
    (parked,) = [v for v in journal_of(log) if v["kind"] == "parked"]
    assert parked == {
        "kind": "parked",
        "subject": "GEN|MRN2",
        "reason": "missing-visit",
        "receipt": written(START),
        "event_id": "GEN-000002",
        "facility": "GEN",
    }
    assert len(published(log)) == 1
    assert log.accounts()["care.admission.v1", 0, "parked"] == 2
    assert_all_accounted(log)


def test_a_bug_in_decoding_parks_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our fault: the bytes are kept, the next record is taken in, and the text names no value."""

    def broken(*_: object, **__: object) -> dict[str, Any]:
        raise KeyError("GEN|MRN1")

    log, _ = new_log(tmp_path)
    send(log, admitted(1))
    runtime = runtime_of(log)
    with monkeypatch.context() as patch:
        patch.setattr("orchestrator.stream.intake.decode_message", broken)
        settle(runtime)
    send(log, admitted(2))
    settle(runtime)

    (letter,) = log.read("care.dead-letter.v1", 0, 0, 9)
    assert letter.headers["reason"] == "handler-failed"
    assert "KeyError" in letter.headers["error"]
    assert "MRN1" not in letter.headers["error"]
    assert len(published(log)) == 1
    assert_all_accounted(log)


def test_a_too_large_record_is_kept_by_its_beginning(tmp_path: Path) -> None:
    """The first 64 KiB, the size and the hash: the dead letter must fit where the record did."""
    log, _ = new_log(tmp_path)
    log.append("care.admission.v1", None, b"[" + b"1," * 800_000)
    settle(runtime_of(log))

    (letter,) = log.read("care.dead-letter.v1", 0, 0, 9)
    assert letter.headers["reason"] == "too-large"
    assert letter.headers["size"] == "1600001"
    assert len(letter.headers["sha256"]) == 64
    assert letter.value is not None
    assert len(letter.value) == DEAD_LETTER_BYTES


def test_test_messages_are_counted_and_dropped(tmp_path: Path) -> None:
    """Lane test: no journal record, no dead letter, but one of what landed."""
    log, _ = new_log(tmp_path)
    send(log, admitted(1, lane="test"))
    settle(runtime_of(log))

    assert journal_of(log, clocks=False) == []
    assert log.end_offsets("care.dead-letter.v1") == [0]
    assert log.accounts() == {("care.admission.v1", 0, "ignored"): 1}


def test_what_lies_on_the_backfill_topic_is_history(tmp_path: Path) -> None:
    """A sender who forgot the lane must not have two years of tasks opened."""
    log, _ = new_log(tmp_path)
    send(log, admitted(1), topic=BACKFILL)
    settle(runtime_of(log))

    (event,) = [v["event"] for v in journal_of(log) if v["kind"] == "event"]
    assert event["lane"] == "backfill"
    assert [v for v in journal_of(log) if v["kind"] == "alive"] == []


def test_one_sign_of_life_per_facility_and_minute(tmp_path: Path) -> None:
    """Also over a restart in the middle of the minute; the next minute gives another."""
    log, clock = new_log(tmp_path)
    send(log, admitted(1), admitted(2), admitted(3, facility="MERCY"))
    settle(runtime_of(log))
    send(log, admitted(4))
    settle(runtime_of(log))
    clock.advance(MINUTE)
    send(log, admitted(5))
    settle(runtime_of(log))

    signs = [(v["facility"], v["receipt"]) for v in journal_of(log) if v["kind"] == "alive"]
    assert sorted(signs) == [
        ("GEN", written(START)),
        ("GEN", written(START + MINUTE)),
        ("MERCY", written(START)),
    ]


def test_inputs_of_all_topics_come_in_the_order_of_their_receipt(tmp_path: Path) -> None:
    """A backlog on one topic does not put yesterday's discharge behind today's admission."""
    log, clock = new_log(tmp_path)
    order = ["care.discharge.v1", "care.admission.v1", "care.patient.v1", "care.admission.v1"]
    for number, topic in enumerate(order):
        send(log, admitted(number, patient=7), topic=topic)
        clock.advance(SECOND)
    settle(runtime_of(log, Pace(intake_records=2)))

    events = [v["event"]["id"] for v in journal_of(log) if v["kind"] == "event"]
    assert events == [f"GEN-{n:06}" for n in range(4)]


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


def test_batching_changes_nothing_that_is_published(tmp_path: Path) -> None:
    """One record at a time or all at once: the same journal gives the same bytes."""
    log, clock = new_log(tmp_path)
    runtime = runtime_of(log, Pace(intake_records=7, decide_records=3))
    for n in range(60):
        send(log, admitted(n, patient=n % 9), admitted(n, patient=n % 9))
        clock.advance(10 * MINUTE)
        if n % 4 == 0:
            settle(runtime)
    settle(runtime)

    assert stored(log) == replayed(log)
    assert any(task["overdue"] for task in published(log))
    assert_all_accounted(log)


def test_a_full_disk_is_waited_for_with_the_same_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the processor has computed is committed once there is room, not computed again."""
    log, _ = new_log(tmp_path)
    runtime = runtime_of(log)
    send(log, *(admitted(n) for n in range(5)))
    failures = iter([True, True, False, True])
    commit = log.transaction

    def sometimes_full() -> Any:
        if next(failures, False):
            raise LogFull("log.sqlite: the disk is full")
        return commit()

    monkeypatch.setattr(log, "transaction", sometimes_full)
    runtime.turn()
    assert unavailable(runtime) == "LogFull"
    for _ in range(9):
        runtime.turn()

    assert unavailable(runtime) is None
    assert [task["version"] for task in published(log)] == [1] * 5
    assert len([v for v in journal_of(log) if v["kind"] == "alive"]) == 1
    assert stored(log) == replayed(log)
    assert_all_accounted(log)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_up_goes_on_by_itself_once_there_is_room(tmp_path: Path) -> None:
    """A disk that ran full and was emptied: nothing lost, nothing twice, no operator needed."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this machine does not let us mount")
    try:
        ballast = tmp_path / "ballast"
        ballast.write_bytes(bytes(5_000_000))
        log, _ = new_log(tmp_path / "data")
        runtime = runtime_of(log)
        numbers = count()
        acknowledged, _ = fill(lambda: send(log, admitted(next(numbers), padding="x" * 3000)))
        for _ in range(3):
            runtime.turn()
        assert unavailable(runtime) == "LogFull"
        ballast.unlink()
        for _ in range(100):
            runtime.turn()
        assert len(published(log)) == acknowledged
        assert stored(log) == replayed(log)
        assert_all_accounted(log)
        log.close()
    finally:
        subprocess.run(["umount", str(tmp_path)], check=False)


def test_a_disk_that_failed_ends_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a full or a busy disk is waited for."""
    log, _ = new_log(tmp_path)
    runtime = runtime_of(log)
    send(log, admitted(1))

    def broken() -> Any:
        raise LogError("log.sqlite: the disk failed to sync")

    monkeypatch.setattr(log, "transaction", broken)
    with pytest.raises(LogError, match="failed to sync"):
        runtime.turn()


def test_another_site_key_is_refused(tmp_path: Path) -> None:
    """With another key no patient would be found again, and each would begin anew."""
    log, _ = new_log(tmp_path)
    runtime_of(log)
    with pytest.raises(LogMismatch, match="site key"):
        Runtime(log, FakeProcessor, FACILITIES, b"another key", PACE)


def test_inputs_that_were_removed_unread_are_noticed(tmp_path: Path) -> None:
    """A topic that begins after intake's offset lost something: stop instead of skipping."""
    log, _ = new_log(tmp_path)
    send(log, admitted(1), admitted(2))
    with log.transaction() as transaction:
        transaction.execute("UPDATE logs SET first = 2 WHERE topic = 'care.admission.v1'")
    with pytest.raises(LogMismatch, match=r"care\.admission\.v1 does not hold"):
        runtime_of(log)


def test_a_hole_in_the_journal_is_noticed(tmp_path: Path) -> None:
    """A journal record that is gone stops deciding; the ones behind it are not decided alone."""
    log, _ = new_log(tmp_path)
    runtime = runtime_of(log)
    p = partition_of_patient("GEN|MRN1")
    with log.transaction() as transaction:
        for n in range(3):
            value = orjson.dumps({"kind": "unmapped", "facility": "GEN", "field": str(n)})
            transaction.append(JOURNAL, "k", value, partition=p)
        transaction.flush()
        transaction.execute("DELETE FROM records WHERE (id & 1099511627775) = 1")
    with pytest.raises(LogMismatch, match="hole"):
        runtime.turn()


def test_only_one_runtime_opens_a_folder(tmp_path: Path) -> None:
    """And the second may, once the first is gone."""
    with opened(tmp_path, FakeProcessor, FACILITIES, SITE_KEY, partitions=PARTITIONS) as first:
        first.turn()
        with (
            pytest.raises(LogInUse),
            opened(tmp_path, FakeProcessor, FACILITIES, SITE_KEY, partitions=PARTITIONS),
        ):
            pass
    with opened(tmp_path, FakeProcessor, FACILITIES, SITE_KEY, partitions=PARTITIONS) as second:
        assert second.timekeeper.last == first.timekeeper.last


def test_dead_letters_of_the_processor_are_published_with_their_headers(tmp_path: Path) -> None:
    """Decide parks too (an id with other content), into the one partition of the dead letters."""

    class Parking(FakeProcessor):
        def process(self, partition: int, records: Any) -> Round:
            rnd = super().process(partition, records)
            headers = {"reason": "duplicate-id-different-content", "stage": "decide"}
            rnd.outputs.append(Out("care.dead-letter.v1", "k", partition, b"bytes", headers))
            return rnd

    log, _ = new_log(tmp_path)
    runtime = Runtime(log, Parking, FACILITIES, SITE_KEY, PACE)
    send(log, admitted(1))
    settle(runtime)
    letters = log.read("care.dead-letter.v1", 0, 0, 99)
    assert {r.headers["stage"] for r in letters} == {"decide"}
