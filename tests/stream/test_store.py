"""Both stores answer alike, so that what is replayed in memory is what was decided on disk."""

from pathlib import Path

import pytest

from orchestrator.stream.log_errors import LogCorrupt
from orchestrator.stream.memory_store import MemoryStore
from orchestrator.stream.rounds import Out, Round, Store
from orchestrator.stream.sqlite_log import Log
from orchestrator.stream.store import LogStore, commit_round
from tests.stream.fakes import new_log


class Both:
    """The same Rounds into both stores; every answer is compared."""

    def __init__(self, folder: Path) -> None:
        self.log, _ = new_log(folder)
        self.stores: list[Store] = [LogStore(self.log), MemoryStore()]
        self._next = 0

    def commit(self, rnd: Round) -> None:
        self._next += 1
        commit_round(self.log, rnd, self._next)
        memory = self.stores[1]
        assert isinstance(memory, MemoryStore)
        memory.commit(rnd)

    def ask(self, name: str, *arguments: object) -> object:
        answers = [getattr(store, name)(*arguments) for store in self.stores]
        if isinstance(answers[0], list):
            answers = [sorted(answer) for answer in answers]
        assert answers[0] == answers[1]
        return answers[0]


@pytest.fixture
def both(tmp_path: Path) -> Both:
    return Both(tmp_path)


def test_an_unknown_patient_has_nothing(both: Both) -> None:
    """No head, no cells, nothing seen, nothing due."""
    assert both.ask("head", "k") is None
    assert both.ask("cells", "k") == []
    assert both.ask("cell", "k", "visit", "V1") is None
    assert both.ask("seen", "k", "h") is None
    assert both.ask("due", 0, 10**18) == []
    assert both.ask("meta", 0) is None


def test_a_round_is_read_back(both: Both) -> None:
    """Cells, head, seen and meta, under their names."""
    both.commit(
        Round(
            (0, b"meta"),
            cells={("k", "visit", "V1"): (b"cell", False), ("k", "person", ""): (b"p", False)},
            heads={"k": (b"head", 500)},
            seen={("k", "h"): (b"seen", 900)},
        )
    )
    assert both.ask("head", "k") == b"head"
    assert both.ask("cells", "k") == [("person", "", b"p"), ("visit", "V1", b"cell")]
    assert both.ask("seen", "k", "h") == b"seen"
    assert both.ask("meta", 0) == b"meta"
    assert both.ask("due", 0, 499) == []
    assert both.ask("due", 0, 500) == ["k"]
    assert both.ask("due", 1, 500) == []


def test_a_sealed_cell_is_no_open_one_but_is_still_found(both: Both) -> None:
    """A late correction reads the summary of a sealed stay by its name; the plan does not."""
    name = ("k", "visit", "V1")
    both.commit(Round((0, b""), cells={name: (b"open", False)}))
    both.commit(Round((0, b""), cells={name: (b"sealed", True)}))
    assert both.ask("cells", "k") == []
    assert both.ask("cell", *name) == b"sealed"
    both.commit(Round((0, b""), cells={name: (b"open again", False)}))
    assert both.ask("cells", "k") == [("visit", "V1", b"open again")]
    assert both.ask("cell", *name) == b"open again"


def test_a_wake_moves_and_goes(both: Both) -> None:
    """A patient is due at the wake that the last head says, or not at all."""
    both.commit(Round((0, b""), heads={"a": (b"1", 10), "b": (b"1", 20), "c": (b"1", None)}))
    assert both.ask("due", 0, 15) == ["a"]
    both.commit(Round((0, b""), heads={"a": (b"2", 30)}))
    assert both.ask("due", 0, 25) == ["b"]
    both.commit(Round((0, b""), heads={"a": (b"3", 10)}))
    assert both.ask("due", 0, 25) == ["a", "b"]
    assert both.ask("due", 0, 25) == ["a", "b"], "asking changes nothing"
    both.commit(Round((0, b""), heads={"a": (b"4", None), "b": (b"4", 21)}))
    assert both.ask("due", 0, 25) == ["b"]


def test_what_was_seen_is_forgotten_by_partition_and_time(both: Both) -> None:
    """Thirty days of one partition's now, whatever the others' is."""
    both.commit(Round((0, b""), seen={("a", "1"): (b"x", 100), ("a", "2"): (b"y", 200)}))
    both.commit(Round((1, b""), seen={("b", "1"): (b"z", 100)}))
    both.commit(Round((0, b""), forget_seen_before=200))
    assert both.ask("seen", "a", "1") is None
    assert both.ask("seen", "a", "2") == b"y"
    assert both.ask("seen", "b", "1") == b"z"


def test_a_round_publishes_and_appends_in_its_own_transaction(both: Both) -> None:
    """Outputs in their order, journal records for other keys, and the position, all at once."""
    outputs = [Out("care.task.v1", "0000000a", 1, b"%d" % n) for n in range(5)]
    rnd = Round((1, b"m"), outputs=outputs, journal=[("00000002", b"{}")])
    both.commit(rnd)
    log = both.log
    assert [r.value for r in log.read("care.task.v1", 1, 0, 9)] == [b"0", b"1", b"2", b"3", b"4"]
    assert [r.key for r in log.read("care.journal.v1", 2, 0, 9)] == ["00000002"]


@pytest.mark.parametrize("table", ["heads", "cells"])
def test_a_damaged_row_of_state_is_never_served(tmp_path: Path, table: str) -> None:
    """A flipped bit in what was derived stops the worker instead of becoming a decision."""
    log, _ = new_log(tmp_path)
    rnd = Round((0, b""), cells={("k", "visit", "V1"): (b"cell", False)}, heads={"k": (b"h", 1)})
    commit_round(log, rnd, 0)
    _damage(log, table)
    store = LogStore(log)
    with pytest.raises(LogCorrupt, match="damaged"):
        store.head("k") if table == "heads" else store.cells("k")


def _damage(log: Log, table: str) -> None:
    with log.transaction() as transaction:
        transaction.execute(f"UPDATE {table} SET value = x'00'")
