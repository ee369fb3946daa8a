"""The read model's file: its tables, and how it is opened.

Columns are what is filtered and sorted by.  What was published of a row, and why, lies apart
(``tasks_said``): a list reads many rows to find its fifty, and they had better be short; the
``queue`` indexes hold all that the usual ones ask for.

The file holds nothing that the topics do not: with another layout or another log it is made anew.
"""

import fcntl
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import ClassVar, Final

from orchestrator import private_file
from orchestrator.worklist.log.feed import Positions
from orchestrator.worklist.model import tally

FILE: Final = "worklist.sqlite"
# Grows with every change below: a file of another layout is made anew.
LAYOUT: Final = 16

# A name in ``meta`` while `rebuild` is at work: what it left behind is gone on with.
REBUILDING: Final = "rebuilding"
# The writer keeps the inner pages of all indexes; with SQLite's own 2 MB it would read them again
# for each row of a large file.
_CACHE_KIB: Final = 65_536
_CHECKPOINT_PAGES: Final = 4_000
_READER_CACHE_KIB: Final = 16_384

_TABLES: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
CREATE TABLE positions (
    topic TEXT NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL,
    PRIMARY KEY (topic, partition)) WITHOUT ROWID;
CREATE TABLE tasks (
    id INTEGER PRIMARY KEY, task_id TEXT NOT NULL UNIQUE, version INTEGER NOT NULL,
    patient_key TEXT, subject TEXT NOT NULL, transition_id TEXT NOT NULL, facility TEXT NOT NULL,
    team TEXT NOT NULL, kind TEXT NOT NULL, status TEXT NOT NULL, open INTEGER NOT NULL,
    rank INTEGER NOT NULL, hurry INTEGER NOT NULL, due_at INTEGER NOT NULL, owner TEXT,
    overdue INTEGER NOT NULL, born_overdue INTEGER NOT NULL, attribution TEXT,
    opened_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, flags TEXT NOT NULL);
CREATE TABLE tasks_said (id INTEGER PRIMARY KEY, why TEXT, value BLOB NOT NULL);
CREATE INDEX tasks_urgent ON tasks (rank, due_at, task_id);
CREATE INDEX tasks_queue ON tasks (
    team, facility, rank, due_at, task_id, open, status, kind, owner, overdue, born_overdue, flags);
CREATE INDEX tasks_owner ON tasks (owner, rank, due_at, task_id) WHERE owner IS NOT NULL;
CREATE INDEX tasks_patient ON tasks (patient_key);
CREATE INDEX tasks_transition ON tasks (transition_id);
CREATE INDEX tasks_due ON tasks (due_at, task_id);
CREATE INDEX tasks_opened ON tasks (opened_at, task_id);
CREATE INDEX tasks_updated ON tasks (updated_at, task_id);
CREATE INDEX tasks_work ON tasks (
    hurry, due_at, task_id, team, facility, rank, overdue, born_overdue, owner, kind, status, open,
    flags, patient_key) WHERE open = 1;
CREATE INDEX tasks_overdue ON tasks (rank, due_at, task_id, team, facility, born_overdue)
    WHERE overdue = 1;
CREATE INDEX tasks_flagged ON tasks (rank, due_at, task_id, team, facility, flags)
    WHERE flags <> '';
CREATE TABLE gaps (
    id INTEGER PRIMARY KEY, gap_id TEXT NOT NULL UNIQUE, version INTEGER NOT NULL,
    patient_key TEXT, transition_id TEXT, facility TEXT, team TEXT NOT NULL, code TEXT NOT NULL,
    severity TEXT NOT NULL, rank INTEGER NOT NULL, status TEXT NOT NULL, since INTEGER NOT NULL,
    opened_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, occurrence INTEGER NOT NULL);
