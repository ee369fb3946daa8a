"""When the log cannot be right it stops, says why, and never serves a wrong row."""

import os
import resource
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.stream import log_file
from orchestrator.stream.log_errors import (
    LogBroken,
    LogCorrupt,
    LogError,
    LogFull,
    LogMismatch,
    LogMissing,
    LogReadOnly,
    translated,
)
from orchestrator.stream.sqlite_log import Log
from orchestrator.stream.store import LogStore
from tests.stream.fakes import fill, new_log

INPUT = "care.admission.v1"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("this machine does not let us mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=False)


@needs_root
def test_a_full_disk_refuses_and_keeps_what_was_acknowledged(small_disk: Path) -> None:
    """Each append that returned is there afterwards; once there is room, the log goes on."""
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(600_000))
    log, _ = new_log(small_disk / "data")
    acknowledged, refusal = fill(lambda: log.append(INPUT, None, bytes(50_000)))
    assert refusal.retriable
    assert refusal.exit_code == 3
    assert acknowledged > 3
    assert log.end_offsets(INPUT) == [acknowledged]

    ballast.unlink()
    log.append(INPUT, None, b"room again")
    log.close()
    with Log.open(small_disk / "data") as again:
        log_file.check_pages(again.connection, again.where)
        assert len(again.read(INPUT, 0, 0, 1000)) == acknowledged + 1


def test_a_file_that_may_not_grow_is_refused(tmp_path: Path) -> None:
    """A failed write ends the transaction with an error; earlier records stay."""
    log, _ = new_log(tmp_path)
    log.append(INPUT, None, b"before")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises((LogFull, LogBroken)):
            log.append(INPUT, None, bytes(1_000_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [r.value for r in log.read(INPUT, 0, 0, 9)] == [b"before"]
    log.append(INPUT, None, b"after")


@needs_root
def test_a_read_only_disk_is_refused(small_disk: Path) -> None:
    """The error names the folder and what is wrong with it."""
    log, _ = new_log(small_disk / "data")
    log.close()
    remount = ["mount", "-o", "remount,ro", str(small_disk)]
    assert subprocess.run(remount, check=False).returncode == 0
    with pytest.raises((LogReadOnly, LogMissing)), Log.open(small_disk / "data") as again:
        again.append(INPUT, None, b"x")
    with pytest.raises(LogReadOnly):
        log_file.lock(small_disk)


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    """A mistyped data folder is a sentence, not a traceback."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(LogError, match="file"):
        Log.open(tmp_path / "file" / "data", create=True, partitions=1)


@pytest.mark.parametrize(
    "content", [b"this is not a log at all" * 100, b"SQLite format 3\0" + b"\xff" * 4000]
)
def test_a_file_that_is_no_log_is_refused(tmp_path: Path, content: bytes) -> None:
    """Whatever lies there is left alone and not taken for an empty log."""
    (tmp_path / log_file.FILE).write_bytes(content)
    with pytest.raises(LogCorrupt):
        Log.open(tmp_path, create=True, partitions=1)
    assert (tmp_path / log_file.FILE).read_bytes() == content


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    """A sound SQLite file of somebody else is not filled with our tables."""
    with sqlite3.connect(tmp_path / log_file.FILE) as other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()
    with pytest.raises(LogCorrupt, match="not a log of care-orchestrator"):
        Log.open(tmp_path, create=True, partitions=1)


def test_another_format_version_is_refused(tmp_path: Path) -> None:
    """An older or newer program's log is named as such."""
    log, _ = new_log(tmp_path)
    log.connection.execute("PRAGMA user_version=2")
    log.close()
    with pytest.raises(LogMismatch, match=r"format 2.*reads format 1"):
        Log.open(tmp_path)


def test_a_flipped_bit_is_noticed_when_the_row_is_read(tmp_path: Path) -> None:
    """SQLite has no sums of its own: a changed value would be served as if it were true."""
    log, _ = new_log(tmp_path)
    log.append(INPUT, None, b"needle in the file" * 10)
    log.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    log.close()
    path = tmp_path / log_file.FILE
    content = path.read_bytes()
    assert content.count(b"needle in the file") == 10
    path.write_bytes(content.replace(b"needle in the file", b"needle in the fire", 1))

    with Log.open(tmp_path) as again:
        log_file.check_pages(again.connection, again.where)  # the structure is sound
        with pytest.raises(LogCorrupt, match=r"record care\.admission\.v1-0-0 is damaged"):
            again.read(INPUT, 0, 0, 1)


def test_a_torn_page_is_noticed_at_start(tmp_path: Path) -> None:
    """A page that was never written is found before anything is decided."""
    log, _ = new_log(tmp_path)
    with log.transaction() as transaction:
        for n in range(2000):
            transaction.append(INPUT, None, b"value %d" % n)
    log.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    log.close()
    path = tmp_path / log_file.FILE
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 4096] = bytes(4096)
    path.write_bytes(content)

    with Log.open(tmp_path) as again, pytest.raises(LogCorrupt, match="restore it"):
        log_file.check_pages(again.connection, again.where)


def test_a_truncated_write_ahead_log_loses_only_its_end(tmp_path: Path) -> None:
    """A torn end is no commit: what is left is a prefix of what was appended."""
    log, _ = new_log(tmp_path)
    for n in range(20):
        log.append(INPUT, None, b"%d" % n)
    wal = tmp_path / f"{log_file.FILE}-wal"
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / log_file.FILE).write_bytes((tmp_path / log_file.FILE).read_bytes())
    content = wal.read_bytes()
    (copy / wal.name).write_bytes(content[: len(content) * 2 // 3])

    with Log.open(copy) as again:
        values = [r.value for r in again.read(INPUT, 0, 0, 100)]
    assert 0 < len(values) < 20
    assert values == [b"%d" % n for n in range(len(values))]


def test_state_of_another_journal_is_refused(tmp_path: Path) -> None:
    """State that was derived from one journal must not go on with another."""
    log, _ = new_log(tmp_path)
    _put_meta(log, "another journal", 0)
    with pytest.raises(LogMismatch, match="another journal"):
        LogStore(log).position(0)


def test_a_journal_that_ends_before_its_state_is_refused(tmp_path: Path) -> None:
    """A journal restored from an older backup than the state would be decided twice."""
    log, _ = new_log(tmp_path)
    _put_meta(log, log.journal_id, 5)
    with pytest.raises(LogMismatch, match="ends before"):
        LogStore(log).position(0)


def _put_meta(log: Log, journal: str, following: int) -> None:
    with log.transaction() as transaction:
        transaction.execute(
            "INSERT INTO meta VALUES (?, ?, ?, ?)", (0, journal, following, b"meta")
        )


def test_no_refusal_repeats_what_sqlite_said() -> None:
    """SQLite's texts may quote a statement, and a statement holds values."""
    for code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_IOERR_FSYNC):
        problem = sqlite3.OperationalError("near 'GEN|MRN123': Jane Doe")
        problem.sqlite_errorcode = code
        refusal = translated(problem, "log.sqlite")
        assert refusal is not None
        assert "MRN123" not in str(refusal)
        assert not isinstance(refusal, LogFull) or code == sqlite3.SQLITE_FULL


def test_a_failed_sync_is_never_retried() -> None:
    """After a failed fsync the kernel may report the next one as done: only the end is honest."""
    problem = sqlite3.OperationalError("disk I/O error")
    problem.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
    refusal = translated(problem, "log.sqlite")
    assert isinstance(refusal, LogBroken)
    assert not refusal.retriable
