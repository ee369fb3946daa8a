"""What is kept of open tasks with each row says the same as counting the rows."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from orchestrator.worklist.access.roles import Principal
from orchestrator.worklist.api.queries import TaskFilter
from orchestrator.worklist.log.feed import Record
from orchestrator.worklist.model import lists, tables, tally, work
from orchestrator.worklist.model.filters import Where, tasks_of
from orchestrator.worklist.model.projector import Projection
from tests.worklist.history import ListFeed, key_of
from tests.worklist.test_sight import PEOPLE

DAY: Final = 24 * 3600 * 1_000_000
FILTERS: Final[dict[str, dict[str, Any]]] = {
    "all": {},
    "a team": {"team": ["pharmacy"]},
    "a facility and a kind": {"facility": ["GEN"], "kind": ["CALL_48H"]},
    "somebody's": {"owner": ["nurse-1"]},
    "nobody's": {"owner": ["none"]},
    "overdue": {"overdue": True},
}


@pytest.fixture(scope="module")
def path(records: list[Record], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half of the history, so that much is open, and then the rest in small steps."""
    made = tmp_path_factory.mktemp("tally") / tables.FILE
    projection = Projection(made, ListFeed(records), key_of)
    while projection.step(97) is not None:
        pass
    projection.close()
    return made


@pytest.fixture
def db(path: Path) -> Iterator[sqlite3.Connection]:
    """The same, some of it open again."""
    with closing(sqlite3.connect(path, isolation_level=None)) as found:
        found.execute("BEGIN")
        found.execute("UPDATE tasks SET open = 1 WHERE id % 2")
        found.execute("UPDATE tasks SET owner = 'nurse-1' WHERE id % 5 = 0")
        found.execute("UPDATE tasks SET owner = NULL WHERE id % 10 = 0")
        found.execute("UPDATE tasks SET hurry = id % 4, overdue = id % 3 = 0")
        found.execute("UPDATE tasks SET team = 'pharmacy' WHERE id % 7 = 0")
        found.execute("DELETE FROM tasks WHERE id % 11 = 0")
        yield found
        found.execute("ROLLBACK")


def days(db: sqlite3.Connection) -> list[work.Days]:
    """Some facilities' day ends an hour later."""
    middle = db.execute("SELECT avg(due_at) FROM tasks WHERE hurry = 3").fetchone()[0]
    hour = 3600 * 1_000_000
    today = int(middle) - DAY // 2
    return [
        work.Days(("GEN",), today + hour, today + DAY + hour),
        work.Days(None, today, today + DAY),
    ]


def just_before(db: sqlite3.Connection) -> int:
    """An hour before something of everybody's is due."""
    found = db.execute("SELECT due_at FROM tasks WHERE open ORDER BY due_at").fetchall()
    return int(found[len(found) // 2][0]) - 3600 * 1_000_000


def where_of(who: Principal, **said: Any) -> Where:
    return TaskFilter(**said).where(who)


@pytest.mark.parametrize("said", FILTERS.values(), ids=FILTERS)
@pytest.mark.parametrize("who", PEOPLE.values(), ids=PEOPLE)
def test_groups_and_loads_are_those_of_the_rows(
    db: sqlite3.Connection, who: Principal, said: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For everybody and each filter that it can answer: the same numbers, whichever way."""
    where = where_of(who, **said)
    now = just_before(db)

    def both() -> tuple[work.Count, list[work.Load]]:
        return work.counts(db, where, days(db), "nurse-1"), work.load(db, where, now)

    assert tally.answers(where)
    kept = both()
    monkeypatch.setattr(tally, "answers", lambda _where: False)
    counted = both()

    assert kept == counted
    if not said and who.actor == "a":
        assert all(kept[0].all.values())
        assert sum(kept[0].mine.values()) > 0
        assert len(kept[1]) > 2
        assert any(one.due_4h for one in kept[1])


@pytest.mark.parametrize("who", PEOPLE.values(), ids=PEOPLE)
def test_what_it_cannot_answer_is_counted(db: sqlite3.Connection, who: Principal) -> None:
    """Flags and times are not in it; whose tasks and which, the page's rows say the same."""
    db.execute("UPDATE tasks SET flags = '|AMA|' WHERE id % 3 = 0")
    saids: tuple[dict[str, Any], ...] = (
        {"flag": ["AMA"]},
        {"flag": ["AMA"], "owner": ["nurse-1"]},
        {"flag": ["AMA"], "owner": ["nurse-1", "none"]},
        {"due_before": "2027-10-06T00:00:00Z"},
    )
    for said in saids:
        where = where_of(who, **said)
        counted = work.counts(db, where, days(db), "nurse-1")
        shown = work.page(db, where, days(db), 10_000, None)

        assert not tally.answers(where)
        for group in work.GROUPS:
            assert counted.all[group] == sum(one == group for one, _ in shown.rows)
        assert sum(one.open for one in work.load(db, where, 0)) == len(shown.rows)
        assert shown.rows or who.actor != "a"


@pytest.mark.parametrize("who", PEOPLE.values(), ids=PEOPLE)
def test_queues_are_those_of_the_rows(db: sqlite3.Connection, who: Principal) -> None:
    """Per team, by hand."""
    where, hour = tasks_of(who), 3600 * 1_000_000
    now = just_before(db)
    rows = db.execute(
        "SELECT team, owner, overdue, born_overdue, due_at FROM tasks"
        f" WHERE open AND {where.sql} ORDER BY team",
        where.values,
    ).fetchall()
    by_hand: dict[str, dict[str, Any]] = {}
    for team, owner, overdue, born, due in rows:
        one = by_hand.setdefault(team, dict.fromkeys(NAMES, 0))
        held = (True, owner is None, owner == "nurse-1", overdue and not born, born)
        due_in = (now < due <= now + 4 * hour, now < due <= now + 24 * hour)
        for name, counts in zip(NAMES, (*held, *due_in), strict=True):
            one[name] += bool(counts)

    assert lists.queues(db, where, "nurse-1", now) == [
        {"team": team, **counted} for team, counted in by_hand.items()
    ]


NAMES: Final = ("open", "unowned", "mine", "overdue", "born_overdue", "due_4h", "due_24h")


def test_what_has_no_open_task_is_gone(db: sqlite3.Connection) -> None:
    """It does not grow with all who ever held something."""
    db.execute("UPDATE tasks SET open = 0")

    assert db.execute("SELECT count(*) FROM tally").fetchone() == (0,)
