"""The log keeps what was appended, in order, stamped, and shared between processes."""

import multiprocessing
import os
import stat
from pathlib import Path

import pytest

from orchestrator.core.instants import MINUTE, SECOND
from orchestrator.stream import log_file
from orchestrator.stream.log_errors import LogBusy, LogInUse, LogMismatch, LogMissing
from orchestrator.stream.sqlite_log import READ_BYTES, Log
from tests.stream.fakes import PARTITIONS, START, new_log

INPUT = "care.admission.v1"
TASKS = "care.task.v1"


def test_records_come_back_as_they_were_appended(tmp_path: Path) -> None:
    """Key, bytes, headers and tombstones survive, in the order of their offsets."""
    log, _ = new_log(tmp_path)
    log.append(INPUT, None, b"\x00\xff not text")
    log.append(INPUT, "a key", None, {"reason": "malformed"})
    log.append(INPUT, "", b"")

    first, second, third = log.read(INPUT, 0, 0, 10)

    assert (first.offset, first.key, first.value) == (0, None, b"\x00\xff not text")
    assert (second.offset, second.key, second.value) == (1, "a key", None)
    assert second.headers == {"reason": "malformed"}
    assert (third.offset, third.key, third.value, third.headers) == (2, "", b"", {})


def test_records_survive_a_restart(tmp_path: Path) -> None:
    """What one process appended, the next one reads."""
    log, _ = new_log(tmp_path)
    log.append(INPUT, None, b"one")
    log.close()

    with Log.open(tmp_path) as again:
        assert [r.value for r in again.read(INPUT, 0, 0, 10)] == [b"one"]
        assert again.end_offsets(INPUT) == [1]
        assert again.topics() == [INPUT]


def test_a_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    """What fails midway leaves neither records nor offsets nor a higher end."""
    log, _ = new_log(tmp_path)

    def half() -> None:
        with log.transaction() as transaction:
            transaction.append(INPUT, None, b"one")
            transaction.commit_offset("intake", INPUT, 0, 7)
            transaction.flush()
            raise RuntimeError("midway")

    with pytest.raises(RuntimeError, match="midway"):
        half()

    assert log.end_offsets(INPUT) == [0]
    assert log.committed("intake", INPUT) == [0]
    assert log.append(INPUT, None, b"two") == (0, 0)


def test_keyed_topics_have_partitions_and_inputs_have_one(tmp_path: Path) -> None:
    """Outputs lie by the first eight hex digits of their key, each partition with its offsets."""
    log, _ = new_log(tmp_path)

    placed = [log.append(TASKS, f"{n:08x}-0000", b"t") for n in (0, 1, 5, 4)]

    assert placed == [(0, 0), (1, 0), (1, 1), (0, 1)]
    assert log.end_offsets(TASKS) == [2, 2, 0, 0]
    assert log.end_offsets(INPUT) == [0]
    with pytest.raises(ValueError, match="no partition 4"), log.transaction() as transaction:
        transaction.append(TASKS, "x", b"t", partition=PARTITIONS)


def test_reading_starts_anywhere_and_stops_at_the_limit(tmp_path: Path) -> None:
    """From an offset, so many; past the end, nothing; never a record of the next partition."""
    log, _ = new_log(tmp_path)
    with log.transaction() as transaction:
        for n in range(10):
            transaction.append(TASKS, None, b"%d" % n, partition=1)
            transaction.append(TASKS, None, b"other", partition=2)

    assert [r.offset for r in log.read(TASKS, 1, 4, 3)] == [4, 5, 6]
    assert [r.value for r in log.read(TASKS, 1, 8, 100)] == [b"8", b"9"]
    assert log.read(TASKS, 1, 10, 100) == []
    assert log.read(TASKS, 3, 0, 100) == []