CREATE TABLE gaps_said (id INTEGER PRIMARY KEY, why TEXT, value BLOB NOT NULL);
CREATE INDEX gaps_grave ON gaps (rank, since, gap_id);
CREATE INDEX gaps_queue ON gaps (facility, status, rank, since, gap_id, team);
CREATE INDEX gaps_code ON gaps (code, status);
CREATE INDEX gaps_counted ON gaps (status, code, severity, team, facility);
CREATE INDEX gaps_closed ON gaps (status, updated_at, team, facility);
CREATE INDEX gaps_status ON gaps (status, rank, since, gap_id, team, facility);
CREATE INDEX gaps_patient ON gaps (patient_key, status, rank, since, gap_id);
CREATE INDEX gaps_transition ON gaps (transition_id);
CREATE TABLE transitions (
    id INTEGER PRIMARY KEY, transition_id TEXT NOT NULL UNIQUE, version INTEGER NOT NULL,
    patient_key TEXT, subject TEXT NOT NULL, facility TEXT NOT NULL, status TEXT NOT NULL,
    updated_at INTEGER NOT NULL);
CREATE TABLE transitions_said (id INTEGER PRIMARY KEY, why TEXT, value BLOB NOT NULL);
CREATE INDEX transitions_patient ON transitions (patient_key, facility);
CREATE INDEX transitions_subject ON transitions (subject, facility);
CREATE INDEX transitions_heard ON transitions (facility, updated_at);
CREATE TABLE changes (
    id INTEGER PRIMARY KEY AUTOINCREMENT, subject TEXT NOT NULL, seq INTEGER NOT NULL,
    patient_key TEXT, at INTEGER NOT NULL, change TEXT NOT NULL, kind TEXT NOT NULL,
    thing TEXT, facility TEXT, team TEXT, value BLOB NOT NULL,
    UNIQUE (subject, seq));
CREATE INDEX changes_patient ON changes (patient_key, at);
CREATE INDEX changes_thing ON changes (thing) WHERE thing IS NOT NULL;
CREATE TABLE caused (
    event TEXT NOT NULL, change_id INTEGER NOT NULL,
    PRIMARY KEY (event, change_id)) WITHOUT ROWID;
CREATE TABLE subjects (
    subject TEXT PRIMARY KEY, key TEXT NOT NULL, patient_key TEXT NOT NULL, seq INTEGER NOT NULL)
    WITHOUT ROWID;
CREATE INDEX subjects_key ON subjects (key);
CREATE INDEX subjects_patient ON subjects (patient_key);
CREATE TABLE patients (
    id INTEGER PRIMARY KEY, patient_key TEXT NOT NULL UNIQUE, version INTEGER NOT NULL,
    name TEXT, birth_date TEXT, hours TEXT, value BLOB NOT NULL);
CREATE TABLE audit (
    id INTEGER PRIMARY KEY, audit_id TEXT NOT NULL UNIQUE, at INTEGER NOT NULL,
    actor TEXT NOT NULL, action TEXT NOT NULL, outcome TEXT NOT NULL, value BLOB NOT NULL);
CREATE TABLE said (
    event TEXT NOT NULL, source TEXT NOT NULL, at INTEGER NOT NULL, thing TEXT, word TEXT,
    value BLOB NOT NULL, PRIMARY KEY (event, source)) WITHOUT ROWID;
CREATE TABLE letters (
    id INTEGER PRIMARY KEY, place TEXT NOT NULL UNIQUE, at INTEGER NOT NULL, reason TEXT NOT NULL,
    stage TEXT NOT NULL, topic TEXT NOT NULL, facility TEXT, headers BLOB NOT NULL,
    size INTEGER NOT NULL, value BLOB NOT NULL, digest BLOB NOT NULL, kind TEXT, edits TEXT,
    status TEXT NOT NULL);
