"""What pages remember per person: how they like them, saved views, drafts, what they have seen.

None of it is care: it can be lost without a patient being called once too often or too seldom.
Kept apart from the read model, which is made anew at any time, and from `access.sqlite`.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from orchestrator.worklist.own_file import OwnFile

FILE: Final = "pages.sqlite"
VIEWS_MAX: Final = 50  # saved views of one person
# A draft that nobody came back to within 30 days is about a task that is long over.
DRAFT_KEPT: Final = 30 * 24 * 3600 * 1_000_000
# As long as a transition and its tasks may live on in a queue.
SEEN_KEPT: Final = 90 * 24 * 3600 * 1_000_000

_TABLES: Final = """
CREATE TABLE preferences (
    actor TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (actor, name))
    WITHOUT ROWID;
CREATE TABLE views (
    actor TEXT NOT NULL, name TEXT NOT NULL, query TEXT NOT NULL, PRIMARY KEY (actor, name))
    WITHOUT ROWID;
CREATE TABLE drafts (
    actor TEXT NOT NULL, thing TEXT NOT NULL, at INTEGER NOT NULL, fields BLOB NOT NULL,
    PRIMARY KEY (actor, thing)) WITHOUT ROWID;
CREATE TABLE opened (
    actor TEXT NOT NULL, thing TEXT NOT NULL, version INTEGER NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (actor, thing)) WITHOUT ROWID;
CREATE TABLE got (
    actor TEXT NOT NULL, thing TEXT NOT NULL, version INTEGER NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (actor, thing)) WITHOUT ROWID;
CREATE TABLE pending (
    actor TEXT NOT NULL, thing TEXT NOT NULL, event TEXT NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (actor, thing)) WITHOUT ROWID;
