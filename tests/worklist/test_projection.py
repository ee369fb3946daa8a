"""The read model equals the fold of the topics, however they were read and often it was cut."""

import os
import random
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from orchestrator.worklist.log.feed import CHANGES, FOLLOWED, GAPS, TASKS, LogAway, Record
from orchestrator.worklist.model import tables
from orchestrator.worklist.model.projector import Projection
from tests.worklist.history import ListFeed, key_of

TABLES = (
    "tasks", "gaps", "transitions", "changes", "caused", "subjects", "patients", "said"
)  # fmt: skip


def rows(path: Path) -> dict[str, list[Any]]:
    """All rows, without the numbers that the order of arrival gave them."""
    with closing(tables.connect(path, write=False)) as db:
        found: dict[str, list[Any]] = {}
        for table in TABLES:
            columns = [c[1] for c in db.execute(f"PRAGMA table_info({table})") if c[1] != "id"]
            source, named = table, ", ".join(columns)
            if table in ("tasks", "gaps", "transitions"):
                source, named = f"{table} JOIN {table}_said USING (id)", f"{named}, why, value"
            if table == "caused":
                source = "caused JOIN changes ON changes.id = change_id"
                named = "event, subject, seq"
            found[table] = sorted(db.execute(f"SELECT {named} FROM {source}").fetchall(), key=repr)
        return found


def project(path: Path, feed: ListFeed, *, batch: int = 500) -> Projection:
    projection = Projection(path, feed, key_of)
    while projection.step(batch) is not None:
        pass
    return projection


