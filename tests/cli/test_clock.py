"""What an operator says to clocks that are held, as it is typed."""

from pathlib import Path

from orchestrator.core.instants import DAY
from orchestrator.stream.clock import ManualClock
from orchestrator.stream.sqlite_log import Log
from orchestrator.stream.timekeeper import JUMP, Timekeeper
from tests.cli.conftest import Run
from tests.stream.fakes import START


def test_a_jump_is_confirmed(run: Run, tmp_path: Path) -> None:
    """Another process holds its clocks; after the command it goes on."""
    clock = ManualClock(START)
    with Log.open(tmp_path / "data", owner=True, create=True, partitions=1, clock=clock) as log:
        timekeeper = Timekeeper(log, 30)
        clock.jump(40 * DAY)
        timekeeper.watch()
        assert timekeeper.held == JUMP

        confirmed = run("clock", "confirm", "--data-dir", tmp_path / "data")
        assert (confirmed.code, "go on in a moment" in confirmed.err) == (0, True)
        timekeeper.watch()
        assert timekeeper.held is None


def test_a_release_names_a_live_input(run: Run) -> None:
    """What no clock waits for is a mistake; embedded nothing has to be released."""
    brokers = {"CARE_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    wrong = run("clock", "release", "care.task.v1", "0", **brokers)
    assert (wrong.code, "care.outcome.v1" in wrong.err) == (2, True)
    assert run("clock", "release", "care.backfill.v1", "0", **brokers).code == 2
    embedded = run("clock", "release", "care.outcome.v1", "0", CARE_RUNTIME="embedded")
    assert (embedded.code, "CARE_RUNTIME=kafka" in embedded.err) == (2, True)


def test_a_confirmation_that_nobody_waits_for_says_so(run: Run, tmp_path: Path) -> None:
    """Clocks that go on are not held; whoever confirms them has looked at the wrong alarm."""
    with Log.open(tmp_path / "data", owner=True, create=True, partitions=1) as log:
        with log.transaction() as transaction:
            transaction.note("clock/0", str(log.clock.now()))
        confirmed = run("clock", "confirm", "--data-dir", tmp_path / "data")
    assert (confirmed.code, "no clock seems to be held" in confirmed.err) == (0, True)
