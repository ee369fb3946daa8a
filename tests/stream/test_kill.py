"""``up`` is killed at every kill point, many times, and nothing is lost, doubled or changed.

The process is the real loop with the product's processor over the real log, on a speeded clock.
Each test lets its wounds add up in one log and then holds that log against what was sent and
against an undisturbed run of its own journal (`verdict`).  ``KILL_HITS=20`` makes the long run: so
many hits per point instead of two.  Which kill point of ``reliability.md`` §2.3 is which place in
this loop: `failpoints`.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import orjson
import pytest

from orchestrator.stream import failpoints
from orchestrator.stream.sqlite_log import Log
from tests.stream.fakes import PARTITIONS
from tests.stream.hospital_events import drawn
from tests.stream.sender import ROOT, Sender
from tests.stream.verdict import assert_nothing_lost_doubled_or_changed

HITS: Final = int(os.environ.get("KILL_HITS", "2"))
SCHEMA_PASSES: Final = 12  # tables and indexes
# Passed once in a start, or not with each batch.
RARE: Final = ("start", "prune", "clock")
SEEDS: Final = {"intake": 1, "decide": 2, "clock": 3, "start": 4, "prune": 5}

pytestmark = pytest.mark.slow


@pytest.fixture
def sender(tmp_path: Path) -> Sender:
    """A hospital and the log that it sends to."""
    return Sender(tmp_path / "data", seed=6)


@pytest.mark.parametrize("part", SEEDS)
def test_up_is_killed_at_every_point_of(part: str, tmp_path: Path) -> None:
    """It dies there, and starts again from whatever it left."""
    sender = Sender(tmp_path / "data", SEEDS[part])
    points = [name for name in failpoints.POINTS if name.startswith(f"{part}.")]
    for point in points * HITS:
        sender.send(40)
        passes = 1 if part in RARE else sender.random.randint(1, 3)
        sender.run_until_killed(f"{point}=kill@{passes}")
    assert sender.kills == dict.fromkeys(points, HITS)
    assert_nothing_lost_doubled_or_changed(sender)


def test_up_is_killed_inside_its_commits(sender: Sender) -> None:
    """At a random instant of the write and its fsync."""
    for _ in range(HITS * 3):
        for point in ("intake.commit", "decide.commit"):
            sender.send(40)
            delay = sender.random.uniform(0.00001, 0.003)
            sender.run_until_killed(f"{point}=kill:{delay:.6f}@{sender.random.randint(1, 4)}")
    assert_nothing_lost_doubled_or_changed(sender)


def test_up_is_killed_while_it_starts_and_while_it_stops(sender: Sender) -> None:
    """Three times in a row before it has done anything; after SIGTERM, before the drain is over."""
    for _ in range(HITS):
        for point in ("start.opened", "start.checked", "intake.read"):
            sender.send(20)
            sender.run_until_killed(f"{point}=kill@1")
        with sender.start("stop.draining=kill@1") as process:
            _wait_until_ready(process)
            time.sleep(sender.random.uniform(0, 0.2))
            process.terminate()
            process.communicate(timeout=10)
        assert process.returncode == -signal.SIGKILL
    assert_nothing_lost_doubled_or_changed(sender)


def test_up_is_killed_at_random_instants(sender: Sender) -> None:
    """From outside, wherever it is."""
    for _ in range(HITS * 4):
        sender.send(60)
        with sender.start() as process:
            time.sleep(sender.random.uniform(0.4, 1.2))
            process.kill()
            process.communicate(timeout=10)
    assert_nothing_lost_doubled_or_changed(sender)


def test_a_sender_that_was_killed_sends_again(sender: Sender, tmp_path: Path) -> None:
    """Not knowing what landed it repeats everything, and repeats have no effect."""
    for _ in range(HITS):
        for point in ("publish.commit", "publish.committed"):
            first = 900_000 + len(sender.events)
            events = [drawn(sender.random, first + n) for n in range(30)]
            file = tmp_path / "events.ndjson"
            file.write_bytes(b"\n".join(orjson.dumps(event) for _, event in events))
            command = [
                *(sys.executable, "-m", "tests.stream.publish_process"),
                *(str(sender.folder), str(file)),
            ]
            killed = _run(command, f"{point}=kill@1")
            assert killed.returncode == -signal.SIGKILL
            assert killed.stdout == b"", "nothing is said to be sent before it is known"
            again = _run(command, "")
            assert (again.returncode, again.stdout) == (0, b"30\n")
            # Killed before the commit it landed once, killed after it twice.
            sender.events += events * (2 if point == "publish.committed" else 1)
    sender.send(200)
    assert_nothing_lost_doubled_or_changed(sender)


@pytest.mark.parametrize("passes", range(1, SCHEMA_PASSES + 1, 11 if HITS <= 2 else 1))
def test_a_log_whose_making_was_killed_is_made_anew(tmp_path: Path, passes: int) -> None:
    """Half a schema is no schema."""
    command = [sys.executable, "-m", "tests.stream.up_process", str(tmp_path / "data")]
    killed = _run(command, f"schema.creating=kill@{passes}")
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    sender = Sender(tmp_path / "data", seed=4)
    with Log.open(sender.folder) as log:
        assert log.partitions == PARTITIONS
        assert log.end_offsets("care.admission.v1") != [0]


def test_a_stop_under_load_takes_less_than_three_seconds(tmp_path: Path) -> None:
    """SIGTERM in the middle of a backlog: exit code 0, soon, and the rest is done next time."""
    sender = Sender(tmp_path / "data", seed=5)
    for _ in range(20):
        sender.send(200)
    with sender.start() as process:
        _wait_until_ready(process)
        before = time.monotonic()
        process.terminate()
        assert process.wait(10) == 0
        assert time.monotonic() - before < 3
        assert process.stderr is not None
        assert b"process.stopped" in process.stderr.read()


def _wait_until_ready(process: "subprocess.Popen[bytes]") -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if b"process.ready" in line:
            return
    raise AssertionError("up ended before it was ready")


def _run(command: list[str], plan: str) -> "subprocess.CompletedProcess[bytes]":
    environment = {**os.environ, failpoints.VARIABLE: plan}
    return subprocess.run(
        command, cwd=ROOT, env=environment, check=False, capture_output=True, timeout=60
    )
