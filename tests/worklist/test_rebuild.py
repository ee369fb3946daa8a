"""The read model is made anew by one command; killed at any point the next one goes on."""

import random
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from orchestrator.stream.clock import ManualClock
from orchestrator.stream.sqlite_log import Log
from orchestrator.worklist.log.embedded import EmbeddedFeed
from orchestrator.worklist.log.feed import FOLLOWED, Record
from orchestrator.worklist.model import tables
from orchestrator.worklist.model.projector import Projection
from orchestrator.worklist.model.rebuild import rebuild
from tests.cli.conftest import Run, run
from tests.worklist.by_hand import Rows, expected, file_of, found
from tests.worklist.history import BEGIN, key_of, published

__all__ = ["run"]

ROOT: Final = Path(__file__).resolve().parents[2]
STEPS: Final = 40  # of one whole rebuild
KILLS: Final = 4


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log with something on each topic that the read model follows."""
    folder = tmp_path_factory.mktemp("rebuilt")
    published(folder, patients=20)
    with _opened(folder) as opened, opened.transaction() as transaction:
        for number in range(30):
            one = number % 25  # the rest are repeats
            record = {
                "audit_id": f"a{one}",
                "at": "2026-10-06T18:00:00Z",
                "actor": "nurse-1",
                "action": ("read", "retry", "discard")[one % 3],
                "outcome": "refused" if one % 4 == 1 else "success",
                "objects": [f"dead-letter/care.dead-letter.v1-0-{one % 8}", "task/t1"],
                "purpose": "a test message",
            }
            transaction.append("care.audit.v1", "nurse-1", orjson.dumps(record))
            key = f"{number % 10:032x}"
            view = {
                "name": {"family": "Sedge", "given": ["Ash"]},
                "birth_date": "1950-01-01",
                "preferences": {"hours": "9-17"} if number % 2 else None,
            }
            gone = number % 7 == 0
            value = None if gone else orjson.dumps({**view, "version": number})
            transaction.append("care.patient-view.v1", key, value)
            edits = {"edits": "care.dead-letter.v1-0-0", "stage": "edit"} if number == 29 else {}
            transaction.append("care.dead-letter.v1", None, b"{}", {"reason": "malformed", **edits})
    return folder


def _opened(folder: Path) -> Log:
    return Log.open(folder, clock=ManualClock(BEGIN))


def _feed(folder: Path) -> EmbeddedFeed:
    return EmbeddedFeed(folder, ManualClock(BEGIN))


@pytest.fixture
def folder(log: Path, tmp_path: Path) -> Path:
    """The same log, for one test."""
    shutil.copytree(log, tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture(scope="module")
def by_hand(log: Path) -> Rows:
    """What the file must hold."""
    with closing(_feed(log)) as feed:
        return expected(_records(log), feed.name)


def _records(folder: Path) -> list[Record]:
    with _opened(folder) as opened:
        return [
            Record(topic, partition, one.offset, one.key, one.value, one.stamp, one.headers)
            for topic in FOLLOWED
            for partition in range(opened.partitions_of(topic))
            for one in opened.read(topic, partition, 0, 1_000_000)
        ]


def test_the_history_fills_every_table(by_hand: Rows) -> None:
    """The comparisons below are about something in each table."""
    assert all(by_hand.values())
    assert set(by_hand) == {
        "audit", "caused", "changes", "gaps", "letter_deeds", "letters", "meta",
        "patients", "positions",
        "said", "subjects", "tally", "tasks", "transitions",
    }  # fmt: skip


def test_what_is_made_is_the_fold_of_the_topics(folder: Path, by_hand: Rows) -> None:
    """Row for row and byte for byte what a second fold, written for itself, makes of them."""
    with closing(_feed(folder)) as feed:
        taken = rebuild(file_of(folder), feed, key_of, lambda _done, _whole: None)

    assert taken == len(_records(folder))
    assert found(file_of(folder)) == by_hand


@pytest.mark.parametrize("seed", range(2))
def test_killed_at_any_point_it_goes_on(folder: Path, by_hand: Rows, seed: int) -> None:
    """SIGKILL between and inside its steps: the next run reads on, and the rows are the same."""
    draw = random.Random(seed)
    batch = max(1, len(_records(folder)) // STEPS)
    began = [
        _until_killed(folder, batch, draw.randint(2, 6), draw.uniform(0, 0.015))
        for _ in range(KILLS)
    ]
    half_made = _marked(folder)
    whole = subprocess.run(
        _command(folder, 5_000), check=True, capture_output=True, text=True, timeout=300, cwd=ROOT
    ).stdout.split()

    assert began[0] == 0
    assert began == sorted(began)
    assert int(whole[0]) >= began[-1] > 0, "what was taken in is not taken in again"
    assert (half_made, _marked(folder)) == (True, False)
    assert found(file_of(folder)) == by_hand


def _until_killed(folder: Path, batch: int, steps: int, later_s: float) -> int:
    """Start it, kill it a moment after its *steps*th step; where it began."""
    with subprocess.Popen(
        _command(folder, batch), stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(steps)]
        time.sleep(later_s)
        process.kill()
    assert process.returncode == -9, "it had ended before"
    return int(lines[0].split()[0])


def _command(folder: Path, batch: int) -> list[Any]:
    return [sys.executable, "-m", "tests.worklist.slow_rebuild", folder, str(batch)]


def _marked(folder: Path) -> bool:
    with closing(_feed(folder)) as feed:
        return tables.is_half_rebuilt(file_of(folder), feed.name)


def test_whoever_serves_a_half_made_file_finishes_it(folder: Path, by_hand: Rows) -> None:
    """A worklist started after the kill shows all; a later rebuild begins at the beginning."""
    _until_killed(folder, 50, 3, 0)
    with closing(_feed(folder)) as feed:
        projection = Projection(file_of(folder), feed, key_of)
        while projection.step() is not None:
            pass
        projection.close()

    assert not _marked(folder)
    assert found(file_of(folder)) == by_hand


def test_a_rebuild_forgets_what_the_file_said(folder: Path, by_hand: Rows) -> None:
    """Rows that no topic holds are gone: it is no repair, it is made anew."""
    with closing(_feed(folder)) as feed:
        rebuild(file_of(folder), feed, key_of, lambda _done, _whole: None)
        with closing(sqlite3.connect(file_of(folder))) as db, db:
            db.execute("UPDATE tasks SET owner = 'nobody'")
        rebuild(file_of(folder), feed, key_of, lambda _done, _whole: None)

    assert found(file_of(folder)) == by_hand


def test_nothing_is_rebuilt_under_a_worklist_that_runs(run: Run, tmp_path: Path) -> None:
    """Exit 2 and who is in the way: two writers would hide changes from those who wait."""
    data = tmp_path / "data"
    Log.open(data, create=True, partitions=2).close()
    assert run("worklist", "--rebuild", "--data-dir", data, CARE_PARTITIONS="2").code == 0
    with closing(EmbeddedFeed(data)) as feed:
        serving = Projection(file_of(data), feed, key_of)
        ran = run("worklist", "--rebuild", "--data-dir", data, CARE_PARTITIONS="2")
        serving.close()

    assert ran.code == 2
    assert "another process" in ran.err
