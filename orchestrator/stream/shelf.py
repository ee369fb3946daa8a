"""The journal's events sorted by patient, on disk, so that one patient at a time is in memory.

A journal is in the order of receipts; deciding anew goes patient by patient.  The file has no name
(SQLite unlinks it as it opens it): however the process ends, nothing about a patient stays behind.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Final, Protocol, Self

import orjson
import structlog

import handlers
from orchestrator.core.facts import Told
from orchestrator.core.instants import DAY, read
from orchestrator.stream.story import History, connected
from schemas.facilities import Facilities

logger = structlog.get_logger()

STEP: Final = 500
# A stated day may begin or end up to a day from its instant, and clocks run ahead by as much.
MARGIN: Final = 3 * DAY
PAGES: Final = -32_768  # KiB of the file that stay in memory


class Journal(Protocol):
    """All journal records that there are."""

    def size(self) -> int:
        """About how many."""
        ...

    def values(self) -> Iterator[bytes]:
        """Their values; those of one partition in order."""
        ...


class Shelf:
    """
    The events of a journal by subject.

    Attributes:
        first: The earliest receipt that there was.
    """

    def __init__(self, facilities: Facilities, since: int, until: int) -> None:
        self._facilities = facilities
        self._window = since - MARGIN, until + MARGIN
        self._db = sqlite3.connect("")
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute(f"PRAGMA cache_size = {PAGES}")
        self._db.execute("CREATE TABLE told (subject TEXT, event BLOB)")
        self._marked: dict[str, History] = {}
        self._wanted: set[str] = set()
        self.first: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._db.close()

    def fill(self, journal: Journal) -> Iterator[int]:
        """Take all events in; tells now and then how many records were looked at."""
        number = 0
        for number, value in enumerate(journal.values(), 1):
            entry = orjson.loads(value)
            if entry.get("kind") == "event":
                self._take(entry["event"])
            if number % STEP == 0:
                yield number
        self._db.execute("CREATE INDEX by_subject ON told (subject)")
        yield number

    def _take(self, event: dict[str, Any]) -> None:
        subject, receipt = event["subject"], read(event["receivedtime"])
        self.first = receipt if self.first is None else min(self.first, receipt)
        self._db.execute("INSERT INTO told VALUES (?, ?)", (subject, orjson.dumps(event)))
        if event["lane"] != "test" and (told := self._read(event)) is not None:
            self._note(event, told, subject, receipt)

    def _read(self, event: dict[str, Any]) -> Told | None:
        try:
            return handlers.told(event, self._facilities)
        except Exception:
            # A bug of ours: whoever decides about the patient meets it again, and counts them.
            logger.exception("record.failed", stage="what-if")
            self._wanted.add(event["subject"])
            return None

    def _note(self, event: dict[str, Any], told: Told, subject: str, receipt: int) -> None:
        if told.marks:
            self._marked.setdefault(subject, History()).add(receipt, told)
        if subject not in self._wanted and told.command is None and self._near(event):
            self._wanted.add(subject)

    def _near(self, event: dict[str, Any]) -> bool:
        """
        Whether anything that *event* says happened about the window.

        Not only a discharge: of what else a stay can end with, the rules know more than this does.
        """
        first, last = self._window
        said = [event["time"], *(v for n, v in event["data"].items() if n.endswith("_at"))]
        return any(first <= at <= last for one in said if (at := _instant(one)) is not None)

    def groups(self) -> list[list[str]]:
        """Who has anything in the window: each patient with all names that were ever theirs."""
        joined = connected(dict(self._marked))
        several = {name for names in joined for name in names}
        alone = [[name] for name in sorted(self._wanted - several)]
        return [*(names for names in joined if not self._wanted.isdisjoint(names)), *alone]

    def events(self, names: Sequence[str]) -> Iterator[tuple[dict[str, Any], str]]:
        """What was said of them, as `Run.take` takes it."""
        for name in names:
            for (event,) in self._db.execute("SELECT event FROM told WHERE subject = ?", (name,)):
                yield orjson.loads(event), ""


def _instant(text: Any) -> int | None:
    try:
        return read(text) if isinstance(text, str) else None
    except ValueError:
        return None
