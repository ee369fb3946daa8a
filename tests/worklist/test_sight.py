"""A live stream judges in memory what a list asks the rows: both must say the same."""

from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.worklist.access.roles import Principal, principal
from orchestrator.worklist.log.feed import Record
from orchestrator.worklist.model import stories, tables
from orchestrator.worklist.model.filters import sees_change
from orchestrator.worklist.model.projector import Projection
from tests.worklist.history import ListFeed, key_of

ALL = frozenset({"*"})
PEOPLE = {
    "supervisor": principal("a", frozenset({"supervisor"}), frozenset(), ALL),
    "nurse of one facility": principal(
        "b", frozenset({"rn"}), frozenset({"nurse-outreach"}), frozenset({"GEN"})
    ),
    "nurse of two teams": principal(
        "c", frozenset({"rn"}), frozenset({"nurse-outreach", "pharmacy"}), ALL
    ),
    "scheduler": principal("d", frozenset({"scheduler"}), frozenset({"scheduling"}), ALL),
    "scheduler elsewhere": principal(
        "e", frozenset({"scheduler"}), frozenset({"scheduling"}), frozenset({"NOWHERE"})
    ),
    "coordinator of no team": principal("f", frozenset({"coordinator"}), frozenset(), ALL),
    "restricted": principal("g", frozenset({"rn"}), frozenset({"restricted"}), ALL, part2=True),
}


@pytest.fixture(scope="module")
def model(records: list[Record], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sight") / tables.FILE
    projection = Projection(path, ListFeed(records), key_of)
    while projection.step() is not None:
        pass
    projection.close()
    return path


@pytest.mark.parametrize("who", PEOPLE.values(), ids=PEOPLE)
def test_a_stream_shows_what_the_rows_allow(model: Path, who: Principal) -> None:
    """For every change of the history; where only the rows can tell, they are asked."""
    with closing(tables.connect(model, write=False)) as db:
        allowed = {one.number for one in stories.live(db, who, 0, {"task", "gap"}, 10**6)}
        changes = db.execute(
            "SELECT id, kind, team, facility FROM changes WHERE kind IN ('task', 'gap')"
        ).fetchall()
    verdicts = {
        number: sees_change(who, kind, team, facility) for number, kind, team, facility in changes
    }
    unsure = {number for number, verdict in verdicts.items() if verdict is None}

    assert len(verdicts) > 100
    assert {number for number, verdict in verdicts.items() if verdict} == allowed - unsure
    assert all(kind == "gap" for number, kind, _, _ in changes if number in unsure)
    assert bool(unsure) == (who.actor in ("d", "f"))
