"""Why the log refuses: each reason an error of its own, said so that an operator can act.

SQLite's own texts are not passed on: they may quote a statement, and a statement holds values.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, Final


class LogError(Exception):
    """The log cannot be used.  *exit_code* is the command line's: 3, a service is away."""

    exit_code: ClassVar[int] = 3
    retriable: ClassVar[bool] = False


class LogFull(LogError):
    """No room on the disk; nothing was written.  The same write may succeed once there is room."""

    retriable = True


class LogBusy(LogError):
    """Another process held the log longer than the store timeout; the write may be repeated."""

    retriable = True


class LogReadOnly(LogError):
    """The folder or the file may not be written by this user, or the file system is read-only."""


class LogCorrupt(LogError):
    """The file, or a row in it, is not what was written.  Restore it: nothing wrong is served."""


class LogBroken(LogError):
    """The disk failed to read, write or sync.

    Never retried: after a failed fsync the kernel may report the next one as done although the
    pages are gone (fsyncgate), so the only honest end is the end of the process.
    """


class LogMissing(LogError):
    """There is no log in the folder, or it cannot be opened."""


class LogMismatch(LogError):
    """A sound log, but not the one this process must go on with: version, site, journal, offset."""


class LogInUse(LogError):
    """Another ``up`` runs on the same folder."""


_BY_CODE: Final[dict[int, tuple[type[LogError], str]]] = {
    sqlite3.SQLITE_FULL: (LogFull, "the disk is full"),
    sqlite3.SQLITE_BUSY: (LogBusy, "another process holds the log"),
    sqlite3.SQLITE_LOCKED: (LogBusy, "another process holds the log"),
    sqlite3.SQLITE_READONLY: (LogReadOnly, "the log may not be written"),
    sqlite3.SQLITE_PERM: (LogReadOnly, "the log may not be written"),
    sqlite3.SQLITE_CORRUPT: (LogCorrupt, "the log is damaged; restore it from a backup"),
    sqlite3.SQLITE_NOTADB: (LogCorrupt, "the file is not a log; restore it from a backup"),
    sqlite3.SQLITE_IOERR: (LogBroken, "the disk failed to read, write or sync"),
    sqlite3.SQLITE_CANTOPEN: (LogMissing, "the log cannot be opened"),
}


def translated(problem: sqlite3.Error, where: str) -> LogError | None:
    """The refusal that SQLite's *problem* means, or ``None`` for a mistake of ours."""
    code = getattr(problem, "sqlite_errorcode", None)
    found = _BY_CODE.get(code & 0xFF) if isinstance(code, int) else None
    if found is None:
        return None
    kind, text = found
    return kind(f"{where}: {text}")


@contextmanager
def refusing(where: str) -> Iterator[None]:
    """Turn SQLite's errors inside into refusals that name the file *where*."""
    try:
        yield
    except sqlite3.Error as problem:
        refusal = translated(problem, where)
        if refusal is None:
            raise
        raise refusal from problem