CREATE TABLE flashes (actor TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
"""
# Each action that is waited for by itself, with the words that were typed for it.
_SINCE_2: Final = """
CREATE TABLE waits (
    actor TEXT NOT NULL, event TEXT NOT NULL, thing TEXT NOT NULL, action TEXT NOT NULL,
    at INTEGER NOT NULL, sent INTEGER NOT NULL, fields BLOB NOT NULL, PRIMARY KEY (actor, event))
    WITHOUT ROWID;
INSERT INTO waits SELECT actor, event, thing, '', at, at, '{}' FROM pending;
DROP TABLE pending;
"""
# Whom a task that somebody holds is about: names leave the read model with the last open task.
_SINCE_3: Final = """
CREATE TABLE people (
    actor TEXT NOT NULL, thing TEXT NOT NULL, at INTEGER NOT NULL, person BLOB NOT NULL,
    PRIMARY KEY (actor, thing)) WITHOUT ROWID
"""


class Around(NamedTuple):
    """What the frame of a page needs to know about a person."""

    preferences: dict[str, str]
    flash: dict[str, Any] | None


class Wait(NamedTuple):
    """
    An action that is stored in the log, and of which no verdict has come yet.

    Attributes:
        sent: When it was sent, in the log's time.
        fields: What was typed for it.
    """

    event: str
    thing: str
    action: str
    sent: int
    fields: dict[str, Any]


class PagesStore(OwnFile):
    """The file, safe between threads; each call is short."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / FILE, (_TABLES, _SINCE_2, _SINCE_3), synchronous="NORMAL")

    # The frame

    def around(self, actor: str) -> Around:
        """Preferences, and what the last action has to say: once."""
        preferences = {"theme": "", "shortcuts": "on", "team": ""}
        with self._lock:
            preferences.update(
                self._db.execute("SELECT name, value FROM preferences WHERE actor = ?", (actor,))
            )
            row = self._db.execute("SELECT value FROM flashes WHERE actor = ?", (actor,)).fetchone()
            if row is not None:
                self._db.execute("DELETE FROM flashes WHERE actor = ?", (actor,))
        return Around(preferences, None if row is None else orjson.loads(row[0]))

    def prefer(self, actor: str, name: str, value: str) -> None:
        self._run("INSERT OR REPLACE INTO preferences VALUES (?, ?, ?)", actor, name, value)

    def flash(self, actor: str, told: dict[str, Any]) -> None:
        """Have the next page say it."""
        self._run("INSERT OR REPLACE INTO flashes VALUES (?, ?)", actor, orjson.dumps(told))

    # Saved views

    def views(self, actor: str) -> list[tuple[str, str]]:
        """Names and queries of the views that *actor* has saved."""
        return self._rows("SELECT name, query FROM views WHERE actor = ? ORDER BY name", actor)

    def save_view(self, actor: str, name: str, query: str) -> bool:
        """Whether there was room for it."""
        known = [one for one, _ in self.views(actor)]
        if name not in known and len(known) >= VIEWS_MAX:
            return False
        self._run("INSERT OR REPLACE INTO views VALUES (?, ?, ?)", actor, name, query)
        return True

    def drop_view(self, actor: str, name: str) -> None:
        self._run("DELETE FROM views WHERE actor = ? AND name = ?", actor, name)

    # Drafts

    def draft(self, actor: str, thing: str) -> dict[str, Any]:
        """What *actor* has written about *thing* without sending it."""
        for (fields,) in self._rows(
            "SELECT fields FROM drafts WHERE actor = ? AND thing = ?", actor, thing
        ):
            found: dict[str, Any] = orjson.loads(fields)
            return found
        return {}

    def draft_kept_at(self, actor: str, thing: str) -> int | None:
        found = self._rows("SELECT at FROM drafts WHERE actor = ? AND thing = ?", actor, thing)
        return int(found[0][0]) if found else None

    def keep_draft(self, actor: str, thing: str, fields: dict[str, Any], at: int) -> None:
        self._run(
            "INSERT OR REPLACE INTO drafts VALUES (?, ?, ?, ?)",
            actor,
            thing,
            at,
            orjson.dumps(fields),
        )

    def drop_draft(self, actor: str, thing: str) -> None:
        self._run("DELETE FROM drafts WHERE actor = ? AND thing = ?", actor, thing)

    # What was seen

    def opened(self, actor: str, thing: str, version: int, at: int) -> None:
        """*actor* has opened *thing* in this version."""
        self._run("INSERT OR REPLACE INTO opened VALUES (?, ?, ?, ?)", actor, thing, version, at)

    def opened_versions(self, actor: str, things: Collection[str]) -> dict[str, int]:
        """In which version *actor* has opened each of *things* last."""
        marks = ", ".join("?" * len(things))
        return dict(
            self._rows(
                f"SELECT thing, version FROM opened WHERE actor = ? AND thing IN ({marks})",
                actor,
                *things,
            )
        )

    def got_it(self, actor: str, thing: str, version: int, at: int) -> None:
        """*actor* has understood that *thing* is withdrawn."""
        self._run("INSERT OR REPLACE INTO got VALUES (?, ?, ?, ?)", actor, thing, version, at)
        self.drop_person(actor, thing)

    def got(self, actor: str, things: Collection[str]) -> dict[str, int]:
        """Which of *things* are understood, and in which version."""
        marks = ", ".join("?" * len(things))
        return dict(
            self._rows(
                f"SELECT thing, version FROM got WHERE actor = ? AND thing IN ({marks})",
                actor,
                *things,
            )
        )

    # Whom it was about

    def people(self, actor: str, things: Collection[str]) -> dict[str, dict[str, str]]:
        """By task that *actor* holds or held, the name that they have seen there."""
        marks = ", ".join("?" * len(things))
        found = self._rows(
            f"SELECT thing, person FROM people WHERE actor = ? AND thing IN ({marks})",
            actor,
            *things,
        )
        return {thing: orjson.loads(person) for thing, person in found}

    def keep_person(self, actor: str, thing: str, person: dict[str, str], at: int) -> None:
        self._run(
            "INSERT OR REPLACE INTO people VALUES (?, ?, ?, ?)",
            actor,
            thing,
            at,
            orjson.dumps(person),
        )

    def drop_person(self, actor: str, thing: str) -> None:
        self._run("DELETE FROM people WHERE actor = ? AND thing = ?", actor, thing)

    # What is not here yet

    def wait_for(self, actor: str, wait: Wait, at: int) -> None:
        """What *actor* did is stored, but has not come back as a change."""
        self._run(
            "INSERT OR REPLACE INTO waits VALUES (?, ?, ?, ?, ?, ?, ?)",
            actor,
            wait.event,
            wait.thing,
            wait.action,
            at,
            wait.sent,
            orjson.dumps(wait.fields),
        )

    def waits(self, actor: str) -> dict[str, list[Wait]]:
        """By thing, what *actor* waits for, and what was refused and not understood yet."""
        found: dict[str, list[Wait]] = {}
        for event, thing, action, sent, fields in self._rows(
            "SELECT event, thing, action, sent, fields FROM waits WHERE actor = ?"
            " ORDER BY at, event",
            actor,
        ):
            one = Wait(event, thing, action, sent, orjson.loads(fields))
            found.setdefault(thing, []).append(one)
        return found

    def came(self, actor: str, event: str) -> None:
        """Nobody waits for *event* any more."""
        self._run("DELETE FROM waits WHERE actor = ? AND event = ?", actor, event)

    def forget(self, now: int) -> None:
        """Drop what nobody will come back to."""
        self._run("DELETE FROM drafts WHERE at < ?", now - DRAFT_KEPT)
        self._run("DELETE FROM opened WHERE at < ?", now - SEEN_KEPT)
        self._run("DELETE FROM got WHERE at < ?", now - SEEN_KEPT)
        self._run("DELETE FROM waits WHERE at < ?", now - DRAFT_KEPT)
        self._run("DELETE FROM people WHERE at < ?", now - DRAFT_KEPT)