def test_a_read_brings_no_more_than_its_bytes_into_memory(tmp_path: Path) -> None:
    """Large records come in smaller batches, at least one at a time."""
    log, _ = new_log(tmp_path)
    with log.transaction() as transaction:
        for _ in range(3):
            transaction.append(INPUT, None, bytes(READ_BYTES // 2 + 1))

    assert len(log.read(INPUT, 0, 0, 100)) == 2
    assert len(log.read(INPUT, 0, 2, 100)) == 1


def test_stamps_never_run_backwards_inside_a_partition(tmp_path: Path) -> None:
    """When the machine's time is set back, stamps stand still until it has caught up."""
    log, clock = new_log(tmp_path)
    log.append(INPUT, None, b"1")
    clock.jump(-10 * SECOND)
    log.append(INPUT, None, b"2")
    clock.jump(15 * SECOND)
    log.append(INPUT, None, b"3")

    assert [r.stamp - START for r in log.read(INPUT, 0, 0, 9)] == [0, 0, 5 * SECOND]


def test_nothing_is_stamped_below_the_floor(tmp_path: Path) -> None:
    """After a clock record, no record of any topic is stamped at or before it."""
    log, clock = new_log(tmp_path)
    with log.transaction() as transaction:
        transaction.raise_floor(START + MINUTE)
    log.close()

    with Log.open(tmp_path, clock=clock) as again:
        again.append(INPUT, None, b"1")
        again.append(TASKS, "00000000", b"1")
        assert again.read(INPUT, 0, 0, 1)[0].stamp == START + MINUTE
        assert again.read(TASKS, 0, 0, 1)[0].stamp == START + MINUTE


def test_the_folder_is_closed_to_others(tmp_path: Path) -> None:
    """Patients' data: the folder is 0700 and each file in it 0600, whatever the umask."""
    previous = os.umask(0)
    try:
        log, _ = new_log(tmp_path / "data")
        log.append(INPUT, None, b"1")
        modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "data").iterdir()}
    finally:
        os.umask(previous)

    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    assert set(modes.values()) == {0o600}
    assert log_file.FILE in modes


def test_every_commit_is_synced(tmp_path: Path) -> None:
    """Acknowledged means on the disk: write-ahead log, and a sync at each commit."""
    log, _ = new_log(tmp_path)
    assert log.connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    full = 2
    assert log.connection.execute("PRAGMA synchronous").fetchone() == (full,)


def test_another_partition_count_is_refused(tmp_path: Path) -> None:
    """Another count would put a patient's next record where nobody looks for it."""
    new_log(tmp_path)
    with pytest.raises(LogMismatch, match="CARE_PARTITIONS=4"):
        Log.open(tmp_path, partitions=PARTITIONS + 1)


def test_a_missing_log_is_not_made_by_a_reader(tmp_path: Path) -> None:
    """Reading from the wrong folder says so instead of finding nothing."""
    with pytest.raises(LogMissing, match="there is no log"):
        Log.open(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_second_up_is_refused(tmp_path: Path) -> None:
    """One process decides; the lock ends with it."""
    log_file.create(tmp_path, PARTITIONS, "real")
    first = log_file.lock(tmp_path)
    with pytest.raises(LogInUse, match="another `up`"):
        log_file.lock(tmp_path)
    log_file.unlock(first)
    log_file.unlock(log_file.lock(tmp_path))


def test_a_writer_that_waits_too_long_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A held log is an error that may be tried again, and nothing was written."""
    log, _ = new_log(tmp_path)
    monkeypatch.setattr(log_file, "BUSY_S", 0.05)
    with Log.open(tmp_path) as other, log.transaction() as transaction:
        transaction.append(INPUT, None, b"first")
        with pytest.raises(LogBusy) as told:
            other.append(INPUT, None, b"second")
    assert told.value.retriable
    assert [r.value for r in log.read(INPUT, 0, 0, 9)] == [b"first"]


def _append(folder: Path, value: bytes) -> None:
    with Log.open(folder) as log:
        log.append(INPUT, None, value)


def test_a_log_opened_twice_by_one_process_is_not_taken_away_from_it(tmp_path: Path) -> None:
    """Another process that comes and goes meanwhile must not believe itself the last one."""
    log, _ = new_log(tmp_path)
    with Log.open(tmp_path, create=True, partitions=PARTITIONS):
        pass  # as the worklist does beside the deciding loop of `up`

    guest = multiprocessing.get_context("spawn").Process(target=_append, args=(tmp_path, b"guest"))
    guest.start()
    guest.join(60)
    log.append(INPUT, None, b"host")

    assert guest.exitcode == 0
    with Log.open(tmp_path) as newcomer:
        assert [r.value for r in newcomer.read(INPUT, 0, 0, 10)] == [b"guest", b"host"]
    log.close()


def test_processes_append_at_once_without_losing_or_mixing(tmp_path: Path) -> None:
    """Every record of every process is there once, in its own order, with rising stamps."""
    log_file.create(tmp_path, PARTITIONS, "real")
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_append_many, args=(tmp_path, name)) for name in "abc"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)

    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    with Log.open(tmp_path) as log:
        records = log.read(INPUT, 0, 0, 10_000)
    assert [r.offset for r in records] == list(range(600))
    assert [r.stamp for r in records] == sorted(r.stamp for r in records)
    for name in (b"a", b"b", b"c"):
        own = [r.value for r in records if r.value and r.value.startswith(name)]
        assert own == [b"%s %d" % (name, n) for n in range(200)]


def _append_many(folder: Path, name: str) -> None:
    with Log.open(folder) as log:
        for n in range(0, 200, 5):
            with log.transaction() as transaction:
                for one in range(n, n + 5):
                    transaction.append(INPUT, None, f"{name} {one}".encode())
