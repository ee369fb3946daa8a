"""The file below the log: its tables, how it is made, and whether it may be opened.

One SQLite file holds everything, so that one transaction can: records of all topics, the
offsets of their readers, and the state that was derived from the journal.

``records`` is one table for all topics: the row id is the log (a topic's partition) in its upper
bits and the offset in its lower ones, so a partition's records lie side by side in the file and
are read in order without an index.  ``heads`` and ``cells`` are ordinary tables with an index
and not ``WITHOUT ROWID``: their values are long, and SQLite would keep them in inner pages too.
"""

import fcntl
import os
import sqlite3
import uuid
from pathlib import Path
from typing import Final

from orchestrator import private_file
from orchestrator.stream.failpoints import hit
from orchestrator.stream.log_errors import (
    LogCorrupt,
    LogInUse,
    LogMismatch,
    LogMissing,
    LogReadOnly,
    refusing,
)

FILE: Final = "log.sqlite"
LOCK: Final = "up.lock"
APPLICATION: Final = int.from_bytes(b"care", "big")
VERSION: Final = 1
OFFSET_BITS: Final = 40  # a trillion records for each of eight million partitions

# Another writer is waited for this long (CARE_STORE_TIMEOUT's default).  Who decides tries again
# anyway, and must answer SIGTERM within three seconds.
BUSY_S: Final = 10.0
BUSY_OWNER_S: Final = 2.0
_CACHE_KIB: Final = 65_536
# Who decides moves the write-ahead log into the file every 16 MiB; who only appends leaves that to
# them, as long as it stays reasonable.
CHECKPOINT_PAGES_OWNER: Final = 4_000
CHECKPOINT_PAGES_GUEST: Final = 32_000

_TABLES: Final = """
CREATE TABLE site (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
CREATE TABLE logs (
    id INTEGER PRIMARY KEY, topic TEXT NOT NULL, partition INTEGER NOT NULL,
    first INTEGER NOT NULL, next INTEGER NOT NULL, stamp INTEGER NOT NULL,
    UNIQUE (topic, partition));
CREATE TABLE records (
    id INTEGER PRIMARY KEY, stamp INTEGER NOT NULL, key TEXT, value BLOB, headers BLOB,
    crc INTEGER NOT NULL);
CREATE TABLE offsets (
    reader TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL,
    PRIMARY KEY (reader, topic, partition)) WITHOUT ROWID;
CREATE TABLE accounts (
    topic TEXT NOT NULL, partition INTEGER NOT NULL, result TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (topic, partition, result)) WITHOUT ROWID;
CREATE TABLE latest (
    topic TEXT NOT NULL, key TEXT NOT NULL, id INTEGER NOT NULL,
    PRIMARY KEY (topic, key)) WITHOUT ROWID;
CREATE TABLE heads (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, partition INTEGER NOT NULL, wake INTEGER,
    value BLOB NOT NULL, crc INTEGER NOT NULL);
CREATE INDEX heads_wake ON heads (partition, wake) WHERE wake IS NOT NULL;
CREATE TABLE cells (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL, sealed INTEGER NOT NULL, kind TEXT NOT NULL,
    name TEXT NOT NULL, value BLOB NOT NULL, crc INTEGER NOT NULL,
    UNIQUE (key, sealed, kind, name));
CREATE TABLE seen (
    key TEXT NOT NULL, hash TEXT NOT NULL, partition INTEGER NOT NULL, expires INTEGER NOT NULL,
    value BLOB NOT NULL, PRIMARY KEY (key, hash)) WITHOUT ROWID;
CREATE INDEX seen_expiry ON seen (partition, expires);
CREATE TABLE meta (
    partition INTEGER PRIMARY KEY, journal TEXT NOT NULL, next INTEGER NOT NULL,
    value BLOB NOT NULL);
"""


