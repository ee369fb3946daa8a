"""What the worklist itself must remember: users, sessions, tokens taken back, grants, actions.

Not part of the read model, which can be made anew from the topics at any time; this cannot.
"""

from pathlib import Path
from typing import Final, NamedTuple

from orchestrator.worklist.own_file import OwnFile

FILE: Final = "access.sqlite"
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
# What layout 2 has beside them.
_SINCE_2: Final = """
CREATE TABLE disabled (actor TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE sessions (
    digest BLOB PRIMARY KEY, mode TEXT NOT NULL, actor TEXT NOT NULL, claims TEXT NOT NULL,
    opened INTEGER NOT NULL, seen INTEGER NOT NULL) WITHOUT ROWID;
"""
# Layout 3: which tokens there are and whose: a mistyped id is none.
_SINCE_3: Final = """
CREATE TABLE issued (
    jti TEXT PRIMARY KEY, actor TEXT NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;
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


class SessionRow(NamedTuple):
    """A session as it is kept: by the digest of its secret, never the secret."""

    mode: str
    actor: str
    claims: str
    opened: int
    seen: int


class AccessStore(OwnFile):
    """The file, safe between threads; each call is short."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / FILE, (_TABLES, _SINCE_2, _SINCE_3), synchronous="FULL")

    # Tokens

    def issued(self, jti: str, actor: str, until: int) -> None:
        """Remember that there is a token of *actor*, good until then."""
        self._run("INSERT INTO issued VALUES (?, ?, ?)", jti, actor, until)

    def holder(self, jti: str) -> str | None:
        """Whose token it is; ``None``: none of ours that is still good has this id."""
        for (actor,) in self._rows("SELECT actor FROM issued WHERE jti = ?", jti):
            return str(actor)
        return None

    def revoke(self, jti: str, at: int) -> None:
        """Take a token back."""
        self._run("INSERT OR IGNORE INTO revoked VALUES (?, ?)", jti, at)

    def is_revoked(self, jti: str) -> bool:
        return bool(self._rows("SELECT 1 FROM revoked WHERE jti = ?", jti))

    # Users

    def put_user(self, name: str, hash_: str, claims: str, at: int) -> None:
        """Add a user, or replace one of that name."""
        self._run("INSERT OR REPLACE INTO users VALUES (?, ?, ?, ?)", name, hash_, claims, at)

    def users(self) -> list[tuple[str, str, bool]]:
        """Name, claims and whether disabled, by name."""
        return [
            (str(name), str(claims), bool(disabled))
            for name, claims, disabled in self._rows(
                "SELECT name, claims, actor IS NOT NULL FROM users"
                " LEFT JOIN disabled ON actor = name ORDER BY name"
            )
        ]

    def disable(self, actor: str, at: int) -> None:
        """Nothing of *actor* is good any more: no session, no token, whoever has signed it."""
        self._run("INSERT OR IGNORE INTO disabled VALUES (?, ?)", actor, at)
        self._run("DELETE FROM sessions WHERE actor = ?", actor)

    def enable(self, actor: str) -> None:
        self._run("DELETE FROM disabled WHERE actor = ?", actor)

    def is_disabled(self, actor: str) -> bool:
        return bool(self._rows("SELECT 1 FROM disabled WHERE actor = ?", actor))

    def user(self, name: str) -> tuple[str, str] | None:
        """The password's hash and the claims of a user."""
        for hash_, claims in self._rows("SELECT hash, claims FROM users WHERE name = ?", name):
            return str(hash_), str(claims)
        return None

    # Sessions

    def open_session(self, digest: bytes, row: SessionRow) -> None:
        self._run("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?)", digest, *row)

    def session(self, digest: bytes) -> SessionRow | None:
        for row in self._rows(
            "SELECT mode, actor, claims, opened, seen FROM sessions WHERE digest = ?", digest
        ):
            return SessionRow(*row)
        return None

    def touch_session(self, digest: bytes, at: int) -> None:
        """Somebody used it."""
        self._run("UPDATE sessions SET seen = max(seen, ?) WHERE digest = ?", at, digest)

    def end_session(self, digest: bytes) -> None:
        self._run("DELETE FROM sessions WHERE digest = ?", digest)

    def end_sessions_of(self, actor: str) -> None:
        self._run("DELETE FROM sessions WHERE actor = ?", actor)

    def forget_sessions(self, opened_before: int) -> None:
        self._run("DELETE FROM sessions WHERE opened < ?", opened_before)

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
        self._run("DELETE FROM issued WHERE until < ?", now)
