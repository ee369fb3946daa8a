"""A small SQLite file of the worklist's own, beside the read model: what cannot be made anew."""

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from orchestrator import private_file


class OwnFile:
    """
    The file, readable by its owner alone, safe between threads; each call is short.

    Args:
        layouts: What each layout adds to the one before, as statements with semicolons.
        synchronous: ``FULL``: what was told as done outlives a loss of power.
    """

    def __init__(
        self,
        path: Path,
        layouts: Sequence[str],
        *,
        synchronous: Literal["FULL", "NORMAL"],
    ) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        private_file.make(path)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA busy_timeout = 5000")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute(f"PRAGMA synchronous = {synchronous}")
        self._db.execute("BEGIN IMMEDIATE")
        (layout,) = self._db.execute("PRAGMA user_version").fetchone()
        for statements in layouts[layout:]:
            for statement in statements.split(";"):
                if statement.strip():
                    self._db.execute(statement)
        self._db.execute(f"PRAGMA user_version = {max(layout, len(layouts))}")
        self._db.execute("COMMIT")

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _run(self, statement: str, *values: object) -> int:
        with self._lock:
            return self._db.execute(statement, values).rowcount

    def _rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._db.execute(statement, values).fetchall()