def create(folder: Path, partitions: int, clock: str) -> None:
    """
    Make the folder (0700) and an empty log in it (0600), unless there is one.

    Two processes may do so at once, and either may be killed at any point: the tables and their
    version appear in one transaction, and what lacks them is an empty file that is made anew.

    Raises:
        LogError: The folder or the disk refuses.
    """
    path = folder / FILE
    try:
        if not folder.exists():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _sync(folder.parent)
        private_file.make(path)
    except (PermissionError, NotADirectoryError) as problem:
        raise LogReadOnly(f"{folder}: {problem.strerror}") from None
    except OSError as problem:
        raise LogMissing(f"{folder}: {problem.strerror}") from None
    with refusing(str(path)):
        connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
        try:
            if _number(connection, "user_version"):
                return
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("BEGIN IMMEDIATE")
            if _number(connection, "user_version") == 0 and not _tables(connection):
                _fill(connection, partitions, clock)
            connection.execute("COMMIT")
        finally:
            connection.close()


def connect(folder: Path, *, owner: bool) -> sqlite3.Connection:
    """
    Open the log of *folder* for reading and appending.

    Args:
        owner: The one process that decides; the others only append and read.

    Raises:
        LogError: Missing, damaged, of another version, or the disk refuses.
    """
    path = folder / FILE
    if not path.is_file():
        raise LogMissing(f"{path}: there is no log; `care-orchestrator up` or `publish` makes one")
    with refusing(str(path)):
        timeout = BUSY_OWNER_S if owner else BUSY_S
        connection = sqlite3.connect(path, timeout=timeout, isolation_level=None)
        try:
            _check_kind(connection, path)
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
            pages = CHECKPOINT_PAGES_OWNER if owner else CHECKPOINT_PAGES_GUEST
            connection.execute(f"PRAGMA wal_autocheckpoint={pages}")
        except BaseException:
            connection.close()
            raise
    return connection


def check_pages(connection: sqlite3.Connection, where: str) -> None:
    """
    Read the whole file and compare its structure; the rows' own sums are compared when read.

    Raises:
        LogCorrupt: It is not sound.
    """
    with refusing(where):
        answer = connection.execute("PRAGMA quick_check(1)").fetchone()
    if answer is None or answer[0] != "ok":
        raise LogCorrupt(f"{where}: the log is damaged; restore it from a backup")


def lock(folder: Path) -> int:
    """
    Keep every other ``up`` off this folder while the returned descriptor is open.

    The kernel drops the lock with the process, however that ends.

    Raises:
        LogInUse: Another process has it.
    """
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as problem:
        raise LogReadOnly(f"{folder}: {problem.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise LogInUse(f"{folder}: another `up` runs on this folder") from None
    return descriptor


def unlock(descriptor: int) -> None:
    """Let the next ``up`` have the folder."""
    os.close(descriptor)


def _sync(folder: Path) -> None:
    """Make the names in *folder* durable; SQLite does so for its own files only."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _fill(connection: sqlite3.Connection, partitions: int, clock: str) -> None:
    for statement in filter(str.strip, _TABLES.split(";")):
        connection.execute(statement)
        hit("schema.creating")
    rows = {
        "site": uuid.uuid4().hex,
        "journal": uuid.uuid4().hex,
        "partitions": partitions,
        "clock": clock,
        "floor": 0,
    }
    connection.executemany("INSERT INTO site VALUES (?, ?)", rows.items())
    connection.execute(f"PRAGMA application_id={APPLICATION}")
    connection.execute(f"PRAGMA user_version={VERSION}")


def _check_kind(connection: sqlite3.Connection, path: Path) -> None:
    version = _number(connection, "user_version")
    if version == 0 and not _tables(connection):
        raise LogMissing(f"{path}: the log is empty; `care-orchestrator up` or `publish` makes it")
    if _number(connection, "application_id") != APPLICATION:
        raise LogCorrupt(f"{path}: the file is not a log of care-orchestrator")
    if version != VERSION:
        raise LogMismatch(
            f"{path}: the log has format {version}, this program reads format {VERSION}"
        )


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])


def _tables(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])