CREATE INDEX letters_status ON letters (status, id);
CREATE INDEX letters_reason ON letters (status, reason, at, facility);
CREATE INDEX letters_edits ON letters (edits) WHERE edits IS NOT NULL;
CREATE TABLE letter_deeds (
    place TEXT NOT NULL, at INTEGER NOT NULL, audit_id TEXT NOT NULL, actor TEXT NOT NULL,
    action TEXT NOT NULL, outcome TEXT NOT NULL, purpose TEXT,
    PRIMARY KEY (place, at, audit_id)) WITHOUT ROWID;
CREATE INDEX audit_at ON audit (at, audit_id);
CREATE INDEX audit_actor ON audit (actor, at, audit_id);
CREATE INDEX patients_hours ON patients (patient_key, hours) WHERE hours IS NOT NULL;
CREATE INDEX patients_born ON patients (birth_date, name) WHERE birth_date IS NOT NULL;
"""


class InUse(Exception):
    """Another process projects into this file."""

    exit_code: ClassVar = 2


def lock(path: Path) -> int:
    """
    Be the one writer of the file at *path* until the descriptor that is returned is closed.

    Raises:
        InUse: Somebody is.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise InUse(f"{path}: another process keeps it up to date") from None
    return descriptor


def remove(path: Path) -> None:
    """
    Delete the file at *path*, for one that is made anew.

    Raises:
        InUse: Somebody keeps it up to date.
    """
    descriptor = lock(path)
    try:
        for end in ("", "-wal", "-shm"):
            path.with_name(path.name + end).unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def is_half_rebuilt(path: Path, log: str) -> bool:
    """Whether the file at *path* is what a `rebuild` from *log* left when it was ended."""
    if not path.is_file():
        return False
    with closing(connect(path, write=False)) as connection:
        try:
            if connection.execute("PRAGMA user_version").fetchone() != (LAYOUT,):
                return False
            meta = dict(connection.execute("SELECT name, value FROM meta"))
        except sqlite3.DatabaseError:
            return False
    return meta.get("log") == log and REBUILDING in meta


def connect(path: Path, *, write: bool) -> sqlite3.Connection:
    """Open the read model; readers are never held up by the one writer."""
    if write:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        private_file.make(path)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA busy_timeout = 5000")
    if write:
        connection.execute("PRAGMA journal_mode = WAL")
        # A power cut may take back the last commits, rows and offsets together: they come again.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    else:
        connection.execute(f"PRAGMA cache_size = -{_READER_CACHE_KIB}")
        connection.execute("PRAGMA query_only = ON")
    return connection


def prepare(
    connection: sqlite3.Connection,
    log: str,
    ends: Positions,
    generation: str,
    *,
    rebuilding: bool = False,
) -> bool:
    """
    Make the tables for *log* if they are not there or are another's.

    Args:
        ends: Of its topics.  Whoever has read beyond them read what was there before a backup was
            restored; what is appended now would look as if it had been read.
        generation: Names the file made now: row numbers mean nothing in another one.
        rebuilding: Mark a file made now as one that `rebuild` has not finished.

    Returns:
        Whether the file was made anew.
    """
    (layout,) = connection.execute("PRAGMA user_version").fetchone()
    if layout == LAYOUT:
        row = connection.execute("SELECT value FROM meta WHERE name = 'log'").fetchone()
        if row is not None and row[0] == log and not _is_ahead(connection, ends):
            return False
    connection.execute("BEGIN IMMEDIATE")
    try:
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        ).fetchall():
            connection.execute(f"DROP TABLE {name}")
        for statement in (*_TABLES.split(";"), *tally.STATEMENTS):
            if statement.strip():
                connection.execute(statement)
        named = [("log", log), ("generation", generation), *[(REBUILDING, 1)] * rebuilding]
        connection.executemany("INSERT INTO meta VALUES (?, ?)", named)
        connection.execute(f"PRAGMA user_version = {LAYOUT}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return True


def _is_ahead(connection: sqlite3.Connection, ends: Positions) -> bool:
    found = connection.execute("SELECT topic, partition, next FROM positions").fetchall()
    return any(at > ends.get((topic, partition), at) for topic, partition, at in found)
