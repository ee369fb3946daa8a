"""What the worklist itself must remember: revoked tokens, users, break-glass, actions begun.

Not part of the read model, which can be made anew from the topics at any time; this cannot.
"""

import os
import sqlite3
import threading
from pathlib import Path
from typing import Final, NamedTuple

FILE: Final = "access.sqlite"
_LAYOUT: Final = 1
# As long as the log tells a repeat of an event (contract.md 2): 30 days, in microseconds.
REMEMBERED: Final = 30 * 24 * 3600 * 1_000_000

_TABLES: Final = """
CREATE TABLE revoked (jti TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE users (
    name TEXT PRIMARY KEY, hash TEXT NOT NULL, claims TEXT NOT NULL, at INTEGER NOT NULL)
    WITHOUT ROWID;
CREATE TABLE actions (
    event_id TEXT PRIMARY KEY, actor TEXT NOT NULL, fingerprint TEXT NOT NULL,
    value BLOB NOT NULL, stored INTEGER NOT NULL, at INTEGER NOT NULL, thing TEXT NOT NULL,
    action TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX actions_at ON actions (at);
CREATE TABLE grants (
    actor TEXT NOT NULL, patient_key TEXT NOT NULL, until INTEGER NOT NULL,
    PRIMARY KEY (actor, patient_key)) WITHOUT ROWID;
"""


class Action(NamedTuple):
    """An action that was begun: its event as it was sent, or is to be."""

    event_id: str
    actor: str
    fingerprint: str  # of what was asked; another under the same key is refused
    value: bytes
    stored: bool  # the log has it
    thing: str
    action: str


class AccessStore:
    """The file, safe between threads; each call is short."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / FILE
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA busy_timeout = 5000")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("BEGIN IMMEDIATE")
        if self._db.execute("PRAGMA user_version").fetchone() == (0,):
            for statement in _TABLES.split(";"):
                if statement.strip():
                    self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version = {_LAYOUT}")
        self._db.execute("COMMIT")

    def close(self) -> None:
        with self._lock:
            self._db.close()

    # Tokens

    def revoke(self, jti: str, at: int) -> None:
        """Take a token back."""
        self._run("INSERT OR IGNORE INTO revoked VALUES (?, ?)", jti, at)

    def is_revoked(self, jti: str) -> bool:
        return bool(self._rows("SELECT 1 FROM revoked WHERE jti = ?", jti))

    # Users

    def put_user(self, name: str, hash_: str, claims: str, at: int) -> None:
        """Add a user, or replace one of that name."""
        self._run("INSERT OR REPLACE INTO users VALUES (?, ?, ?, ?)", name, hash_, claims, at)

    def remove_user(self, name: str) -> bool:
        """Whether there was one."""
        return self._run("DELETE FROM users WHERE name = ?", name) > 0

    def user(self, name: str) -> tuple[str, str] | None:
        """The password's hash and the claims of a user."""
        for hash_, claims in self._rows("SELECT hash, claims FROM users WHERE name = ?", name):
            return str(hash_), str(claims)
        return None

    # Break-glass

    def grant(self, actor: str, patient_key: str, until: int) -> None:
        """Let *actor* see one patient until then."""
        self._run("INSERT OR REPLACE INTO grants VALUES (?, ?, ?)", actor, patient_key, until)

    def is_granted(self, actor: str, patient_key: str, at: int) -> bool:
        """Whether *actor* may see this patient without belonging to the care team."""
        return bool(
            self._rows(
                "SELECT 1 FROM grants WHERE actor = ? AND patient_key = ? AND until > ?",
                actor,
                patient_key,
                at,
            )
        )

    # Actions

    def begin(self, action: Action, at: int) -> Action:
        """Remember *action*; what was begun under its id before is returned instead."""
        self._run(
            "INSERT OR IGNORE INTO actions (event_id, actor, fingerprint, value, stored,"
            " at, thing, action) VALUES (?, ?, ?, ?, 0, ?, ?, ?)",
            action.event_id,
            action.actor,
            action.fingerprint,
            action.value,
            at,
            action.thing,
            action.action,
        )
        found = self.action(action.event_id)
        assert found is not None
        return found

    def action(self, event_id: str) -> Action | None:
        for row in self._rows(
            "SELECT event_id, actor, fingerprint, value, stored, thing, action FROM actions"
            " WHERE event_id = ?",
            event_id,
        ):
            return Action(row[0], row[1], row[2], row[3], bool(row[4]), row[5], row[6])
        return None

    def stored(self, event_id: str) -> None:
        """The log has the event."""
        self._run("UPDATE actions SET stored = 1 WHERE event_id = ?", event_id)

    def forget(self, now: int) -> None:
        """Drop what nobody will repeat any more, and what has run out."""
        self._run("DELETE FROM actions WHERE at < ?", now - REMEMBERED)
        self._run("DELETE FROM grants WHERE until < ?", now)

    def _run(self, statement: str, *values: object) -> int:
        with self._lock:
            return self._db.execute(statement, values).rowcount

    def _rows(self, statement: str, *values: object) -> list[tuple]:  # type: ignore[type-arg]
        with self._lock:
            return self._db.execute(statement, values).fetchall()
