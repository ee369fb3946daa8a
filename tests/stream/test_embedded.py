"""The loop decides everything once, and stops rather than go on with what is not whole."""

import os
import subprocess
from itertools import count
from pathlib import Path
from typing import Any

import orjson
import pytest

from orchestrator.core.instants import MINUTE, written
from orchestrator.stream.embedded import Pace, Runtime, opened
from orchestrator.stream.log_errors import LogError, LogFull, LogInUse, LogMismatch
from orchestrator.stream.rounds import Out, Round
from schemas.topics import JOURNAL
from tests.stream.fakes import (
    FACILITIES,
    PARTITIONS,
    SITE_KEY,
    START,
    FakeProcessor,
    admitted,
    fill,
    journal_of,
    new_log,
    partition_of_patient,
    send,
)
from tests.stream.running import (
    PACE,
    assert_all_accounted,
    published,
    replayed,
    runtime_of,
    settle,
    stored,
    unavailable,
)


def test_an_event_becomes_a_journal_record_and_a_task(tmp_path: Path) -> None:
    """From the public topic to the published task, with the log's receipt and the patient's key."""
    log, _ = new_log(tmp_path)
    runtime = runtime_of(log)
    send(log, admitted(1))
    settle(runtime)

    (event,) = [v["event"] for v in journal_of(log) if v["kind"] == "event"]
    assert event["id"] == "GEN-000001"
    assert event["receivedtime"] == written(START)
    assert [task["version"] for task in published(log)] == [1]
    assert runtime.health.results == {("care.admission.v1", "journalled"): 1}
    assert_all_accounted(log)


def test_batching_changes_nothing_that_is_published(tmp_path: Path) -> None:
    """One record at a time or all at once: the same journal gives the same bytes."""
    log, clock = new_log(tmp_path)
    runtime = runtime_of(log, Pace(intake_records=7, decide_records=3))
    for n in range(60):
        send(log, admitted(n, patient=n % 9), admitted(n, patient=n % 9))
        clock.advance(10 * MINUTE)
        if n % 4 == 0:
            settle(runtime)
    settle(runtime)

    assert stored(log) == replayed(log)
    assert any(task["overdue"] for task in published(log))
    assert_all_accounted(log)


def test_a_full_disk_is_waited_for_with_the_same_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the processor has computed is committed once there is room, not computed again."""
    log, _ = new_log(tmp_path)
    runtime = runtime_of(log)
    send(log, *(admitted(n) for n in range(5)))
    failures = iter([True, True, False, True])
    commit = log.transaction

    def sometimes_full() -> Any:
        if next(failures, False):
            raise LogFull("log.sqlite: the disk is full")
        return commit()

    monkeypatch.setattr(log, "transaction", sometimes_full)
    runtime.turn()
    assert unavailable(runtime) == "LogFull"
    for _ in range(9):
        runtime.turn()

    assert unavailable(runtime) is None
    assert [task["version"] for task in published(log)] == [1] * 5
    assert len([v for v in journal_of(log) if v["kind"] == "alive"]) == 1
    assert stored(log) == replayed(log)
    assert_all_accounted(log)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_up_goes_on_by_itself_once_there_is_room(tmp_path: Path) -> None:
    """A disk that ran full and was emptied: nothing lost, nothing twice, no operator needed."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this machine does not let us mount")
    try:
        ballast = tmp_path / "ballast"
        ballast.write_bytes(bytes(5_000_000))
        log, _ = new_log(tmp_path / "data")
        runtime = runtime_of(log)
        numbers = count()
        acknowledged, _ = fill(lambda: send(log, admitted(next(numbers), padding="x" * 3000)))
        for _ in range(3):
            runtime.turn()
        assert unavailable(runtime) == "LogFull"
        ballast.unlink()
        for _ in range(100):
            runtime.turn()
        assert len(published(log)) == acknowledged
        assert stored(log) == replayed(log)
        assert_all_accounted(log)
        log.close()
    finally:
        subprocess.run(["umount", str(tmp_path)], check=False)


def test_a_disk_that_failed_ends_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a full or a busy disk is waited for."""
    log, _ = new_log(tmp_path)
    runtime = runtime_of(log)
    send(log, admitted(1))

    def broken() -> Any:
        raise LogError("log.sqlite: the disk failed to sync")

    monkeypatch.setattr(log, "transaction", broken)
    with pytest.raises(LogError, match="failed to sync"):
        runtime.turn()


def test_another_site_key_is_refused(tmp_path: Path) -> None:
    """With another key no patient would be found again, and each would begin anew."""
    log, _ = new_log(tmp_path)
    runtime_of(log)
    with pytest.raises(LogMismatch, match="site key"):
        Runtime(log, FakeProcessor, FACILITIES, b"another key", PACE)


def test_inputs_that_were_removed_unread_are_noticed(tmp_path: Path) -> None:
    """A topic that begins after intake's offset lost something: stop instead of skipping."""
    log, _ = new_log(tmp_path)
    send(log, admitted(1), admitted(2))
    with log.transaction() as transaction:
        transaction.execute("UPDATE logs SET first = 2 WHERE topic = 'care.admission.v1'")
    with pytest.raises(LogMismatch, match=r"care\.admission\.v1 does not hold"):
        runtime_of(log)


def test_a_hole_in_the_journal_is_noticed(tmp_path: Path) -> None:
    """A journal record that is gone stops deciding; the ones behind it are not decided alone."""
    log, _ = new_log(tmp_path)
    runtime = runtime_of(log)
    p = partition_of_patient("GEN|MRN1")
    with log.transaction() as transaction:
        for n in range(3):
            value = orjson.dumps({"kind": "unmapped", "facility": "GEN", "field": str(n)})
            transaction.append(JOURNAL, "k", value, partition=p)
        transaction.flush()
        transaction.execute("DELETE FROM records WHERE (id & 1099511627775) = 1")
    with pytest.raises(LogMismatch, match="hole"):
        runtime.turn()


def test_only_one_runtime_opens_a_folder(tmp_path: Path) -> None:
    """And the second may, once the first is gone."""
    with opened(tmp_path, FakeProcessor, FACILITIES, SITE_KEY, partitions=PARTITIONS) as first:
        first.turn()
        with (
            pytest.raises(LogInUse),
            opened(tmp_path, FakeProcessor, FACILITIES, SITE_KEY, partitions=PARTITIONS),
        ):
            pass
    with opened(tmp_path, FakeProcessor, FACILITIES, SITE_KEY, partitions=PARTITIONS) as second:
        assert second.timekeeper.last == first.timekeeper.last


def test_dead_letters_of_the_processor_are_published_with_their_headers(tmp_path: Path) -> None:
    """Decide parks too (an id with other content), into the one partition of the dead letters."""

    class Parking(FakeProcessor):
        def process(self, partition: int, records: Any) -> Round:
            rnd = super().process(partition, records)
            headers = {"reason": "duplicate-id-different-content", "stage": "decide"}
            rnd.outputs.append(Out("care.dead-letter.v1", "k", partition, b"bytes", headers))
            return rnd

    log, _ = new_log(tmp_path)
    runtime = Runtime(log, Parking, FACILITIES, SITE_KEY, PACE)
    send(log, admitted(1))
    settle(runtime)
    letters = log.read("care.dead-letter.v1", 0, 0, 99)
    assert {r.headers["stage"] for r in letters} == {"decide"}