@pytest.fixture(scope="module")
def whole(records: list[Record], tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """What one undisturbed run makes of the history."""
    path = tmp_path_factory.mktemp("whole") / tables.FILE
    project(path, ListFeed(records)).close()
    return rows(path)


def test_the_history_has_what_there_is_to_fold(records: list[Record]) -> None:
    """The tests below are about something: things of all kinds, versions, refusals."""
    changes = [orjson.loads(r.value or b"") for r in records if r.topic == CHANGES]

    assert {
        "task.overdue",
        "task.completed",
        "gap.closed",
        "transition.closed",
        "task.updated",
    } <= {change["change"] for change in changes}
    assert any(change["change"] == "command.refused" for change in changes)
    assert max(orjson.loads(r.value or b"")["version"] for r in records if r.topic == TASKS) > 2


def test_each_thing_stands_in_its_newest_version(
    records: list[Record], whole: dict[str, list[Any]]
) -> None:
    """The rows are the last record of each id, with the sentence of the change that made it."""
    newest: dict[str, bytes] = {}
    sentences: dict[tuple[str, int], str] = {}
    for record in records:
        value = orjson.loads(record.value or b"")
        if record.topic == TASKS and value["version"] >= _version(newest.get(value["task_id"])):
            newest[value["task_id"]] = record.value or b""
        if record.topic == CHANGES and value.get("task"):
            task = value["task"]
            sentences[task["task_id"], task["version"]] = value["why"]

    assert sorted(row[-1] for row in whole["tasks"]) == sorted(newest.values())
    assert {(row[0], row[1]): row[-2] for row in whole["tasks"]} == {
        (name, _version(value)): sentences[name, _version(value)] for name, value in newest.items()
    }


def _version(value: bytes | None) -> int:
    return 0 if value is None else int(orjson.loads(value)["version"])


@pytest.mark.parametrize("seed", range(6))
def test_order_between_topics_and_batching_change_nothing(
    records: list[Record], whole: dict[str, list[Any]], tmp_path: Path, seed: int
) -> None:
    """Topics are read in any order relative to each other, in batches of any size."""
    path = tmp_path / tables.FILE
    project(path, ListFeed(records, seed), batch=random.Random(seed).randint(1, 300)).close()

    assert rows(path) == whole


def test_records_that_come_twice_change_nothing(
    records: list[Record], whole: dict[str, list[Any]], tmp_path: Path
) -> None:
    """A consumer without read_committed sees a redone round twice: same rows, no alarm."""
    twice = _renumbered([record for record in records for _ in range(2)])
    path = tmp_path / tables.FILE
    projection = project(path, ListFeed(twice))
    differences = projection.differences
    projection.close()

    assert (rows(path), differences) == (whole, 0)


def _renumbered(records: Sequence[Record]) -> list[Record]:
    ends: dict[tuple[str, int], int] = {}
    made = []
    for record in records:
        place = (record.topic, record.partition)
        made.append(record._replace(offset=ends.get(place, 0)))
        ends[place] = ends.get(place, 0) + 1
    return made


@pytest.mark.parametrize("without", [CHANGES, TASKS])
def test_a_compacted_topic_may_have_lost_superseded_versions(
    records: list[Record], whole: dict[str, list[Any]], tmp_path: Path, without: str
) -> None:
    """Only the newest record of a key is left in a compacted topic: the same tasks stand."""
    last = {(r.topic, r.key): r.offset for r in records if r.topic in (TASKS, GAPS)}
    kept = [r for r in records if r.topic not in (TASKS, GAPS) or last[r.topic, r.key] == r.offset]
    if without == TASKS:
        kept = [record for record in kept if record.topic != TASKS]
    path = tmp_path / tables.FILE
    project(path, ListFeed(kept)).close()

    assert rows(path) == whole


class Killed(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("seed", range(4))
def test_killed_at_any_point_it_goes_on(
    records: list[Record],
    whole: dict[str, list[Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
) -> None:
    """Rows and offsets are one transaction: what was cut off in the middle is done again, once."""
    path, draw = tmp_path / tables.FILE, random.Random(seed)
    feed = ListFeed(records, seed)
    kills = 0
    while True:
        projection = Projection(path, feed, key_of)
        left = draw.randint(1, 150)

        def apply(record: Record, *, inner: Any = projection._fold.apply) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                raise Killed
            return inner(record)

        monkeypatch.setattr(projection._fold, "apply", apply)
        try:
            while projection.step(draw.randint(1, 200)) is not None:
                pass
            break
        except Killed:
            kills += 1
        finally:
            projection._db.close()
            os.close(projection._lock)

    assert kills > 3
    assert rows(path) == whole


def test_another_log_makes_the_read_model_anew(
    records: list[Record], whole: dict[str, list[Any]], tmp_path: Path
) -> None:
    """Offsets of one log mean nothing in another: nothing of the old one is left."""
    path = tmp_path / tables.FILE
    project(path, ListFeed(records[: len(records) // 2], name="old")).close()
    projection = project(path, ListFeed(records, name="new"))
    anew = projection.made_anew
    projection.close()

    assert anew
    assert rows(path) == whole


def test_the_same_log_is_gone_on_with(records: list[Record], tmp_path: Path) -> None:
    """A restart reads nothing twice."""
    path = tmp_path / tables.FILE
    project(path, ListFeed(records)).close()
    projection = Projection(path, ListFeed(records), key_of)
    again = projection.step()
    anew = projection.made_anew
    projection.close()

    assert (again, anew) == (None, False)


def test_a_log_that_is_away_is_said(records: list[Record], tmp_path: Path) -> None:
    """What cannot be read now is no end of the topic."""
    feed = ListFeed(records)
    projection = Projection(tmp_path / tables.FILE, feed, key_of)
    feed.fails = LogAway("gone")

    with pytest.raises(LogAway):
        projection.step()
    projection.close()


def test_two_records_of_one_version_that_differ_are_noticed(
    records: list[Record], tmp_path: Path
) -> None:
    """Equal id and version are equal bytes; a difference is a defect somewhere and is counted."""
    task = next(r for r in records if r.topic == TASKS)
    other = orjson.loads(task.value or b"")
    other["team"] = "social-work"
    both = _renumbered([task, task._replace(value=orjson.dumps(other))])
    projection = project(tmp_path / tables.FILE, ListFeed(both))
    differences = projection.differences
    projection.close()

    assert differences == 1


def test_only_one_process_projects_into_a_file(records: list[Record], tmp_path: Path) -> None:
    """A second writer would hide the first one's changes from those who wait for them."""
    first = Projection(tmp_path / tables.FILE, ListFeed(records), key_of)
    with pytest.raises(tables.InUse):
        Projection(tmp_path / tables.FILE, ListFeed(records), key_of)
    first.close()
    Projection(tmp_path / tables.FILE, ListFeed(records), key_of).close()


def test_the_file_is_its_owners_alone(records: list[Record], tmp_path: Path) -> None:
    """The read model is about patients: nobody else on the machine reads it."""
    folder = tmp_path / "data"
    Projection(folder / tables.FILE, ListFeed(records), key_of).close()

    assert (folder / tables.FILE).stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_restored_log_is_read_from_its_beginning(records: list[Record], tmp_path: Path) -> None:
    """Positions beyond its ends are of the time before: going on there would leave a hole."""
    path = tmp_path / tables.FILE
    project(path, ListFeed(records)).close()
    older = records[: len(records) // 2]
    project(path, ListFeed(older)).close()
    project(tmp_path / "other.sqlite", ListFeed(older)).close()

    assert rows(path) == rows(tmp_path / "other.sqlite")


def test_a_reader_cannot_write(records: list[Record], tmp_path: Path) -> None:
    """Whatever an answer's SQL is, it changes nothing."""
    project(tmp_path / tables.FILE, ListFeed(records[:50])).close()
    with (
        closing(tables.connect(tmp_path / tables.FILE, write=False)) as db,
        pytest.raises(sqlite3.OperationalError),
    ):
        db.execute("DELETE FROM tasks")


def test_all_followed_topics_are_folded() -> None:
    """Those of the read model (`design.md`), the audit, the dead letters, and what people said."""
    assert set(FOLLOWED) == {
        "care.audit.v1",
        "care.dead-letter.v1",
        "care.outcome.v1",
        "care.task.v1",
        "care.gap.v1",
        "care.change.v1",
        "care.patient-view.v1",
    }


def test_what_a_sender_says_beside_a_message_moves_no_letter(tmp_path: Path) -> None:
    """On Kafka a letter keeps its sender's headers: none hides it, or stops the reading."""
    said = {"size": "many", "edits": "care.dead-letter.v1-0-0", "editor": "nobody"}
    ours = {"reason": "malformed", "stage": "intake", "topic": "care.discharge.v1"}
    feed = ListFeed(
        [
            Record("care.dead-letter.v1", 0, 0, None, b"{", 5, {**said, **ours}),
            Record("care.dead-letter.v1", 0, 1, None, b"{", 5, {**ours, "size": "9" * 5000}),
        ]
    )
    project(tmp_path / tables.FILE, feed).close()
    with closing(tables.connect(tmp_path / tables.FILE, write=False)) as db:
        found = db.execute("SELECT status, size, edits FROM letters").fetchall()

    assert found == [("open", 1, None)] * 2


@pytest.mark.parametrize(
    ("raw", "headers", "kind"),
    [
        (b'{"type": "care.discharge.recorded.v1"}', {}, "care.discharge.recorded.v1"),
        (b'{"type": "care.sedge.ash.v1"}', {}, None),
        (b'{"disposition": "01"}', {"ce_type": "care.discharge.recorded.v1"},
         "care.discharge.recorded.v1"),
        (b"MSH|^~\\&|ADT|GEN|CARE|CARE|20261006||ADT^A03^ADT_A03|M1\rPID|", {}, "ADT^A03^ADT_A03"),
        (b"MSH|^~\\&|ADT|GEN|CARE|CARE|20261006||ZZZ^Z99|M1", {}, "ZZZ^Z99"),
        (b"MSH|^~\\&|ADT|GEN|CARE|CARE|20261006||Sedge^Ash|M1", {}, None),
        (b"MSH|^~\\&|ADT", {}, None),
        (b"\xff{", {}, None),
    ],
)  # fmt: skip
def test_of_what_kind_a_letter_is_is_told_in_known_words_alone(
    tmp_path: Path, raw: bytes, headers: dict[str, str], kind: str | None
) -> None:
    """A discharge that nobody calls after is told from an address; a name is no kind."""
    ours = {"reason": "missing-visit", "stage": "publish"}
    feed = ListFeed([Record("care.dead-letter.v1", 0, 0, None, raw, 5, {**headers, **ours})])
    project(tmp_path / tables.FILE, feed).close()
    with closing(tables.connect(tmp_path / tables.FILE, write=False)) as db:
        assert db.execute("SELECT kind FROM letters").fetchall() == [(kind,)]
